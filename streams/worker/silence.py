"""What a partition may do while nothing arrives: how far its time may move, and when its position is written anew.

Owns where silence is looked for: the end of the log as the brokers last told it, and everything read up to there.
``idle`` owns the clock; the caller passes every time (``now_s`` monotonic, ``wall_s`` the wall clock).
"""

from __future__ import annotations

from typing import Final

from streams.worker.idle import IdleClock, is_answered
from streams.worker.ports import Feed, Work

REFRESH_S: Final = 3_600.0
"""How often an idle partition writes a position that only stepped over control records."""


class Silence:
    def __init__(self, partition: int, feed: Feed, idle_after_ms: int, now_s: float) -> None:
        self._partition = partition
        self._feed = feed
        self._clock = IdleClock(idle_after_ms, now_s)
        self._written_at = now_s
        self._written_next = 0

    def disturbed(self, now_s: float) -> None:
        """Silence begins anew."""
        self._clock.disturbed(now_s)

    def listen(self, now_s: float, wall_s: float) -> None:
        """To be called several times a second while the partition is read."""
        end = self._feed.end(self._partition)
        self._clock.heard(now_s, answered=is_answered(end.answered_at if end else None, wall_s))

    def written(self, next_offset: int, now_s: float) -> None:
        """A marker with that position is in the changelog."""
        self._written_next, self._written_at = next_offset, now_s

    def limit_ms(self, processing: Work, now_s: float, wall_s: float) -> int | None:
        """How far time may move by itself now (semantics, rule 8); None while the partition is not silent."""
        end, position = self._feed.end(self._partition), self._feed.next_offset(self._partition)
        at_end = (
            end is not None and position is not None and position >= end.last_stable and self._all_arrived(processing)
        )
        return self._clock.limit_ms(
            now_s,
            wall_s,
            at_end=at_end,
            answered_at_s=end.answered_at if end else None,
            lateness_ms=processing.lateness_ms,
        )

    def refresh_due(self, processing: Work, now_s: float) -> bool:
        """The position only stepped over control records: written hourly, or retention would look like loss."""
        position = self._feed.next_offset(self._partition)
        return (
            position is not None
            and position > self._written_next
            and now_s - self._written_at > REFRESH_S
            and self._all_arrived(processing)
        )

    def _all_arrived(self, processing: Work) -> bool:
        """What the feed has handed over is processed: nothing is on its way."""
        return self._feed.delivered(self._partition) == processing.position
