"""The touchpoint as it lives in memory: what the codec makes and the engine reads.

Owns the field names (those of ``avro/touchpoint.avsc``), the closed vocabularies and the rejection.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

CUSTOMER: Final = "customer"
AGENT: Final = "agent"
COMPANY: Final = "company"
SYSTEM: Final = "system"
ACTORS: Final = frozenset({CUSTOMER, AGENT, COMPANY, SYSTEM})

RESERVED_PREFIX: Final = "journey."
"""Types that begin so are commands; only workers and the CLI write them."""
IMPORT_STARTED: Final = "journey.import_started"
IMPORT_ENDED: Final = "journey.import_ended"

OUTCOMES: Final = frozenset(
    {"sent", "not_sent", "delivered", "opened", "clicked", "dismissed", "unsubscribed", "bounced", "converted"}
)

Scalar = str | float | int | bool | None
Properties = dict[str, Any]
"""Property name -> scalar, list of scalars or list of flat maps (the codec bounds size and depth)."""


class Touchpoint(msgspec.Struct, gc=False):
    """One thing that happened between a customer and the company.

    Times are integer milliseconds since the epoch. ``occurred_at`` is what the producer said; the engine corrects it
    (semantics, rule 4). The fields up to ``trace_headers`` come from the log, not from the body.
    """

    event_id: str
    type: str
    occurred_at: int
    offset: int = -1
    """Position in the partition's log (line number in a replay of a file)."""
    key: bytes | None = None
    """Kafka key as received; None where there was none (a file)."""
    record_time: int | None = None
    """Time the broker appended the record; None in a file without ``recorded_at``."""
    trace_headers: list[tuple[str, bytes]] | None = None
    """W3C trace context of the record's headers; None where there is none that is right."""
    customer_id: str | None = None
    anonymous_id: str | None = None
    actor: str | None = None
    sent_at: int | None = None
    retried: bool | None = None
    """True: sent again after a failure, so a late ``sent_at`` is delay and not a wrong clock."""
    time_zone: str | None = None
    locale: str | None = None
    channel: str | None = None
    location: str | None = None
    session_id: str | None = None
    journey: str | None = None
    case_id: str | None = None
    contact_id: str | None = None
    topic: str | None = None
    queue: str | None = None
    team: str | None = None
    agent_id: str | None = None
    wait_ms: int | None = None
    direction: str | None = None
    value: float | None = None
    currency: str | None = None
    sentiment: float | None = None
    emotion: str | None = None
    intent: str | None = None
    comment: str | None = None
    survey: str | None = None
    """Kind of survey: nps, csat or ces."""
    score: float | None = None
    campaign: str | None = None
    dispatch: str | None = None
    referrer: str | None = None
    trigger_id: str | None = None
    outcome: str | None = None
    traits: dict[str, Scalar] | None = None
    consent: dict[str, bool | None] | None = None
    """Channel -> allowed (None: the consent is withdrawn to unknown)."""
    experiment: str | None = None
    variant: str | None = None
    source: str | None = None
    schema_source: str | None = None
    properties: Properties | None = None


FROM_THE_LOG: Final = frozenset({"offset", "key", "record_time", "trace_headers"})
"""Fields that no body has."""


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """A record that is not a touchpoint, or one that must not be applied; it becomes a dead letter."""

    offset: int
    reason: str
    """One of ``REASONS``."""
    detail: str
    """What was wrong and where, in words; never the content of a personal field."""


REASONS: Final[dict[str, str]] = {
    "empty": "the record has no value",
    "too_large": "the value is larger than the limit for a touchpoint",
    "malformed": "the bytes are not a touchpoint of the stated schema",
    "not_avro": "the first byte is not the Confluent magic byte and JSON is not allowed by the settings",
    "bad_json": "the value is not a JSON object of a touchpoint",
    "unknown_schema": "the schema id is not known to the registry",
    "incompatible_schema": "the writer's schema cannot be read as a touchpoint",
    "no_event_id": "event_id is missing or empty",
    "no_type": "type is missing or empty",
    "no_customer": "neither customer_id nor anonymous_id is set",
    "bad_time": "occurred_at or sent_at is negative or beyond the year 9999",
    "too_many_properties": "more properties or traits than the limit",
    "too_deep": "properties are nested deeper than the limit",
    "too_long": "a text is longer than the limit for its field",
    "reserved_type": "types that begin with journey. are written by workers and the CLI only",
    "misrouted": "the key is not the profile id, or the record is not in the partition that murmur2 of the key gives",
}
