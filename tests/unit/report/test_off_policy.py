"""The off-policy check: estimates that cover the truth, weights by hand, refusals where too little is known."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from streams.contracts.outputs import Candidate, Decision
from streams.tools.report.intentions import intention
from streams.tools.report.offpolicy import OffPolicy, PolicyFigures
from streams.tools.report.records import Choice, Found, Intended, Option, Record
from streams.tools.report.report import report_of
from tests.unit.report.stories import DAY, HOUR, T, by_customer, definition, found, frame, goal, touch

CHANCES = {"x": 0.7, "y": 0.3}


def judged(records: Sequence[Record], **changes: Any) -> PolicyFigures:
    loaded = definition()
    policy = OffPolicy(loaded, loaded)
    figures = report_of(loaded, frame(loaded, **changes), by_customer(records), policy=policy).policy
    assert figures is not None
    return figures


def decided(
    at: int, customer: str, signal: str, chosen: str | None, chances: Mapping[str, float], **fields: Any
) -> Choice:
    given: dict[str, Any] = {"outcome": "issued" if chosen else "none", "journey": "buy"}
    return Choice(
        decision_id=f"d-{signal}", customer=customer, time=T + at, reason="", signal_id=signal, chosen=chosen,
        propensity=chances.get(chosen or ""), candidates=[Option(a, propensity=p) for a, p in chances.items()],
        **{**given, **fields},
    )  # fmt: skip


def wanted(at: int, customer: str, signal: str, chances: Mapping[str, float]) -> Intended:
    return Intended(customer, signal, T + at, "buy", dict(chances))


REWARDS = {("a", "x"): 0.3, ("a", "y"): 0.1, ("b", "x"): 0.1, ("b", "y"): 0.3}
TARGET = {"a": {"x": 0.9, "y": 0.1}, "b": {"x": 0.1, "y": 0.9}}
TRUTH = 0.9 * 0.3 + 0.1 * 0.1


def world(n: int, seed: int) -> list[Record]:
    """Customers who buy twice as readily or not at all, three decisions each, a window apart; an order is worth 10."""
    rng = random.Random(seed)
    records: list[Record] = []
    for i in range(n):
        who = f"c{i}"
        keen = 2.0 if rng.random() < 0.5 else 0.0
        for k in range(3):
            at, signal, kind = k * 8 * DAY, f"{who}-{k}", rng.choice("ab")
            action = "x" if rng.random() < CHANCES["x"] else "y"
            records.append(found("friction", at, kind, who, signal_id=signal))
            records.append(decided(at, who, signal, action, CHANCES))
            records.append(wanted(at, who, signal, TARGET[kind]))
            if rng.random() < keen * REWARDS[kind, action]:
                order = f"{signal}-order"
                records.append(touch("Order Completed", at + HOUR, who, event_id=order, value=10.0))
                records.append(goal(at + HOUR, who, [order]))
    return records


def test_estimates_cover_the_truth_as_often_as_they_say() -> None:
    """The logged policy earns 0.2 a decision; the other one would 0.28."""
    inside = {"ips": 0, "dr": 0, "logged": 0, "value": 0}
    runs = 40
    for seed in range(runs):
        figures = judged(world(250, seed))
        assert figures.refused is None
        conversion, value = figures.estimates["conversion"], figures.estimates["value"]
        inside["ips"] += conversion.ips.low <= TRUTH <= conversion.ips.high
        inside["dr"] += conversion.doubly_robust.low <= TRUTH <= conversion.doubly_robust.high
        inside["logged"] += conversion.logged.low <= 0.2 <= conversion.logged.high
        inside["value"] += value.doubly_robust.low <= 10 * TRUTH <= value.doubly_robust.high
    assert min(inside.values()) / runs >= 0.88, inside


def test_doubly_robust_scatters_less_than_weights_alone() -> None:
    estimates = [judged(world(250, seed)).estimates["conversion"] for seed in range(10)]
    widths = [(one.doubly_robust.high - one.doubly_robust.low, one.ips.high - one.ips.low) for one in estimates]
    assert sum(robust < ips for robust, ips in widths) >= 9


def test_the_reward_model_is_that_of_other_customers() -> None:
    """All customers of one half: nobody else has taught it anything, so it adds nothing to the weights."""
    mine = [record for record in world(900, 2) if zlib.crc32(b"half" + record.customer.encode()) % 2]
    one = judged(mine).estimates["conversion"]
    assert one.doubly_robust == one.ips
    assert judged(world(450, 2)).estimates["conversion"].doubly_robust.estimate != one.ips.estimate


def test_intervals_are_of_customers() -> None:
    """Residuals summed by customer, squared, by hand."""
    records = world(250, 4)
    bought = {record.evidence[0] for record in records if isinstance(record, Found) and record.signal == "goal_reached"}
    rewards: dict[str, list[int]] = {}
    for record in records:
        if isinstance(record, Choice):
            rewards.setdefault(record.customer, []).append(f"{record.signal_id}-order" in bought)
    n = sum(map(len, rewards.values()))
    mean = sum(map(sum, rewards.values())) / n
    squares = sum((sum(mine) - mean * len(mine)) ** 2 for mine in rewards.values())
    half = 1.96 * (squares * len(rewards) / (len(rewards) - 1)) ** 0.5 / n
    logged = judged(records).estimates["conversion"].logged
    assert (logged.estimate, logged.high - logged.estimate) == pytest.approx((mean, half))


def test_customers_in_a_holdout_are_left_out_with_all_their_decisions() -> None:
    held = decided(0, "ada", "s1", "x", CHANCES, outcome="held_out")
    assert judged([held, decided(1, "ada", "s2", "y", CHANCES)]).decisions == 0


def test_weights_are_intended_by_logged() -> None:
    """Two decisions by hand: 0.9/0.7 x 1 and 0.2/0.3 x 0."""
    records: list[Record] = [
        decided(0, "ada", "s1", "x", CHANCES), wanted(0, "ada", "s1", {"x": 0.9, "y": 0.1}), goal(HOUR),
        decided(0, "bob", "s2", "y", CHANCES), wanted(0, "bob", "s2", {"x": 0.8, "y": 0.2}),
    ]  # fmt: skip
    # Enough of both for an estimate: everybody else agrees with the log in the mean.
    more = [r for n in range(400) for r in same(f"c{n}", "x" if n % 10 < 7 else "y")]
    figures = judged([*records, *more])
    weights = [0.9 / 0.7, 0.2 / 0.3, *[0.69 / 0.7 if n % 10 < 7 else 0.31 / 0.3 for n in range(400)]]
    assert figures.mean_weight == pytest.approx(sum(weights) / 402)
    assert figures.effective == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights))
    assert figures.differing == 402
    assert figures.estimates["conversion"].ips.estimate == pytest.approx(0.9 / 0.7 / 402)
    assert figures.estimates["conversion"].logged.estimate == pytest.approx(1 / 402)


def same(who: str, action: str) -> list[Record]:
    return [decided(0, who, f"s-{who}", action, CHANCES), wanted(0, who, f"s-{who}", {"x": 0.69, "y": 0.31})]


def test_what_was_never_possible_is_refused() -> None:
    records = [
        r
        for n in range(300)
        for r in (decided(0, f"c{n}", f"s{n}", "x", {"x": 1.0}), wanted(0, f"c{n}", f"s{n}", {"z": 1.0}))
    ]
    figures = judged(records)
    assert figures.uncovered == 1.0
    assert "never possible" in (figures.refused or "")
    assert figures.estimates == {}


def test_where_nothing_was_decided_a_new_action_was_not_possible_either() -> None:
    figures = judged([wanted(0, f"c{n}", f"s{n}", {"z": 1.0}) for n in range(300)])
    assert (figures.decisions, figures.differing, figures.uncovered) == (300, 300, 1.0)


def test_leaving_out_what_was_drawn_now_and_then_is_covered_where_nothing_was_drawn_too() -> None:
    """The other policy does nothing on these signals; so did the log on others, by its gates, not here."""
    figures = judged([decided(0, f"c{n}", f"s{n}", "x", {"x": 1.0}) for n in range(300)])
    assert figures.uncovered == 1.0, "doing nothing had no chance"


def test_few_that_did_what_the_other_would_are_refused() -> None:
    records = [
        r
        for n in range(300)
        for r in (
            decided(0, f"c{n}", f"s{n}", "y" if n < 30 else "x", {"x": 0.9, "y": 0.1}),
            wanted(0, f"c{n}", f"s{n}", {"y": 1.0}),
        )
    ]
    figures = judged(records)
    assert figures.effective_differing == pytest.approx(30)
    assert "are worth 30 (at least 100)" in (figures.refused or "")


def test_the_same_policy_is_refused_with_the_reason() -> None:
    records = [
        r
        for n in range(300)
        for r in (decided(0, f"c{n}", f"s{n}", "x", CHANCES), wanted(0, f"c{n}", f"s{n}", CHANCES))
    ]
    assert "nothing to estimate" in (judged(records).refused or "")


def test_nothing_at_all_is_refused() -> None:
    assert judged([touch("page", 0)]).refused == "no decision with a whole attribution window after it"


@pytest.mark.parametrize(
    "record",
    [
        decided(0, "ada", "s", "x", CHANCES, outcome="held_out"),
        decided(0, "ada", "s", "x", CHANCES, outcome="held"),
        decided(0, "ada", "s", "x", CHANCES, outcome="none"),
        decided(0, "ada", "s", "x", CHANCES, step=1),
        decided(25 * DAY, "ada", "s", "x", CHANCES),
        decided(-DAY, "ada", "s", "x", CHANCES),
    ],
    ids=["holdout", "held", "chosen and not sent", "later step", "window not over", "before the period"],
)
def test_decisions_that_tell_nothing_are_left_out(record: Choice) -> None:
    assert judged([record]).decisions == 0


def test_a_log_without_propensities_was_not_drawn() -> None:
    old = Choice("d", "ada", T, "issued", "issued", "s", journey="buy", chosen="x", candidates=[Option("x")])
    figures = judged([old, wanted(0, "ada", "s", {"x": 1.0})])
    assert (figures.decisions, figures.differing, figures.mean_weight) == (1, 0, 1.0)


def test_intentions_are_the_probabilities_of_those_that_passed() -> None:
    decision = Decision(
        "d", "ada", T, "issued", "issued", "s", "buy",
        candidates=[
            Candidate("x", propensity=0.6), Candidate("y", "not_drawn", propensity=0.4), Candidate("z", "limit"),
        ],
    )  # fmt: skip
    assert intention(decision) == Intended("ada", "s", T, "buy", {"x": 0.6, "y": 0.4})
    decision.outcome = "held_out"
    assert intention(decision) == Intended("ada", "s", T, "buy", {"x": 0.6, "y": 0.4})
    decision.outcome = "none"
    assert intention(decision) == Intended("ada", "s", T, "buy", {})
    decision.outcome = "held"
    assert intention(decision) is None


def test_nothing_is_an_action_of_its_own() -> None:
    """Logged: every candidate closed. The other policy would have done nothing either."""
    figures = judged([decided(0, "ada", "s", None, {})])
    assert (figures.decisions, figures.differing, figures.mean_weight) == (1, 0, 1.0)
