"""Laws hold with and without risks: each is held to both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.worlds import Scoring


@pytest.fixture(scope="module", params=[False, True], ids=["", "scored"])
def scoring(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the definitions of ``worlds.loaded`` have risks."""
    Scoring.on = request.param
    yield Scoring.on
    Scoring.on = False
