"""The dead letter: a record that could not be taken, with its position and the reason.

Owns the field names (those of ``avro/dead_letter.avsc``). It carries no wall-clock time (semantics, rule 1): a replay
of the same log writes the same dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.contracts.record import Record
from streams.contracts.touchpoint import Rejection


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


def dead_letter(rejection: Rejection, record: Record, topic: str, partition: int) -> DeadLetter:
    """The dead letter of a record: everything needed to look at it, repair it and send it again."""
    headers: Sequence[tuple[str, bytes]] = record.headers or ()
    return DeadLetter(
        reason=rejection.reason,
        topic=topic,
        partition=partition,
        offset=record.offset,
        detail=rejection.detail,
        recorded_at=record.timestamp if record.timestamp is not None and record.timestamp >= 0 else None,
        key=record.key,
        value=record.value,
        headers=[Header(name, value) for name, value in headers],
    )
