"""Expected value: the formula by hand, its limits, and where it is shown."""

from __future__ import annotations

import pytest

from streams.definitions.model import ExpectedValue
from streams.engine.scoring.value import expected_value
from streams.engine.state import NEVER, Profile
from tests.support.engines import T0, D, H, Run, define, touchpoint
from tests.support.risks import risk, with_risks

SPEC = ExpectedValue(horizon_ms=90 * D, prior_orders=1.0, prior_within_ms=180 * D, prior_spend=50.0, prior_weight=2.0)


def profile(orders: int, spent: float, days: int) -> Profile:
    return Profile("c", orders=orders, value_micro=round(spent * 1e6), first_seen=T0 - days * D)


def test_a_new_customer_is_worth_the_prior() -> None:
    assert expected_value(SPEC, profile(0, 0.0, 0), T0, 1.0) == pytest.approx(1 / 180 * 90 * 50)


def test_orders_and_their_mean_are_shrunk_towards_the_prior() -> None:
    """(1 + 5) / (180 + 60) orders a day; (2 x 50 + 5 x 120) / (2 + 5) for each."""
    assert expected_value(SPEC, profile(5, 600.0, 60), T0, 1.0) == pytest.approx(6 / 240 * 90 * 100)


def test_the_more_orders_the_less_the_prior_weighs() -> None:
    own = 10 / 100 * 90 * 20.0
    many = expected_value(SPEC, profile(1000, 20_000.0, 10_000), T0, 1.0)
    few = expected_value(SPEC, profile(10, 200.0, 100), T0, 1.0)
    assert abs(many - own) < abs(few - own)


def test_it_is_multiplied_by_the_probability_of_staying() -> None:
    p = profile(5, 600.0, 60)
    assert expected_value(SPEC, p, T0, 0.25) == pytest.approx(expected_value(SPEC, p, T0, 1.0) / 4)
    assert expected_value(SPEC, p, T0, 0.0) == 0.0


def test_more_refunds_than_orders_are_no_negative_value() -> None:
    assert expected_value(SPEC, profile(1, -500.0, 10), T0, 1.0) > 0


@pytest.mark.parametrize("first_seen", [NEVER, T0, T0 + D])
def test_without_a_prior_who_has_not_been_seen_is_worth_nothing(first_seen: int) -> None:
    bare = ExpectedValue(prior_orders=0.0, prior_within_ms=0, prior_spend=0.0, prior_weight=0.0)
    assert expected_value(bare, Profile("c", first_seen=first_seen), T0, 1.0) == 0.0


def test_the_first_risk_by_silence_says_who_stays() -> None:
    plain = define("""
        journeys: {p: {type: purchase, goal: {event: Order Completed}, stages: {a: {on: [Product Viewed]}}}}
    """)
    run = Run(
        with_risks(
            plain,
            risk("upset", "Complaint Filed", comes_true="with", prior=0.9),
            risk("leaving", prior=0.75),
            risk("other", prior=0.1),
            expected_value=SPEC,
        )
    )
    run.hear(touchpoint(12 * H, "Order Completed", value=80.0))
    run.until(D + 1)
    view = run.customers["c"]
    assert view is not None
    assert view.expected_value == pytest.approx(2 / 180.5 * 90 * (100 + 80) / 3 * 0.25)
    p = run.engine.store.get("c")
    assert p is not None
    assert p.expected_value == view.expected_value
