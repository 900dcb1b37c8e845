"""The engine over a simulation, compared with what the simulated customers know about themselves."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from streams.contracts.outputs import Signal
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files, shipped
from streams.engine.engine import Engine
from streams.tools.simulator import Disturbance, Fact, generate

COUNT = 40_000
CUSTOMERS = 2_000
NOT_IN_THE_TRUTH = {"fall", "recovery"}
COMPARED = {"abandonment", "friction", "stalled", "goal_reached", "satisfaction"}


class Found(NamedTuple):
    kind: str
    journey: str | None
    name: str
    customer: str
    time: int


def of_signal(s: Signal) -> Found:
    name = s.stage or "" if s.kind == "abandonment" else s.name
    return Found(s.kind, None if s.kind == "satisfaction" else s.journey, name, s.customer, s.time)


def of_fact(f: Fact) -> Found:
    return Found(f.kind, f.journey, f.name, f.customer, f.time)


def run(touchpoints: list[Touchpoint], end: int) -> Counter[Found]:
    engine = Engine(load_files([shipped("shop"), shipped("service")]))
    signals = []
    for n in range(0, len(touchpoints), 500):
        signals += engine.process(touchpoints[n : n + 500], None).signals
    signals += engine.advance(max(end, engine.watermark or 0), None).signals
    return Counter(
        of_signal(s) for s in signals if s.kind in COMPARED and s.name not in NOT_IN_THE_TRUTH and s.time <= end
    )


def shares(found: Counter[Found], truth: Counter[Found]) -> dict[tuple[str, str | None, str], tuple[float, float, int]]:
    """Rule -> precision, recall, number of facts."""
    both = found & truth
    counted = [Counter((f.kind, f.journey, f.name) for f in c.elements()) for c in (both, found, truth)]
    return {
        rule: (counted[0][rule] / (counted[1][rule] or 1), counted[0][rule] / (counted[2][rule] or 1), counted[2][rule])
        for rule in counted[1] | counted[2]
    }


@pytest.mark.parametrize("seed", [3, 31])
def test_the_engine_finds_everything_and_nothing_else(seed: int) -> None:
    """Exactly, to the millisecond. Only the touchpoints that a stalled case counts may be agents' too."""
    facts: list[Fact] = []
    touchpoints = list(generate(seed, CUSTOMERS, COUNT, truth=facts.append))
    truth = Counter(of_fact(f) for f in facts)
    measured = shares(run(touchpoints, touchpoints[-1].occurred_at), truth)
    assert len(measured) >= 30
    for rule, (precision, recall, _) in measured.items():
        least = 0.9 if rule[2] == "slow_case" else 1.0
        assert min(precision, recall) >= least, (rule, precision, recall)


def test_duplicates_and_disorder_between_customers_change_nothing() -> None:
    facts: list[Fact] = []
    disturbance = Disturbance(duplicates=0.05, shuffle_ms=10_000, shuffle="between customers")
    touchpoints = list(generate(3, CUSTOMERS, COUNT, truth=facts.append, disturbance=disturbance))
    end = min(touchpoints[-1].record_time or 0, max(t.occurred_at for t in touchpoints)) - 10_000
    truth = Counter(of_fact(f) for f in facts if f.time <= end)
    # Near the end the log lacks what is still on its way: compare up to where it is complete.
    found = run(touchpoints, end)
    for rule, (precision, recall, _) in shares(found, truth).items():
        least = 0.9 if rule[2] == "slow_case" else 0.97
        assert min(precision, recall) >= least, (rule, precision, recall)


def test_late_arrivals_and_disorder_cost_little() -> None:
    """Deadlines may differ where one customer's own order is lost; most is found all the same."""
    facts: list[Fact] = []
    disturbance = Disturbance(duplicates=0.01, late=0.005, late_most_ms=1_800_000, shuffle_ms=15_000)
    touchpoints = list(generate(3, CUSTOMERS, COUNT, truth=facts.append, disturbance=disturbance))
    end = max(t.occurred_at for t in touchpoints) - 1_800_000
    truth = Counter(of_fact(f) for f in facts if f.time <= end)
    found = run(touchpoints, end)
    both = sum((found & truth).values())
    assert both / sum(found.values()) > 0.9
    assert both / sum(truth.values()) > 0.9
