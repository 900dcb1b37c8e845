"""How large a touchpoint may be, and the full check of one that is about to enter the engine.

Owns the bounds and the words of a refusal. ``touchpoint_reader`` accepts only what passes here, so that a touchpoint
that came the quick way is one that this check would have passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from streams.contracts.touchpoint import RESERVED_PREFIX, Rejection

LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""
INT64: Final = 1 << 63
SHORTEST_TEXT_LIMIT: Final = 64
"""Texts below it are never measured (their Avro length is one byte), so no limit may be lower."""
DETAIL_CHARACTERS: Final = 300
LONG_TEXTS: Final = frozenset({"comment", "referrer"})
_TIMES: Final = ("occurred_at", "sent_at")
_NUMBERS: Final = ("value", "sentiment", "score")
_WHOLE: Final = ("wait_ms",)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one touchpoint. Depth is not among them: a property is a scalar or a list of scalars or flat maps."""

    value_bytes: int = 1 << 20
    """Kafka value with its prefix."""
    properties: int = 500
    """Entries in each of properties, traits and consent."""
    listed: int = 5_000
    """Values in all lists of properties together."""
    name_characters: int = 512
    """Ids, names and other short fields, and the names of properties and traits."""
    text_characters: int = 10_000
    """comment, referrer, and the texts in properties and traits."""

    def __post_init__(self) -> None:
        if min(self.name_characters, self.text_characters) < SHORTEST_TEXT_LIMIT:
            raise ValueError(f"a limit for texts must be {SHORTEST_TEXT_LIMIT} characters or more")
        if min(self.value_bytes, self.properties, self.listed) < 1:
            raise ValueError("limits must be 1 or more")


class Refused(Exception):  # noqa: N818 - it never leaves this package; callers see a Rejection
    """This record is not a touchpoint."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def rejection(self, offset: int) -> Rejection:
        return Rejection(offset, self.reason, self.detail[:DETAIL_CHARACTERS])


def check(fields: dict[str, Any], limits: Limits, commands: frozenset[str], malformed: str) -> None:
    """Raise ``Refused`` unless the fields (of the right types already) are those of an acceptable touchpoint.

    ``commands`` are the reserved types that this record may have; ``malformed`` is the reason to give for a number or
    text that the type allows and the contract does not.
    """
    if not fields["event_id"]:
        raise Refused("no_event_id", "event_id is empty")
    kind = fields["type"]
    if not kind:
        raise Refused("no_type", "type is empty")
    if kind.startswith(RESERVED_PREFIX) and kind not in commands:
        raise Refused("reserved_type", "type begins with journey. and the record is not a known command")
    if not (fields.get("customer_id") or fields.get("anonymous_id")):
        raise Refused("no_customer", "customer_id and anonymous_id are empty")
    for name in _TIMES:
        time = fields.get(name)
        if (time is None and name == "occurred_at") or (time is not None and not 0 <= time <= LATEST_MS):
            raise Refused("bad_time", f"{name} is {time}")
    for name in _NUMBERS:
        number = fields.get(name)
        if number is not None and not isfinite(number):
            raise Refused(malformed, f"{name} is not a finite number")
    for name in _WHOLE:
        whole = fields.get(name)
        if whole is not None and not -INT64 <= whole < INT64:
            raise Refused(malformed, f"{name} does not fit into 64 bits")
    for name, field in fields.items():
        if type(field) is str:
            most = limits.text_characters if name in LONG_TEXTS else limits.name_characters
            if len(field) > most:
                raise Refused("too_long", f"{name} has {len(field)} characters, the limit is {most}")
    listed = 0
    for name in ("traits", "consent", "properties"):
        entries = fields.get(name)
        if entries:
            if len(entries) > limits.properties:
                raise Refused("too_many_properties", f"{name} has {len(entries)} entries, limit {limits.properties}")
            for key, entry in entries.items():
                listed += _check_entry(name, key, entry, limits, malformed)
    if listed > limits.listed:
        raise Refused("too_many_properties", f"the lists in properties hold {listed} values, limit {limits.listed}")


def _check_entry(where: str, key: str, entry: Any, limits: Limits, malformed: str) -> int:
    """Check one property; the number of values that it lists."""
    if len(key) > limits.name_characters:
        raise Refused("too_long", f"a name in {where} has {len(key)} characters, limit {limits.name_characters}")
    path = f"{where}.{key[:60]}"
    if type(entry) is dict:
        raise Refused("too_deep", f"{path} is an object: flatten it or put it into a list")
    if type(entry) is not list:
        _check_scalar(path, entry, limits, malformed)
        return 0
    listed = len(entry)
    for item in entry:
        if type(item) is list:
            raise Refused("too_deep", f"{path} holds a list inside a list")
        if type(item) is not dict:
            _check_scalar(path, item, limits, malformed)
            continue
        listed += len(item)
        for name, value in item.items():
            if len(name) > limits.name_characters:
                raise Refused("too_long", f"a name in {path} is longer than {limits.name_characters} characters")
            if type(value) in (dict, list):
                raise Refused("too_deep", f"{path} holds objects that are not flat")
            _check_scalar(path, value, limits, malformed)
    return listed


def _check_scalar(path: str, value: Any, limits: Limits, malformed: str) -> None:
    kind = type(value)
    if kind is str:
        if len(value) > limits.text_characters:
            raise Refused("too_long", f"{path} has {len(value)} characters, the limit is {limits.text_characters}")
    elif kind is float:
        if not isfinite(value):
            raise Refused(malformed, f"{path} is not a finite number")
    elif kind is int:
        if not -INT64 <= value < INT64:
            raise Refused(malformed, f"{path} does not fit into 64 bits")
    elif kind is not bool and value is not None:
        raise Refused(malformed, f"{path} is of an unknown type")
