"""Counts and sequences against brute force: in order, shuffled, and with the state kept short."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.detectors.windows import COUNT_BOUND, SEQUENCE_BOUND, count_add, distinct_add, sequence_add

FOREVER = 1_000_000

times = st.lists(st.integers(0, 60), min_size=1, max_size=14)
widths = st.integers(0, 20)
ns = st.integers(1, 4)
valued = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc")), min_size=1, max_size=12)


def bursts(elements: list[tuple[int, str]], within: int, at_least: int) -> list[tuple[int, int]]:
    """Longest stretches with at_least different values in [x - within, x], on a grid of half ms (x / 2)."""
    last = max((t for t, _ in elements), default=0) + within + 2
    full = [len({v for t, v in elements if x - 2 * within <= 2 * t <= x}) >= at_least for x in range(2 * last)]
    found: list[tuple[int, int]] = []
    for x, inside in enumerate(full):
        if inside and (x == 0 or not full[x - 1]):
            found.append((x, x))
        elif inside:
            found[-1] = (found[-1][0], x)
    return found


def new_bursts(
    before: list[tuple[int, str]], element: tuple[int, str], within: int, at_least: int
) -> list[tuple[int, int]]:
    old = bursts(before, within, at_least)
    return [
        (a, b) for a, b in bursts([*before, element], within, at_least) if not any(a <= c and d <= b for c, d in old)
    ]


@given(times, widths, ns)
@settings(deadline=None, max_examples=300)
def test_in_order_a_count_signals_when_it_rises(moments: list[int], within: int, at_least: int) -> None:
    state: list[list[Any]] = []
    seen: list[tuple[int, str]] = []
    for i, t in enumerate(sorted(moments)):
        number = sum(t - within <= s <= t for s, _ in seen) + 1
        seen.append((t, str(i)))
        evidence = count_add(state, t, str(i), within, at_least, 0)
        expected = [e for s, e in seen if t - within <= s] if number == at_least else None
        assert evidence == expected


@given(times, widths, ns)
@settings(deadline=None, max_examples=400)
def test_shuffled_a_count_signals_each_new_burst(moments: list[int], within: int, at_least: int) -> None:
    state: list[list[Any]] = []
    seen: list[tuple[int, str]] = []
    for i, t in enumerate(moments):
        new = new_bursts(seen, (t, str(i)), within, at_least)
        seen.append((t, str(i)))
        evidence = count_add(state, t, str(i), within, at_least, FOREVER)
        assert (evidence is not None) == bool(new)
        if evidence is not None:
            start = new[0][0] // 2
            at = {e: s for s, e in seen}
            assert len(evidence) == at_least
            assert [at[e] for e in evidence] == sorted(at[e] for e in evidence)
            assert at[evidence[-1]] == start
            assert at[evidence[0]] >= start - within
        assert [e[0] for e in state] == sorted(s for s, _ in seen)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), min_size=1, max_size=25), widths, ns)
@settings(deadline=None, max_examples=200)
def test_within_the_lateness_nothing_that_is_needed_was_dropped(
    moves: list[tuple[int, int]], within: int, at_least: int
) -> None:
    kept: list[list[Any]] = []
    short: list[list[Any]] = []
    now = 0
    for i, (step, late) in enumerate(moves):
        now += step
        t = max(now - late, 0)
        assert count_add(short, t, str(i), within, at_least, 10) == count_add(
            kept, t, str(i), within, at_least, FOREVER
        )
        assert short == [e for e in kept if e[0] >= kept[-1][0] - within - 10]


@given(valued, widths, st.integers(1, 3))
@settings(deadline=None, max_examples=300)
def test_in_order_different_values_signal_when_their_number_rises(
    elements: list[tuple[int, str]], within: int, at_least: int
) -> None:
    state: list[list[Any]] = []
    seen: list[tuple[int, str]] = []
    for i, (t, value) in enumerate(sorted(elements, key=lambda e: e[0])):
        before = {v for s, v in seen if t - within <= s}
        seen.append((t, value))
        evidence = distinct_add(state, t, str(i), value, within, at_least, 0)
        assert (evidence is not None) == (len(before) < at_least <= len(before | {value}))
        if evidence is not None:
            assert {seen[int(e)][1] for e in evidence} == before | {value}
            assert len(evidence) == at_least


@given(valued, widths, st.integers(1, 3))
@settings(deadline=None, max_examples=300)
def test_shuffled_different_values_signal_each_new_burst(
    elements: list[tuple[int, str]], within: int, at_least: int
) -> None:
    state: list[list[Any]] = []
    seen: list[tuple[int, str]] = []
    for i, (t, value) in enumerate(elements):
        new = new_bursts(seen, (t, value), within, at_least)
        seen.append((t, value))
        evidence = distinct_add(state, t, str(i), value, within, at_least, FOREVER)
        assert (evidence is not None) == bool(new)
        if evidence is not None:
            found = [seen[int(e)] for e in evidence]
            assert len({v for _, v in found}) == len(found) == at_least
            assert found[-1][0] == new[0][0] // 2
            assert min(s for s, _ in found) >= new[0][0] // 2 - within


def matches(unused: list[list[Any]], n: int, within: int) -> list[list[list[Any]]]:
    """All sequences among the unused elements, which are in order; by brute force."""
    places = [[i for i, e in enumerate(unused) if e[1] == k] for k in range(n)]
    return [
        [unused[i] for i in chosen]
        for chosen in product(*places)
        if all(a < b for a, b in pairwise(chosen))
        and unused[chosen[-1]][0] - unused[chosen[0]][0] <= within
        and len({unused[i][2] for i in chosen}) == n
    ]


@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 2)), min_size=1, max_size=14),
    st.integers(1, 3),
    widths,
    st.booleans(),
)
@settings(deadline=None, max_examples=400)
def test_sequences_equal_brute_force(elements: list[tuple[int, int]], n: int, within: int, in_order: bool) -> None:
    state: list[list[Any]] = []
    unused: list[list[Any]] = []
    for i, (t, place) in enumerate(sorted(elements, key=lambda e: e[0]) if in_order else elements):
        k = place % n
        unused.append([t, k, str(i)])
        unused.sort(key=lambda e: e[0])
        evidence = sequence_add(state, t, k, str(i), n, within, FOREVER)
        possible = matches(unused, n, within)
        assert (evidence is not None) == bool(possible)
        if evidence is not None:
            order = [e[2] for e in unused]
            found = [next(e for e in unused if e[2] == event) for event in evidence]
            assert found in possible
            last = min(order.index(m[-1][2]) for m in possible)
            assert order.index(evidence[-1]) == last
            assert order.index(evidence[0]) == max(
                order.index(m[0][2]) for m in possible if order.index(m[-1][2]) == last
            )
            unused = [e for e in unused if e[2] not in evidence]
        assert state == unused


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10), st.integers(0, 2)), max_size=25), widths)
@settings(deadline=None, max_examples=200)
def test_within_the_lateness_a_short_sequence_state_finds_the_same(
    moves: list[tuple[int, int, int]], within: int
) -> None:
    kept: list[list[Any]] = []
    short: list[list[Any]] = []
    now = 0
    for i, (step, late, k) in enumerate(moves):
        now += step
        t = max(now - late, 0)
        assert sequence_add(short, t, k, str(i), 3, within, 10) == sequence_add(kept, t, k, str(i), 3, within, FOREVER)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.sampled_from("abcd")), max_size=30), st.data())
@settings(deadline=None, max_examples=60)
def test_a_stored_state_goes_on_like_the_live_one(moves: list[tuple[int, int, str]], data: st.DataObject) -> None:
    states: list[list[list[Any]]] = [[], [], []]
    copies: list[list[list[Any]]] = [[], [], []]
    cut = data.draw(st.integers(0, len(moves)))
    for i, (t, k, value) in enumerate(moves):
        if i == cut:
            copies = msgspec.msgpack.decode(msgspec.msgpack.encode(copies), type=list[list[list[Any]]])
        for a, b, c in (states, copies):
            count_add(a, t, str(i), 3, 2, 5)
            distinct_add(b, t, str(i), value, 3, 2, 5)
            sequence_add(c, t, k, str(i), 2, 3, 5)
    assert states == copies


@given(st.integers(1, 40), st.lists(st.integers(0, 3), min_size=200, max_size=200))
@settings(deadline=None, max_examples=20)
def test_states_are_bounded(at_least: int, steps: list[int]) -> None:
    count: list[list[Any]] = []
    distinct: list[list[Any]] = []
    sequence: list[list[Any]] = []
    t = 0
    for i, step in enumerate(steps):
        t += step - 1
        count_add(count, t, str(i), FOREVER, at_least, FOREVER)
        distinct_add(distinct, t, str(i), i % 7, FOREVER, at_least, FOREVER)
        sequence_add(sequence, t, i % 2, str(i), 3, FOREVER, FOREVER)
        assert len(count) <= max(COUNT_BOUND, 4 * at_least)
        assert len(distinct) <= max(COUNT_BOUND, 4 * at_least)
        assert len(sequence) <= SEQUENCE_BOUND
