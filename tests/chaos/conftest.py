"""What the failure tests share: full and short forms, and the table at the end.

`make test` runs what is not marked ``chaos``; `make chaos` sets JOURNEY_TEST_CHAOS=full and runs all of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import results
from tests.chaos.form import FULL
from tests.conftest import Kafka, own_broker

BEGAN = time.time()
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Brokers are killed, cut off and filled here."""
    yield from own_broker(tmp_path_factory)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if FULL:
        return
    left_out = [item for item in items if HERE in item.path.parents and item.get_closest_marker("chaos")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of this run; the page where all of them are."""
    if not FULL or "PYTEST_XDIST_WORKER" in os.environ:
        return
    rows = results.kept(since=BEGAN)
    if rows:
        terminalreporter.section("failure tests")
        terminalreporter.write_line(results.table(rows))
        results.write_page(rows)
        terminalreporter.write_line(f"kept in {results.PAGE.relative_to(results.ROOT)}")
