"""Event time at its boundaries: wrong clocks, the watermark, due timers, late and too late touchpoints."""

from __future__ import annotations

from typing import Any

from tests.support.engines import T0, D, H, M, Run, S, touchpoint

CART = """
time: {allowed_lateness: 30s}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages:
      browsing: {on: Product Viewed}
      cart: {on: Product Added}
    abandonment:
      cart: {after: 20m}
      browsing: {after: 30m}
actions:
  reminder:
    when: {signal: abandonment, journey: purchase}
    channel: agent
    cancel_on: [Chat Opened]
    expires_after: 2h
"""
TICK = {"customer": "somebody else"}
"""Moves the watermark and nothing of c."""


def silence(run: Run, name: str = "cart") -> list[int]:
    return [s.time - T0 for s in run.signals if s.kind == "abandonment" and s.name == name]


# -- wrong clocks (rule 4) -------------------------------------------------------------------------------------------


def entered_at(**fields: Any) -> tuple[int, Run]:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added", **fields))
    return run.signals[0].time - T0, run


def test_clock_off_by_exactly_5_minutes_is_trusted() -> None:
    at, run = entered_at(sent_at=T0, record_time=T0 + 5 * M)
    assert (at, run.totals["skew_corrected"]) == (0, 0)


def test_clock_off_by_more_than_5_minutes_is_corrected() -> None:
    at, run = entered_at(sent_at=T0 + 10 * S, record_time=T0 + 10 * S + 5 * M + 1)
    assert (at, run.totals["skew_corrected"]) == (5 * M + 1, 1)


def test_clock_that_is_ahead_is_corrected_back() -> None:
    at, run = entered_at(sent_at=T0 + 1 * S, record_time=T0 - 2 * H)
    assert (at, run.totals["skew_corrected"]) == (-2 * H - 1 * S, 1)


def test_stated_retry_explains_a_late_sending() -> None:
    at, run = entered_at(sent_at=T0, record_time=T0 + 2 * H, retried=True)
    assert (at, run.totals["skew_corrected"]) == (0, 0)


def test_without_sent_at_an_old_touchpoint_is_not_corrected() -> None:
    at, run = entered_at(record_time=T0 + 2 * H)
    assert (at, run.totals["skew_corrected"]) == (0, 0)


def test_touchpoint_exactly_permitted_skew_ahead_is_kept() -> None:
    at, run = entered_at(record_time=T0 - 5 * M)
    assert (at, run.totals["skew_cut"]) == (0, 0)


def test_touchpoint_further_ahead_is_cut_to_record_time_and_skew() -> None:
    at, run = entered_at(record_time=T0 - 5 * M - 1)
    assert (at, run.totals["skew_cut"]) == (-1, 1)


def test_permitted_skew_is_a_setting() -> None:
    run = Run(CART.replace("30s}", "30s, permitted_skew: 1m}"))
    run.hear(touchpoint(0, "Product Added", record_time=T0 - 5 * M))
    assert run.signals[0].time == T0 - 4 * M


def test_file_without_record_times_trusts_every_clock() -> None:
    at, run = entered_at(sent_at=T0 + 10 * D)
    assert (at, run.totals["skew_corrected"], run.totals["skew_cut"]) == (0, 0, 0)


def test_the_original_time_is_kept_in_the_touchpoint() -> None:
    one = touchpoint(0, "Product Added", record_time=T0 - D)
    Run(CART).hear(one)
    assert one.occurred_at == T0


# -- watermark (rule 5) ----------------------------------------------------------------------------------------------


def test_partition_without_touchpoints_has_no_watermark_and_nothing_due() -> None:
    run = Run(CART)
    assert run.engine.watermark is None
    assert run.engine.next_due_ms is None
    assert run.until(10 * D).signals == []
    assert run.engine.watermark is None


def test_watermark_is_the_newest_time_less_lateness() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "page"))
    assert run.engine.watermark == T0 - 30 * S


def test_watermark_never_goes_back() -> None:
    run = Run(CART)
    run.hear(touchpoint(1 * H, "page"), touchpoint(0, "page"))
    run.until(0)
    assert run.engine.watermark == T0 + 1 * H - 30 * S


def test_one_from_2099_moves_time_no_further_than_its_record() -> None:
    run = Run(CART)
    year_2099 = 73 * 365 * D
    run.hear(
        touchpoint(0, "Product Added", record_time=T0),
        touchpoint(year_2099, "page", customer="x", record_time=T0 + 1 * M),
    )
    assert run.engine.watermark == T0 + 1 * M - 30 * S
    assert run.totals["skew_cut"] == 1
    run.hear(touchpoint(20 * M, "Product Viewed", record_time=T0 + 20 * M))
    assert silence(run) == []


def test_duplicates_and_too_late_ones_move_no_watermark() -> None:
    run = Run(CART)
    one = touchpoint(0, "page")
    run.hear(one)
    again = touchpoint(1 * H, "page", event_id=one.event_id)
    run.hear(again, touchpoint(-2 * D, "page", customer="old"))
    assert run.engine.watermark == T0 - 30 * S
    assert (run.totals["duplicate"], run.totals["too_late"]) == (1, 1)


# -- due timers (rule 6) ---------------------------------------------------------------------------------------------


def test_touchpoint_exactly_at_due_is_in_time() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"), touchpoint(20 * M, "Product Viewed"))
    assert silence(run) == []


def test_touchpoint_a_millisecond_after_due_is_not() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"), touchpoint(20 * M + 1, "Product Viewed"))
    assert silence(run) == [20 * M]


def test_watermark_exactly_at_due_does_not_fire() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"))
    run.until(20 * M)
    assert silence(run) == []
    run.until(20 * M + 1)
    assert silence(run) == [20 * M]


def test_next_due_is_the_smallest_watermark_that_fires() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"), touchpoint(5 * M, "Product Viewed"))
    assert run.engine.next_due_ms == T0 + 25 * M + 1
    run.until(25 * M)
    assert silence(run) == []
    run.until(25 * M + 1)
    assert silence(run) == [25 * M]


def test_record_is_the_same_whichever_way_the_timer_fired() -> None:
    ways = []
    for last in (
        touchpoint(20 * M + 1, "page"),  # the customer's next touchpoint
        touchpoint(21 * M, "page", **TICK),  # another customer's, by the watermark
        None,  # the idle clock
    ):
        run = Run(CART)
        run.hear(touchpoint(0, "Product Added"))
        if last is not None:
            run.hear(last)
        else:
            run.until(20 * M + 1)
        ways.append([s for s in run.signals if s.kind == "abandonment"] + run.triggers)
    assert len(ways[0]) == 2
    assert ways[0] == ways[1] == ways[2]


def test_due_timers_fire_before_each_touchpoint_and_never_once_a_chunk() -> None:
    run = Run(CART)
    run.hear(
        touchpoint(0, "Product Added"),
        touchpoint(30 * M, "page", **TICK),
        touchpoint(30 * M, "Order Completed"),
    )
    assert [k for k, _ in run.kinds("c")] == ["stage_entered", "abandonment", "stage_left", "goal_reached"]


def test_timers_fire_by_due_then_by_bytes_of_the_customer() -> None:
    run = Run(CART)
    run.hear(
        touchpoint(0, "Product Added", "ü"),
        touchpoint(0, "Product Added", "z"),
        touchpoint(0, "Product Added", "Z"),
        touchpoint(-1, "Product Added", "zz"),
    )
    run.until(1 * H)
    fired = [s.customer for s in run.signals if s.kind == "abandonment"]
    assert fired == ["zz", "Z", "z", "ü"]


ORDER = """
segments:
  here: {where: "session.open"}
journeys:
  b:
    type: use
    goal: {event: Done, within: 30m}
    stages: {in_b: {on: Go}}
    abandonment: {in_b: {after: 30m}}
    friction: [{name: slow_b, stalled: {stage: in_b, longer_than: 30m}}]
  a:
    type: use
    goal: {event: Done, within: 30m}
    stages: {in_a: {on: Go}}
    abandonment: {in_a: {after: 30m}}
"""


def test_at_one_instant_a_session_ends_first_then_deadlines_in_order_then_expiries() -> None:
    run = Run(ORDER)
    run.hear(touchpoint(0, "Go"))
    run.signals.clear()
    run.until(1 * H)
    assert run.kinds() == [
        ("segment_left", "here"),
        ("abandonment", "in_b"),
        ("stalled", "slow_b"),
        ("abandonment", "in_a"),
        ("stage_left", "in_b"),
        ("stage_left", "in_a"),
    ]
    assert {s.time for s in run.signals} == {T0 + 30 * M}


def test_touchpoint_that_does_not_count_fires_no_timer_of_the_profile() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"))
    run.hear(touchpoint(20 * M + 1, "Parcel Scanned", actor="company"))
    assert silence(run) == []


def test_company_touchpoint_that_the_rule_names_fires_its_timer() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"))
    run.hear(touchpoint(20 * M + 1, "Order Completed", actor="company"))
    assert silence(run) == [20 * M]


def test_goal_told_by_the_company_after_expiry_finds_the_trigger_expired() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"))
    run.until(30 * M)
    run.hear(touchpoint(2 * H + 20 * M + 1, "Order Completed", actor="company"))
    assert run.statuses()[-1] == ("reminder", "expired", None)
    assert run.triggers[-1].ended_at == T0 + 2 * H + 20 * M


# -- late (rule 7) ---------------------------------------------------------------------------------------------------


def late(kind: str, at: int = 10 * M) -> Run:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Viewed", customer="c"))
    run.hear(touchpoint(1 * M, "Product Viewed"))
    run.until(40 * M)
    assert silence(run, "browsing") == [31 * M]
    run.hear(touchpoint(at, kind))
    return run


def test_late_goal_cancels_the_trigger_and_the_signal_stays() -> None:
    run = late("Order Completed")
    assert run.statuses() == [("reminder", "issued", None), ("reminder", "cancelled", "late")]
    assert silence(run, "browsing") == [31 * M]
    assert run.triggers[1].ended_at == T0 + 10 * M
    assert run.totals["late"] == 1


def test_late_goal_ends_the_instance_and_is_a_conversion() -> None:
    run = late("Order Completed")
    assert [(s.reason, s.time - T0) for s in run.signals if s.kind == "stage_left"] == [("goal", 10 * M)]
    assert run.named("purchase")[0].figures["conversion"] == 1
    view = run.customers["c"]
    assert view is not None
    assert view.stages == []


def test_late_cancel_on_cancels_as_late() -> None:
    assert late("Chat Opened").statuses()[-1] == ("reminder", "cancelled", "late")


def test_late_progress_cancels_as_late_and_arms_the_new_stage_from_its_own_time() -> None:
    run = late("Product Added")
    assert run.statuses()[1] == ("reminder", "cancelled", "late")
    assert ("stage_entered", "cart") in run.kinds()
    run.until(41 * M)
    assert silence(run) == [30 * M], "it was due before the watermark and fires at once"


def test_touchpoint_exactly_at_a_fired_due_is_late() -> None:
    assert late("Order Completed", at=31 * M).statuses()[-1] == ("reminder", "cancelled", "late")


def test_touchpoint_after_the_fired_due_is_not_late() -> None:
    assert late("Order Completed", at=31 * M + 1).statuses()[-1] == ("reminder", "cancelled", "goal_reached")


def test_late_touchpoint_without_progress_neither_cancels_nor_rearms() -> None:
    run = late("Product Viewed")
    assert run.statuses() == [("reminder", "issued", None)]
    assert run.totals["late"] == 1
    run.drain()
    assert silence(run, "browsing") == [31 * M]


def test_late_touchpoint_is_counted_in_windows_and_effort() -> None:
    text = CART.replace(
        "actions:", "    friction: [{name: twice, count: {event: Product Viewed, at_least: 2, within: 1h}}]\nactions:"
    )
    run = Run(text)
    run.hear(touchpoint(0, "Product Viewed"))
    run.until(31 * M)
    run.hear(touchpoint(5 * M, "Product Viewed"))
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert [s.time for s in run.named("twice")] == [T0 + 5 * M]
    assert run.named("purchase")[0].figures["touchpoints"] == 3


def test_touchpoint_exactly_24h_behind_the_watermark_is_taken() -> None:
    run = Run(CART)
    run.hear(touchpoint(D + 30 * S, "page", customer="x"), touchpoint(0, "Product Added"))
    assert run.totals["too_late"] == 0
    assert run.engine.profiles == 2


def test_touchpoint_older_is_too_late_counted_and_makes_no_profile() -> None:
    run = Run(CART)
    run.hear(touchpoint(D + 30 * S + 1, "page", customer="x"), touchpoint(0, "Product Added"))
    assert (run.totals["too_late"], run.totals["processed"]) == (1, 1)
    assert run.engine.profiles == 1
    assert run.signals == []


def test_too_late_is_a_setting() -> None:
    run = Run(CART.replace("30s}", "30s, too_late: 1h}"))
    run.hear(touchpoint(2 * H, "page", customer="x"), touchpoint(0, "Product Added"))
    assert run.totals["too_late"] == 1
