"""A few hundred hostile inputs for every parser, always the same; `make fuzz` goes on from there for a set time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.parsers import ALL, Parser

FORM = settings(
    max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("parser", ALL, ids=lambda parser: parser.name)
def test_a_value_or_its_one_error(parser: Parser) -> None:
    @FORM
    @given(parser.drawn)
    def hold(drawn: Any) -> None:
        parser.holds(drawn)

    hold()
