"""Laws hold with risks, with contact policies, and without either: each is held to all three."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.worlds import Scoring


@pytest.fixture(scope="module", params=["", "scored", "policies"])
def scoring(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the definitions of ``worlds.loaded`` have risks; else they may have policies."""
    Scoring.on = request.param == "scored"
    Scoring.policies = request.param == "policies"
    yield Scoring.on
    Scoring.on = Scoring.policies = False
