"""Formats of a partition's stored state: which ones are read, how an older one becomes today's, and the way back.

Owns the numbers. The marker of a partition carries the number of its state as a whole, so that software which does not
know it refuses the partition before it reads a profile. Whatever older software would misread or drop when it writes a
record back makes a new number: a changed meaning, and a field appended to a record. Each number has a step from the one
before and, as long as a roll-back to it is promised, a step back. Profiles of 2 are
read by software of 1, which drops the channel of held decisions: they are decided at their time, without a turn.

=====  =================================================================================================================
1      ``used.queues``: channel -> [start of the window that decisions wait for, how many]
2      ``used.queues``: channel -> ``shares.Queue``, with turns over several windows; a held decision names the channel
       whose turn it has
=====  =================================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from streams.engine.state import PartitionRecord, StateError

NEWEST: Final = 2
OLDEST: Final = 1
"""Of those that are read, and that can be written for a roll-back."""

USED: Final = PartitionRecord.__struct_fields__.index("used")
QUEUES: Final = 2
"""Place of the queues in ``Used``."""


def read(record: bytes, number: int) -> PartitionRecord:
    """A partition's record of format ``number``. Raises ``StateError`` where it cannot be read."""
    if not OLDEST <= number <= NEWEST:
        raise StateError(f"a state of format {number}; this version reads formats {OLDEST} to {NEWEST}")
    try:
        fields = msgspec.msgpack.decode(record)
        for step in range(number, NEWEST):
            fields = UP[step](fields)
        return msgspec.convert(fields, PartitionRecord)
    except (msgspec.MsgspecError, TypeError, LookupError, ValueError) as error:
        raise StateError(f"a partition's record of format {number} cannot be decoded: {error}") from error


def write(record: PartitionRecord, number: int) -> bytes:
    """As software of that format reads it. What it has no words for is put as near as it can say it."""
    if number == NEWEST:
        return msgspec.msgpack.encode(record)
    fields = msgspec.to_builtins(record)
    for step in range(NEWEST, number, -1):
        fields = DOWN[step](fields)
    return msgspec.msgpack.encode(fields)


def _queues(fields: list[Any], changed: Callable[[list[int]], list[int]]) -> list[Any]:
    if len(fields) <= USED or len(fields[USED]) <= QUEUES:
        return fields
    used = list(fields[USED])
    used[QUEUES] = {channel: changed(queue) for channel, queue in used[QUEUES].items()}
    return [*fields[:USED], used, *fields[USED + 1 :]]


def _turns(queue: list[int]) -> list[int]:
    """Those that wait have no turns, they are decided in their window; who comes later comes after that."""
    start, waiting = queue
    return [start, 0, start, waiting]


def _last_window(queue: list[int]) -> list[int]:
    """Who comes later comes after those of the last window."""
    _head, _left, tail, booked = queue
    return [tail, booked]


UP: Final[Mapping[int, Callable[[list[Any]], list[Any]]]] = {1: lambda fields: _queues(fields, _turns)}
DOWN: Final[Mapping[int, Callable[[list[Any]], list[Any]]]] = {2: lambda fields: _queues(fields, _last_window)}
