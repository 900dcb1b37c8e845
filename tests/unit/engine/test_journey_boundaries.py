"""Instances, stages, goals and effort: opening, rising, falling, ending, and who belongs to what."""

from __future__ import annotations

import pytest

from tests.support.engines import T0, D, H, M, Run, S, touchpoint

SHOP = """
journeys:
  purchase:
    type: purchase
    goal: {event: Order Completed, within: 14d}
    stages:
      browsing: {on: Product Viewed}
      cart: {on: Product Added, leave_when: "cart.items == 0"}
      checkout: {on: [Checkout Started, {event: page, where: "properties.path == '/checkout'"}]}
      payment: {on: Payment Info Entered}
    abandonment:
      payment: {after: 20m}
      cart: {after: 30m}
      browsing: {after: 50m}
"""
HELP = """
time: {session_gap: 30m}
journeys:
  help:
    type: support
    instance_by: case_id
    goal: {event: Case Resolved, within: 3d}
    stages:
      reading: {on: Help Searched}
      asking: {on: [Contact Started, Message Sent]}
      assisted: {on: Agent Replied}
    abandonment: {asking: {after: 1h}}
"""


def left(run: Run) -> list[tuple[str, str | None, int]]:
    return [(s.name, s.reason, s.time - T0) for s in run.signals if s.kind == "stage_left"]


def entered(run: Run) -> list[str]:
    return [s.name for s in run.signals if s.kind == "stage_entered"]


def abandoned(run: Run) -> list[tuple[str, int]]:
    return [(s.name, s.time - T0) for s in run.signals if s.kind == "abandonment"]


def shop(*steps: tuple[int, str]) -> Run:
    run = Run(SHOP)
    for t, kind in steps:
        run.hear(touchpoint(t, kind, product_id="p", price=10.0))
    return run


# -- stages ----------------------------------------------------------------------------------------------------------


def test_instance_opens_with_any_stage() -> None:
    run = shop((0, "Payment Info Entered"))
    assert entered(run) == ["payment"]
    assert left(run) == []


def test_stages_rise_and_the_one_before_is_left_as_advanced() -> None:
    run = shop((0, "Product Viewed"), (5 * S, "Product Added"), (8 * S, "Payment Info Entered"))
    assert entered(run) == ["browsing", "cart", "payment"]
    assert left(run) == [("browsing", "advanced", 5 * S), ("cart", "advanced", 8 * S)]
    assert [s.figures["seconds"] for s in run.signals if s.kind == "stage_left"] == [5.0, 3.0]


def test_lower_touchpoint_rearms_and_changes_nothing_else() -> None:
    run = shop((0, "Product Added"), (10 * M, "Product Viewed"))
    assert entered(run) == ["cart"]
    run.drain()
    assert abandoned(run) == [("cart", 40 * M)]


def test_condition_beside_the_event_name_holds() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page", path="/"), touchpoint(1, "page", path="/checkout"))
    assert entered(run) == ["checkout"]


def test_touchpoint_of_no_stage_neither_belongs_nor_rearms() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "Product Added"), touchpoint(10 * M, "page", path="/"), touchpoint(11 * M, "Unheard Of"))
    run.drain()
    assert abandoned(run) == [("cart", 30 * M)]


def test_touchpoint_of_a_fact_that_leave_when_reads_belongs() -> None:
    run = Run(SHOP)
    run.hear(
        touchpoint(0, "Product Added", product_id="p", quantity=2),
        touchpoint(10 * M, "Product Removed", product_id="p", quantity=1),
    )
    run.drain()
    assert abandoned(run) == [("cart", 40 * M)]


def test_leave_when_falls_to_the_highest_lower_stage_entered() -> None:
    run = shop((0, "Product Viewed"), (1 * M, "Product Added"), (2 * M, "Checkout Started"), (3 * M, "Cart Cleared"))
    assert left(run)[-1] == ("checkout", "leave_when", 3 * M)
    view = run.customers["c"]
    assert view is not None
    assert [(s.stage, s.entered_at - T0) for s in view.stages] == [("browsing", 0)]
    run.drain()
    assert abandoned(run) == [("browsing", 53 * M)], "counted from the touchpoint of the fall"


def test_leave_when_ends_an_instance_that_entered_nothing_lower() -> None:
    run = shop((0, "Product Added"), (1 * M, "Product Removed"))
    assert left(run) == [("cart", "leave_when", 1 * M)]
    view = run.customers["c"]
    assert view is not None
    assert view.stages == []
    run.drain()
    assert abandoned(run) == []


def test_falling_back_is_no_entry_and_entering_again_is() -> None:
    run = shop((0, "Product Viewed"), (1, "Product Added"), (2, "Product Removed"), (3, "Product Added"))
    assert entered(run) == ["browsing", "cart", "cart"]


def test_leave_when_reads_facts_that_no_rule_names() -> None:
    run = Run(SHOP.replace("cart.items == 0", "last.intent == 'give up'"))
    run.hear(touchpoint(0, "Product Added"), touchpoint(1 * M, "Chatted", intent="give up"))
    assert left(run) == [("cart", "leave_when", 1 * M)]


# -- goals -----------------------------------------------------------------------------------------------------------


def test_goal_ends_the_instance_as_a_conversion_with_its_effort() -> None:
    run = Run(SHOP)
    run.hear(
        touchpoint(0, "Product Viewed", channel="web"),
        touchpoint(10 * S, "Product Added", channel="mobile_app"),
        touchpoint(20 * S, "Order Completed", channel="web"),
    )
    goal = run.named("purchase")[0]
    assert goal.figures == {
        "nth": 1, "conversion": 1, "touchpoints": 3, "channels": 2, "contacts": 0, "seconds": 20
    }  # fmt: skip
    assert (goal.stage, goal.instance) == ("cart", "")
    assert left(run)[-1] == ("cart", "goal", 20 * S)


def test_goal_without_an_open_instance_is_no_conversion() -> None:
    run = shop((0, "Order Completed"))
    assert run.kinds() == [("goal_reached", "purchase")]
    assert run.signals[0].figures == {"nth": 1, "conversion": 0}


def test_effort_counts_contacts_by_their_standard_name() -> None:
    run = Run("events: {ring: Contact Started}\n" + HELP.lstrip())
    run.hear(
        touchpoint(0, "ring", case_id="1", contact_id="a"),
        touchpoint(1, "Contact Started", case_id="1", contact_id="b"),
        touchpoint(2, "Message Sent", case_id="1"),
        touchpoint(3, "Case Resolved", case_id="1"),
    )
    assert (run.named("help")[0].figures["contacts"], run.named("help")[0].figures["touchpoints"]) == (2, 4)


def test_effort_leaves_out_what_the_company_does_by_itself() -> None:
    run = Run(HELP)
    run.hear(
        touchpoint(0, "Message Sent", case_id="1"),
        touchpoint(1, "Message Sent", case_id="1", actor="system"),
        touchpoint(2, "Case Resolved", case_id="1", actor="company"),
    )
    assert run.named("help")[0].figures["touchpoints"] == 1


def test_goal_within_exactly_is_in_time() -> None:
    run = shop((0, "Product Viewed"), (14 * D, "Order Completed"))
    assert run.named("purchase")[0].figures["conversion"] == 1


def test_instance_expires_when_goal_within_has_passed_since_it_opened() -> None:
    run = shop((0, "Product Viewed"), (13 * D, "Product Added"), (14 * D + 1, "Order Completed"))
    assert left(run)[-1] == ("cart", "expired", 14 * D)
    assert run.named("purchase")[0].figures["conversion"] == 0


def test_touchpoint_that_is_goal_and_entry_is_the_goal() -> None:
    text = SHOP.replace("{event: Order Completed,", "{event: Order Completed, where: 'event.value > 0',").replace(
        "{on: Payment Info Entered}", "{on: Order Completed}"
    )
    run = Run(text)
    run.hear(touchpoint(0, "Order Completed", value=5.0), touchpoint(1, "Order Completed", value=0.0))
    assert run.kinds() == [("goal_reached", "purchase"), ("stage_entered", "payment")]


def test_goal_opens_a_new_instance_only_with_the_next_entry() -> None:
    run = shop((0, "Product Added"), (1, "Order Completed"), (2, "Checkout Started"))
    view = run.customers["c"]
    assert view is not None
    assert [s.stage for s in view.stages] == ["checkout"]


def test_journey_hint_keeps_a_touchpoint_out_of_other_journeys() -> None:
    text = (
        SHOP
        + """
  gift: {type: purchase, goal: Order Completed, stages: {picking: {on: Product Viewed}}}
actions:
  nudge: {when: {signal: stage_entered, journey: purchase}, channel: agent, expires_after: 1d}
"""
    )
    run = Run(text)
    run.hear(touchpoint(0, "Product Viewed"), touchpoint(1, "Order Completed", journey="gift"))
    assert [s.name for s in run.signals if s.kind == "goal_reached"] == ["gift"]
    assert run.statuses() == [("nudge", "issued", None)]


# -- instances (rules 11 and 12) -------------------------------------------------------------------------------------


def test_instances_run_side_by_side_each_with_its_deadline_and_goal() -> None:
    run = Run(HELP)
    run.hear(
        touchpoint(0, "Message Sent", case_id="1"),
        touchpoint(10 * M, "Message Sent", case_id="2"),
        touchpoint(20 * M, "Case Resolved", case_id="1"),
    )
    run.until(2 * H)
    assert [(s.instance, s.time - T0) for s in run.signals if s.kind == "abandonment"] == [("2", 70 * M)]
    assert [s.instance for s in run.signals if s.kind == "goal_reached"] == ["1"]


def test_instance_by_may_name_a_property() -> None:
    run = Run(HELP.replace("case_id", "ticket"))
    run.hear(touchpoint(0, "Message Sent", ticket=17), touchpoint(1, "Message Sent", ticket="17"))
    assert [(s.name, s.instance) for s in run.signals] == [("asking", "17")]


def test_21st_instance_closes_the_one_longest_untouched() -> None:
    run = Run(HELP)
    run.hear(*(touchpoint(n * S, "Message Sent", case_id=str(n)) for n in range(20)))
    run.hear(touchpoint(30 * S, "Message Sent", case_id="0"))
    assert left(run) == []
    run.hear(touchpoint(31 * S, "Message Sent", case_id="20"))
    closed = [s for s in run.signals if s.kind == "stage_left"]
    assert [(s.instance, s.reason, s.time - T0) for s in closed] == [("1", "limit", 31 * S)]


def test_instance_closed_by_the_limit_opens_anew_with_its_next_entry() -> None:
    run = Run(HELP)
    run.hear(*(touchpoint(n * S, "Message Sent", case_id=str(n)) for n in range(21)))
    run.hear(touchpoint(40 * S, "Message Sent", case_id="0"))
    assert [s.instance for s in run.signals if s.kind == "stage_left"] == ["0", "1"]
    assert run.signals[-1].instance == "0"


def test_touchpoint_without_the_field_joins_the_instance_that_opens_next() -> None:
    run = Run(HELP)
    run.hear(
        touchpoint(0, "Help Searched", channel="web"),
        touchpoint(30 * M, "Message Sent", case_id="1", channel="chat"),
        touchpoint(31 * M, "Case Resolved", case_id="1"),
    )
    assert [(s.name, s.time - T0) for s in run.signals if s.kind == "stage_entered"] == [
        ("reading", 0), ("asking", 30 * M),
    ]  # fmt: skip
    figures = run.named("help")[0].figures
    assert (figures["touchpoints"], figures["channels"], figures["seconds"]) == (3, 2, 31 * 60)
    assert run.totals["unassigned"] == 0


def test_contact_that_waited_is_counted_once() -> None:
    run = Run(HELP)
    run.hear(
        touchpoint(0, "Help Searched"),
        touchpoint(1, "Contact Started"),
        touchpoint(2, "Contact Started", case_id="1"),
        touchpoint(3, "Case Resolved", case_id="1"),
    )
    assert run.named("help")[0].figures["contacts"] == 2


def test_touchpoint_without_the_field_waits_no_longer_than_the_gap() -> None:
    run = Run(HELP)
    run.hear(touchpoint(0, "Help Searched"), touchpoint(30 * M + 1, "Message Sent", case_id="1"))
    assert entered(run) == ["asking"]
    assert run.totals["unassigned"] == 1


def test_touchpoint_without_the_field_never_joins_an_open_instance() -> None:
    run = Run(HELP)
    run.hear(touchpoint(0, "Message Sent", case_id="1"), touchpoint(10 * M, "Message Sent"))
    run.until(2 * H)
    assert abandoned(run) == [("asking", 60 * M)]


def test_goal_without_the_field_has_no_instance() -> None:
    run = Run(HELP)
    run.hear(touchpoint(0, "Message Sent", case_id="1"), touchpoint(1, "Case Resolved"))
    goal = run.named("help")[0]
    assert (goal.instance, goal.figures["conversion"]) == (None, 0)
    view = run.customers["c"]
    assert view is not None
    assert [s.instance for s in view.stages] == ["1"]


def test_expiry_counts_from_the_touchpoint_that_waited() -> None:
    run = Run(HELP.replace("    abandonment: {asking: {after: 1h}}", ""))
    run.hear(touchpoint(0, "Help Searched"), touchpoint(20 * M, "Agent Replied", case_id="1"))
    assert run.engine.next_due_ms == T0 + 3 * D + 1
    run.until(3 * D + 1)
    assert left(run)[-1] == ("assisted", "expired", 3 * D)


@pytest.mark.parametrize("reason", ["advanced", "leave_when", "goal", "expired"])
def test_stage_left_is_written_for_every_way_of_leaving(reason: str) -> None:
    way = {"advanced": "Checkout Started", "leave_when": "Cart Cleared", "goal": "Order Completed", "expired": "page"}
    run = shop((0, "Product Added"), (15 * D if reason == "expired" else 1, way[reason]))
    assert [r for _, r, _ in left(run)] == [reason]


def test_view_shows_stages_and_is_written_when_they_change() -> None:
    run = shop((0, "Product Viewed"), (1, "Product Viewed"), (2, "Product Added"))
    shown = [[s.stage for s in view.stages] for _, view in run.views if view is not None]
    assert shown == [["browsing"], ["cart"]]


def test_several_journeys_of_one_customer_stand_side_by_side() -> None:
    run = Run(SHOP + "  app: {type: use, goal: Feature Used, stages: {opened: {on: [page, Product Viewed]}}}\n")
    run.hear(touchpoint(0, "Product Viewed"), touchpoint(1 * H, "Feature Used"))
    assert [(s.kind, s.journey) for s in run.signals if s.kind in ("stage_entered", "goal_reached")] == [
        ("stage_entered", "purchase"), ("stage_entered", "app"), ("goal_reached", "app"),
    ]  # fmt: skip


@pytest.mark.parametrize("condition", ["satisfaction.nps >= 0 && satisfaction.nps < 5", "'unhappy' in segments"])
def test_stage_is_left_for_what_the_customer_feels_and_for_segments_too(condition: str) -> None:
    run = Run(
        SHOP.replace("cart.items == 0", condition)
        + 'segments: {unhappy: {where: "satisfaction.nps >= 0 && satisfaction.nps < 5"}}\n'
    )
    run.hear(touchpoint(0, "Product Viewed"), touchpoint(1 * M, "Product Added"))
    run.hear(touchpoint(2 * M, "Survey Answered", survey="nps", score=1.0))
    assert left(run) == [("browsing", "advanced", 1 * M), ("cart", "leave_when", 2 * M)]


def test_segment_of_a_stage_that_is_left_for_a_segment_is_left_with_it() -> None:
    run = Run(
        SHOP.replace("cart.items == 0", "'unhappy' in segments")
        + "segments:\n"
        + '  unhappy: {where: "satisfaction.nps >= 0 && satisfaction.nps < 5"}\n'
        + "  buying: {where: \"stages.purchase == 'cart'\"}\n"
    )
    run.hear(touchpoint(0, "Product Viewed"), touchpoint(1 * M, "Product Added"))
    run.hear(touchpoint(2 * M, "Survey Answered", survey="nps", score=1.0))
    assert [(s.kind, s.time - T0) for s in run.named("buying")] == [
        ("segment_entered", 1 * M),
        ("segment_left", 2 * M),
    ]
