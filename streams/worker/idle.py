"""The idle clock of a partition: when silence is silence, and how far time may move by itself (semantics, rule 8).

Pure: the caller passes every time. ``now_s`` is monotonic, ``wall_s`` the wall clock.
"""

from __future__ import annotations

from typing import Final

ANSWER_WITHIN_S: Final = 1.0
"""The log's end counts as known for so long after a fetch was answered."""
RECONNECT_S: Final = 10.0
"""Longest pause of producers before they try a broker again (librdkafka's ``reconnect.backoff.max.ms``; Java's is 1 s).
It doubles while the outage lasts, so that it is never longer than the outage was."""


class IdleClock:
    def __init__(self, idle_after_ms: int, now_s: float) -> None:
        self._idle_after_s = idle_after_ms / 1000
        self._silent_since_s = now_s
        self._away_since_s: float | None = None
        """Since when the brokers have not answered."""
        self._producers_back_s = now_s
        """When those who have something to say can be expected to be connected again."""

    def disturbed(self, now_s: float) -> None:
        """Touchpoints came, or something failed, or the partition was assigned: silence begins anew."""
        self._silent_since_s = max(now_s, self._producers_back_s)

    def heard(self, now_s: float, *, answered: bool) -> None:
        """Told several times a second while the partition is read: do the brokers answer?

        After an outage, what happened meanwhile waits at the producers, which may come back later than this worker.
        """
        if not answered:
            if self._away_since_s is None:
                self._away_since_s = now_s
        elif self._away_since_s is not None:
            self._producers_back_s = now_s + min(now_s - self._away_since_s, RECONNECT_S)
            self._away_since_s = None
            self.disturbed(now_s)

    def limit_ms(
        self, now_s: float, wall_s: float, *, at_end: bool, answered_at_s: float | None, lateness_ms: int
    ) -> int | None:
        """How far the watermark may be moved now; None while the partition is not known to be silent."""
        if not at_end or not is_answered(answered_at_s, wall_s):
            # Neither an outage nor a backlog counts as silence.
            self.disturbed(now_s)
            return None
        if now_s - self._silent_since_s < self._idle_after_s:
            return None
        return int(wall_s * 1000) - lateness_ms


def is_answered(answered_at_s: float | None, wall_s: float) -> bool:
    """Whether the end of the log is known as of now."""
    return answered_at_s is not None and wall_s - answered_at_s <= ANSWER_WITHIN_S
