"""The state of one profile: what is kept, in which form it is stored, and how it is bounded.

Owns the MessagePack format of the changelog's profile records. A record is 8 bytes with the time of the profile's next
timer (so that a restore can build its timers without decoding), one byte with the format, then the arrays below. New
fields are appended with a default, never reordered, so that older and newer software read each other's records.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, Final

import msgspec

from streams.contracts.outputs import LastTouchpoint, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.engine.scoring.state import Activity, RiskState

FORMAT: Final = 1
NEVER: Final = (1 << 62) - 1
"""A due time that no watermark reaches."""
KEY_PREFIX: Final = b"p"

TRAIL: Final = 20
SEEN: Final = 1000
SEEN_MINUTES: Final = 24 * 60 + 1
INSTANCES: Final = 20
PENDING: Final = 20
TRAITS: Final = 100
CART: Final = 200
CONTACTS: Final = 20
TRIGGERS: Final = 20
"""Open at once for one customer: each is kept whole, to be repeated at its end."""
WINDOWS: Final = 200
CHANNELS: Final = 24
SENTIMENTS: Final = 6
MAX_BYTES: Final = 64 * 1024
SHED_BYTES: Final = 56 * 1024
SHED_EVERY: Final = 256
"""Each profile's size is looked at after so many touchpoints, whatever has been stored in between: a replay, which
stores nothing, sheds the same. The bound itself is then reached by hardly anyone."""


class Instance(msgspec.Struct, array_like=True, gc=False):
    """One run of one customer through one journey."""

    journey: str
    key: str
    opened: int
    stage: str
    entered: dict[str, int] = {}
    """Stages entered and not left again -> time of entry."""
    last: int = 0
    """Time of the newest touchpoint that belongs to it."""
    last_event: str = ""
    touched: int = 0
    """Rises with each touchpoint of the profile, to find the instance longest untouched."""
    touchpoints: int = 0
    channels: list[str] = []
    contacts: int = 0
    since_silence: int = 0
    due: int = 0
    """Abandonment deadline, 0 = none; of the tier ``tier``."""
    tier: str = ""
    fired: int = 0
    """Newest due time among its deadlines that have fired."""
    stalled: dict[str, list[int]] = {}
    """Stalled rule -> [due or 0, customer touchpoints of the profile at entry, time of entry]."""


class Contact(msgspec.Struct, array_like=True, gc=False):
    contact: str
    channel: str | None
    topic: str | None
    since: int
    case_id: str | None = None


class Issued(msgspec.Struct, array_like=True, gc=False):
    """A trigger that has been issued and has not ended."""

    trigger: Trigger
    due: int = -1
    """Due time of the deadline that caused it; -1: no deadline did."""
    outcome: str | None = None
    outcome_at: int = 0
    freed: bool = False
    """Its channel is free again: it was sent, delivered or could not be sent."""
    session_end: bool = False


class Profile(msgspec.Struct, array_like=True, gc=False):
    id: str
    customer_id: str | None = None
    anonymous_id: str | None = None
    first_seen: int = NEVER
    """Of what counts or tells something."""
    last_seen: int = 0
    seen: dict[bytes, int] = {}
    """Id (or its digest) -> minute of event time << 32 | CRC of the contents, in order of arrival."""
    # session
    session_start: int = 0
    """0: no session is open."""
    session_last: int = 0
    session_touchpoints: int = 0
    frustration: dict[str, int] = {}
    """Family of click preset -> findings in the session."""
    clicks: dict[str, list[Any]] = {}
    """Rule key -> state of its click preset, for the session."""
    # what the customer did
    touchpoints: int = 0
    arrivals: int = 0
    channels: dict[str, int] = {}
    orders: int = 0
    last_order: int = 0
    value_micro: int = 0
    """Lifetime value in millionths, so that the order of additions does not matter."""
    cart: dict[str, list[Any]] = {}
    """Product -> [price, time of price, [[time, change of quantity], ...]]."""
    cart_cleared: int = -1
    last: dict[str, list[Any]] = {}
    """search, product, category, path, intent, topic, emotion, locale, time_zone -> [value, time]."""
    traits: dict[str, list[Any]] = {}
    consent: dict[str, list[Any]] = {}
    contacts: dict[str, Contact] = {}
    contacts_total: int = 0
    trail: list[LastTouchpoint] = []
    # journeys
    open: dict[str, Instance] = {}
    """Journey, or journey + separator + instance key -> open instance."""
    pending: dict[str, list[list[Any]]] = {}
    """Journey -> touchpoints without the instance's field: [time, stage, event_id, channel, begins a contact]."""
    goals: dict[str, int] = {}
    once: dict[str, list[Any]] = {}
    """Deadline + instance -> cart contents last signalled."""
    # friction
    windows: dict[str, list[Any]] = {}
    """Rule + instance (+ values) -> state of its window, newest element last."""
    absences: dict[str, list[Any]] = {}
    """Rule + instance -> [due, event_id, time, whether it falls away with the open instance] of the first unanswered
    touchpoint."""
    cooling: dict[str, int] = {}
    # satisfaction
    sentiments: list[list[float]] = []
    surveys: dict[str, list[float]] = {}
    fallen: bool = False
    # rest
    segments: list[str] = []
    triggers: list[Issued] = []
    anniversaries: dict[str, list[int]] = {}
    """Milestone -> [years passed, when the next one is due]."""
    next_due: int = NEVER
    """Lower bound of the profile's next timer; exact after each recount."""
    settled: dict[str, int] = {}
    """Absence rule + instance, or instance -> what happened before this time is answered, told or ended: a touchpoint
    from before it that arrives late starts nothing."""
    last_channel: str = ""
    """Of the newest touchpoint that counted."""
    own_touchpoints: int = 0
    """Touchpoints of the customer alone; ``touchpoints`` has those of agents together with the customer, too."""
    # risks
    activity: Activity | None = None
    """Kept where the definition has risks."""
    risks: dict[str, RiskState] = {}
    """By the name of the risk, in the order of the definition."""
    expected_value: float = 0.0
    """As of the latest score."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Profile)


class StateError(ValueError):
    """A changelog record that this software cannot read."""


def encode(p: Profile) -> bytes:
    return b"%b%c%b" % (p.next_due.to_bytes(8, "big"), FORMAT, _encoder.encode(p))


def decode(blob: bytes) -> Profile:
    if len(blob) < 10 or blob[8] != FORMAT:
        raise StateError(
            f"profile record of format {blob[8] if len(blob) > 8 else 'none'}; this version reads format {FORMAT}"
        )
    try:
        return _decoder.decode(memoryview(blob)[9:])
    except msgspec.MsgspecError as error:
        raise StateError(f"profile record cannot be decoded: {error}") from error


def next_due(blob: bytes) -> int:
    return int.from_bytes(blob[:8], "big")


def shed(p: Profile, limit: int = MAX_BYTES) -> tuple[bytes, int]:
    """Encoding of at most ``limit`` bytes and the number of pieces dropped to get there.

    Order: the older half of the trail, then of the snapshots that wait for labels, then of the ids for deduplication,
    then windows, once-per contents, traits and cart lines, newest kept. Open journeys, deadlines and triggers are never
    dropped.
    """
    blob = encode(p)
    dropped = 0
    while len(blob) > limit:
        if len(p.trail) > 1:
            half = len(p.trail) // 2
            del p.trail[:half]
        elif any(len(risk.waiting) > 1 for risk in p.risks.values()):
            half = _shed_waiting(p)
        else:
            droppable: tuple[dict[Any, Any], ...] = (p.seen, p.windows, p.once, p.settled, p.clicks, p.traits, p.cart)
            parts = (*droppable, p.last)
            part = next((d for d in parts if len(d) > 1), None)
            if part is None:
                break
            half = len(part) // 2
            for key in list(part)[:half]:
                del part[key]
        dropped += half
        blob = encode(p)
    return blob, dropped


def _shed_waiting(p: Profile) -> int:
    """The older half of the snapshots of the risk with most of them; how many."""
    risk = max(p.risks.values(), key=lambda risk: len(risk.waiting))
    half = len(risk.waiting) // 2
    del risk.waiting[:half]
    risk.matures = min(snapshot.until for snapshot in risk.waiting)
    return half


def seen_key(event_id: str) -> bytes:
    """The id itself where it is short, else 16 bytes of its digest."""
    raw = event_id.encode()
    return raw if len(raw) < 16 else hashlib.blake2b(raw, digest_size=16).digest()


def fingerprint(tp: Touchpoint) -> int:
    """CRC of what a touchpoint says; ``sent_at`` and the position in the log may differ between two sendings."""
    return zlib.crc32(_encoder.encode((tp.type, tp.occurred_at, tp.value, tp.actor, tp.channel, tp.properties)))


def remember(p: Profile, key: bytes, t: int, crc: int) -> None:
    """Note an id; forget the oldest beyond ``SEEN`` ids or 24 h of event time."""
    seen = p.seen
    seen[key] = t // 60_000 << 32 | crc
    first = next(iter(seen))
    oldest = (p.last_seen // 60_000 - SEEN_MINUTES) << 32
    while (len(seen) > SEEN or seen[first] < oldest) and first != key:
        del seen[first]
        first = next(iter(seen))


def settle(p: Profile, key: str, before: int) -> None:
    """What arrives late from before that time starts nothing under ``key``."""
    settled = p.settled
    if before > settled.get(key, 0):
        settled[key] = before
        if len(settled) > WINDOWS:
            del settled[next(iter(settled))]


def set_last(p: Profile, name: str, value: str, t: int) -> None:
    """The newest by event time wins; at one time the one that arrived later."""
    held = p.last.get(name)
    if held is None:
        p.last[name] = [value, t]
    elif t >= held[1]:
        held[0] = value
        held[1] = t


def last(p: Profile, name: str) -> str:
    held = p.last.get(name)
    return held[0] if held is not None else ""
