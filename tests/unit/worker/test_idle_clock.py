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


def test_after_an_outage_producers_are_given_time_to_come_back() -> None:
    clock = IdleClock(2_000, 0.0)
    clock.heard(5.0, answered=True)
    clock.heard(6.0, answered=False)
    clock.heard(9.0, answered=False)
    clock.heard(11.0, answered=True)  # away for five seconds
    clock.disturbed(11.5)
    assert limit(clock, 17.9) is None
    assert limit(clock, 18.0) is not None


def test_however_long_the_outage_was_the_longest_pause_of_producers_is_enough() -> None:
    clock = IdleClock(2_000, 0.0)
    clock.heard(100.0, answered=False)
    clock.heard(900.0, answered=True)
    assert limit(clock, 911.9) is None
    assert limit(clock, 912.0) is not None


def test_who_has_always_answered_was_not_away() -> None:
    clock = IdleClock(2_000, 0.0)
    for second in range(10):
        clock.heard(float(second), answered=True)
    assert limit(clock, 10.0) is not None
