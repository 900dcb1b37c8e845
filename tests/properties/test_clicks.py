"""Click presets against plain restatements of the vendors' rules; in any order of arrival; stored; with any fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import hypot
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.detectors.clicks import PRESETS, ClickPreset, Finding
from streams.engine.detectors.preset import LIMIT

Event = tuple[str, int, str, dict[str, Any]]
EVENTS = sorted(frozenset().union(*(p.reads for p in PRESETS.values())))
FIELDS = ["x", "y", "target", "target_kind", "path", "url", "name", "value_ms", "direction_changes", "duration_ms"]

properties = st.fixed_dictionaries(
    {
        "x": st.sampled_from([0, 20, 40, 400]),
        "y": st.sampled_from([0.0, 15.0]),
        "target": st.sampled_from(["#a", "#b"]),
        "target_kind": st.sampled_from(["button", "button", "button", "text_input", "next"]),
        "path": st.sampled_from(["/a", "/b"]),
        "name": st.sampled_from(["LCP", "LCP", "CLS"]),
        "value_ms": st.sampled_from([1000, 4000, 4001]),
        "direction_changes": st.integers(0, 25),
        "duration_ms": st.integers(0, 3000),
    }
)
streams_of = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 1500), properties), max_size=25)


def timed(moves: Iterable[tuple[str, int, dict[str, Any]]]) -> list[Event]:
    t = 0
    events = []
    for i, (event, step, p) in enumerate(moves):
        t += step
        events.append((event, t, str(i), p))
    return events


def run(preset: ClickPreset, events: Iterable[Event], state: list[Any] | None = None) -> list[Finding]:
    """Findings; silences are decided when all has arrived, as they are within the allowed lateness."""
    state = [] if state is None else state
    findings = []
    for event, t, event_id, p in events:
        if event in preset.reads:
            finding = preset.observe(state, event, t, event_id, p)
            if finding is not None:
                findings.append(finding)
    while (due := preset.next_due(state)) is not None:
        finding = preset.fire(state, due)
        assert finding is not None
        findings.append(finding)
    return findings


def chains(clicks: list[Event], linked: Callable[[Event, Event], bool]) -> list[list[Event]]:
    found: list[list[Event]] = []
    for c in clicks:
        if found and linked(found[-1][-1], c):
            found[-1].append(c)
        else:
            found.append([c])
    return found


def gap(a: Event, b: Event) -> int:
    return b[1] - a[1]


def manhattan(a: Event, b: Event) -> float:
    return float(abs(a[3]["x"] - b[3]["x"]) + abs(a[3]["y"] - b[3]["y"]))


def straight(a: Event, b: Event) -> float:
    return hypot(a[3]["x"] - b[3]["x"], a[3]["y"] - b[3]["y"])


def same(a: Event, b: Event) -> bool:
    return bool(a[3]["target"] == b[3]["target"])


def box(clicks: list[Event]) -> float:
    return float(max(max(c[3][k] for c in clicks) - min(c[3][k] for c in clicks) for k in "xy"))


RULES: dict[str, tuple[int, Callable[[Event, Event], bool], Callable[[list[Event]], bool]]] = {
    "rage_click/posthog": (3, lambda a, b: gap(a, b) < 1000 and manhattan(a, b) < 30, lambda c: True),
    "rage_click/mixpanel": (4, lambda a, b: gap(a, b) < 1000 and straight(a, b) < 30, lambda c: True),
    "rage_click/datadog": (
        3,
        lambda a, b: gap(a, b) <= 1000 and straight(a, b) <= 100 and same(a, b),
        lambda c: gap(c[0], c[-1]) <= 1000,
    ),
    "rage_click/amplitude": (
        4,
        lambda a, b: gap(a, b) < 1000 and same(a, b),
        lambda c: gap(c[0], c[-1]) < 1000 and box(c) <= 50,
    ),
    "rage_click/conviva": (3, lambda a, b: gap(a, b) <= 2000, lambda c: gap(c[0], c[-1]) <= 2000),
}


def expected_rage(name: str, events: list[Event]) -> list[tuple[list[Event], list[str]]]:
    """(burst, its evidence) without scrolls and selections, whose effect has tests of its own."""
    count, linked, fits = RULES[name]
    clicks = [e for e in events if e[0] == "Element Clicked"]
    if name == "rage_click/posthog":
        clicks = [e for e in clicks if e[3]["target_kind"] == "button"]
    found = []
    for chain in chains(clicks, linked):
        groups = [chain[i : i + count] for i in range(len(chain) - count + 1)]
        rage = next((g for g in groups if fits(g)), None)
        if rage is not None:
            found.append((chain, [c[2] for c in rage]))
    return found


clicking = st.lists(
    st.tuples(st.just("Element Clicked"), st.sampled_from([0, 1, 100, 300, 999, 1000, 1001, 2001]), properties),
    max_size=16,
)


@pytest.mark.parametrize("name", RULES)
@given(clicking)
@settings(deadline=None, max_examples=100)
def test_in_order_each_burst_of_clicks_is_found_once_with_the_clicks_that_first_make_it(
    name: str, moves: list[tuple[str, int, dict[str, Any]]]
) -> None:
    events = timed(moves)
    assert [f.evidence for f in run(PRESETS[name], events)] == [ids for _, ids in expected_rage(name, events)]


@pytest.mark.parametrize("name", RULES)
@given(clicking, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_in_any_order_of_arrival_each_burst_of_clicks_is_found(
    name: str, moves: list[tuple[str, int, dict[str, Any]]], random: Any
) -> None:
    events = timed([(e, max(step, 1), p) for e, step, p in moves][:12])
    if events and events[-1][1] > 10_000:
        events = [e for e in events if e[1] > events[-1][1] - 10_000]
    shuffled = list(events)
    random.shuffle(shuffled)
    found = {event_id for f in run(PRESETS[name], shuffled) for event_id in f.evidence}
    for burst, _ in expected_rage(name, events):
        assert found & {c[2] for c in burst}


def expected_dead(events: list[Event], wait: int, answer: int, before: int) -> set[tuple[int, str]]:
    clicks = [
        e for e in events if e[0] == "Element Clicked" and e[3]["target_kind"] not in {"text_input", "external_link"}
    ]
    reactions = [
        e[1]
        for e in events
        if e[0] in {"Page Reacted", "Page Scrolled", "Text Selected", "page", "screen", "Page Viewed"}
    ]
    found = set()
    for target in ("#a", "#b"):
        for burst in chains([c for c in clicks if c[3]["target"] == target], lambda a, b: gap(a, b) < 1000):
            _, t, event_id, _ = burst[0]
            if not any(t - before <= r <= t + answer for r in reactions):
                found.add((t + wait, event_id))
    return found


@pytest.mark.parametrize(
    ("name", "wait", "answer", "before"),
    [
        ("dead_click/mixpanel", 500, 500, 100),
        ("dead_click/posthog", 2500, 2499, 0),
        ("dead_click/amplitude", 3000, 3000, 0),
        ("dead_click/sentry", 7000, 3000, 0),
    ],
)
@given(streams_of, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=80)
def test_dead_clicks_are_the_same_in_any_order_of_arrival(
    name: str, wait: int, answer: int, before: int, moves: list[tuple[str, int, dict[str, Any]]], random: Any
) -> None:
    events = [e for e in timed([(e, step + 1, p) for e, step, p in moves]) if e[1] < 10_000]
    random.shuffle(events)
    found = run(PRESETS[name], events)
    assert {(f.time, f.evidence[0]) for f in found} == expected_dead(
        sorted(events, key=lambda e: e[1]), wait, answer, before
    )
    assert len(found) == len({f.evidence[0] for f in found})


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
@given(streams_of, st.integers(0, 25))
@settings(deadline=None, max_examples=30)
def test_a_stored_state_goes_on_like_the_live_one(
    preset: ClickPreset, moves: list[tuple[str, int, dict[str, Any]]], cut: int
) -> None:
    events = timed(moves)
    live = run(preset, events)
    state: list[Any] = []
    findings = []
    for i, (event, t, event_id, p) in enumerate(events):
        if i == cut:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
        if event in preset.reads:
            finding = preset.observe(state, event, t, event_id, p)
            if finding is not None:
                findings.append(finding)
    assert [*findings, *run(preset, [], state)] == live


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=200), st.lists(st.integers(), max_size=2)
)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(EVENTS),
            st.integers(-5000, 5000),
            st.one_of(properties, st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, anything))),
        ),
        max_size=50,
    )
)
@settings(deadline=None, max_examples=40)
def test_whatever_the_fields_hold_nothing_breaks_and_the_state_is_bounded(
    preset: ClickPreset, moves: list[tuple[str, int, dict[str, Any]]]
) -> None:
    state: list[Any] = []
    t = 0
    for i, (event, step, p) in enumerate(moves):
        t += step
        if event not in preset.reads:
            continue
        before = msgspec.msgpack.encode(state)
        finding = preset.observe(state, event, t, str(i), p)
        if preset.missing(event, p):
            assert finding is None
            assert msgspec.msgpack.encode(state) == before
        assert len(state) <= LIMIT
        assert len(msgspec.msgpack.encode(state)) <= LIMIT * 256
        due = preset.next_due(state)
        if due is not None and due < t:
            assert preset.fire(state, due) is not None
