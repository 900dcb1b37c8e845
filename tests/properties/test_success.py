"""What an action learns from a contact and what the report says of it is the same success."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from streams.contracts.outputs import Example
from streams.contracts.touchpoint import Touchpoint
from streams.tools.report.history import History
from streams.tools.report.records import Record, of_output, of_touchpoint
from streams.tools.report.units import Aftermaths
from tests.support import engines
from tests.support.engines import D, H, M, touchpoint
from tests.support.worlds import LARGEST, MIXES, Run, Scoring, carried_out, decode, loaded


@pytest.fixture(scope="module", autouse=True)
def _policies() -> Iterator[None]:
    Scoring.policies = True
    yield
    Scoring.policies = False


DESK: Final = """
time: {session_gap: 30m, allowed_lateness: 0s}
journeys:
  help:
    type: support
    instance_by: case_id
    goal: Case Resolved
    stages: {asking: {on: Message Received}}
actions:
  tip: {when: {signal: stage_entered}, channel: store, value: 10, expires_after: 1m, attribution: 1d}
"""
"""Each case asks for ``tip``."""


def successes(run: engines.Run, log: Sequence[Touchpoint]) -> Iterator[tuple[Example, bool]]:
    """Examples of actions, with what the report says of each."""
    definition = run.engine.definition
    windows = {action.name: action.attribution_ms for action in definition.actions}
    records: dict[str, list[Record]] = {}
    for signal in run.signals:
        records.setdefault(signal.customer, []).append(of_output(signal))
    for decision in run.decisions:
        records.setdefault(decision.customer, []).append(of_output(decision))
    for tp in log:
        found = of_touchpoint(tp, definition)
        if found is not None:
            records.setdefault(found.customer, []).append(found)
    for example in run.examples:
        name = example.risk.removeprefix("action.")
        if name != example.risk and "converted" not in example.outcomes:
            history = History(example.customer, records[example.customer], 1 << 60)
            (choice,) = (
                one
                for one in history.choices
                if one.chosen == name and one.time == example.scored_at and one.outcome == "issued"
            )
            yield example, Aftermaths(history).of(choice, windows[name]).converted


def test_the_report_finds_the_success_that_the_action_learned() -> None:
    told = []
    rng = random.Random(5)
    for _ in range(25):
        numbers = [rng.randrange(LARGEST) for _ in range(80)]
        log = carried_out(decode(numbers, MIXES[rng.randrange(len(MIXES))]), loaded())
        run = Run(loaded())
        run.hear(*log)
        run.drain()
        told += [(example.label, found) for example, found in successes(run, log)]
    assert all(learned is found for learned, found in told)
    assert len(told) > 50
    assert sum(found for _, found in told) > 10


def test_another_case_that_is_solved_is_no_success_for_either() -> None:
    run = engines.Run(DESK)
    log = [
        touchpoint(0, "Message Received", case_id="a"),
        touchpoint(2 * M, "Elsewhere"),
        touchpoint(3 * M, "Message Received", case_id="b"),
        touchpoint(1 * H, "Case Resolved", case_id="b"),
        touchpoint(2 * D, "Elsewhere"),
    ]
    run.hear_each(log)
    run.drain()
    issued = {decision.time: decision.instance for decision in run.decisions if decision.outcome == "issued"}
    found = {issued[example.scored_at]: (example.label, same) for example, same in successes(run, log)}
    assert found == {"a": (False, False), "b": (True, True)}
