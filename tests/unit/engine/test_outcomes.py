"""Outcomes and sequences: how an outcome finds its trigger, what it changes, and what makes a further step needless."""

from __future__ import annotations

from math import log1p
from typing import Any

import pytest

from streams.definitions.policy import Guardrails, SequenceStep
from tests.support.engines import T0, D, H, M, Run, define, plain, touchpoint
from tests.support.policies import SHOP, failed, quiet, reached, reasons, with_action, with_policy
from tests.support.risks import risk, with_risks
from tests.unit.engine.test_arbitration import model

EXTERNAL = SHOP.replace("expires_after: 1d", "expires_after: 1d, external: {campaign: c-1}")


def ready(definition: object = SHOP) -> Run:
    run = Run(definition)  # type: ignore[arg-type]
    reached(run)
    failed(run, 1000)
    return run


def told(run: Run, t: int, outcome: str, **fields: Any) -> None:
    run.hear(touchpoint(t, "Handled", actor="system", outcome=outcome, event_id=f"{outcome}/{t}/{fields}", **fields))


def counted(run: Run) -> dict[str, int]:
    return {name: n for name, n in run.totals.items() if name.startswith("outcomes_") and n}


def shown(run: Run) -> str | None:
    view = run.customers["c"]
    assert view is not None
    return view.open_triggers[0].outcome


# -- matching ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fields", "match"),
    [
        (EXTERNAL, {"campaign": "c-1"}, "external"),
        (EXTERNAL, {"campaign": "c-1", "channel": "email", "dispatch": "d-9"}, "external"),
        (SHOP, {"channel": "email"}, "validity"),
    ],
)
def test_outcome_without_trigger_id_is_matched_and_the_end_says_how(
    text: str, fields: dict[str, str], match: str
) -> None:
    run = ready(text)
    told(run, 2000, "delivered", **fields)
    assert counted(run) == {"outcomes_matched": 1}
    run.hear(touchpoint(3000, "Order Completed"))
    end = run.triggers[-1]
    assert (end.status, end.outcome, end.outcome_at, end.outcome_match) == ("fulfilled", "delivered", T0 + 2000, match)


@pytest.mark.parametrize(
    "fields", [{"campaign": "c-2"}, {"campaign": "c-1", "channel": "push"}, {"channel": "push"}, {}]
)
def test_outcome_of_something_else_is_not_matched(fields: dict[str, str]) -> None:
    run = ready(EXTERNAL)
    told(run, 2000, "opened", **fields)
    assert shown(run) is None


def test_ambiguous_outcome_is_counted_and_told_to_none() -> None:
    run = ready(EXTERNAL)
    told(run, 1500, "sent", trigger_id=run.triggers[0].trigger_id)
    failed(run, 3000)
    told(run, 4000, "opened", channel="email")
    told(run, 4001, "opened", campaign="c-1")
    assert counted(run) == {"outcomes_ambiguous": 2}
    assert [t.status for t in run.triggers] == ["issued", "issued"]


def test_repeated_early_and_unknown_outcomes_are_counted_and_change_nothing() -> None:
    run = ready()
    trigger = run.triggers[0].trigger_id
    told(run, 1000 - 5 * M - 1, "delivered", trigger_id=trigger)
    told(run, 2000, "opened", trigger_id="f" * 32)
    assert shown(run) is None
    told(run, 2000, "opened", trigger_id=trigger)
    before = plain(run.engine.store.hot["c"].triggers)
    told(run, 3000, "opened", trigger_id=trigger)
    assert plain(run.engine.store.hot["c"].triggers) == before
    assert counted(run) == {"outcomes_early": 1, "outcomes_unknown": 1, "outcomes_repeated": 1}


@pytest.mark.parametrize("t", [1000 - 5 * M, 999])
def test_outcome_of_a_trigger_that_was_dated_by_a_clock_ahead_is_heard(t: int) -> None:
    run = ready()
    told(run, t, "converted", trigger_id=run.triggers[0].trigger_id)
    assert counted(run) == {}
    assert shown(run) == "converted"
    assert [label for *_, label in labels(run)] == [True]


def test_outcome_of_another_customers_trigger_is_foreign() -> None:
    run = ready()
    reached(run, "d")
    run.hear(touchpoint(2000, "Handled", "d", actor="system", outcome="sent", trigger_id=run.triggers[0].trigger_id))
    assert counted(run) == {"outcomes_unknown": 1}
    assert shown(run) is None


def test_outcome_after_the_end_is_still_known() -> None:
    run = ready()
    run.until(D + H)
    told(run, D + H, "dismissed", trigger_id=run.triggers[0].trigger_id)
    assert counted(run) == {}
    assert run.totals["processed"] == 3


@pytest.mark.parametrize(("order", "expected"), [("stated", "push"), ("preferred", "email")])
def test_channel_that_the_customer_answers_is_preferred_where_the_definition_says_so(order: str, expected: str) -> None:
    text = SHOP.replace("channel: email", f"channel: [push, email], channel_order: {order}")
    run = Run(text)
    reached(run)
    for t, channel in ((1000, "push"), (3000, "email")):
        consent = {"push": channel == "push", "email": channel == "email"}
        run.hear(touchpoint(t - 1, "identify", consent=consent, event_id=f"{t}"))
        failed(run, t)
        trigger = run.triggers[-1]
        assert (trigger.status, trigger.channel) == ("issued", channel)
        told(run, t + 1, "sent", trigger_id=trigger.trigger_id)
        if channel == "email":
            told(run, t + 2, "opened", trigger_id=trigger.trigger_id)
    run.hear(touchpoint(4000, "identify", consent={"push": True, "email": True}))
    run.restart()
    failed(run, 5000)
    assert run.decisions[-1].channel == expected


# -- success -----------------------------------------------------------------------------------------------------------


def labels(run: Run) -> list[tuple[str, int, int, bool]]:
    return [(e.risk, e.scored_at - T0, e.matured_at - T0, e.label) for e in run.examples]


@pytest.mark.parametrize(("t", "label"), [(1000, None), (1001, True), (1000 + 2 * H, True), (1001 + 2 * H, False)])
def test_success_is_the_goal_within_the_attribution(t: int, label: bool | None) -> None:
    run = ready(with_action(define(SHOP), attribution_ms=2 * H))
    told(run, 1000, "sent", trigger_id=run.triggers[0].trigger_id)
    run.hear(touchpoint(t, "Order Completed"))
    run.restart()
    run.until(4 * H)
    if label is None:  # the goal at the instant of the decision is before it
        assert labels(run) == [("action.mail", 1000, 1000 + 2 * H, False)]
    else:
        assert labels(run) == [("action.mail", 1000, t if label else 1000 + 2 * H, label)]


def test_success_is_never_known_early() -> None:
    run = ready(with_action(define(SHOP), attribution_ms=2 * H))
    run.until(1000 + 2 * H)
    assert labels(run) == []
    run.until(1000 + 2 * H + 1)
    assert labels(run) == [("action.mail", 1000, 1000 + 2 * H, False)]


def test_converted_is_a_success_and_what_was_not_sent_says_nothing() -> None:
    run = ready()
    told(run, 2000, "converted", trigger_id=run.triggers[0].trigger_id)
    assert labels(run) == [("action.mail", 1000, 2000, True)]
    lost = ready()
    told(lost, 2000, "bounced", trigger_id=lost.triggers[0].trigger_id)
    lost.until(8 * D)
    assert labels(lost) == []
    assert lost.totals["contacts_censored"] == 1


def test_logs_end_decides_no_success() -> None:
    run = ready()
    run.drain()
    assert labels(run) == []


def test_example_says_what_was_heard_and_who_complained() -> None:
    run = ready()
    trigger = run.triggers[0].trigger_id
    told(run, 2000, "delivered", trigger_id=trigger)
    told(run, 3000, "dismissed", trigger_id=trigger)
    run.hear(touchpoint(4000, "Survey Answered", survey="nps", score=1.0))
    run.until(8 * D)
    assert run.examples[0].outcomes == ["delivered", "dismissed", "complained"]
    assert (run.examples[0].score, run.examples[0].model) == (0.5, "prior")


@pytest.mark.parametrize(("actor", "heard"), [(None, ["complained"]), ("agent", []), ("company", [])])
def test_contact_is_a_complaint_only_where_the_customer_began_it(actor: str | None, heard: list[str]) -> None:
    run = ready()
    run.hear(touchpoint(4000, "Contact Started", actor=actor, contact_id="k", channel="phone"))
    run.until(8 * D)
    assert run.examples[0].outcomes == heard


@pytest.mark.parametrize(("messages", "heard"), [(2, []), (3, ["crowded"])])
def test_example_says_who_was_written_to_too_often(messages: int, heard: list[str]) -> None:
    text = SHOP.replace("expires_after: 1d", "guardrails: {crowded: 0.1, contacts: 3}, expires_after: 1d", 1)
    assert text != SHOP
    run = ready(text)
    for n in range(messages):
        run.hear(touchpoint((n + 1) * H, "Message Sent", actor="company", channel="email"))
    run.hear(touchpoint(8 * D, "Message Sent", actor="company", channel="email"))  # after the attribution window
    run.until(9 * D)
    assert run.examples[0].outcomes == heard


def test_example_carries_the_features_of_the_first_risk_as_of_the_decision() -> None:
    definition = with_risks(define(SHOP), risk())
    run = ready(definition)
    told(run, 1500, "sent", trigger_id=run.triggers[0].trigger_id)
    for t in range(2000, 9000, 1000):
        run.hear(touchpoint(t, "Product Viewed"))
    run.restart()
    run.hear(touchpoint(9000, "Order Completed", value=9.0))
    (example,) = [one for one in run.examples if one.risk == "action.mail"]
    assert example.features == {"days_since_touchpoint": 0.0, "orders": 0.0, "touchpoints": pytest.approx(log1p(2))}
    other = ready(definition)
    other.adopt(with_risks(define(SHOP), risk(features=("orders", "visits", "touchpoints"), signature="s")))
    other.hear(touchpoint(9000, "Order Completed", value=9.0))
    assert [one.features for one in other.examples if one.risk == "action.mail"] == [{}]


# -- guardrails --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [True, False])
def test_broken_guardrail_closes_the_gate_and_cancels_what_is_open_where_it_may(pause: bool) -> None:
    run = ready(with_action(define(SHOP), guardrails=Guardrails(dismissed=0.1, pause=pause)))
    run.adopt_model(model(run, "mail", 1, 50, paused=True))
    failed(run, 3000)
    if pause:
        assert run.statuses() == [("mail", "issued", None), ("mail", "cancelled", "guardrail")]
        assert reasons(run) == ["issued", "guardrail"]
        run.restart()
        failed(run, 5000)
        assert (reasons(run), len(run.triggers)) == (["issued", "guardrail", "guardrail"], 2)
        run.adopt_model(model(run, "mail", 1, 60, version=2))
        failed(run, 7000)
        run.adopt_model(model(run, "mail", 1, 70, version=3, paused=True))
        assert run.statuses()[2:] == [("mail", "issued", None), ("mail", "cancelled", "guardrail")]
    else:
        assert reasons(run) == ["issued", "already_open"]


def test_guardrail_finds_what_is_open_of_customers_who_were_long_silent() -> None:
    run = Run(with_action(define(SHOP), guardrails=Guardrails(dismissed=0.1, pause=True)), hot_profiles=2)
    for n in range(12):
        reached(run, f"c{n}")
        if n % 3 == 0:
            failed(run, 1000, f"c{n}")
    run.engine.changed()
    assert len(run.engine.store.cold) > 8
    run.adopt_model(model(run, "mail", 1, 50, paused=True))
    ended = [trigger.customer for trigger in run.triggers if trigger.status == "cancelled"]
    assert ended == ["c0", "c3", "c6", "c9"]


def test_definition_that_lets_a_broken_guardrail_pause_cancels_what_is_open() -> None:
    watching = with_action(define(SHOP), guardrails=Guardrails(dismissed=0.1))
    run = ready(watching)
    run.adopt_model(model(run, "mail", 1, 50, paused=True))
    run.adopt(with_action(define(SHOP), guardrails=Guardrails(dismissed=0.1, pause=True)))
    assert run.statuses() == [("mail", "issued", None), ("mail", "cancelled", "guardrail")]
    failed(run, 3000)
    run.adopt(watching)
    failed(run, 5000)
    assert reasons(run) == ["issued", "guardrail", "issued"]


# -- sequences ---------------------------------------------------------------------------------------------------------

CHAT = SHOP.replace("purpose: marketing", "purpose: service").replace("channel: email", "channel: chat")
STEPS = (SequenceStep(4 * H, ("email",), content_key="second"), SequenceStep(D, ("store",), unless=()))


def sequence() -> Run:
    return ready(with_action(define(CHAT), steps=STEPS))


def steps(run: Run) -> list[tuple[int, str, int]]:
    return [(t.step, t.channel, t.issued_at - T0) for t in run.triggers if t.status == "issued"]


def test_steps_follow_when_nothing_happened() -> None:
    run = sequence()
    run.restart()
    run.until(2 * D)
    assert steps(run) == [(0, "chat", 1000), (1, "email", 1000 + 4 * H), (2, "store", 1000 + 4 * H + D)]
    first, second = [t for t in run.triggers if t.status == "issued"][:2]
    assert first.trigger_id != second.trigger_id
    assert second.content_key == "second"
    assert second.expires_at == T0 + 1000 + 4 * H + D
    assert [d.step for d in run.decisions] == [0, 1, 2]


@pytest.mark.parametrize(("outcome", "needless"), [("opened", True), ("delivered", False)])
def test_outcome_of_an_earlier_step_makes_the_next_needless(outcome: str, needless: bool) -> None:
    run = sequence()
    told(run, 2000, outcome, trigger_id=run.triggers[0].trigger_id)
    run.until(5 * H)
    assert reasons(run) == ["issued", "answered" if needless else "issued"]


def test_goal_ends_the_sequence() -> None:
    run = sequence()
    run.hear(touchpoint(2 * H, "Order Completed"))
    run.until(3 * D)
    assert [s[0] for s in steps(run)] == [0]
    assert reasons(run) == ["issued", "goal_reached"]


def test_cancel_on_ends_the_sequence() -> None:
    run = ready(with_action(define(CHAT.replace("value: 10", "value: 10, cancel_on: [Chat Opened]")), steps=STEPS))
    run.hear(touchpoint(2 * H, "Chat Opened"))
    run.until(3 * D)
    assert reasons(run) == ["issued", "cancel_on"]


def test_step_that_is_not_possible_gives_way_to_the_one_after() -> None:
    run = sequence()
    run.hear(touchpoint(1 * H, "identify", consent={"email": False}))
    run.until(2 * D)
    assert reasons(run) == ["issued", "channel", "issued"]
    assert steps(run)[-1] == (2, "store", 1000 + 4 * H + D)


def test_step_in_quiet_hours_is_held() -> None:
    run = Run(with_action(with_policy(CHAT, quiet_hours=(quiet(),)), steps=STEPS))
    reached(run, t=19 * H)
    failed(run, 19 * H)
    run.until(40 * H)
    assert [(d.step, d.tries, d.outcome) for d in run.decisions] == [(0, 0, "issued"), (1, 0, "held"), (1, 1, "issued")]
    assert run.triggers[-1].issued_at == T0 + 32 * H


def test_action_whose_sequence_runs_is_not_begun_again() -> None:
    run = sequence()
    told(run, 2000, "delivered", trigger_id=run.triggers[0].trigger_id)
    failed(run, 1 * H)
    assert reasons(run) == ["issued", "already_open"]
    run.hear(touchpoint(2 * H, "Order Completed"))
    failed(run, 3 * H)
    assert reasons(run) == ["issued", "already_open", "issued"]


def test_step_that_is_gone_from_the_definition_is_forgotten() -> None:
    run = sequence()
    run.adopt(with_action(define(CHAT), steps=()))
    run.until(5 * D)
    assert reasons(run) == ["issued"]


def test_replaced_trigger_ends_its_sequence() -> None:
    text = (
        CHAT
        + "  more: {purpose: service, when: {signal: stage_entered}, channel: chat, value: 99, expires_after: 1d}\n"
    )
    run = ready(with_action(define(text), steps=STEPS))
    run.hear(touchpoint(10 * M, "Product Added"))
    run.until(5 * H)
    assert reasons(run) == ["issued", "issued", "replaced"]
