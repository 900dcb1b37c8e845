"""The idle clock of a partition: when silence is silence, and how far time may move by itself (semantics, rule 8).

Pure: the caller passes every time. ``now_s`` is monotonic, ``wall_s`` the wall clock.
"""

from __future__ import annotations

from typing import Final

ANSWER_WITHIN_S: Final = 1.0
"""The log's end counts as known for so long after a fetch was answered."""


class IdleClock:
    def __init__(self, idle_after_ms: int, now_s: float) -> None:
        self._idle_after_s = idle_after_ms / 1000
        self._silent_since_s = now_s

    def disturbed(self, now_s: float) -> None:
        """Touchpoints came, or something failed, or the partition was assigned: silence begins anew."""
        self._silent_since_s = now_s

    def limit_ms(
        self, now_s: float, wall_s: float, *, at_end: bool, answered_at_s: float | None, lateness_ms: int
    ) -> int | None:
        """How far the watermark may be moved now; None while the partition is not known to be silent."""
        if not at_end or answered_at_s is None or wall_s - answered_at_s > ANSWER_WITHIN_S:
            # Neither an outage nor a backlog counts as silence.
            self._silent_since_s = now_s
            return None
        if now_s - self._silent_since_s < self._idle_after_s:
            return None
        return int(wall_s * 1000) - lateness_ms
