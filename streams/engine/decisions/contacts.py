"""Contacts with a customer: reserved at issue, given back, counted against limits, whoever made them.

Owns what counts. A contact counts from its decision on; one that was not sent, bounced, or was cancelled before it can
have been sent, is given back. A message of another system counts when it was sent.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import DAY_MS
from streams.definitions.policy import Limit
from streams.engine.decisions.hours import day_start
from streams.engine.decisions.plan import PolicyPlan
from streams.engine.decisions.state import CONTACT_BYTES, CONTACTS_KEPT, NOTE_BYTES, PAUSES, Dealings, Made
from streams.engine.state import Issued, Profile

MESSAGE: Final = "Message Sent"
"""Told by the company or one of its systems, such a touchpoint is a contact, whoever made it."""

HALF_LIFE_MS: Final = 90 * 86_400_000
"""Of what a customer's responses say about channels."""


def dealings(p: Profile) -> Dealings:
    """Those of the profile; they begin with the first contact."""
    found = p.dealings
    if found is None:
        found = p.dealings = Dealings()
        p.room -= NOTE_BYTES
    return found


def reserve(p: Profile, policy: PolicyPlan, made: Made) -> None:
    """Add a contact, in the order of time, and forget what nothing asks for any more."""
    known = dealings(p)
    contacts = known.contacts
    p.room -= CONTACT_BYTES
    at = len(contacts)
    while at and contacts[at - 1].at > made.at:
        at -= 1
    contacts.insert(at, made)
    # A day more: what arrives that late is still decided. One for later (``not_before``) makes no other one older.
    oldest = min(contacts[-1].at, made.decided) - policy.keep_ms - DAY_MS
    while contacts[0].at < oldest:
        del contacts[0]
    if len(contacts) > CONTACTS_KEPT:
        known.forget(len(contacts) - CONTACTS_KEPT)


def given_back(p: Profile, trigger: str) -> Made | None:
    """The contact of a trigger counts no more; None where it did not."""
    found = of_trigger(p, trigger)
    if found is None or not found.counts:
        return None
    found.counts = False
    return found


def unsent(policy: PolicyPlan, issued: Issued, t: int) -> bool:
    """It cannot have been sent by ``t``, as far as is known: nobody has said so, and there was hardly time to.

    A downstream system that tells nothing has most likely sent what it was given.
    """
    trigger = issued.trigger
    return not issued.freed and t - max(trigger.issued_at, trigger.not_before or 0) < policy.unsent_for_ms


def of_trigger(p: Profile, trigger: str) -> Made | None:
    if p.dealings is not None and trigger:
        for made in reversed(p.dealings.contacts):
            if made.trigger == trigger:
                return made
    return None


def used_up(p: Profile, limit: Limit, t: int, policy: PolicyPlan, zone_name: str) -> bool:
    """A contact at ``t`` would be one too many.

    Contacts later than ``t`` (a deadline that is heard of late) count, too: so no window, wherever it lies, ever holds
    more than is allowed.
    """
    if limit.at_most <= 0:
        return True
    known = p.dealings
    if known is None:
        return False
    start = day_start(t, limit.days, policy.zone_of(zone_name)) if limit.days else t - limit.within_ms + 1
    if known.forgotten >= start:
        return True
    n = 0
    for made in reversed(known.contacts):
        if made.at < start:
            return False
        if (
            made.counts
            and (limit.channel is None or made.channel == limit.channel)
            and (limit.action is None or made.action == limit.action)
        ):
            n += 1
            if n >= limit.at_most:
                return True
    return False


def external_id(campaign: Any, dispatch: Any) -> str:
    """Digest of a downstream system's own ids; empty if there are none."""
    if campaign is None and dispatch is None:
        return ""
    return blake2b(f"{campaign}\x1f{dispatch}".encode(), digest_size=8).hexdigest()


def hear_message(p: Profile, policy: PolicyPlan, tp: Touchpoint, t: int) -> None:
    """Somebody else's message to the customer was sent. One dispatch told twice is one contact."""
    external = external_id(tp.campaign, tp.dispatch)
    if tp.dispatch is not None and p.dealings is not None:
        for made in reversed(p.dealings.contacts):
            if made.external == external and not made.action:
                return
    channel = tp.channel if tp.channel in policy.channels else ""
    reserve(p, policy, Made(t, channel or "", external=external, decided=t))


def pause(p: Profile, key: str, until: int) -> None:
    """Marketing rests."""
    held = dealings(p).pauses
    if until > held.get(key, 0):
        held[key] = until
        p.room -= NOTE_BYTES
        if len(held) > PAUSES:
            del held[next(iter(held))]


def response_rate(p: Profile, channel: str, t: int) -> float:
    """Share of contacts on the channel that the customer answered, smoothed; 0.5 where nothing is known."""
    held = p.dealings.replies.get(channel) if p.dealings is not None else None
    if held is None:
        return 0.5
    faded: float = 2.0 ** (min(0.0, (held[0] - t) / HALF_LIFE_MS))
    return min(1.0, (1.0 + held[2] * faded) / (2.0 + max(held[1], held[2]) * faded))
