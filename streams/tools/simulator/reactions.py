"""What becomes of a trigger: the downstream system sends it, the customer opens it, and sometimes it helps.

Owns the outcomes (touchpoints with the trigger's id) and how a trigger changes what the customer does next.
"""

from __future__ import annotations

from typing import Final

from streams.contracts.outputs import Trigger
from streams.contracts.touchpoint import COMPANY
from streams.tools.simulator.customer import Customer, Steps

BRINGS_BACK: Final = frozenset({"cart_reminder", "browse_reminder"})
IN_SESSION: Final = frozenset({"in_app", "web", "mobile_app", "chat"})
DESK: Final = frozenset({"agent", "store"})
"""Channels whose receiver is not the customer."""


def carry_out(c: Customer, trigger: Trigger) -> Steps:
    """From the hand-over to the last thing that happens because of it. A withdrawn trigger is not sent."""
    pace, habits = c.world.pace, c.world.habits
    quick = trigger.channel in IN_SESSION
    yield c.about(pace.reaction_ms if quick else pace.send_ms)
    if trigger.trigger_id in c.withdrawn:
        c.withdrawn.discard(trigger.trigger_id)
        return
    if c.chance(habits.not_sent):
        _outcome(c, trigger, "not_sent", COMPANY)
        return
    _outcome(c, trigger, "sent", COMPANY)
    yield c.about(pace.reaction_ms if quick else pace.deliver_ms)
    if c.chance(habits.bounced):
        _outcome(c, trigger, "bounced", COMPANY)
        return
    _outcome(c, trigger, "delivered", COMPANY)
    if trigger.channel in DESK or not c.chance(habits.opened):
        return
    yield c.about(pace.form_ms // 4) if quick else c.pause(pace.open_ms, 10 * pace.open_ms)
    _outcome(c, trigger, "opened", None)
    if c.chance(habits.unsubscribes) and not quick:
        _outcome(c, trigger, "unsubscribed", None)
        c.told("Consent Changed", None, channel=trigger.channel, consent={trigger.channel: False})
        return
    if not c.chance(habits.clicked):
        if quick:
            _outcome(c, trigger, "dismissed", None)
        return
    yield c.about(pace.reaction_ms)
    _outcome(c, trigger, "clicked", None)
    if quick:
        c.helped = True


def comes_back(c: Customer, trigger: Trigger) -> bool:
    """Whether the customer, reminded, will return to buy; drawn when the trigger is issued."""
    return trigger.action in BRINGS_BACK and c.chance(c.world.habits.buys_after_reminder)


def _outcome(c: Customer, trigger: Trigger, outcome: str, actor: str | None) -> None:
    words = {"email": "Email", "push": "Push Notification", "sms": "Text Message"}.get(trigger.channel, "Message")
    did = {
        "sent": "Handed Over",
        "not_sent": "Not Sent",
        "clicked": "Link Clicked",
    }.get(outcome, outcome.capitalize())
    c.told(
        f"{words} {did}",
        actor,
        channel=trigger.channel,
        trigger_id=trigger.trigger_id,
        outcome=outcome,
        journey=trigger.journey,
        campaign=trigger.external.get("campaign"),
    )
