"""Law: windows, sequences, absences, silences and sessions are what brute force over the whole history says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.touchpoint import Touchpoint
from tests.properties import oracle
from tests.properties.oracle import Found
from tests.support.engines import T0, M, S, touchpoint
from tests.support.worlds import Log, Run, law, loaded

pytestmark = pytest.mark.usefixtures("scoring")

WINDOWS = """
version: 1
time: {allowed_lateness: 5s, session_gap: 1m, session_cap: 3m}
segments:
  here: {where: "session.open"}
journeys:
  case:
    type: support
    instance_by: case_id
    goal: {event: Solved}
    stages:
      told: {on: [Told]}
    friction:
      - {name: many, count: {event: Asked, at_least: 3, within: 10s}}
      - {name: spread, count: {event: Asked, at_least: 2, within: 20s, same: [topic], different: [channel]}}
      - {name: steps, sequence: {of: [Asked, Sent, Told], within: 15s, across: customer}}
      - {name: pair, sequence: {of: [Asked, Sent], within: 5s}}
      - {name: unanswered, absence: {of: Sent, within: 8s, after: Asked}}
  purchase:
    type: purchase
    goal: {event: Paid}
    stages:
      look: {on: [Looked]}
      choose: {on: [Chosen]}
    abandonment:
      choose: {after: 5s}
      look: {after: 10s}
    friction:
      - {name: undecided, stalled: {stage: look, longer_than: 12s}}
"""

EVENTS = ("Asked", "Sent", "Told", "Solved", "Looked", "Chosen", "Paid", "Asked")
PAUSES = (0, 1, 1 * S, 2 * S, 3 * S, 5 * S, 5 * S + 1, 8 * S, 8 * S + 1, 10 * S, 12 * S, 20 * S, 1 * M, 1 * M + 1)
CASES = ("k1", "k1", "k2", None)

moves = st.tuples(
    st.sampled_from(EVENTS),
    st.sampled_from(PAUSES),
    st.sampled_from(CASES),
    st.sampled_from(("web", "call", None)),
    st.sampled_from(("bill", "parcel", None)),
    st.sampled_from("ab"),
)


def history(drawn: Sequence[tuple[str, int, str | None, str | None, str | None, str]]) -> Log:
    log: Log = []
    t = 0
    for i, (event, pause, case, channel, topic, who) in enumerate(drawn):
        t += pause
        log.append(touchpoint(t, event, who, event_id=f"e{i}", case_id=case, channel=channel, topic=topic))
    return log


def case(one: Touchpoint) -> str | None:
    return one.case_id


def expected(log: Sequence[Touchpoint]) -> list[Found]:
    return sorted(
        [
            *oracle.counts(log, "many", "Asked", 3, 10 * S, case, lambda e: e.event_id, case),
            *oracle.counts(log, "spread", "Asked", 2, 20 * S, lambda e: e.topic, lambda e: e.channel, case),
            *oracle.sequences(log, "steps", ["Asked", "Sent", "Told"], 15 * S, lambda e: "all", case),
            *oracle.sequences(log, "pair", ["Asked", "Sent"], 5 * S, case, case),
            *oracle.absences(log, "unanswered", "Sent", "Asked", 8 * S, "Told", "Solved", case),
            *oracle.silences(
                log, [("look", "Looked", 10 * S), ("choose", "Chosen", 5 * S)], "Paid", ("undecided", "look", 12 * S)
            ),
            *oracle.sessions(log, "here", 1 * M, 3 * M),
        ],
        key=str,
    )


@law(150)
@given(st.lists(moves, min_size=1, max_size=30))
def test_windows_silences_and_sessions_equal_brute_force(
    drawn: list[tuple[str, int, str | None, str | None, str | None, str]],
) -> None:
    log = history(drawn)
    run = Run(loaded(WINDOWS))
    run.hear(*log)
    run.drain()
    for customer in "ab":
        found = [
            (s.time, s.kind, s.name, s.instance, tuple(s.evidence))
            for s in run.signals
            if s.customer == customer and s.kind != "churn_risk"
            if s.journey != "case" or s.kind == "friction"
        ]
        assert sorted(found, key=str) == expected([one for one in log if one.customer_id == customer])
    assert run.engine.watermark is not None
    assert run.engine.watermark >= T0 - 5 * S
