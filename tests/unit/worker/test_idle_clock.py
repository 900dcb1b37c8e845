"""The idle clock: only silence that is known moves time, and never past now less the allowed lateness."""

from __future__ import annotations

from streams.worker.idle import IdleClock

WALL = 1_800_000_000.0
LATENESS = 30_000


def limit(clock: IdleClock, now: float, *, at_end: bool = True, answered: float | None = 0.0) -> int | None:
    """``answered``: seconds ago; None: never."""
    wall = WALL + now
    return clock.limit_ms(
        now, wall, at_end=at_end, answered_at_s=None if answered is None else wall - answered, lateness_ms=LATENESS
    )


def test_it_stands_until_idle_after_has_passed() -> None:
    clock = IdleClock(2_000, 0.0)
    assert limit(clock, 1.9) is None
    assert limit(clock, 2.0) == int((WALL + 2.0) * 1000) - LATENESS


def test_a_touchpoint_begins_the_silence_anew() -> None:
    clock = IdleClock(2_000, 0.0)
    clock.disturbed(1.5)
    assert limit(clock, 3.4) is None
    assert limit(clock, 3.5) is not None


def test_a_backlog_is_no_silence() -> None:
    clock = IdleClock(2_000, 0.0)
    assert limit(clock, 10.0, at_end=False) is None
    assert limit(clock, 11.9) is None
    assert limit(clock, 12.0) is not None


def test_an_outage_is_no_silence() -> None:
    clock = IdleClock(2_000, 0.0)
    assert limit(clock, 10.0, answered=1.1) is None
    assert limit(clock, 11.0, answered=None) is None
    assert limit(clock, 12.9) is None
    assert limit(clock, 13.0, answered=1.0) is not None
