"""The worker's own record in the changelog of a partition: how far it has come and under which conditions.

Owns its key, fields and encoding. It is written in every transaction, so reading it after ``init_transactions`` tells
which transaction was the last one committed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.engine import formats

KEY: Final = b"m"
PROFILE: Final = b"p"
"""First byte of the keys of profiles: no customer's id can be taken for the marker."""


NEWEST: Final = formats.NEWEST
"""Format of markers and states that this version reads; markers of 1 have neither ``moved_to`` nor ``awaits``."""


class Paused(msgspec.Struct, frozen=True, gc=False):
    """Why a partition stands still, and since which offset of the definitions topic a command may resume it."""

    reason: str
    since: int


class Marker(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    format: int = 1
    """Of the partition's state as a whole (``engine.formats``), and of this record."""
    sequence: int
    """Number of the transaction; the one after a restore continues it."""
    offset: int
    """Last touchpoint applied; -1 before the first."""
    next: int
    """Where reading goes on: past control records that ``offset`` + 1 would stop at."""
    topic_id: str
    """Id of the input topic: a topic made anew has another one."""
    definition: int
    start_issuing_at: int
    watermark: int | None = None
    models: dict[str, str] = {}
    paused: Paused | None = None
    engine: bytes = b""
    """The engine's record of the partition, opaque here."""
    moved_to: int = 0
    """Partitioning that the state has moved to: nobody may go on here. Of format 2, like ``awaits``."""
    awaits: int = 0
    """Partitioning that the state is still to be copied from: nobody may begin here."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Marker)


def encode(marker: Marker) -> bytes:
    return _encoder.encode(marker)


def decode(value: bytes) -> Marker:
    """Raises ``ValueError`` for what is no marker of this version."""
    try:
        marker = _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"a marker that cannot be decoded: {error}") from error
    if marker.format > NEWEST:
        raise ValueError(
            f"a state of format {marker.format}, written by a newer version of the software; this one reads up to "
            f"{NEWEST}"
        )
    return marker
