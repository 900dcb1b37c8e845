"""Reads a touchpoint that was written with the packaged schema or a neighbouring version, quickly.

Owns the layout of such a body. Of the 42 fields most are null, each one zero byte: a run of them is skipped at once,
which makes this about three times as quick as fastavro, which visits every field. Whatever is not plain (other block
forms, anything beyond a limit, anything wrong) raises ``NotPlain`` or an index, value or struct error, and the caller
has fastavro decide; so this reader need only be right about what it accepts. A property test holds the two together.

The code is one long function on purpose: a call costs as much as reading a field.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final, NamedTuple

from streams.contracts import schemas
from streams.contracts.limits import INT64, LATEST_MS, LONG_TEXTS, Limits
from streams.contracts.outcomes import OUTCOME_OF
from streams.contracts.record import Record
from streams.contracts.touchpoint import RESERVED_PREFIX, Touchpoint

_FIELDS: Final = Touchpoint.__struct_fields__
_WIDTH: Final = len(_FIELDS)
_REQUIRED: Final = 3
"""event_id, type and occurred_at stand first, here and in every schema that is read this way."""
_CUSTOMER: Final = _FIELDS.index("customer_id")
_ANONYMOUS: Final = _FIELDS.index("anonymous_id")
_SENT: Final = _FIELDS.index("sent_at")
_OUTCOME: Final = _FIELDS.index("outcome")
_BLANK: Final[list[Any]] = [None] * (_WIDTH + 1)
"""One place for each field and one for whatever this version does not know."""

_TEXT, _LONG, _DOUBLE, _FLAG, _PROPERTIES, _TRAITS, _CONSENT = range(7)
_LENGTH: Final = tuple(n >> 1 if n < 128 and not n & 1 else -1 for n in range(256))
"""First byte of a text -> its length in bytes; -1 where the length takes more bytes than one, or is wrong."""
_MARKS: Final = b"\0" + b"\1" * 255
"""Translates every byte but zero to one, so that the end of a run of nulls can be found in one call."""
_double: Final = struct.Struct("<d").unpack_from
_INF: Final = float("inf")


class NotPlain(ValueError):  # noqa: N818 - a turn in the road, not a fault
    """Not to be read this way; it says nothing about whether it is right."""


READ_ERRORS: Final = (IndexError, ValueError, struct.error)


class Layout(NamedTuple):
    """What the fields of a writer's schema hold after the required ones, and where each goes."""

    kinds: tuple[int, ...]
    slots: tuple[int, ...]
    long: tuple[bool, ...]
    """Whether a text is one of the long ones."""


def _canonical_fields(schema: Any) -> list[tuple[str, str]]:
    """Name and type (as comparable text) of each field of a record."""
    canonical = json.loads(schemas.canonical_form(schema))
    return [(field["name"], json.dumps(field["type"])) for field in canonical["fields"]]


_PACKAGED: Final = _canonical_fields(json.loads(schemas.text("touchpoint")))
_KIND_OF: Final[dict[str, int]] = {
    type_: {
        "customer_id": _TEXT,
        "sent_at": _LONG,
        "value": _DOUBLE,
        "retried": _FLAG,
        "properties": _PROPERTIES,
        "traits": _TRAITS,
        "consent": _CONSENT,
    }[name]
    for name, type_ in _PACKAGED
    if name in {"customer_id", "sent_at", "value", "retried", "properties", "traits", "consent"}
}


def _short(schema: dict[str, Any]) -> str:
    return str(schema.get("name")).rpartition(".")[2]


def layout_of(schema: Any) -> Layout | None:
    """How to read what that schema writes; None if it is not close enough to the packaged one.

    Close enough: the same three required fields first, then only fields that may be null, of types that the packaged
    schema has, and those of known names of the same type. That is every version under FULL_TRANSITIVE that did not
    invent a new type; a field unknown here is read and dropped.
    """
    if not isinstance(schema, dict) or schema.get("type") != "record" or _short(schema) != "Touchpoint":
        return None
    fields = _canonical_fields(schema)
    known = dict(_PACKAGED)
    if fields[:_REQUIRED] != _PACKAGED[:_REQUIRED]:
        return None
    rest = fields[_REQUIRED:]
    if any(type_ not in _KIND_OF or known.get(name, type_) != type_ for name, type_ in rest):
        return None
    return Layout(
        kinds=tuple(_KIND_OF[type_] for _, type_ in rest),
        slots=tuple(_FIELDS.index(name) if name in known else _WIDTH for name, _ in rest),
        long=tuple(name in LONG_TEXTS for name, _ in rest),
    )


def read(v: bytes, p: int, record: Record, limits: Limits, layout: Layout) -> Touchpoint:
    """The touchpoint whose body begins at byte ``p`` of ``v``; it must end where ``v`` ends."""
    out = _BLANK.copy()
    n = _LENGTH[v[p]]
    if n >= 0:
        e = (p := p + 1) + n
        event_id = v[p:e].decode()
        p = e
    else:
        event_id, p = _long_text(v, p, limits.name_characters)
    n = _LENGTH[v[p]]
    if n >= 0:
        e = (p := p + 1) + n
        kind = v[p:e].decode()
        p = e
    else:
        kind, p = _long_text(v, p, limits.name_characters)
    occurred_at, p = _long(v, p)
    if not event_id or not kind or kind.startswith(RESERVED_PREFIX) or not 0 <= occurred_at <= LATEST_MS:
        raise NotPlain
    out[0] = event_id
    out[1] = kind
    out[2] = occurred_at
    out[3] = record.offset
    out[4] = record.key
    time = record.timestamp
    if time is not None and time >= 0:
        out[5] = time
    kinds, slots, long = layout
    fields = len(kinds)
    find = v.translate(_MARKS).find
    i = 0
    while i < fields:
        b = v[p]
        if b == 0:
            e = find(b"\1", p)
            if e < 0:
                e = len(v)
            i += e - p
            p = e
            if i >= fields:
                break
            b = v[p]
        if b != 2:
            raise NotPlain
        holds = kinds[i]
        if holds == _TEXT:
            n = _LENGTH[v[p + 1]]
            if n >= 0:
                e = (p := p + 2) + n
                out[slots[i]] = v[p:e].decode()
                p = e
            else:
                most = limits.text_characters if long[i] else limits.name_characters
                out[slots[i]], p = _long_text(v, p + 1, most)
        elif holds == _PROPERTIES:
            out[slots[i]], p = _properties(v, p + 1, limits)
        elif holds == _LONG:
            out[slots[i]], p = _long(v, p + 1)
        elif holds == _DOUBLE:
            x = _double(v, p + 1)[0]
            if not -_INF < x < _INF:
                raise NotPlain
            out[slots[i]] = x
            p += 9
        elif holds == _FLAG:
            n = v[p + 1]
            if n > 1:
                raise NotPlain
            out[slots[i]] = n == 1
            p += 2
        elif holds == _TRAITS:
            out[slots[i]], p = _properties(v, p + 1, limits, lists=False)
        else:
            out[slots[i]], p = _consent(v, p + 1, limits)
        i += 1
    if p != len(v) or i != fields:
        raise NotPlain
    out.pop()
    if not out[_CUSTOMER]:
        out[_CUSTOMER] = None
        if not out[_ANONYMOUS]:
            raise NotPlain
    elif out[_ANONYMOUS] == "":
        out[_ANONYMOUS] = None
    sent_at = out[_SENT]
    if sent_at is not None and not 0 <= sent_at <= LATEST_MS:
        raise NotPlain
    if out[_OUTCOME] is None:
        out[_OUTCOME] = OUTCOME_OF.get(kind)
    return Touchpoint(*out)


def _properties(v: bytes, p: int, limits: Limits, *, lists: bool = True) -> tuple[dict[str, Any], int]:
    out: dict[str, Any] = {}
    room = limits.properties
    listed = limits.listed
    while True:
        n = v[p]
        p += 1
        if n == 0:
            return out, p
        if n & 1 or n > 127:
            n, p = _long(v, p - 1)
            if n < 0:
                raise NotPlain
        else:
            n >>= 1
        room -= n
        if room < 0:
            raise NotPlain
        for _ in range(n):
            n = _LENGTH[v[p]]
            if n >= 0:
                e = (p := p + 1) + n
                key = v[p:e].decode()
                p = e
            else:
                key, p = _long_text(v, p, limits.name_characters)
            b = v[p]
            if b == 8:
                n = _LENGTH[v[p + 1]]
                if n >= 0:
                    e = (p := p + 2) + n
                    out[key] = v[p:e].decode()
                    p = e
                else:
                    out[key], p = _long_text(v, p + 1, limits.text_characters)
            elif b < 8:
                out[key], p = _scalar(v, p, limits)
            elif b == 10 and lists:
                out[key], p, listed = _list(v, p + 1, limits, listed)
            else:
                raise NotPlain


def _list(v: bytes, p: int, limits: Limits, room: int) -> tuple[list[Any], int, int]:
    out: list[Any] = []
    while True:
        n, p = _long(v, p)
        if n == 0:
            return out, p, room
        room -= n
        if n < 0 or room < 0:
            raise NotPlain
        for _ in range(n):
            if v[p] != 10:
                x, p = _scalar(v, p, limits)
                out.append(x)
                continue
            item, p = _properties(v, p + 1, limits, lists=False)
            room -= len(item)
            if room < 0:
                raise NotPlain
            out.append(item)


def _consent(v: bytes, p: int, limits: Limits) -> tuple[dict[str, bool | None], int]:
    out: dict[str, bool | None] = {}
    while True:
        n, p = _long(v, p)
        if n == 0:
            return out, p
        if n < 0 or n > limits.properties - len(out):
            raise NotPlain
        for _ in range(n):
            key, p = _long_text(v, p, limits.name_characters)
            if v[p] == 0:
                out[key] = None
                p += 1
            elif v[p] == 2 and v[p + 1] < 2:
                out[key] = v[p + 1] == 1
                p += 2
            else:
                raise NotPlain


def _scalar(v: bytes, p: int, limits: Limits) -> tuple[Any, int]:
    b = v[p]
    if b == 8:
        return _long_text(v, p + 1, limits.text_characters)
    if b == 6:
        x = _double(v, p + 1)[0]
        if not -_INF < x < _INF:
            raise NotPlain
        return x, p + 9
    if b == 4:
        return _long(v, p + 1)
    if b == 2:
        if v[p + 1] > 1:
            raise NotPlain
        return v[p + 1] == 1, p + 2
    if b == 0:
        return None, p + 1
    raise NotPlain


def _long_text(v: bytes, p: int, most: int) -> tuple[str, int]:
    n, p = _long(v, p)
    e = p + n
    if n < 0 or e > len(v):
        raise NotPlain
    text = v[p:e].decode()
    if len(text) > most:
        raise NotPlain
    return text, e


def _long(v: bytes, p: int) -> tuple[int, int]:
    b = v[p]
    p += 1
    n = b & 127
    shift = 7
    while b > 127:
        b = v[p]
        p += 1
        n |= (b & 127) << shift
        shift += 7
        if shift > 70:
            raise NotPlain
    n = (n >> 1) ^ -(n & 1)
    if not -INT64 <= n < INT64:
        raise NotPlain
    return n, p
