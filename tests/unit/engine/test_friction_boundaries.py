"""Friction through the engine: where each rule counts, when it is answered or dropped, how loud it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.engines import T0, D, H, M, Run, S, touchpoint


def rules(*friction: str, by: str = "", stages: str = "") -> str:
    lines = "\n".join(f"      - {rule}" for rule in friction)
    stages = stages or "browsing: {on: Product Viewed}, payment: {on: Payment Info Entered, critical: true}"
    return f"""
time: {{session_gap: 30m}}
journeys:
  shop:
    type: purchase
{f"    instance_by: {by}" if by else ""}
    goal: {{event: Order Completed, within: 14d}}
    stages: {{{stages}}}
    friction:
{lines}
"""


def found(run: Run) -> list[tuple[str, int]]:
    return [(s.name, s.time - T0) for s in run.signals if s.kind in ("friction", "stalled")]


def heard(text: str, *steps: tuple[int, str], **fields: Any) -> Run:
    run = Run(text)
    for n, (t, kind) in enumerate(steps):
        run.hear(touchpoint(t, kind, event_id=f"e{n}", **fields))
    return run


# -- count -----------------------------------------------------------------------------------------------------------

TWICE = "{name: twice, count: {event: Payment Failed, at_least: 2, within: 10m}, severity: high}"


def test_count_window_includes_both_ends() -> None:
    assert found(heard(rules(TWICE), (0, "Payment Failed"), (10 * M, "Payment Failed"))) == [("twice", 10 * M)]
    assert found(heard(rules(TWICE), (0, "Payment Failed"), (10 * M + 1, "Payment Failed"))) == []


def test_count_signals_on_the_edge_and_again_only_after_it_fell_below() -> None:
    run = heard(rules(TWICE), *((n * 4 * M, "Payment Failed") for n in range(4)), (60 * M, "Payment Failed"))
    assert found(run) == [("twice", 4 * M)]
    run.hear(touchpoint(61 * M, "Payment Failed"))
    assert found(run) == [("twice", 4 * M), ("twice", 61 * M)]


def test_count_falls_with_time_and_not_only_with_the_next_event() -> None:
    run = heard(rules(TWICE), (0, "Payment Failed"), (9 * M, "Payment Failed"), (18 * M, "Payment Failed"))
    assert found(run) == [("twice", 9 * M), ("twice", 18 * M)]


def test_count_names_its_evidence_and_number() -> None:
    run = heard(rules(TWICE), (0, "Payment Failed"), (1, "Payment Failed"))
    assert (run.signals[0].evidence, run.signals[0].figures) == (["e0", "e1"], {"count": 2})


def test_count_needs_no_stage_and_no_open_instance() -> None:
    run = heard(rules(TWICE), (0, "Payment Failed"), (1, "Payment Failed"))
    assert (run.signals[0].stage, run.signals[0].instance, run.kinds()) == (None, "", [("friction", "twice")])


def test_count_window_outlives_the_goal() -> None:
    run = heard(
        rules(TWICE), (0, "Product Viewed"), (1, "Payment Failed"), (2, "Order Completed"), (3, "Payment Failed")
    )
    assert found(run) == [("twice", 3)]


def test_count_with_a_condition_counts_only_what_meets_it() -> None:
    rule = "{name: long, count: {event: Answered, where: 'event.wait_ms > 300000', at_least: 1, within: 1h}}"
    run = Run(rules(rule))
    run.hear(touchpoint(0, "Answered", wait_ms=300_000), touchpoint(1, "Answered", wait_ms=300_001))
    assert found(run) == [("long", 1)]


SAME = "{name: same, count: {event: Failed, at_least: 2, within: 1h, same: [topic]}}"
OVER = "{name: over, count: {event: Failed, at_least: 2, within: 1h, same: [topic], different: [channel]}}"


def test_same_counts_only_touchpoints_that_agree() -> None:
    run = Run(rules(SAME))
    for n, topic in enumerate(["bill", "parcel", None, None, "bill"]):
        run.hear(touchpoint(n, "Failed", topic=topic))
    assert found(run) == [("same", 4)]


def test_different_counts_distinct_values() -> None:
    run = Run(rules(OVER))
    for n, channel in enumerate(["web", "web", None, "call"]):
        run.hear(touchpoint(n, "Failed", topic="bill", channel=channel))
    assert found(run) == [("over", 3)]
    assert run.signals[0].figures == {"count": 2}


def test_count_is_per_instance_unless_same_or_different_say_otherwise() -> None:
    plain = "{name: plain, count: {event: Failed, at_least: 2, within: 1h}}"
    run = Run(rules(plain, SAME, by="case_id"))
    run.hear(
        touchpoint(0, "Failed", case_id="1", topic="bill"),
        touchpoint(1, "Failed", case_id="2", topic="bill"),
        touchpoint(2, "Failed", case_id="1"),
    )
    assert [(s.name, s.instance, s.time - T0) for s in run.signals] == [("same", "2", 1), ("plain", "1", 2)]


# -- sequence --------------------------------------------------------------------------------------------------------

SEARCH = "{name: helpless, sequence: {of: [Help Searched, Contact Started], within: 1h, across: customer}}"


def test_sequence_within_exactly_is_inside() -> None:
    assert found(heard(rules(SEARCH), (0, "Help Searched"), (1 * H, "Contact Started"))) == [("helpless", 1 * H)]
    assert found(heard(rules(SEARCH), (0, "Help Searched"), (1 * H + 1, "Contact Started"))) == []


def test_sequence_takes_the_latest_first_and_others_may_lie_between() -> None:
    run = heard(rules(SEARCH), (0, "Help Searched"), (1, "Help Searched"), (2, "page"), (3, "Contact Started"))
    assert run.signals[0].evidence == ["e1", "e3"]


def test_sequence_uses_its_touchpoints_up() -> None:
    run = heard(rules(SEARCH), (0, "Help Searched"), (1, "Contact Started"), (2, "Contact Started"))
    assert found(run) == [("helpless", 1)]


def test_sequence_may_end_with_a_goal() -> None:
    rule = "{name: hard_won, sequence: {of: [Payment Failed, Order Completed], within: 1h}}"
    run = heard(rules(rule), (0, "Product Viewed"), (1, "Payment Failed"), (2, "Order Completed"))
    assert run.named("hard_won")[0].stage == "browsing"


def test_sequence_is_per_instance_unless_across_customer() -> None:
    own = SEARCH.replace("helpless", "own").replace(", across: customer", "")
    run = Run(rules(SEARCH, own, by="case_id"))
    run.hear(touchpoint(0, "Help Searched", case_id="1"), touchpoint(1, "Contact Started", case_id="2"))
    assert [(s.name, s.instance) for s in run.signals] == [("helpless", "2")]


# -- absence ---------------------------------------------------------------------------------------------------------

REPLY = "{name: no_reply, absence: {of: Agent Replied, within: 1h, after: Message Sent}}"
SHIPPED = "{name: not_shipped, absence: {of: Order Shipped, within: 48h, after: Order Completed}}"


def test_absence_of_at_exactly_due_is_answered() -> None:
    run = heard(rules(REPLY), (0, "Message Sent"), (1 * H, "Agent Replied"))
    run.drain()
    assert found(run) == []


def test_absence_answer_after_due_comes_too_late() -> None:
    assert found(heard(rules(REPLY), (0, "Message Sent"), (1 * H + 1, "Agent Replied"))) == [("no_reply", 1 * H)]


def test_absence_counts_from_the_first_unanswered_and_further_ones_do_not_move_it() -> None:
    run = heard(rules(REPLY), (0, "Message Sent"), (50 * M, "Message Sent"))
    run.drain()
    assert found(run) == [("no_reply", 1 * H)]
    assert (run.signals[0].evidence, run.signals[0].figures) == (["e0"], {"waited_seconds": 3600})


def test_absence_answered_begins_anew_with_the_next() -> None:
    run = heard(rules(REPLY), (0, "Message Sent"), (30 * M, "Agent Replied"), (40 * M, "Message Sent"))
    run.drain()
    assert found(run) == [("no_reply", 100 * M)]


def test_absence_is_dropped_when_its_instance_ends() -> None:
    text = rules(REPLY, stages="asking: {on: Message Sent}")
    run = heard(text, (0, "Message Sent"), (10 * M, "Order Completed"))
    run.drain()
    assert found(run) == []


def test_absence_started_by_the_ending_touchpoint_stays() -> None:
    run = heard(rules(SHIPPED), (0, "Product Viewed"), (1 * M, "Order Completed"))
    run.drain()
    assert found(run) == [("not_shipped", 48 * H + 1 * M)]


def test_absence_of_one_order_outlives_the_instance_of_the_next() -> None:
    run = heard(rules(SHIPPED), (0, "Order Completed"), (1 * H, "Product Viewed"), (2 * H, "Order Completed"))
    run.drain()
    assert found(run) == [("not_shipped", 48 * H)]


def test_absence_is_per_instance() -> None:
    run = Run(rules(REPLY, by="case_id"))
    run.hear(
        touchpoint(0, "Message Sent", case_id="1"),
        touchpoint(1, "Message Sent", case_id="2"),
        touchpoint(2, "Agent Replied", case_id="1", actor="agent"),
    )
    run.drain()
    assert [(s.instance, s.time - T0) for s in run.signals] == [("2", 1 * H + 1)]


# -- stalled ---------------------------------------------------------------------------------------------------------

STALLED = "{name: stuck, stalled: {stage: browsing, longer_than: 10m, or_touchpoints: 4}}"


def test_stalled_counts_from_entering_active_or_not() -> None:
    run = heard(rules(STALLED), (0, "Product Viewed"), (9 * M, "Product Viewed"))
    run.drain()
    assert found(run) == [("stuck", 10 * M)]
    assert run.named("stuck")[0].kind == "stalled"


def test_stalled_left_at_exactly_due_is_not_stalled() -> None:
    run = heard(rules(STALLED), (0, "Product Viewed"), (10 * M, "Payment Info Entered"))
    run.drain()
    assert found(run) == []


def test_stalled_is_said_once_an_entry() -> None:
    run = heard(rules(STALLED), (0, "Product Viewed"), *((n, "page") for n in range(1, 12)))
    assert found(run) == [("stuck", 4)]
    run.hear(touchpoint(1 * H, "Order Completed"), touchpoint(2 * H, "Product Viewed"))
    run.drain()
    assert found(run)[1:] == [("stuck", 2 * H + 10 * M)]


def test_stalled_counts_the_customers_touchpoints_of_any_kind_since_then() -> None:
    run = Run(rules(STALLED))
    run.hear(touchpoint(0, "page"), touchpoint(1, "Product Viewed"))
    run.hear(*(touchpoint(n, "Parcel Scanned", actor="company") for n in range(2, 9)))
    run.hear(*(touchpoint(n, "Unheard Of") for n in range(10, 13)))
    assert found(run) == []
    run.hear(touchpoint(13, "page"))
    assert found(run) == [("stuck", 13)]
    assert run.named("stuck")[0].figures["touchpoints"] == 4


# -- loudness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "raised"), [("low", "medium"), ("medium", "high"), ("high", "critical"), ("critical", "critical")]
)
def test_severity_is_one_higher_in_a_critical_stage(given: str, raised: str) -> None:
    text = rules(TWICE.replace("high", given))
    steps = [(1, "Payment Failed"), (2, "Payment Failed")]
    assert heard(text, (0, "Product Viewed"), *steps).named("twice")[0].severity == given
    assert heard(text, (0, "Payment Info Entered"), *steps).named("twice")[0].severity == raised


def test_cool_down_is_silent_until_exactly_its_end() -> None:
    once = "{name: once, count: {event: Failed, at_least: 1, within: 1s}, cool_down: 5m}"
    run = heard(rules(once), *((t, "Failed") for t in (0, 2 * S, 5 * M - 1, 5 * M + 1001, 6 * M)))
    assert found(run) == [("once", 0), ("once", 5 * M + 1001)]
    run = heard(rules(once), (0, "Failed"), (5 * M, "Failed"))
    assert found(run) == [("once", 0), ("once", 5 * M)]


def test_cool_down_is_per_instance() -> None:
    once = "{name: once, count: {event: Failed, at_least: 1, within: 1s}, cool_down: 5m}"
    run = Run(rules(once, by="case_id"))
    run.hear(touchpoint(0, "Failed", case_id="1"), touchpoint(1, "Failed", case_id="2"))
    assert [s.instance for s in run.signals] == ["1", "2"]


# -- service friction ------------------------------------------------------------------------------------------------

SERVICE = rules(
    "{name: repeat_contact, count: {event: Contact Started, at_least: 2, within: 7d,"
    " same: [topic], different: [channel]}}",
    SEARCH,
    "{name: passed_around, count: {event: Transferred, at_least: 2, within: 1d}}",
    "{name: long_wait, count: {event: Answered, where: 'event.wait_ms > 300000', at_least: 1, within: 1h}}",
    "{name: coupon_denied, count: {event: Coupon Denied, at_least: 1, within: 1h}}",
    "{name: payment_failed_twice, count: {event: Payment Failed, at_least: 2, within: 10m}}",
    by="case_id",
)


def test_service_friction_is_found() -> None:
    run = Run(SERVICE)
    run.hear(
        touchpoint(0, "Contact Started", case_id="1", topic="bill", channel="chat"),
        touchpoint(1 * M, "Answered", case_id="1", wait_ms=400_000, actor="agent"),
        touchpoint(2 * M, "Transferred", case_id="1", actor="agent"),
        touchpoint(3 * M, "Transferred", case_id="1", actor="agent"),
        touchpoint(7 * D - 1, "Help Searched"),
        touchpoint(7 * D, "Contact Started", case_id="2", topic="bill", channel="call"),
        touchpoint(7 * D + 1, "Coupon Denied", case_id="2"),
        touchpoint(7 * D + 2, "Payment Failed", case_id="2"),
        touchpoint(7 * D + 3, "Payment Failed", case_id="2"),
    )
    assert [name for name, _ in found(run)] == [
        "long_wait", "passed_around", "repeat_contact", "helpless", "coupon_denied", "payment_failed_twice",
    ]  # fmt: skip


def test_windows_are_freed_when_their_length_has_passed() -> None:
    run = Run(SERVICE)
    run.hear(*(touchpoint(n, "Payment Failed", case_id=str(n)) for n in range(50)))
    run.hear(touchpoint(1 * D, "page"), touchpoint(2 * D, "page"))
    profile = run.engine.store.get("c")
    assert profile is not None
    assert profile.windows == {}
