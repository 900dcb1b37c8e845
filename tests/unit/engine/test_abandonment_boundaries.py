"""Abandonment: what arms a deadline, what moves it, which tier is in force and when its passing is a signal."""

from __future__ import annotations

import pytest

from tests.support.engines import T0, D, H, M, Run, S, touchpoint

TIERS = """
time: {session_gap: 30m}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages:
      browsing: {on: Product Viewed}
      cart: {on: Product Added, leave_when: "cart.items == 0"}
      checkout: {on: Checkout Started}
      payment: {on: Payment Info Entered, critical: true}
    abandonment:
      payment: {after: 5m}
      cart: {after: 20m, once_per: cart contents}
      browsing: {after: 10m, min_events: 3, severity: low}
"""


def fired(run: Run) -> list[tuple[str, int]]:
    return [(s.name, s.time - T0) for s in run.signals if s.kind == "abandonment"]


def heard(text: str, *steps: tuple[int, str], until: int | None = None) -> Run:
    run = Run(text)
    for t, kind in steps:
        run.hear(touchpoint(t, kind, product_id="p", price=2.5))
    if until is None:
        run.drain()
    else:
        run.until(until)
    return run


def test_deadline_counts_from_the_last_touchpoint_of_the_journey() -> None:
    assert fired(heard(TIERS, (0, "Product Added"), (7 * M, "Product Viewed"))) == [("cart", 27 * M)]


def test_one_deadline_of_the_highest_tier_reached() -> None:
    run = heard(TIERS, (0, "Product Added"), (1 * M, "Payment Info Entered"), (2 * M, "Product Viewed"))
    assert fired(run) == [("payment", 7 * M)]


def test_stage_without_a_tier_has_the_next_lower_one() -> None:
    assert fired(heard(TIERS, (0, "Product Added"), (1 * M, "Checkout Started"))) == [("cart", 21 * M)]


def test_stage_below_every_tier_has_no_deadline() -> None:
    text = TIERS.replace("      browsing: {after: 10m, min_events: 3, severity: low}\n", "")
    assert fired(heard(text, (0, "Product Viewed"))) == []


def test_abandonment_does_not_end_the_instance_and_is_said_once_for_each_silence() -> None:
    run = heard(
        TIERS,
        (0, "Payment Info Entered"),
        (1 * H, "Product Viewed"),
        (2 * H, "Order Completed"),
    )
    assert fired(run) == [("payment", 5 * M), ("payment", 65 * M)]
    assert run.named("purchase")[0].figures["conversion"] == 1


def test_goal_disarms() -> None:
    assert fired(heard(TIERS, (0, "Payment Info Entered"), (5 * M, "Order Completed"))) == []


def test_disordered_touchpoint_does_not_pull_the_deadline_back() -> None:
    assert fired(heard(TIERS, (0, "Product Added"), (60 * S, "Product Viewed"), (50 * S, "Product Viewed"))) == [
        ("cart", 21 * M)
    ]


def test_deadline_survives_a_restart_to_the_millisecond() -> None:
    run = Run(TIERS)
    run.hear(touchpoint(0, "Product Added"), touchpoint(123, "Product Viewed"))
    run.restart()
    assert run.engine.next_due_ms == T0 + 20 * M + 123 + 1
    run.until(20 * M + 123)
    assert fired(run) == []
    run.restart()
    run.until(20 * M + 124)
    assert fired(run) == [("cart", 20 * M + 123)]


def test_signal_says_what_was_left_and_for_how_long() -> None:
    run = heard(TIERS, (0, "Product Viewed"), (1 * M, "Product Added"))
    signal = next(s for s in run.signals if s.kind == "abandonment")
    assert signal.figures == {
        "touchpoints": 2, "silent_seconds": 1200, "open_seconds": 1260, "cart_value": 2.5
    }  # fmt: skip
    assert signal.evidence == [f"c/Product Added/{1 * M}"]
    assert (signal.stage, signal.severity) == ("cart", "medium")


def test_severity_is_high_in_a_critical_stage_unless_given() -> None:
    run = heard(TIERS, (0, "Payment Info Entered"))
    assert run.signals[-1].severity == "high"
    run = heard(
        TIERS.replace("payment: {after: 5m}", "payment: {after: 5m, severity: low}"), (0, "Payment Info Entered")
    )
    assert run.signals[-1].severity == "low"


# -- min_events ------------------------------------------------------------------------------------------------------


def test_fewer_touchpoints_than_min_events_end_silently() -> None:
    assert fired(heard(TIERS, (0, "Product Viewed"), (1, "Product Viewed"))) == []


def test_exactly_min_events_is_enough() -> None:
    steps = [(n, "Product Viewed") for n in range(3)]
    assert fired(heard(TIERS, *steps)) == [("browsing", 10 * M + 2)]


def test_min_events_counts_since_the_last_silence_longer_than_the_gap() -> None:
    assert fired(heard(TIERS, (0, "Product Viewed"), (1, "Product Viewed"), (31 * M, "Product Viewed"))) == []


def test_min_events_silence_of_exactly_the_gap_does_not_begin_anew() -> None:
    steps = [(0, "Product Viewed"), (1, "Product Viewed"), (30 * M + 1, "Product Viewed")]
    assert fired(heard(TIERS, *steps)) == [("browsing", 40 * M + 1)]


def test_min_events_one_is_met_by_an_entry_of_the_company() -> None:
    run = Run(
        "journeys: {r: {type: renewal, goal: Renewed, stages: {noticed: {on: Notice Sent}},"
        " abandonment: {noticed: {after: 1h}}}}"
    )
    run.hear(touchpoint(0, "Notice Sent", actor="company"))
    run.drain()
    assert fired(run) == [("noticed", 1 * H)]


# -- once_per: cart contents -----------------------------------------------------------------------------------------


def test_once_per_the_same_contents_are_not_said_again() -> None:
    run = heard(TIERS, (0, "Product Added"), (1 * H, "Product Viewed"))
    assert fired(run) == [("cart", 20 * M)]


def test_once_per_changed_quantity_is_said_again() -> None:
    run = heard(TIERS, (0, "Product Added"), (1 * H, "Product Added"))
    assert fired(run) == [("cart", 20 * M), ("cart", 80 * M)]


def test_once_per_contents_that_are_back_as_they_were_are_not_said_again() -> None:
    run = heard(TIERS, (0, "Product Added"), (1 * H, "Product Added"), (61 * M, "Product Removed"), until=62 * M)
    run.drain()
    assert fired(run) == [("cart", 20 * M)]


def test_once_per_compares_a_multiset_and_not_an_order() -> None:
    run = Run(TIERS)
    run.hear(touchpoint(0, "Product Added", product_id="a"), touchpoint(1, "Product Added", product_id="b"))
    run.until(30 * M)
    for t, kind, product in [(1, "Removed", "a"), (2, "Removed", "b"), (3, "Added", "b"), (4, "Added", "a")]:
        run.hear(touchpoint(1 * H + t, f"Product {kind}", product_id=product))
    run.drain()
    assert len(fired(run)) == 1


def test_once_per_is_emptied_by_a_goal() -> None:
    run = heard(TIERS, (0, "Product Added"), (1 * H, "Order Completed"), (2 * H, "Product Added"))
    assert fired(run) == [("cart", 20 * M), ("cart", 140 * M)]


def test_once_per_is_not_emptied_by_the_goal_of_a_journey_with_a_like_name() -> None:
    text = TIERS + "  chase: {type: use, goal: Page Printed, stages: {x: {on: Printer Chosen}}}\n"
    run = heard(text, (0, "Product Added"), (1 * H, "Page Printed"), (61 * M, "Product Viewed"))
    assert fired(run) == [("cart", 20 * M)]


# -- from: entry -----------------------------------------------------------------------------------------------------

ENTRY = """
journeys:
  join:
    type: onboarding
    goal: Joined
    stages:
      reading: {on: Read}
      signed_up: {on: Signed Up, leave_when: "traits.doubt == true"}
      trying: {on: Tried}
    abandonment:
      reading: {after: 2h}
      signed_up: {after: 1h, from: entry}
    friction: [{name: slow, stalled: {stage: signed_up, longer_than: 3h}}]
"""


def test_from_entry_is_not_rearmed() -> None:
    run = heard(ENTRY, (0, "Signed Up"), (30 * M, "Signed Up"), (40 * M, "Tried"), (50 * M, "Read"))
    assert fired(run) == [("signed_up", 1 * H)]


def test_from_entry_is_said_once_an_entry() -> None:
    assert fired(heard(ENTRY, (0, "Signed Up"), (2 * H, "Signed Up"), (5 * H, "Read"))) == [("signed_up", 1 * H)]


def test_from_entry_of_a_skipped_stage_counts_from_the_higher_one() -> None:
    assert fired(heard(ENTRY, (0, "Read"), (30 * M, "Tried"))) == [("signed_up", 90 * M)]


def test_from_entry_entered_late_fires_although_another_deadline_has_fired_after() -> None:
    run = Run(ENTRY)
    run.hear(touchpoint(0, "Read"))
    run.until(2 * H + 1)
    run.hear(touchpoint(10 * M, "Signed Up"))
    run.until(2 * H + 2)
    assert fired(run) == [("reading", 2 * H), ("signed_up", 70 * M)]


def test_deadline_after_a_fall_counts_from_the_touchpoint_of_the_fall() -> None:
    text = ENTRY.replace("reading: {after: 2h}", "reading: {after: 2h, from: entry}")
    run = Run(text)
    run.hear(touchpoint(0, "Read"), touchpoint(30 * M, "Signed Up"))
    run.hear(touchpoint(40 * M, "identify", traits={"doubt": True}))
    run.drain()
    assert fired(run) == [("reading", 160 * M)]


# -- before a date ---------------------------------------------------------------------------------------------------

BEFORE = """
journeys:
  renewal:
    type: renewal
    goal: Renewed
    stages:
      noticed: {on: Notice Sent}
      comparing: {on: Plan Viewed, leave_when: "traits.doubt == true"}
    abandonment:
      comparing: {after: 1h}
      noticed: {before: {date: traits.renewal_due_at, by: 14d}}
"""
MONTH = "2026-02-04T00:00:00Z"
"""30 days after T0: due after 16."""


def noticed(date: object, at: int = 0) -> Run:
    run = Run(BEFORE)
    run.hear(touchpoint(at, "identify", traits={"renewal_due_at": date}), touchpoint(at, "Notice Sent", actor="system"))
    return run


@pytest.mark.parametrize("date", [MONTH, "2026-02-04", "2026-02-04T01:00:00+01:00", T0 + 30 * D, float(T0 + 30 * D)])
def test_before_counts_back_from_a_date_in_any_notation(date: object) -> None:
    run = noticed(date)
    run.until(17 * D)
    assert fired(run) == [("noticed", 16 * D)]


@pytest.mark.parametrize("date", ["soon", "", True, -5, None, 1e300])
def test_before_without_a_date_has_no_deadline(date: object) -> None:
    run = noticed(date)
    run.until(100 * D)
    assert fired(run) == []


def test_before_follows_the_date() -> None:
    run = noticed(MONTH)
    run.hear(touchpoint(1 * D, "CRM Synced", actor="system", traits={"renewal_due_at": T0 + 40 * D}))
    run.until(30 * D)
    assert fired(run) == [("noticed", 26 * D)]


def test_before_is_said_again_for_a_later_date_and_not_for_an_earlier_one() -> None:
    run = noticed(MONTH)
    run.until(17 * D)
    run.hear(touchpoint(18 * D, "identify", traits={"renewal_due_at": T0 + 29 * D}))
    run.hear(touchpoint(19 * D, "identify", traits={"renewal_due_at": T0 + 60 * D}))
    run.until(50 * D)
    assert fired(run) == [("noticed", 16 * D), ("noticed", 46 * D)]


def test_before_a_date_already_too_close_fires_at_once_stamped_with_the_entry() -> None:
    run = noticed("2026-01-10", at=1 * H)
    run.until(2 * H)
    assert fired(run) == [("noticed", 1 * H)]


def test_before_is_not_moved_by_touchpoints() -> None:
    run = noticed(MONTH)
    run.hear(touchpoint(10 * D, "Notice Sent"))
    run.until(17 * D)
    assert fired(run) == [("noticed", 16 * D)]


def test_before_that_has_been_said_is_not_said_again_after_a_fall() -> None:
    run = noticed(MONTH)
    run.until(17 * D)
    run.hear(touchpoint(18 * D, "Plan Viewed"), touchpoint(18 * D + M, "identify", traits={"doubt": True}))
    run.until(40 * D)
    assert fired(run) == [("noticed", 16 * D)]


def test_before_removed_date_disarms() -> None:
    run = noticed(MONTH)
    run.hear(touchpoint(1 * D, "identify", traits={"renewal_due_at": None}))
    run.until(40 * D)
    assert fired(run) == []
