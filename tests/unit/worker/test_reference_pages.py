"""docs/operations.md says what the worker reads and counts."""

from __future__ import annotations

from pathlib import Path

from streams.settings import ENVIRONMENT, Settings
from streams.worker.reference import rewritten

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    assert rewritten(PAGE) == PAGE, "run: python -m streams.worker.reference docs/operations.md"


def test_every_setting_that_is_printed_is_on_the_page() -> None:
    for name in Settings().printed():
        assert name.startswith(ENVIRONMENT)
        assert f"| `{name}` |" in PAGE


def test_every_metric_has_a_meaning() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `journey_")]
    assert len(rows) > 30
    assert all(len(row[3]) > 10 for row in rows)
