"""The profiles of one partition, hot (objects) and cold (their encoded bytes), and the partition's timers.

Owns what is in memory, what has changed since the last commit, and the heap of next timers. A profile that nobody has
touched for long costs its encoded bytes only; a restore decodes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final

from msgspec import msgpack

from streams.engine.state import KEY_PREFIX, Profile, decode, encode, next_due

Entry = tuple[int, str]
"""(due, profile id). Python compares texts by code point, which is the order of their UTF-8 bytes (semantics)."""
HEAP_ROOM: Final = 1000
"""Superseded timers that may always wait in the heap."""


class Store:
    def __init__(self, hot_profiles: int) -> None:
        self.limit: Final = hot_profiles
        self.hot: dict[str, Profile] = {}
        self.cold: dict[str, bytes] = {}
        self.touched: dict[str, Profile | None] = {}
        """Changed since the last ``changed()``; None: forgotten."""
        self.heap: list[Entry] = []
        self.heap_limit = HEAP_ROOM
        self.cold_bytes = 0
        self.waiting = 0
        """Snapshots of scores that wait for their labels, as of the last count."""
        self._counted: dict[str, int] = {}
        """Hot profile -> how many of them are its own."""

    def __len__(self) -> int:
        return len(self.hot) + len(self.cold)

    def __contains__(self, profile_id: str) -> bool:
        return profile_id in self.hot or profile_id in self.cold

    def get(self, profile_id: str) -> Profile | None:
        p = self.hot.get(profile_id)
        if p is None:
            blob = self.cold.pop(profile_id, None)
            if blob is None:
                return None
            self.cold_bytes -= len(blob)
            p = self.hot[profile_id] = decode(blob)
            if p.risks:
                self._counted[profile_id] = _waiting(p)
        return p

    def everyone(self, naming: str = "") -> Iterator[tuple[Profile, bool]]:
        """Each profile, by its id, and whether it was kept as bytes. ``naming``: of those that are kept as bytes only
        the ones that hold this text as a value, so that the others need not be decoded."""
        text = msgpack.encode(naming) if naming else b""
        cold_ones = (profile_id for profile_id, blob in self.cold.items() if text in blob)
        for profile_id in sorted([*self.hot, *cold_ones], key=str.encode):
            cold = profile_id in self.cold
            p = self.get(profile_id)
            if p is not None:
                yield p, cold

    def add(self, p: Profile) -> None:
        self.hot[p.id] = p

    def forget(self, p: Profile) -> None:
        del self.hot[p.id]
        self.touched[p.id] = None
        self.waiting -= self._counted.pop(p.id, 0)

    def count(self) -> int:
        """Snapshots that wait for their labels, over all profiles."""
        for p in self.touched.values():
            if p is not None and p.risks:
                self._count(p)
        return self.waiting

    def _count(self, p: Profile) -> None:
        now = _waiting(p)
        self.waiting += now - self._counted.get(p.id, 0)
        self._counted[p.id] = now

    def push(self, p: Profile, due: int) -> None:
        heap = self.heap
        heappush(heap, (due, p.id))
        if len(heap) > self.heap_limit:
            self._tidy()

    def postpone(self, p: Profile, due: int) -> None:
        """The earliest entry of the heap is that profile's, and its timer is due later: what ``push`` does, at once."""
        heapreplace(self.heap, (due, p.id))

    def _tidy(self) -> None:
        """Drop what is superseded: a timer far ahead, moved on with each visit, would wait there for its time."""
        heap = self.heap
        heap[:] = [entry for entry in dict.fromkeys(heap) if self._due(entry[1]) == entry[0]]
        heapify(heap)
        self.heap_limit = 2 * len(heap) + HEAP_ROOM

    def _due(self, profile_id: str) -> int:
        """When its next timer is due, as far as is known; -1 if there is no such profile."""
        p = self.hot.get(profile_id)
        if p is not None:
            return p.next_due
        blob = self.cold.get(profile_id)
        return next_due(blob) if blob is not None else -1

    def first(self) -> Entry | None:
        """The earliest entry of the heap that is not superseded (its profile may still find it too early)."""
        heap = self.heap
        while heap:
            entry = heap[0]
            if self._due(entry[1]) == entry[0]:
                return entry
            heappop(heap)
        return None

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Changelog records since the last call."""
        records: list[tuple[bytes, bytes | None]] = []
        for profile_id, p in self.touched.items():
            key = KEY_PREFIX + profile_id.encode()
            if p is None:
                if profile_id not in self:
                    records.append((key, None))
                continue
            if p.risks:
                self._count(p)
            records.append((key, encode(p)))
        self.touched.clear()
        if len(self.hot) > self.limit:
            self._cool()
        return records

    def _cool(self) -> None:
        """Keep the half that was loaded last as objects."""
        for profile_id in list(self.hot)[: len(self.hot) - self.limit // 2]:
            self.cool(self.hot[profile_id])

    def cool(self, p: Profile) -> None:
        """Keep it as bytes; it must have no changes that are not taken yet."""
        del self.hot[p.id]
        self._counted.pop(p.id, None)
        blob = self.cold[p.id] = encode(p)
        self.cold_bytes += len(blob)

    def restore(self, records: dict[bytes, bytes]) -> None:
        skip = len(KEY_PREFIX)
        self.cold = {key[skip:].decode(): blob for key, blob in records.items()}
        self.cold_bytes = sum(map(len, self.cold.values()))
        self.hot = {}
        self.touched = {}
        self._counted = {}
        self.heap = [(next_due(blob), profile_id) for profile_id, blob in self.cold.items()]
        heapify(self.heap)
        self.heap_limit = 2 * len(self.heap) + HEAP_ROOM


def _waiting(p: Profile) -> int:
    return sum(len(risk.waiting) for risk in p.risks.values())
