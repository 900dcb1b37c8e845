"""Gates of the contact policy: each closes for its reason, in its order, and opens again at its boundary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from streams.definitions.model import Channel, When
from streams.definitions.policy import (
    Arm,
    Budget,
    Experiment,
    Hours,
    Limit,
    PauseMarketing,
    Suppression,
)
from streams.engine.decisions.buckets import bucket, within
from tests.support.engines import T0, D, H, M, Run, define, touchpoint
from tests.support.policies import (
    SHOP,
    closing,
    customer,
    failed,
    handled,
    quiet,
    reached,
    ready,
    reasons,
    with_action,
    with_channel,
    with_policy,
)

# -- who may get it --------------------------------------------------------------------------------------------------


def test_roll_out_is_sticky_and_a_larger_share_keeps_whom_a_smaller_one_had() -> None:
    chosen = {}
    for share in (0.1, 0.4):
        run = Run(with_action(with_policy(), rollout=share))
        for i in range(200):
            reached(run, f"c{i}")
            failed(run, 1000, f"c{i}")
        chosen[share] = {d.customer for d in run.decisions if d.outcome == "issued"}
        assert {d.reason for d in run.decisions} == {"issued", "rollout"}
    assert chosen[0.1] < chosen[0.4]
    assert 5 < len(chosen[0.1]) < 40
    assert 55 < len(chosen[0.4]) < 105


def test_buckets_are_even_and_differ_by_salt() -> None:
    found = [bucket("s", f"c{i}") for i in range(20_000)]
    assert min(found) < 10
    assert max(found) > 9_989
    for start in range(0, 10_000, 2_500):
        assert 4_700 < sum(start <= one < start + 2_500 for one in found) < 5_300
    both = sum(within(0.5, "s", f"c{i}") and within(0.5, "r", f"c{i}") for i in range(4_000))
    assert 900 < both < 1_100
    assert within(1.0, "s", "c")
    assert not within(0.0, "s", "c")


@pytest.mark.parametrize("gate", ["eligible", "applicable", "suitable"])
def test_conditions_close_in_their_order(gate: str) -> None:
    names = {"eligible": "eligibility", "applicable": "applicability", "suitable": "suitability"}
    order = list(names)
    later: dict[str, Any] = {name: customer("false") for name in order[order.index(gate) :]}
    run = ready(with_action(with_policy(), **later))
    failed(run, 1000)
    assert reasons(run) == [names[gate]]


def test_value_less_cost_is_what_is_weighed_and_never_negative() -> None:
    run = ready(with_action(with_policy(), cost=4.0))
    failed(run, 1000)
    candidate = run.decisions[0].candidates[0]
    assert (candidate.v, candidate.c, candidate.l, candidate.p, candidate.priority) == (6.0, 1.0, 1.0, 0.5, 3.0)
    assert run.triggers[0].value == 6.0
    dear = ready(with_action(with_policy(), cost=10.5))
    failed(dear, 1000)
    assert reasons(dear) == ["value"]


# -- contact limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "reason"), [(2 * H - 1, "contact_limit"), (2 * H, "issued")])
def test_rolling_window_includes_its_end_and_not_its_start(t: int, reason: str) -> None:
    run = ready(with_policy(limits=(Limit(1, within_ms=2 * H),)))
    failed(run, 0)
    handled(run, 0, "sent")
    failed(run, t)
    assert reasons(run) == ["issued", reason]


DAY_END = [(5 * H - 1, "contact_limit"), (5 * H, "issued")]
"""T0 is midnight UTC; in New York it is 19:00 of the day before, and that day ends at 5:00 UTC."""


@pytest.mark.parametrize(("t", "reason"), DAY_END)
def test_calendar_day_is_the_customers_own(t: int, reason: str) -> None:
    run = Run(with_policy(limits=(Limit(1, days=1),)))
    reached(run, time_zone="America/New_York")
    failed(run, 0)
    handled(run, 0, "sent")
    failed(run, t)
    assert reasons(run) == ["issued", reason]


@pytest.mark.parametrize(("t", "reason"), DAY_END)
@pytest.mark.parametrize("zone", [None, "Mars/Olympus"])
def test_unknown_time_zone_is_the_definitions(zone: str | None, t: int, reason: str) -> None:
    text = SHOP.replace("time: {", "time: {timezone: America/New_York, ")
    run = Run(with_policy(text, limits=(Limit(1, days=1),)))
    reached(run, time_zone=zone)
    failed(run, 0)
    handled(run, 0, "sent")
    failed(run, t)
    assert reasons(run) == ["issued", reason]


@pytest.mark.parametrize(("t", "reason"), DAY_END)
@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd"])
def test_time_zone_that_does_not_exist_takes_no_place_of_one_that_does(zone: str, t: int, reason: str) -> None:
    run = Run(with_policy(limits=(Limit(1, days=1),)))
    reached(run, time_zone="America/New_York")
    run.hear(touchpoint(0, "page", time_zone=zone))
    failed(run, 0)
    handled(run, 0, "sent")
    failed(run, t)
    assert reasons(run) == ["issued", reason]


TWO = SHOP + "  push: {purpose: marketing, when: {signal: friction}, channel: push, value: 20, expires_after: 1d}\n"


@pytest.mark.parametrize(("told", "passed_on"), [("Asia/Tokyo", "Asia/Tokyo"), ("Mars/Phobos", "UTC"), (None, "UTC")])
def test_trigger_tells_the_time_zone_that_was_used(told: str | None, passed_on: str) -> None:
    run = ready(with_policy(limits=(Limit(1, days=1),)))
    failed(run, 1 * H, time_zone=told)
    assert run.triggers[0].time_zone == passed_on


def test_limit_of_a_channel_counts_that_channel_and_another_action_is_taken() -> None:
    run = ready(with_policy(TWO, limits=(Limit(1, within_ms=D, channel="push"),)))
    for t in (0, 2000, 4000):
        failed(run, t)
        handled(run, t, "sent")
    assert [(d.chosen, d.channel) for d in run.decisions] == [("push", "push"), ("mail", "email"), ("mail", "email")]
    assert closing(run.decisions[1]) == [None, "contact_limit"]


def test_contact_for_later_lets_no_limit_forget_those_before_it() -> None:
    text = SHOP + "\n  app: {when: {signal: stage_entered}, channel: push, value: 1, expires_after: 7d}\n"
    late = Experiment("timing", "x", (Arm("late", 1.0, delay_ms=5 * D),))
    definition = with_policy(
        with_action(define(text), "app", experiment=late), limits=(Limit(2, within_ms=7 * D, channel="email"),)
    )
    run = ready(definition)
    for t in (0, 1 * H):
        failed(run, t + 1000)
        handled(run, t + 2000, "sent")
    run.hear(touchpoint(6 * D, "Product Added"))
    assert run.triggers[-1].not_before == T0 + 11 * D
    failed(run, 6 * D + 1 * H)
    failed(run, 7 * D + 2000)
    assert reasons(run) == ["issued", "issued", "issued", "contact_limit", "issued"]


def test_limit_of_an_action() -> None:
    run = ready(with_policy(TWO, limits=(Limit(1, within_ms=D, action="push"),)))
    for t in (0, 2000, 4000):
        failed(run, t)
        handled(run, t, "sent")
    assert [d.chosen for d in run.decisions] == ["push", "mail", "mail"]


def test_overall_limit_counts_all_and_leaves_service_alone() -> None:
    text = TWO + "  bill: {purpose: service, when: {signal: friction}, channel: store, value: 1, expires_after: 1d}\n"
    run = ready(with_policy(text, limits=(Limit(1, within_ms=D),)))
    for t in (0, 2000):
        failed(run, t)
        handled(run, t, "sent")
    assert [d.chosen for d in run.decisions] == ["push", "bill"]
    assert closing(run.decisions[1]) == ["contact_limit", "contact_limit", None]


def test_more_contacts_than_are_kept_close_the_limit() -> None:
    run = ready(with_policy(limits=(Limit(80, within_ms=D),)))
    for i in range(90):
        run.hear(touchpoint(i, "Message Sent", actor="company", channel="email", event_id=f"m{i}"))
    failed(run, 1000)
    assert reasons(run) == ["contact_limit"]
    failed(run, D + 1000)
    assert reasons(run)[1] == "issued"


# -- pauses, suppression -----------------------------------------------------------------------------------------------


def test_marketing_rests_while_a_contact_is_open() -> None:
    run = ready(with_policy(pauses=(PauseMarketing(open_contact=True),)))
    run.hear(touchpoint(0, "Contact Started", contact_id="k"))
    failed(run, 1000)
    run.hear(touchpoint(2000, "Contact Ended", contact_id="k"))
    failed(run, 3000)
    assert reasons(run) == ["marketing_pause", "issued"]


def test_marketing_rests_after_a_detractor_and_service_does_not() -> None:
    text = SHOP + "  bill: {purpose: service, when: {signal: friction}, channel: store, value: 1, expires_after: 1d}\n"
    pause = PauseMarketing(when=When("satisfaction", name=("detractor",)), for_ms=2 * H)
    run = ready(with_policy(text, pauses=(pause,)))
    run.hear(touchpoint(0, "Survey Answered", survey="nps", score=2.0))
    failed(run, 2 * H - 1)
    failed(run, 2 * H + 2000)
    assert [d.chosen for d in run.decisions] == ["bill", "mail"]
    assert closing(run.decisions[0]) == ["marketing_pause", None]


def test_refusals_suppress_the_action_for_a_time() -> None:
    run = ready(with_policy(suppression=Suppression(after=2, within_ms=D, for_ms=2 * D)))
    failed(run, 0)
    handled(run, 1, "dismissed")
    failed(run, 2000)
    handled(run, 2001, "dismissed")
    failed(run, 4000)
    failed(run, 2 * D + 2000)
    failed(run, 2 * D + 4001)
    assert reasons(run)[:3] == ["issued", "issued", "suppression"]
    assert reasons(run)[3:] == ["suppression", "issued"]


def test_refusals_too_far_apart_do_not_suppress() -> None:
    run = ready(with_policy(suppression=Suppression(after=2, within_ms=H, for_ms=2 * D)))
    failed(run, 0)
    handled(run, 1, "dismissed")
    failed(run, 2 * H)
    handled(run, 2 * H + 1, "dismissed")
    failed(run, 3 * H)
    assert reasons(run) == ["issued", "issued", "issued"]


# -- channels: hours, capacity, budget ---------------------------------------------------------------------------------


def test_closed_channel_is_passed_over_for_the_next() -> None:
    text = SHOP.replace("channel: email", "channel: [call, email]")
    lines = Channel("call", identifier="phone", opt_in=False, open=(Hours(9 * 60, 17 * 60, frozenset(range(5))),))
    run = Run(with_channel(with_policy(text), replace(lines, timezone="Europe/London")))
    reached(run, traits={"phone": "1", "email": "e"})
    failed(run, 9 * H - 1)
    handled(run, 9 * H - 1, "sent")
    failed(run, 9 * H + 2000)
    assert [d.channel for d in run.decisions] == ["email", "call"]


def test_budget_is_of_a_calendar_day_and_given_back_with_the_contact() -> None:
    text = SHOP.replace("channel: email", "channel: store")
    run = Run(with_action(with_policy(text), cost=2.0, budget=Budget(5.0, "day")))
    for who in "abc":
        failed(run, 1000, who)
    run.hear(touchpoint(2000, "Order Completed", "a"))
    failed(run, 3000, "d")
    failed(run, 4000, "e")
    failed(run, D, "f")
    assert reasons(run) == ["issued", "issued", "budget", "issued", "budget", "issued"]


def test_budget_is_given_back_by_what_was_not_sent_but_not_by_what_bounced() -> None:
    run = ready(with_action(define(SHOP), cost=2.0, budget=Budget(4.0, "day")))
    for n, outcome in enumerate(("not_sent", "bounced", "sent")):
        failed(run, n * H + 1000)
        handled(run, n * H + 2000, outcome)
    failed(run, 4 * H)
    assert reasons(run) == ["issued", "issued", "issued", "budget"]


# -- quiet hours -------------------------------------------------------------------------------------------------------


def test_quiet_hours_drop() -> None:
    run = ready(with_policy(quiet_hours=(quiet(then="drop"),)))
    failed(run, 8 * H - 1)
    failed(run, 8 * H + 1000)
    assert reasons(run) == ["quiet_hours", "issued"]


def test_service_in_an_open_session_is_exempt() -> None:
    text = SHOP.replace("purpose: marketing", "purpose: service")
    run = ready(with_policy(text, quiet_hours=(quiet(),)))
    failed(run, 1000)
    assert reasons(run) == ["issued"]
    silent = Run(with_policy(text, quiet_hours=(quiet(),)))
    reached(silent, actor="company")
    failed(silent, 1000, actor="company")
    assert reasons(silent) == ["quiet_hours"]


def test_held_decision_is_released_when_the_quiet_hours_end() -> None:
    run = ready(with_policy(quiet_hours=(quiet(),)))
    failed(run, 1 * H)
    held = run.decisions[0]
    assert (held.outcome, held.reason, held.held_until, held.chosen) == ("held", "quiet_hours", T0 + 8 * H, None)
    run.restart()
    run.until(8 * H)
    assert len(run.decisions) == 1
    run.until(8 * H + 1)
    released = run.decisions[1]
    assert (released.outcome, released.time, released.tries) == ("issued", T0 + 8 * H, 1)
    trigger = run.triggers[0]
    assert (trigger.issued_at, trigger.expires_at) == (T0 + 8 * H, T0 + 1 * H + D)
    assert released.decision_id != held.decision_id
    assert released.signal_id == held.signal_id


def test_held_decision_passes_all_gates_again() -> None:
    run = ready(with_policy(quiet_hours=(quiet(),)))
    failed(run, 1 * H)
    run.hear(touchpoint(2 * H, "identify", actor="company", consent={"email": False}))
    run.until(9 * H)
    assert reasons(run) == ["quiet_hours", "channel"]
    assert run.triggers == []


@pytest.mark.parametrize(("event", "reason"), [("Order Completed", "goal_reached"), ("Chat Opened", "cancel_on")])
def test_what_would_cancel_a_trigger_closes_what_is_held(event: str, reason: str) -> None:
    text = SHOP.replace("value: 10", "value: 10, cancel_on: [Chat Opened]")
    run = ready(with_policy(text, quiet_hours=(quiet(),)))
    failed(run, 1 * H)
    run.hear(touchpoint(2 * H, event))
    run.until(9 * H)
    assert reasons(run) == ["quiet_hours", reason]


JOINT: Final = (
    SHOP.replace("stages: {asking: {on: Message Received}}", "stages: {asking: {on: Payment Failed}}")
    + """
  ease: {purpose: marketing, when: {signal: stage_entered, journey: help}, channel: push, value: 4, expires_after: 1d}
  both: {purpose: marketing, when: [{signal: friction}, {signal: stage_entered, journey: help}], channel: push,
    value: 2, expires_after: 1d}
"""
)
"""Payment Failed with a case speaks for two journeys at once."""


@pytest.mark.parametrize(
    ("event", "left", "closed"),
    [
        ("Order Completed", "ease", {"mail": "goal_reached"}),
        ("Case Resolved", "mail", {"ease": "goal_reached"}),
    ],
)
def test_goal_of_one_journey_closes_nothing_that_another_has_held(
    event: str, left: str, closed: dict[str, str]
) -> None:
    run = ready(with_policy(JOINT, quiet_hours=(quiet(),)))
    failed(run, 1 * H, case_id="1")
    assert [c.action for c in run.decisions[0].candidates] == ["mail", "ease", "both"]
    run.hear(touchpoint(2 * H, event, case_id="1"))
    run.restart()
    run.until(9 * H)
    held, released = run.decisions
    assert (held.outcome, released.outcome, released.chosen) == ("held", "issued", left)
    found = {c.action: c.closed_by for c in released.candidates if c.closed_by not in (None, "lower_value")}
    assert found == closed


def test_late_progress_closes_what_its_deadline_has_held() -> None:
    text = SHOP.replace("when: {signal: friction}", "when: {signal: abandonment}").replace(
        "lateness: 0s", "lateness: 5m"
    )
    run = ready(with_policy(text, quiet_hours=(quiet(),)))
    run.hear(touchpoint(1 * H, "Product Added"))
    run.until(1 * H + 20 * M + 1)
    assert reasons(run) == ["quiet_hours"]
    run.hear(touchpoint(1 * H + 19 * M, "Payment Info Entered"), touchpoint(2 * H, "page"))
    run.until(9 * H)
    assert reasons(run)[-1] == "issued", "the later stage's own silence"
    assert reasons(run).count("late") == 1


def test_the_companys_goal_after_the_release_comes_after_it() -> None:
    run = ready(with_policy(quiet_hours=(quiet(),)))
    failed(run, 1 * H)
    run.hear(touchpoint(9 * H, "Order Completed", actor="company"))
    assert run.statuses() == [("mail", "issued", None), ("mail", "cancelled", "goal_reached")]


def test_nothing_is_held_beyond_its_validity_or_before_issuing_begins() -> None:
    short = ready(with_policy(SHOP.replace("1d", "2h"), quiet_hours=(quiet(),)))
    failed(short, 1 * H)
    assert (short.decisions[0].outcome, reasons(short)) == ("none", ["quiet_hours"])
    warm = Run(with_policy(quiet_hours=(quiet(),)), start_issuing_at=T0 + D)
    reached(warm)
    failed(warm, 1 * H)
    warm.drain()
    assert [(d.outcome, d.reason) for d in warm.decisions] == [("none", "quiet_hours")]


def test_clock_goes_forward_in_quiet_hours() -> None:
    """London, 29 March 2026: 1:00 is followed by 2:00. At 8:00 summer time it is 7:00 UTC."""
    night = (83 - 0) * D - 5 * D + 5 * D  # 2026-03-29 is day 83 after T0 (5 January)
    run = Run(with_policy(quiet_hours=(quiet(),)))
    reached(run, time_zone="Europe/London", t=night - 2 * H)
    failed(run, night - 1 * H)
    assert run.decisions[0].held_until == T0 + night + 7 * H


def test_end_of_quiet_hours_that_the_clock_skips_is_the_jump() -> None:
    """Quiet until 1:30, which is never shown: at 1:00 UTC the clock shows 2:00."""
    night = 83 * D
    run = Run(with_policy(quiet_hours=(quiet(end=90),)))
    reached(run, time_zone="Europe/London", t=night - 2 * H)
    failed(run, night - 1 * H)
    assert run.decisions[0].held_until == T0 + night + 1 * H


def test_clock_goes_back_in_quiet_hours() -> None:
    """London, 25 October 2026: 2:00 is followed by 1:00. Quiet until 1:30 ends at the first 1:30."""
    night = 293 * D
    run = Run(with_policy(quiet_hours=(quiet(end=90),)))
    reached(run, time_zone="Europe/London", t=night - 3 * H)
    failed(run, night - 2 * H)
    assert run.decisions[0].held_until == T0 + night + 30 * M
    run.until(night + 30 * M + 1)
    assert reasons(run) == ["quiet_hours", "issued"]
    failed(run, night + 75 * M)
    assert reasons(run)[2] in {"quiet_hours", "already_open"}


def test_at_most_ten_decisions_wait() -> None:
    run = ready(with_policy(quiet_hours=(quiet(),)))
    for i in range(12):
        failed(run, 1 * H + i * 2000)
    assert [d.outcome for d in run.decisions] == ["held"] * 10 + ["none"] * 2
    assert run.totals["held_full"] == 2
    run.until(9 * H)
    assert reasons(run)[12:] == ["issued", *["already_open"] * 9]


def test_removed_action_takes_what_is_held_with_it() -> None:
    run = ready(with_policy(quiet_hours=(quiet(),)))
    failed(run, 1 * H)
    run.adopt(define(SHOP.replace("mail:", "other:")))
    run.until(9 * H)
    assert reasons(run) == ["quiet_hours"]
    assert run.triggers == []
