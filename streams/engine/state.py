"""The state of one profile: what is kept, in which form it is stored, and how it is bounded; and of the partition.

Owns the MessagePack format of the changelog's profile records. A record is 8 bytes with the time of the profile's next
timer (so that a restore can build its timers without decoding), one byte with the format, then the arrays below. New
fields are appended with a default, never reordered, so that newer software reads older records; what older software
would drop or misread raises the format of the state (``formats.py``).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streams.contracts.outputs import LastTouchpoint, Trigger
from streams.engine.decisions.shares import Used
from streams.engine.decisions.state import Dealings
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
CHANNEL: Final = 64
"""Characters kept of a channel's name; a definition allows no more."""
CONTACT: Final = 128
"""Characters kept of the ids of a contact and its case."""
TRIGGER_BYTES: Final = 24 * 1024
"""All open triggers of one customer together."""
MAX_BYTES: Final = 64 * 1024
SHED_BYTES: Final = 56 * 1024
"""What is found larger sheds down to this, so that it is not measured with every touchpoint."""
LEAST_ROOM: Final = 1024


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
    """The newest, with its time."""
    outcome_at: int = 0
    freed: bool = False
    """Its channel is free again: it was sent, delivered or could not be sent."""
    session_end: bool = False
    reached_at: int = -1
    """When it first reached the customer; -1: not that it is known."""
    ghost: bool = False
    """Of a customer in a holdout: nobody is told."""
    told: int = 0
    """Outcomes heard, as bits."""
    step: int = 0
    match: str = ""
    """How the newest outcome was matched; empty: by trigger_id."""


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
    room: int = SHED_BYTES
    """Bytes that it may still grow before it must be measured. Whatever adds to it takes from this at least as much, so
    that it is measured in time, and always at the same touchpoint, whoever has stored or restored it in between."""
    dealings: Dealings | None = None
    """Begins with the first contact."""


class PartitionRecord(msgspec.Struct, array_like=True):
    """The engine's own state of the partition, beside the profiles."""

    watermark: int | None = None
    start_issuing_at: int | None = None
    importing: int = 0
    definition: int = 0
    unused: dict[str, int] = {}
    waiting: int = 0
    """Snapshots of scores that wait for their labels."""
    used: Used = msgspec.field(default_factory=Used)
    """Of capacities and budgets."""
    withdrawn: list[str] = []
    """Actions that a guardrail has paused: nothing is open of them, so a restored engine need not look."""


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


def measure(p: Profile) -> int:
    """Shed what is too much, and note how much it may grow from here; the number of pieces dropped."""
    size, dropped = _shed(p)
    p.room = max(MAX_BYTES - 16 - size, LEAST_ROOM)  # of which this number itself takes some bytes
    return dropped


def _shed(p: Profile) -> tuple[int, int]:
    """(size, pieces dropped): nothing if it is small enough, else until it is, as far as it can be.

    Order: the older half of the trail, then of the snapshots that wait for labels (those of the risk with most first),
    then of the contacts that wait for theirs, then of the ids for deduplication, then windows, once-per contents and so
    on, newest kept; last contacts (limits that would count what was dropped are taken for used up) and held decisions.
    Open instances, their deadlines and triggers are never dropped.
    """
    size = len(encode(p))
    dropped = 0
    waiting = [risk.waiting for risk in p.risks.values()]
    known = p.dealings if p.dealings is not None else Dealings()
    while size > SHED_BYTES:
        parts: tuple[dict[Any, Any] | list[Any], ...] = (
            p.trail, *sorted(waiting, key=len, reverse=True), known.waiting, p.seen, p.windows,
            *p.windows.values(), p.once, p.settled, p.clicks, p.traits, p.cart, p.last, p.cooling, p.absences,
            *p.pending.values(), p.contacts, *[inst.channels for inst in p.open.values()], known.contacts, known.held,
        )  # fmt: skip
        part = next((kept for kept in parts if len(kept) > (kept is not known.waiting)), None)
        if part is None:
            break
        half = (len(part) + (part is known.waiting)) // 2
        if part is known.contacts:
            known.forget(half)
        elif isinstance(part, list):
            del part[:half]
        else:
            for key in list(part)[:half]:
                del part[key]
        dropped += half
        size = len(encode(p))
    if dropped:
        for risk in p.risks.values():
            risk.matures = min((snapshot.until for snapshot in risk.waiting), default=0)
        if p.dealings is not None:
            p.dealings.recount()
    return size, dropped


def size_of(kept: msgspec.Struct) -> int:
    """Bytes that it takes in a record."""
    return len(_encoder.encode(kept))


def weight(trigger: Trigger) -> int:
    """Bytes that it takes while it is open."""
    return len(_encoder.encode(trigger))


def last(p: Profile, name: str) -> str:
    held = p.last.get(name)
    return held[0] if held is not None else ""
