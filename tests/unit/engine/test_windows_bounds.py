"""Counts and sequences at their boundaries."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.detectors.windows import COUNT_BOUND, count_add, distinct_add, sequence_add

State = list[list[Any]]


def counted(moments: list[int], within: int = 10, at_least: int = 2, horizon: int = 100) -> list[list[str] | None]:
    state: State = []
    return [count_add(state, t, str(t), within, at_least, horizon) for t in moments]


def test_count_first_and_last_exactly_within_apart_is_inside() -> None:
    assert counted([0, 10]) == [None, ["0", "10"]]


def test_count_one_ms_past_within_is_outside() -> None:
    assert counted([0, 11]) == [None, None]


def test_count_at_least_one_signals_the_first_only() -> None:
    assert counted([0, 5, 16], at_least=1) == [["0"], None, ["16"]]


def test_count_does_not_signal_again_while_it_stays() -> None:
    assert counted([0, 5, 10, 15, 20]) == [None, ["0", "5"], None, None, None]


def test_count_at_exactly_the_moment_the_oldest_leaves_has_not_fallen() -> None:
    assert counted([0, 5, 10])[2] is None


def test_count_one_ms_after_the_oldest_left_signals_again() -> None:
    assert counted([0, 5, 11])[2] == ["5", "11"]


def test_count_at_the_same_time_counts_each() -> None:
    state: State = []
    assert [count_add(state, 7, e, 0, 2, 0) for e in "abc"] == [None, ["a", "b"], None]


def test_count_late_element_completes_the_window_that_ends_later() -> None:
    assert counted([0, 10, 5], at_least=3) == [None, None, ["0", "5", "10"]]


def test_count_late_element_exactly_within_before_the_end_completes_it() -> None:
    assert counted([20, 10]) == [None, ["10", "20"]]


def test_count_late_element_one_ms_too_early_does_not_complete_it() -> None:
    assert counted([20, 9]) == [None, None]


def test_count_late_element_that_lengthens_a_burst_is_silent() -> None:
    assert counted([10, 20, 15]) == [None, ["10", "20"], None]


def test_count_late_element_before_a_burst_that_reaches_it_is_silent() -> None:
    assert counted([5, 10, 2]) == [None, ["5", "10"], None]


def test_count_late_element_before_a_burst_that_does_not_reach_it_signals() -> None:
    assert counted([10, 20, 5]) == [None, ["10", "20"], ["5", "10"]]


def test_count_late_element_that_makes_a_burst_of_its_own_signals() -> None:
    assert counted([10, 50, 60, 15]) == [None, None, ["50", "60"], ["10", "15"]]


def test_count_drops_what_is_older_than_window_and_horizon() -> None:
    state: State = []
    for t in (0, 1, 111):
        count_add(state, t, str(t), 10, 2, 100)
    assert state == [[1, "1"], [111, "111"]]
    assert count_add(state, 0, "late", 10, 2, 100) is None
    assert len(state) == 2


def test_count_keeps_the_newest_of_too_many() -> None:
    state: State = []
    for t in range(200):
        count_add(state, t, str(t), 1000, 3, 0)
    assert state == [[t, str(t)] for t in range(200 - COUNT_BOUND, 200)]


def test_different_counts_each_value_once() -> None:
    state: State = []
    added = [(0, "web"), (1, "web"), (2, "phone"), (3, "web"), (4, "phone")]
    found = [distinct_add(state, t, str(t), v, 10, 2, 0) for t, v in added]
    assert found == [None, None, ["1", "2"], None, None]


def test_different_exactly_within_apart_is_inside_and_one_ms_past_is_outside() -> None:
    for t, expected in ((10, ["0", "10"]), (11, None)):
        state: State = []
        distinct_add(state, 0, "0", "web", 10, 2, 0)
        assert distinct_add(state, t, str(t), "phone", 10, 2, 0) == expected


def test_different_keeps_the_last_of_each_value_when_there_are_too_many() -> None:
    state: State = []
    distinct_add(state, 0, "0", "phone", 1000, 3, 0)
    for t in range(1, 200):
        distinct_add(state, t, str(t), "web", 1000, 3, 0)
    assert len(state) == COUNT_BOUND
    assert distinct_add(state, 200, "200", "email", 1000, 3, 0) == ["0", "199", "200"]


def test_different_late_element_completes_the_window_that_ends_later() -> None:
    state: State = []
    assert distinct_add(state, 10, "10", "web", 10, 2, 100) is None
    assert distinct_add(state, 0, "0", "phone", 10, 2, 100) == ["0", "10"]


def sequenced(elements: list[tuple[int, int]], n: int = 2, within: int = 10) -> list[list[str] | None]:
    state: State = []
    return [sequence_add(state, t, k, str(i), n, within, 100) for i, (t, k) in enumerate(elements)]


def test_sequence_exactly_within_is_inside() -> None:
    assert sequenced([(0, 0), (10, 1)]) == [None, ["0", "1"]]


def test_sequence_one_ms_past_within_is_outside() -> None:
    assert sequenced([(0, 0), (11, 1)]) == [None, None]


def test_sequence_at_equal_time_goes_by_arrival() -> None:
    assert sequenced([(5, 0), (5, 1)]) == [None, ["0", "1"]]
    assert sequenced([(5, 1), (5, 0)]) == [None, None]


def test_sequence_takes_the_latest_first_element() -> None:
    assert sequenced([(0, 0), (3, 0), (5, 1)])[2] == ["1", "2"]


def test_sequence_others_may_lie_between() -> None:
    assert sequenced([(0, 0), (1, 2), (2, 1), (3, 0), (4, 2)], n=3)[4] == ["0", "2", "4"]


def test_sequence_uses_its_elements_up() -> None:
    assert sequenced([(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)]) == [None, None, ["1", "2"], ["0", "3"], None]


def test_sequence_late_first_element_completes_it() -> None:
    assert sequenced([(10, 1), (0, 0)]) == [None, ["1", "0"]]


def test_sequence_late_middle_element_completes_it() -> None:
    assert sequenced([(0, 0), (10, 2), (5, 1)], n=3)[2] == ["0", "2", "1"]


def test_sequence_late_last_element_completes_it() -> None:
    assert sequenced([(0, 0), (30, 0), (8, 1)])[2] == ["0", "2"]


def test_sequence_one_touchpoint_cannot_stand_at_two_places() -> None:
    state: State = []
    assert sequence_add(state, 0, 0, "a", 2, 10, 0) is None
    assert sequence_add(state, 0, 1, "a", 2, 10, 0) is None
    assert sequence_add(state, 1, 0, "b", 2, 10, 0) is None
    assert sequence_add(state, 1, 1, "b", 2, 10, 0) == ["a", "b"]
    assert state == []


def test_sequence_last_elements_wait_only_for_what_may_come_late() -> None:
    state: State = []
    sequence_add(state, 0, 1, "last", 2, 1000, 10)
    sequence_add(state, 10, 0, "first", 2, 1000, 10)
    assert [e[2] for e in state] == ["last", "first"]
    sequence_add(state, 11, 0, "first2", 2, 1000, 10)
    assert [e[2] for e in state] == ["first", "first2"]


@pytest.mark.parametrize("horizon", [None, 0])
def test_sequence_too_late_is_not_taken_in(horizon: int | None) -> None:
    state: State = []
    sequence_add(state, 100, 0, "a", 2, 10, horizon)
    assert sequence_add(state, 89, 0, "b", 2, 10, horizon) is None
    assert [e[2] for e in state] == ["a"]
