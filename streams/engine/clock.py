"""Event time: correction of wrong clocks and the watermark of a partition (semantics, rules 4 and 5)."""

from __future__ import annotations

from typing import Final

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Time

SKEW_SUSPECTED_MS: Final = 5 * 60_000
"""Beyond this difference of record time and ``sent_at`` the producer's clock is taken to be wrong."""

TRUSTED = 0
CORRECTED = 1
CUT = 2


def corrected(tp: Touchpoint, time: Time) -> tuple[int, int]:
    """(event time in ms, TRUSTED | CORRECTED | CUT).

    Segment's rule: receivedAt - (sentAt - timestamp) where the producer's clock is wrong, which only shows when the
    touchpoint was not held back for a stated retry. Never later than record time + permitted skew.
    """
    t = tp.occurred_at
    record = tp.record_time
    if record is None:
        return t, TRUSTED
    how = TRUSTED
    sent = tp.sent_at
    if sent is not None and not tp.retried and abs(record - sent) > SKEW_SUSPECTED_MS:
        t = max(0, t + record - sent)
        how = CORRECTED
    if t > record + time.permitted_skew_ms:
        return record + time.permitted_skew_ms, CUT
    return t, how


def candidate(t: int, record: int | None, lateness_ms: int) -> int:
    """Where a touchpoint would move the watermark: a clock that is ahead moves it no further than its record's time."""
    return (t if record is None or t < record else record) - lateness_ms
