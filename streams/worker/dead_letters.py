"""The share of dead letters among a partition's latest records, and when it is too large (semantics, rule 22)."""

from __future__ import annotations

from collections import deque


class DeadLetterWindow:
    """Counts by chunks; ``limit`` is a share of ``window_records``, so that few records never trip it."""

    def __init__(self, limit: float, window_records: int) -> None:
        self._most = limit * window_records
        self._window = window_records
        self._chunks: deque[tuple[int, int]] = deque()
        self.records = 0
        self.dead = 0

    def add(self, records: int, dead: int) -> None:
        self._chunks.append((records, dead))
        self.records += records
        self.dead += dead
        while self._chunks and self.records - self._chunks[0][0] >= self._window:
            left, gone = self._chunks.popleft()
            self.records -= left
            self.dead -= gone

    @property
    def tripped(self) -> bool:
        return self.dead >= self._most > 0

    def reset(self) -> None:
        self._chunks.clear()
        self.records = self.dead = 0
