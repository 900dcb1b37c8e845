"""Where effects are known, the policy finds the best action and the report's intervals cover the truth.

``JOURNEY_TEST_PROOF=long`` (``make proof``) runs ten times as much.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from streams.contracts.outputs import Decision, Signal, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.tools.report.frame import frame_of
from streams.tools.report.records import Record, of_output, of_touchpoint
from streams.tools.report.report import report_of
from streams.tools.report.statistics import Interval
from tests.support.engines import T0, D, M, define, touchpoint
from tests.support.known_world import NOTHING, KnownWorld

LONG = os.environ.get("JOURNEY_TEST_PROOF") == "long"
JOURNEY = """
journeys:
  buy: {type: purchase, goal: {event: Order Completed}, stages: {look: {on: [Product Viewed]}}}
channels:
  leaflet: {opt_in: false}
actions:
"""


def action(name: str, more: str = "") -> str:
    return (
        f"  {name}: {{purpose: marketing, when: {{signal: stage_entered, journey: buy}}, channel: leaflet, value: 10, "
        f"expires_after: 1d, attribution: 1d{more}}}\n"
    )


def visits(customers: int, every: int = M) -> Iterator[Touchpoint]:
    """Each customer comes once, and looks."""
    for n in range(customers):
        yield touchpoint(n * every, "Product Viewed", f"c{n}")


RATES = {"a": 0.04, "b": 0.06, "c": 0.15, "d": 0.08, "e": 0.02, NOTHING: 0.01}


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10 if LONG else 1))
def test_the_policy_finds_the_best_action_to_within_2_percent_of_its_rate(seed: int) -> None:
    world = KnownWorld(define(JOURNEY + "".join(map(action, "abcde"))), RATES, seed)
    customers = 16_000
    world.live(visits(customers))
    chosen = [d.chosen or NOTHING for d in world.decisions]
    assert len(chosen) == customers
    late = chosen[customers * 3 // 4 :]
    earned = sum(RATES[name] for name in late) / len(late)
    assert earned >= 0.98 * RATES["c"]
    assert {name: chosen.count(name) > 20 for name in "abcde"} == dict.fromkeys("abcde", True), "all were tried"


HELD_OUT = JOURNEY + action("nudge", ", holdout: {share: 0.4, salt: SALT}")
TREATED, CONTROL = 0.16, 0.10


def uplift(definition: Definition, seed: int, customers: int) -> Interval:
    """What the report says of one world."""
    world = KnownWorld(definition, {"nudge": TREATED, NOTHING: CONTROL}, seed)
    world.live(visits(customers))
    world.end(customers * M + 2 * D)
    records: dict[str, list[Record]] = {}
    outputs: list[Signal | Decision | Trigger] = [*world.signals, *world.decisions, *world.triggers]
    for one in outputs:
        records.setdefault(one.customer, []).append(of_output(one))
    for tp in world.touchpoints:
        kept = of_touchpoint(tp, definition)
        assert kept is not None
        records.setdefault(kept.customer, []).append(kept)
    frame = frame_of(definition, T0, T0 + customers * M + 2 * D)
    (figures,) = report_of(definition, frame, ((name, held) for name, held in records.items())).actions
    assert figures.sample_ratio is None or figures.sample_ratio > 1e-6
    found = next(group.uplift for group in figures.whole.groups if group.group == "issued")
    assert found is not None
    return found


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_the_interval_of_the_uplift_covers_the_truth_in_about_95_percent_of_the_runs() -> None:
    runs, least, most = (200, 181, 199) if LONG else (20, 16, 20)
    # Customers are divided anew in each run: another salt, other ids would do as well.
    found = [uplift(define(HELD_OUT.replace("SALT", f"s{seed}")), seed, 600) for seed in range(runs)]
    covered = sum(interval.low <= TREATED - CONTROL <= interval.high for interval in found)
    assert least <= covered <= most, f"{covered} of {runs}"


WHO = """
risks:
  churn:
    without: Order Completed
    horizon: 30d
    features: [touchpoints, channel_in_app_30d, order_30d]
    learn: {challengers: []}
"""
GROUPS = (
    {"a": 0.30, "b": 0.05, NOTHING: 0.01},
    {"a": 0.05, "b": 0.30, NOTHING: 0.01},
)
"""Of those who come by web, and by app."""
ALIKE = {"a": 0.20, "b": 0.16, NOTHING: 0.01}


def group(customer: str) -> int:
    return int(customer[1:]) % 2


def by_channel(customers: int) -> Iterator[Touchpoint]:
    for n in range(customers):
        yield touchpoint(n * M, "Product Viewed", f"c{n}", channel=("web", "in_app")[n % 2])


def two(risk: str) -> Definition:
    return define(risk + JOURNEY + action("a") + action("b"))


def earned(world: KnownWorld, last: int) -> float:
    """Mean rate of what was chosen for the last customers."""
    late = world.decisions[-last:]
    return sum(world.rate(d.customer, d.chosen or NOTHING) for d in late) / len(late)


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10 if LONG else 1))
def test_where_groups_respond_to_different_actions_the_best_of_each_is_found(seed: int) -> None:
    customers, last = 8_000, 1_000
    best = GROUPS[0]["a"]
    world = KnownWorld(two(WHO), lambda customer: GROUPS[group(customer)], seed)
    world.live(by_channel(customers))
    assert {model.name: model.form for model in world.models} == {"action.a": "contextual", "action.b": "contextual"}
    assert earned(world, last) >= 0.98 * best
    # What everyone's share of success can reach without looking at the customer is the mean of the two groups.
    plain = KnownWorld(two(""), lambda customer: GROUPS[group(customer)], seed)
    plain.live(by_channel(customers // 4))
    assert {model.form for model in plain.models} == {"beta"}
    assert earned(plain, last) < 0.65 * best


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(20 if LONG else 1))
def test_where_customers_are_alike_the_counts_stay_in_force(seed: int) -> None:
    customers = 16_000 if LONG else 6_000
    world = KnownWorld(two(WHO), ALIKE, seed)
    world.live(by_channel(customers))
    assert {model.form for model in world.models} == {"beta"}
    assert max(model.evaluation.get("contextual_labels", 0.0) for model in world.models) >= 1_000, "it was judged"
    assert earned(world, 1_000) >= 0.9 * ALIKE["a"]
