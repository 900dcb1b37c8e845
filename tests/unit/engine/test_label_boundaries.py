"""Labels, to the millisecond: what decides one, when, and what makes it unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.cel import compile_expression
from streams.definitions.model import EventRef
from streams.engine.scoring.labels import WAITING
from streams.engine.state import decode
from tests.support.engines import T0, D, H, M, Run, S, define, touchpoint
from tests.support.risks import date, linear, risk, with_risks

PLAIN = define("""
    time: {allowed_lateness: 10s, session_gap: 30m}
    journeys:
      purchase:
        type: purchase
        goal: {event: Order Completed}
        stages:
          looking: {on: [Product Viewed]}
""")
SCORED = D
"""T0 is a Monday, 00:00 UTC: the grid of one day has an instant each midnight."""
HORIZON = 10 * D
LEAVING = risk()
UPSET = risk("upset", "Complaint Filed", comes_true="with")


def scored_once(*risks: Any, **options: Any) -> Run:
    """A customer who looked at noon and is scored at the next midnight only, then not active any more."""
    run = Run(with_risks(PLAIN, *(risks or (LEAVING,))), **options)
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(SCORED + 1)
    return run


def once(**fields: Any) -> Any:
    return risk(active_within_ms=13 * H, **fields)


def order(t: int, **fields: Any) -> Touchpoint:
    return touchpoint(t, "Order Completed", **fields)


@pytest.mark.parametrize(
    ("at", "label", "matured"),
    [
        (SCORED - 1, True, SCORED + HORIZON),
        (SCORED, True, SCORED + HORIZON),
        (SCORED + 1, False, SCORED + 1),
        (SCORED + HORIZON - 1, False, SCORED + HORIZON - 1),
        (SCORED + HORIZON, False, SCORED + HORIZON),
        (SCORED + HORIZON + 1, True, SCORED + HORIZON),
    ],
)
def test_a_label_is_of_the_time_after_the_score_until_its_horizon(at: int, label: bool, matured: int) -> None:
    run = Run(with_risks(PLAIN, once()))
    run.hear(touchpoint(12 * H, "Product Viewed"), order(at))
    run.until(SCORED + HORIZON + 1)
    assert run.labels()[0] == (SCORED, matured, label)


def test_no_label_is_known_before_its_horizon_has_passed() -> None:
    run = scored_once(once())
    run.until(SCORED + HORIZON)
    assert run.labels() == []
    assert run.engine.next_due_ms == T0 + SCORED + HORIZON + 1
    run.until(SCORED + HORIZON + 1)
    assert run.labels() == [(SCORED, SCORED + HORIZON, True)]


def test_one_touchpoint_decides_every_label_that_waits_for_it() -> None:
    run = Run(with_risks(PLAIN, LEAVING))
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(3 * D + 1)
    run.hear(order(3 * D + 5 * M))
    assert run.labels() == [(day * D, 3 * D + 5 * M, False) for day in (1, 2, 3)]
    run.hear(order(3 * D + 6 * M))
    assert len(run.labels()) == 3


def test_what_comes_true_by_an_event_is_false_by_silence() -> None:
    heard, silent = scored_once(UPSET), scored_once(UPSET)
    heard.hear(touchpoint(2 * D, "Complaint Filed"))
    assert heard.labels()[0] == (SCORED, 2 * D, True)
    silent.until(SCORED + HORIZON + 1)
    assert silent.labels()[0] == (SCORED, SCORED + HORIZON, False)


def test_the_company_does_not_stay_for_a_customer_but_may_tell_what_has_come_true() -> None:
    run = scored_once(LEAVING, UPSET)
    run.hear(order(2 * D - 1, actor="company"), touchpoint(2 * D - 1, "Complaint Filed", actor="company"))
    assert run.labels("leaving") == []
    assert run.labels("upset") == [(SCORED, 2 * D - 1, True)]


def test_a_condition_on_the_touchpoint_that_decides() -> None:
    where = compile_expression("event.value > 5.0", "event", "bool")
    run = scored_once(risk("any"), replace(risk("large"), on=(EventRef("Order Completed", where),)))
    run.hear(order(SCORED + 5, value=5.0))
    assert run.labels() == [(SCORED, SCORED + 5, False)]
    run.hear(order(SCORED + 6, value=6.0))
    assert run.labels("large") == [(SCORED, SCORED + 6, False)]


def test_the_end_of_the_label_is_the_date_if_that_comes_sooner() -> None:
    renewal = risk("renewal", "Subscription Renewed", until=date("traits.renewal"), active_within_ms=2 * D)
    run = Run(with_risks(PLAIN, renewal))
    run.hear(touchpoint(12 * H, "identify", traits={"renewal": T0 + 2 * D + H}))
    run.until(6 * D)
    assert run.labels() == [(1 * D, 2 * D + H, True), (2 * D, 2 * D + H, True)]
    assert run.totals["scores"] == 2


@pytest.mark.parametrize(("at", "scores"), [(SCORED + 1, 1), (SCORED, 0), (None, 0), ("soon", 0)])
def test_who_has_no_date_in_the_future_is_not_scored(at: Any, scores: int) -> None:
    renewal = once(until=date("traits.renewal"))
    run = Run(with_risks(PLAIN, renewal))
    when = T0 + at if isinstance(at, int) else at
    run.hear(touchpoint(12 * H, "identify", traits={"renewal": when}))
    run.until(SCORED + 1)
    assert run.totals["scores"] == scores


def test_an_example_says_what_the_score_knew() -> None:
    model = linear(LEAVING, {"orders": -2.0}, version=7)
    run = Run(with_risks(PLAIN, LEAVING))
    run.adopt_model(model)
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(SCORED + 1)
    run.adopt_model(linear(LEAVING, {}, version=8))
    run.hear(order(SCORED + 1))
    (example,) = run.examples
    assert example.customer == "c"
    assert (example.risk, example.signature, example.model) == ("leaving", "leaving-1", "leaving@7")
    assert example.score == 0.5
    assert list(example.features) == list(LEAVING.features)
    assert example.features["orders"] == 0.0
    assert example.features["touchpoints"] == pytest.approx(0.693147, abs=1e-6), "log(1 + 1), in single precision"
    assert not example.historical


def test_a_missing_value_is_absent_from_the_example() -> None:
    unsure = once(features=("nps", "orders"))
    run = scored_once(unsure)
    run.hear(order(SCORED + 1))
    assert run.examples[0].features == {"orders": 0.0}


def test_ids_of_examples_are_derived_and_differ() -> None:
    run, again = scored_once(LEAVING, UPSET), scored_once(LEAVING, UPSET)
    for each in (run, again):
        each.until(2 * D + 1)
        each.hear(order(2 * D + 1), touchpoint(2 * D + 1, "Complaint Filed"))
    ids = [e.example_id for e in run.examples]
    assert ids == [e.example_id for e in again.examples]
    assert len(set(ids)) == 4


def test_scores_before_the_start_of_issuing_are_historical() -> None:
    run = Run(with_risks(PLAIN, LEAVING), start_issuing_at=T0 + 2 * D)
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(2 * D + 1)
    run.hear(order(2 * D + 2))
    assert [e.historical for e in run.examples] == [True, False]


def test_a_late_staying_event_changes_no_label_that_was_told() -> None:
    run = scored_once(once())
    run.until(SCORED + HORIZON + 5 * S)
    assert run.labels() == [(SCORED, SCORED + HORIZON, True)]
    late = run.totals["late"]
    run.hear(order(SCORED + HORIZON - 1))
    assert run.labels() == [(SCORED, SCORED + HORIZON, True)]
    assert run.totals["late"] == late + 1


def test_a_late_staying_event_decides_what_still_waits() -> None:
    run = scored_once(once())
    run.hear(touchpoint(3 * D, "Somebody", "other"))
    run.hear(order(2 * D + 5 * H), order(3 * D - 5 * S))
    assert run.labels() == [(SCORED, 2 * D + 5 * H, False)]


def test_at_most_forty_wait_and_the_rest_is_scored_all_the_same() -> None:
    often = risk(every_ms=H, active_within_ms=3 * D)
    run = Run(with_risks(PLAIN, often))
    run.hear(touchpoint(30 * M, "Product Viewed"))
    run.until(50 * H + 1)
    assert run.totals["scores"] == 50
    assert run.totals["snapshots_full"] == 50 - WAITING
    run.hear(order(50 * H + 2))
    assert [e[0] for e in run.labels()] == [H * n for n in range(1, WAITING + 1)]


def test_the_end_of_the_log_decides_nothing() -> None:
    run = scored_once(LEAVING)
    run.hear(touchpoint(SCORED + M, "Product Viewed"))
    run.drain()
    assert run.labels() == []
    assert run.totals["scores"] == 1
    assert run.engine.watermark == T0 + SCORED + M - 10 * S, "no deadline was open"


def test_a_drain_past_the_end_of_labels_forgets_them() -> None:
    offered = define("""
        journeys:
          p: {type: purchase, goal: {event: Order Completed, within: 30d}, stages: {a: {on: [Product Viewed]}}}
    """)
    run = Run(with_risks(offered, LEAVING))
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(SCORED + 1)
    run.drain()
    assert run.engine.watermark == T0 + 30 * D + 12 * H + 1
    assert run.labels() == []
    assert run.totals["scores"] == 1
    assert run.totals["labels_censored"] == 1
    run.hear(touchpoint(31 * D + 1, "Product Viewed"))
    run.until(32 * D + 1)
    assert run.totals["scores"] == 2, "who comes back is scored again"


def test_a_drain_until_a_time_says_that_the_log_is_complete_until_then() -> None:
    run = scored_once(once())
    assert run.engine.drain(T0 + SCORED + HORIZON - 1).examples == []
    assert run.engine.drain(T0 + SCORED + HORIZON).examples[0].label


def test_who_is_forgotten_has_labels_that_nobody_will_know() -> None:
    short = define("""
        time: {forget_after: 2d}
        journeys: {p: {type: purchase, goal: {event: Order Completed}, stages: {a: {on: [Product Viewed]}}}}
    """)
    run = Run(with_risks(short, LEAVING))
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(2 * D + 12 * H + 1)
    assert run.engine.profiles == 0
    assert run.labels() == []
    assert run.totals["labels_censored"] == 2


def test_a_label_that_ends_as_the_profile_is_forgotten_is_told_first() -> None:
    short = define("""
        time: {forget_after: 2d}
        journeys: {p: {type: purchase, goal: {event: Order Completed}, stages: {a: {on: [Product Viewed]}}}}
    """)
    run = Run(with_risks(short, once(horizon_ms=36 * H)))
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(2 * D + 12 * H + 1)
    assert run.labels() == [(SCORED, 2 * D + 12 * H, True)]
    assert run.totals["labels_censored"] == 0


def test_snapshots_are_shed_after_the_trail_and_before_all_else() -> None:
    often = risk(every_ms=H, active_within_ms=3 * D, features=tuple(f"view_{n}d" for n in (7, 30, 90)) * 100)
    run = Run(with_risks(PLAIN, often))
    big = {f"t{n}": "x" * 250 for n in range(60)}
    run.hear(touchpoint(30 * M, "Product Viewed", traits=big))
    run.until(40 * H + 1)
    blob = run.save()[b"pc"]
    p = decode(blob)
    assert len(blob) <= 64 * 1024
    assert len(p.traits) == 60
    assert len(p.risks["leaving"].waiting) < WAITING
    assert p.risks["leaving"].matures == min(s.until for s in p.risks["leaving"].waiting)
    assert run.engine._step.out.counts.shed > 0
    run.hear(order(40 * H + 2))
    assert len(run.labels()) == len(p.risks["leaving"].waiting)
