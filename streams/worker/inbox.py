"""Chunks of a partition that wait for the engine: in order without a gap, and no more than memory allows."""

from __future__ import annotations

from collections import deque
from typing import Any

from streams.worker.ports import Feed


class Inbox:
    """Holds the feed of the partition while too much waits, and lets it go on when half of that is left."""

    def __init__(self, partition: int, feed: Feed, most_records: int) -> None:
        self._partition = partition
        self._feed = feed
        self._most = most_records
        self._chunks: deque[Any] = deque()
        self._records = 0
        self._held = False

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def records(self) -> int:
        return self._records

    @property
    def held(self) -> bool:
        """Too much waits: the partition is not read."""
        return self._held

    def put(self, chunk: Any, position: int) -> bool:
        """Takes a chunk that continues what is here (or ``position``, if nothing is); False if it was dropped."""
        expected = self._chunks[-1].next if self._chunks else position
        if chunk.start > expected:
            # Something was dropped on the way: read it again.
            self._feed.read_from(self._partition, expected)
            return False
        if chunk.next <= expected:
            return False
        self._chunks.append(chunk)
        self._records += len(chunk.records)
        if self._records > self._most and not self._held:
            self._held = True
            self._feed.hold(self._partition)
        return True

    def first(self) -> Any:
        return self._chunks[0]

    def pop(self) -> None:
        self._records -= len(self._chunks.popleft().records)
        if self._records * 2 <= self._most:
            self._release()

    def clear(self) -> None:
        self._chunks.clear()
        self._records = 0
        self._release()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._feed.release(self._partition)
