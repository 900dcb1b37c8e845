"""Many comparisons mark nothing by chance, and harm is found among them all the same."""

from __future__ import annotations

import random

import pytest

from streams.tools.report.harm import LEVEL, Suspicion, higher, proven
from streams.tools.report.statistics import Rate, rate_difference


def of(*chances: float) -> list[bool]:
    return proven([Suspicion("", chance) for chance in chances])


def test_one_comparison_is_its_interval() -> None:
    assert of(LEVEL) == [True]
    assert of(LEVEL * 1.01) == [False]
    assert of() == []


def test_the_smallest_is_held_against_all_and_the_next_against_the_rest() -> None:
    assert of(LEVEL / 2, LEVEL) == [True, True]
    assert of(LEVEL, LEVEL / 2) == [True, True]
    assert of(LEVEL / 1.9, LEVEL / 1.9) == [False, False]
    assert of(0.5, LEVEL / 4, LEVEL / 2.5, 0.5) == [False, True, False, False]


def test_too_few_are_not_marked_and_let_others_be() -> None:
    few = Suspicion("few", 1e-9, enough=False)
    assert proven([few, Suspicion("many", 1e-9)]) == [False, True]


def test_a_report_of_forty_comparisons_without_harm_marks_hardly_ever_anything() -> None:
    draw = random.Random(1)
    marked = sum(any(of(*(draw.random() for _ in range(40)))) for _ in range(2_000))
    assert marked < 2_000 * 0.035
    assert sum(any(chance < LEVEL for chance in (draw.random() for _ in range(40))) for _ in range(100)) > 40


@pytest.mark.parametrize(("one", "other"), [((40, 100), (20, 100)), ((9, 60), (1, 70)), ((3, 10), (2, 900))])
def test_the_chance_of_a_difference_is_where_newcombes_interval_ends_at_nought(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    chance = higher(Rate(*one), Rate(*other))
    interval = rate_difference(Rate(*one), Rate(*other))
    assert interval is not None
    assert (chance < LEVEL) is (interval.low > 0)
    assert higher(Rate(*other), Rate(*one)) == 0.5
