"""The life of a trigger: from issue to its one end, with ids that follow from the log alone."""

from __future__ import annotations

import pytest

from tests.support.engines import T0, H, M, Run, define, touchpoint

LIFE = """
time: {session_gap: 30m}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages: {cart: {on: Product Added}, payment: {on: Payment Info Entered}}
    abandonment: {cart: {after: 20m}}
    friction: [{name: failed, count: {event: Payment Failed, at_least: 1, within: 1s}}]
actions:
  reminder:
    purpose: marketing
    when: {signal: abandonment}
    channel: [email, agent]
    cancel_on: [Chat Opened, {event: page, where: "properties.path == '/unsubscribe'"}]
    expires_after: 2h
  help: {when: {signal: friction}, channel: chat, expires_after: session_end}
"""


def issued(text: str = LIFE, **options: object) -> Run:
    """A reminder of a deadline at 20 min is open; it is 30 min."""
    run = Run(text, **options)
    run.hear(
        touchpoint(0, "identify", traits={"email": "a@x.example"}, consent={"email": True}),
        touchpoint(0, "Product Added"),
    )
    run.until(30 * M)
    return run


def told(run: Run, t: int, outcome: str, **fields: object) -> None:
    run.hear(touchpoint(t, "Message Handled", actor="system", trigger_id=run.triggers[0].trigger_id, outcome=outcome))


def end(run: Run) -> tuple[str, str | None, int]:
    last = run.triggers[-1]
    assert last.ended_at is not None
    return last.status, last.end_reason, last.ended_at - T0


# -- ends ------------------------------------------------------------------------------------------------------------


def test_goal_before_delivery_cancels_as_goal_reached() -> None:
    run = issued()
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert end(run) == ("cancelled", "goal_reached", 40 * M)


@pytest.mark.parametrize("outcome", ["delivered", "opened", "clicked"])
def test_goal_after_delivery_fulfils(outcome: str) -> None:
    run = issued()
    told(run, 35 * M, outcome)
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert end(run) == ("fulfilled", None, 40 * M)


@pytest.mark.parametrize("outcome", ["sent", "not_sent", "bounced", "dismissed"])
def test_goal_after_any_other_outcome_cancels(outcome: str) -> None:
    run = issued()
    told(run, 35 * M, outcome)
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert end(run) == ("cancelled", "goal_reached", 40 * M)


def test_goal_at_exactly_the_delivery_does_not_fulfil() -> None:
    run = issued()
    told(run, 40 * M, "delivered")
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert end(run) == ("cancelled", "goal_reached", 40 * M)


def test_delivery_counts_from_the_first_that_reached_the_customer() -> None:
    run = issued()
    told(run, 35 * M, "delivered")
    told(run, 45 * M, "opened")
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert end(run) == ("fulfilled", None, 40 * M)


def test_outcome_of_an_unknown_trigger_changes_nothing() -> None:
    run = issued()
    run.hear(touchpoint(35 * M, "Message Handled", actor="system", trigger_id="f" * 32, outcome="delivered"))
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert end(run) == ("cancelled", "goal_reached", 40 * M)


def test_outcome_is_shown_in_the_view() -> None:
    run = issued()
    told(run, 35 * M, "sent")
    view = run.customers["c"]
    assert view is not None
    assert [t.outcome for t in view.open_triggers] == ["sent"]


def test_cancel_on_by_any_touchpoint_of_the_profile() -> None:
    run = issued()
    run.hear(touchpoint(40 * M, "Chat Opened", actor="company"))
    assert end(run) == ("cancelled", "cancel_on", 40 * M)


def test_cancel_on_with_a_condition() -> None:
    run = issued()
    run.hear(touchpoint(40 * M, "page", path="/"))
    assert len(run.triggers) == 1
    run.hear(touchpoint(41 * M, "page", path="/unsubscribe"))
    assert end(run) == ("cancelled", "cancel_on", 41 * M)


def test_cancel_on_of_another_customer_changes_nothing() -> None:
    run = issued()
    run.hear(touchpoint(40 * M, "Chat Opened", "d"))
    assert len(run.triggers) == 1


def test_expires_at_counts_from_the_due_time_and_exactly_then_is_in_time() -> None:
    run = issued()
    assert run.triggers[0].expires_at == T0 + 2 * H + 20 * M
    run.hear(touchpoint(2 * H + 20 * M, "Order Completed"))
    assert end(run) == ("cancelled", "goal_reached", 2 * H + 20 * M)


def test_expires_when_nothing_ends_it() -> None:
    run = issued()
    run.hear(touchpoint(2 * H + 20 * M + 1, "Order Completed"))
    assert end(run) == ("expired", None, 2 * H + 20 * M)


@pytest.mark.parametrize("changed", [False, None])
def test_withdrawn_consent_cancels_what_is_not_sent(changed: bool | None) -> None:
    run = issued()
    run.hear(touchpoint(40 * M, "Preference Saved", actor="system", consent={"email": changed}))
    assert end(run) == ("cancelled", "consent", 40 * M)


def test_withdrawn_consent_leaves_what_is_sent() -> None:
    run = issued()
    told(run, 35 * M, "sent")
    run.hear(touchpoint(40 * M, "identify", consent={"email": False}))
    assert len(run.triggers) == 1


def test_withdrawn_consent_after_expiry_finds_it_expired() -> None:
    run = issued()
    run.hear(touchpoint(3 * H, "Preference Saved", actor="system", consent={"email": False}))
    run.drain()
    assert end(run) == ("expired", None, 2 * H + 20 * M)


def test_reasons_that_apply_at_once_late_goes_before_goal_before_cancel_on() -> None:
    text = LIFE.replace("[Chat Opened,", "[Order Completed,")
    run = issued(text)
    run.hear(touchpoint(20 * M, "Order Completed"))
    assert end(run) == ("cancelled", "late", 20 * M)
    run = issued(text)
    run.hear(touchpoint(20 * M + 1, "Order Completed"))
    assert end(run) == ("cancelled", "goal_reached", 20 * M + 1)


def test_goal_of_the_instance_key_ends_it_whether_or_not_an_instance_is_open() -> None:
    run = issued(
        LIFE.replace(
            "stages: {cart: {on: Product Added}",
            "stages: {cart: {on: Product Added, leave_when: 'traits.gone == true'}",
        )
    )
    run.hear(touchpoint(40 * M, "identify", traits={"gone": True}))
    assert [s.reason for s in run.signals if s.kind == "stage_left"] == ["leave_when"]
    run.hear(touchpoint(50 * M, "Order Completed"))
    assert run.named("purchase")[0].figures["conversion"] == 0
    assert end(run) == ("cancelled", "goal_reached", 50 * M)


def test_goal_of_another_instance_does_not_end_it() -> None:
    run = Run(
        """
journeys:
  help:
    type: support
    instance_by: case_id
    goal: Case Resolved
    stages: {asking: {on: Message Sent}}
actions: {ask: {when: {signal: stage_entered}, channel: agent, expires_after: 1d}}
"""
    )
    run.hear(touchpoint(0, "Message Sent", case_id="1"), touchpoint(1, "Case Resolved", case_id="2"))
    assert run.statuses() == [("ask", "issued", None)]
    run.hear(touchpoint(2, "Case Resolved", case_id="1"))
    assert run.statuses()[1:] == [("ask", "cancelled", "goal_reached")]


def test_each_trigger_ends_once_with_one_id_and_a_rising_revision() -> None:
    run = issued()
    run.hear(touchpoint(40 * M, "Order Completed"), touchpoint(41 * M, "Order Completed"))
    run.drain()
    first, last = run.triggers
    assert (first.trigger_id, first.revision, last.revision) == (last.trigger_id, 1, 2)
    assert (last.content_key, last.external, last.reason_signals) == (
        first.content_key, first.external, first.reason_signals,
    )  # fmt: skip


# -- session_end -----------------------------------------------------------------------------------------------------


def test_session_end_follows_the_session() -> None:
    run = Run(LIFE)
    run.hear(touchpoint(0, "Payment Failed"))
    assert run.triggers[0].expires_at == T0 + 30 * M
    run.hear(touchpoint(20 * M, "page"))
    run.until(50 * M)
    assert len(run.triggers) == 1
    run.until(50 * M + 1)
    assert end(run) == ("expired", None, 50 * M)


def test_session_end_ends_before_a_goal_that_the_company_tells_later() -> None:
    run = Run(LIFE)
    run.hear(touchpoint(0, "Payment Failed"), touchpoint(30 * M + 1, "Order Completed", actor="company"))
    assert end(run) == ("expired", None, 30 * M)


def test_session_end_without_a_session_is_not_issued() -> None:
    run = Run(LIFE.replace("channel: chat", "channel: agent"))
    run.hear(touchpoint(0, "Payment Failed", actor="system"))
    assert run.triggers == []
    assert run.decisions[0].reason == "session_over"


# -- ids (rule 14) ---------------------------------------------------------------------------------------------------


def test_ids_depend_neither_on_partition_nor_definition_nor_clock() -> None:
    ways = [
        issued(),
        issued(LIFE.replace("2h", "3h")),
        issued(partition=3),
        Run(define(LIFE, 7)),
    ]
    last = ways[-1]
    last.hear(
        touchpoint(0, "identify", traits={"email": "a@x.example"}, consent={"email": True}),
        touchpoint(0, "Product Added"),
        now_ms=T0 + 123,
    )
    last.until(30 * M, now_ms=T0 + 31 * M)
    ids = [([s.signal_id for s in run.signals], run.triggers[0].trigger_id) for run in ways]
    assert all(found == ids[0] for found in ids)
    assert last.triggers[0].definition == 7


def test_ids_differ_by_customer_and_by_completing_touchpoint() -> None:
    run = Run(LIFE)
    run.hear(
        touchpoint(0, "Payment Failed", event_id="1"),
        touchpoint(5000, "Payment Failed", event_id="2"),
        touchpoint(5000, "Payment Failed", "d", event_id="2"),
    )
    assert len({s.signal_id for s in run.signals}) == 3


# -- warm-up and stale (rule 15) -------------------------------------------------------------------------------------


def test_before_start_issuing_history_builds_state_and_nothing_is_issued() -> None:
    run = issued(start_issuing_at=T0 + 20 * M + 1)
    signal = next(s for s in run.signals if s.kind == "abandonment")
    assert signal.historical
    assert run.triggers == []
    assert [(d.outcome, d.reason, d.chosen) for d in run.decisions] == [("none", "warm_up", "reminder")]
    run.hear(touchpoint(1 * H, "Product Added"))
    run.until(2 * H)
    assert [t.action for t in run.triggers] == ["reminder"]


def test_exactly_at_start_issuing_it_is_issued() -> None:
    run = issued(start_issuing_at=T0 + 20 * M)
    assert not run.signals[-1].historical
    assert run.statuses() == [("reminder", "issued", None)]


def lagging(now: int | None, stale: list[str] | None = None) -> Run:
    run = Run(LIFE)
    run.engine.expect_stale(stale or [])
    run.hear(
        touchpoint(0, "identify", traits={"email": "a@x.example"}, consent={"email": True}),
        touchpoint(0, "Product Added"),
    )
    run.until(30 * M, now_ms=None if now is None else T0 + now)
    return run


def test_trigger_whose_validity_has_passed_is_a_decision_and_journalled() -> None:
    run = lagging(2 * H + 20 * M)
    assert run.triggers == []
    assert run.decisions[0].reason == "stale"
    assert run.decisions[0].outcome == "none"
    assert run.stale == [lagging(None).triggers[0].trigger_id]


def test_trigger_still_valid_by_a_millisecond_is_issued() -> None:
    run = lagging(2 * H + 20 * M - 1)
    assert run.statuses() == [("reminder", "issued", None)]
    assert run.stale == []


def test_replay_makes_stale_what_the_journal_says_and_nothing_else() -> None:
    live = lagging(3 * H)
    replayed = lagging(None, live.stale)
    assert (replayed.decisions, replayed.triggers, replayed.signals) == (live.decisions, live.triggers, live.signals)
    assert replayed.stale == []


def test_stale_trigger_holds_no_slot_and_replaces_nothing() -> None:
    text = LIFE.replace("channel: chat, expires_after: session_end", "channel: email, value: 9, expires_after: 1h")
    run = issued(text)
    run.hear(touchpoint(40 * M, "Payment Failed"), now_ms=T0 + 10 * H)
    assert run.statuses() == [("reminder", "issued", None)]
    assert run.decisions[-1].reason == "stale"


# -- routing and marks -----------------------------------------------------------------------------------------------


def test_trigger_survives_a_restart_and_ends_the_same() -> None:
    run = issued()
    told(run, 35 * M, "delivered")
    run.restart()
    run.hear(touchpoint(40 * M, "Order Completed"))
    assert end(run) == ("fulfilled", None, 40 * M)


def test_goal_after_the_first_of_several_outcomes_fulfils_whatever_their_order() -> None:
    run = issued()
    told(run, 50 * M, "opened")
    told(run, 40 * M, "delivered")
    run.hear(touchpoint(45 * M, "Order Completed"))
    assert end(run) == ("fulfilled", None, 45 * M)


def test_view_shows_the_newest_outcome() -> None:
    run = issued()
    for t, outcome in ((40, "delivered"), (50, "clicked"), (45, "opened")):
        told(run, t * M, outcome)
    view = run.customers["c"]
    assert view is not None
    assert [t.outcome for t in view.open_triggers] == ["clicked"]
