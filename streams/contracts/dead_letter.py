"""The dead letter: a record that could not be taken, with its position and the reason.

Owns the field names (those of ``avro/dead_letter.avsc``). It carries no wall-clock time (semantics, rule 1): a replay
of the same log writes the same dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from streams.contracts.record import Record
from streams.contracts.touchpoint import Rejection

LARGEST_BYTES: Final = 1 << 20
"""For key, headers and value together. The topic allows 64 KiB more, for the rest and the record key.

A broker bounds what it stores after compression, so a record can be far larger than its topic's limit; carried over
whole, it could not be written, and its partition would stand still for ever.
"""
LARGEST_KEY_BYTES: Final = 32 << 10


class Header(msgspec.Struct, gc=False):
    key: str
    value: bytes | None = None


class DeadLetter(msgspec.Struct, gc=False):
    reason: str
    topic: str
    partition: int
    offset: int
    detail: str = ""
    recorded_at: int | None = None
    """When the broker appended the source record (ms)."""
    key: bytes | None = None
    value: bytes | None = None
    headers: list[Header] = []
    value_bytes: int | None = None
    """Size of the source's value; ``value`` is only its beginning where it is shorter."""


def dead_letter(rejection: Rejection, record: Record, topic: str, partition: int) -> DeadLetter:
    """The dead letter of a record: everything needed to look at it, repair it and send it again.

    What is too large is cut, and ``detail`` says so; the whole is at the source's position.
    """
    cut = []
    key = record.key
    if key is not None and len(key) > LARGEST_KEY_BYTES:
        key = key[:LARGEST_KEY_BYTES]
        cut.append(f"key of {len(record.key or b'')} bytes")
    room = LARGEST_BYTES - len(key or b"")
    headers = []
    source: Sequence[tuple[str, bytes]] = record.headers or ()
    for name, content in source:
        size = len(name.encode()) + len(content or b"") + 16
        if size > room // 2:
            cut.append("headers")
            break
        room -= size
        headers.append(Header(name, content))
    value = record.value
    if value is not None and len(value) > room:
        value = value[:room]
        cut.append(f"value of {len(record.value or b'')} bytes")
    time = record.timestamp
    return DeadLetter(
        reason=rejection.reason,
        topic=topic,
        partition=partition,
        offset=record.offset,
        detail=f"{rejection.detail} (cut here: {', '.join(cut)})" if cut else rejection.detail,
        recorded_at=time if time is not None and time >= 0 else None,
        key=key,
        value=value,
        headers=headers,
        value_bytes=None if record.value is None else len(record.value),
    )
