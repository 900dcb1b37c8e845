"""Choosing an action: eligibility, value, channel by reach and consent, a channel's slot; what a trigger carries."""

from __future__ import annotations

import pytest

from tests.support.engines import T0, H, M, Run, touchpoint

SHOP = """
segments: {employee: {where: "traits.staff == true"}}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages:
      cart: {on: Product Added}
      payment: {on: Payment Info Entered}
    friction:
      - {name: failed, count: {event: Payment Failed, at_least: 1, within: 1s}, severity: high}
      - {name: denied, count: {event: Coupon Denied, at_least: 1, within: 1s}, severity: low}
"""


def actions(**given: str) -> str:
    lines = "\n".join(f"  {name}: {{expires_after: 1h, {text}}}" for name, text in given.items())
    return SHOP + "actions:\n" + lines + "\n"


ENTRY = "when: {signal: stage_entered, stage: cart}"
FAILED = "when: {signal: friction, name: failed}"


def chosen(run: Run) -> list[tuple[str, str]]:
    return [(t.action, t.channel) for t in run.triggers if t.status == "issued"]


def closed(run: Run) -> list[tuple[str, str | None]]:
    return [(c.action, c.closed_by) for c in run.decisions[-1].candidates]


def added(text: str, **known: dict[str, object]) -> Run:
    run = Run(text)
    if known:
        run.hear(touchpoint(0, "identify", traits=known.get("traits"), consent=known.get("consent")))
    run.hear(touchpoint(1, "Product Added", product_id="p", price=100.0))
    return run


# -- which signals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "hit"),
    [
        ("{signal: friction}", True),
        ("{signal: friction, journey: purchase, name: failed, severity: [high, critical]}", True),
        ("{signal: friction, severity: low}", False),
        ("{signal: friction, stage: cart}", True),
        ("{signal: friction, stage: payment}", False),
        ("[{signal: friction, severity: low}, {signal: friction, stage: cart}]", True),
    ],
)
def test_when_selects_by_every_key_given(when: str, hit: bool) -> None:
    text = actions(a=f"when: {when}, channel: agent")
    run = Run(text)
    run.hear(touchpoint(0, "Product Added"), touchpoint(1, "Payment Failed"))
    assert chosen(run) == ([("a", "agent")] if hit else [])
    assert len(run.decisions) == int(hit)


def test_signal_without_candidates_leaves_no_decision() -> None:
    assert added(actions(a=f"{FAILED}, channel: agent")).decisions == []


def test_good_news_triggers_too() -> None:
    text = actions(
        goal="when: {signal: goal_reached, journey: purchase}, channel: agent",
        first="when: {signal: milestone, name: first}, channel: store",
        welcome="when: {signal: segment_entered, name: employee}, channel: post",
    )
    run = Run(text + "milestones: [{name: first, goal: purchase}]\n")
    run.hear(touchpoint(0, "identify", traits={"staff": True, "address": "Main St"}), touchpoint(1, "Order Completed"))
    assert chosen(run) == [("welcome", "post"), ("goal", "agent")]
    # What one touchpoint finds is arbitrated together: one trigger, and a word about the other.
    assert closed(run) == [("goal", None), ("first", "lower_value")]
    assert run.decisions[-1].signals == [run.named("purchase")[0].signal_id, run.named("first")[0].signal_id]


# -- gates in their order --------------------------------------------------------------------------------------------


def test_eligibility_closes_first() -> None:
    text = actions(a=f'{ENTRY}, channel: email, value: "traits.worth", eligible: \'!("employee" in segments)\'')
    assert closed(added(text, traits={"staff": True})) == [("a", "eligibility")]


def test_value_that_is_no_number_closes() -> None:
    text = actions(a=f'{ENTRY}, channel: email, value: "double(traits.worth)"')
    assert closed(added(text, traits={"worth": "much"})) == [("a", "value")]


def test_value_is_computed_from_state() -> None:
    assert added(actions(a=f'{ENTRY}, channel: agent, value: "cart.value * 0.2"')).triggers[0].value == 20.0


def test_channel_that_cannot_be_reached_closes() -> None:
    run = added(actions(a=f"{ENTRY}, channel: email"))
    assert closed(run) == [("a", "channel")]
    assert (run.decisions[0].outcome, run.decisions[0].reason) == ("none", "channel")


def test_first_reachable_and_consented_channel_is_taken() -> None:
    text = actions(a=f"{ENTRY}, purpose: marketing, channel: [push, sms, email, agent]")
    run = added(
        text,
        traits={"push_token": "", "phone": "1", "email": "a@x.example"},
        consent={"push": True, "sms": False, "email": True},
    )
    assert chosen(run) == [("a", "email")]


CONSENT = [
    ("marketing", "email", None, False),
    ("marketing", "email", True, True),
    ("marketing", "email", False, False),
    ("service", "email", None, True),
    ("service", "email", False, False),
    ("marketing", "in_app", None, True),
    ("marketing", "in_app", False, False),
    ("marketing", "post", None, True),
    ("marketing", "post", False, False),
]


@pytest.mark.parametrize(("purpose", "channel", "given", "reached"), CONSENT)
def test_consent_by_purpose_and_channel(purpose: str, channel: str, given: bool | None, reached: bool) -> None:
    text = actions(a=f"{ENTRY}, purpose: {purpose}, channel: {channel}")
    run = added(text, traits={"email": "a@x.example", "address": "Main St"}, consent={channel: given})
    assert bool(chosen(run)) is reached


def test_consent_newest_wins_whatever_the_order_of_arrival() -> None:
    run = Run(actions(a=f"{ENTRY}, purpose: marketing, channel: email"))
    run.hear(
        touchpoint(2000, "identify", traits={"email": "a"}, consent={"email": False}),
        touchpoint(1000, "identify", consent={"email": True}),
        touchpoint(3000, "Product Added"),
    )
    assert chosen(run) == []


@pytest.mark.parametrize("told_by", ["channel", "trigger_id"])
def test_unsubscribed_takes_a_yes_back_and_leaves_service(told_by: str) -> None:
    run = Run(
        actions(
            ad=f"{ENTRY}, purpose: marketing, channel: email, value: 2",
            bill=f"{FAILED}, purpose: service, channel: email",
            other=f"{FAILED}, purpose: marketing, channel: email, value: 9",
        )
    )
    run.hear(touchpoint(0, "identify", traits={"email": "a"}, consent={"email": True}), touchpoint(1, "Product Added"))
    about = {"channel": "email"} if told_by == "channel" else {"trigger_id": run.triggers[0].trigger_id}
    run.hear(touchpoint(2, "Unsubscribed", actor="system", outcome="unsubscribed", **about))
    run.hear(touchpoint(3, "Payment Failed"))
    assert run.statuses() == [("ad", "issued", None), ("ad", "cancelled", "consent"), ("bill", "issued", None)]
    assert closed(run) == [("bill", None), ("other", "channel")]


def test_channel_of_the_session_is_open_only_while_it_is() -> None:
    text = actions(a="when: {signal: abandonment}, channel: [chat, store]").replace(
        "    friction:", "    abandonment: {payment: {after: 31m}, cart: {after: 29m}}\n    friction:"
    )
    run = added(text)
    run.until(1 * H)
    assert chosen(run) == [("a", "chat")]
    run = Run(text)
    run.hear(touchpoint(0, "Payment Info Entered"))
    run.until(1 * H)
    assert chosen(run) == [("a", "store")]


def test_own_channel_is_reached_by_its_trait() -> None:
    text = actions(a=f"{ENTRY}, channel: fax") + "channels: {fax: {identifier: fax_number}}\n"
    assert closed(added(text)) == [("a", "channel")]
    assert chosen(added(text, traits={"fax_number": "1"})) == [("a", "fax")]


# -- the most valuable, one slot for a customer and channel ----------------------------------------------------------


def test_most_valuable_candidate_wins_and_the_others_say_why_not() -> None:
    run = added(
        actions(
            low=f"{ENTRY}, channel: agent, value: 1",
            high=f"{ENTRY}, channel: store, value: 3",
            even=f"{ENTRY}, channel: agent, value: 3",
        )
    )
    assert chosen(run) == [("high", "store")]
    assert closed(run) == [("low", "lower_value"), ("high", None), ("even", "lower_value")]
    decision = run.decisions[0]
    assert (decision.chosen, decision.outcome, decision.reason, decision.trigger_id) == (
        "high", "issued", "issued", run.triggers[0].trigger_id,
    )  # fmt: skip


TWO = actions(first=f"{ENTRY}, channel: agent, value: 2", second=f"{FAILED}, channel: agent, value: VALUE")


@pytest.mark.parametrize(("value", "wins"), [("1", False), ("2", False), ("2.01", True)])
def test_more_valuable_replaces_what_is_not_sent_yet(value: str, wins: bool) -> None:
    run = added(TWO.replace("VALUE", value))
    run.hear(touchpoint(10, "Payment Failed"))
    if wins:
        assert run.statuses() == [
            ("first", "issued", None),
            ("first", "cancelled", "replaced"),
            ("second", "issued", None),
        ]
        assert run.triggers[1].replaced_by == run.triggers[2].trigger_id
        assert run.triggers[1].ended_at == T0 + 10
    else:
        assert run.statuses() == [("first", "issued", None)]
        assert closed(run) == [("second", "slot")]


@pytest.mark.parametrize("outcome", ["sent", "delivered", "opened", "clicked", "not_sent", "bounced", "dismissed"])
def test_outcome_frees_the_channel(outcome: str) -> None:
    run = added(TWO.replace("VALUE", "1"))
    run.hear(
        touchpoint(5, "Message Handled", actor="system", trigger_id=run.triggers[0].trigger_id, outcome=outcome),
        touchpoint(10, "Payment Failed"),
    )
    assert chosen(run) == [("first", "agent"), ("second", "agent")]


def test_other_channel_is_another_slot() -> None:
    run = added(TWO.replace("VALUE", "1").replace("channel: agent, value: 1", "channel: store, value: 1"))
    run.hear(touchpoint(10, "Payment Failed"))
    assert chosen(run) == [("first", "agent"), ("second", "store")]


def test_other_customer_is_another_slot() -> None:
    run = added(TWO.replace("VALUE", "1"))
    run.hear(touchpoint(10, "Product Added", "d"))
    assert chosen(run) == [("first", "agent"), ("first", "agent")]


def test_same_action_of_the_same_instance_is_already_open() -> None:
    run = added(actions(a=f"{FAILED}, channel: agent, value: 2"))
    run.hear(touchpoint(10, "Payment Failed"), touchpoint(5000, "Payment Failed"))
    assert chosen(run) == [("a", "agent")]
    assert closed(run) == [("a", "already_open")]


def test_paused_action_is_not_chosen() -> None:
    assert closed(added(actions(a=f"{ENTRY}, channel: agent, paused: true"))) == [("a", "paused")]


# -- what a trigger carries ------------------------------------------------------------------------------------------


def test_trigger_is_complete() -> None:
    text = actions(
        a=f"{FAILED}, channel: email, value: 7, content: {{key: k, with: {{items: cart.items_list, q: last.search,"
        " why: signal.name, n: signal.figures.count, tone: \"'kind'\", off: 10, gone: traits.nothing}},"
        " external: {campaign: c-1}"
    )
    run = Run(text)
    run.hear(
        touchpoint(0, "identify", traits={"email": "a@x.example"}, consent={"email": True}, locale="en-GB"),
        touchpoint(1, "Products Searched", query="shoes", time_zone="Europe/London", intent="buy", emotion="calm"),
        touchpoint(2, "Product Added", product_id="p", price=9.5, quantity=2),
        touchpoint(3, "Contact Started", contact_id="k1"),
        touchpoint(4, "Payment Failed", event_id="pf"),
    )
    trigger = run.triggers[0]
    assert trigger.content == {
        "items": [{"product_id": "p", "quantity": 2.0, "price": 9.5}],
        "q": "shoes", "why": "failed", "n": 1.0, "tone": "kind", "off": 10, "gone": None,
    }  # fmt: skip
    assert trigger.external == {"campaign": "c-1"}
    assert trigger.identifiers == {"email": "a@x.example"}
    assert trigger.consent == {"email": True}
    assert (trigger.locale, trigger.time_zone, trigger.intent, trigger.emotion) == (
        "en-GB",
        "Europe/London",
        "buy",
        "calm",
    )
    assert (trigger.journey, trigger.stage, trigger.stages) == ("purchase", "cart", {"purchase": "cart"})
    assert (trigger.issued_at, trigger.expires_at, trigger.revision) == (T0 + 4, T0 + 4 + 1 * H, 1)
    assert (trigger.reason_signals, trigger.reason_touchpoints) == ([run.named("failed")[0].signal_id], ["pf"])
    assert trigger.open_contact == "k1"
    assert [x.type for x in trigger.last_touchpoints][-1] == "Payment Failed"
    assert "failed" in trigger.reason_words


def test_content_that_is_no_number_is_none() -> None:
    content = "content: {with: {a: '1.0 / orders', b: '0.0 / orders', c: 'orders + 1'}}"
    run = added(actions(note=f"{ENTRY}, channel: in_app, value: 1, {content}"))
    assert run.triggers[0].content == {"a": None, "b": None, "c": 1.0}


def test_view_shows_open_triggers_and_contacts() -> None:
    run = added(actions(a=f"{ENTRY}, channel: agent"))
    run.hear(touchpoint(2, "Contact Started", contact_id="k", channel="chat", topic="bill"))
    view = run.customers["c"]
    assert view is not None
    assert [(t.action, t.channel, t.outcome) for t in view.open_triggers] == [("a", "agent", None)]
    assert [(k.contact, k.channel, k.topic, k.since) for k in view.open_contacts] == [("k", "chat", "bill", T0 + 2)]
    run.hear(touchpoint(3, "Contact Ended", contact_id="k"))
    run.until(2 * H + M)
    view = run.customers["c"]
    assert view is not None
    assert (view.open_triggers, view.open_contacts) == ([], [])


@pytest.mark.parametrize("worth", ["orders - 1", "1e13", "0.0 / orders", "1.0 / orders", "-1.0 / orders"])
def test_value_below_0_or_without_bound_is_no_candidate(worth: str) -> None:
    run = added(actions(first=f"{ENTRY}, channel: agent, value: '{worth}'", second=f"{ENTRY}, channel: agent"))
    assert closed(run) == [("first", "value"), ("second", None)]
    assert chosen(run) == [("second", "agent")]
