"""Local time: quiet hours, opening hours and calendar days in a time zone, clock changes included.

Owns the rule for what the clock skips or shows twice: a period is judged by what the clock on the wall shows, and ends
(or begins) at the first instant at which it shows that time or, where it skips it, a later one.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from streams.definitions.policy import DAY_MS, Hours

_NEVER_ENDS: Final = 16
"""Periods one after the other without a gap beyond which there is none."""
_LAST: Final = 253_402_300_800_000 - 16 * DAY_MS
"""Half of December 9999: the calendar ends before the next opening is found. Clocks stand still from then on, and
nothing ends or opens any more."""


@lru_cache(maxsize=1)
def zones() -> dict[str, ZoneInfo]:
    """Every zone by its IANA name, from the pinned package and not from the machine, so that all workers agree. Some
    200 ms, once, where a definition needs local times."""
    zoneinfo.reset_tzpath(())
    try:
        return {name: ZoneInfo.no_cache(name) for name in sorted(zoneinfo.available_timezones())}
    finally:
        zoneinfo.reset_tzpath()


def local(t: int, zone: ZoneInfo) -> datetime:
    """What the clock shows at ``t`` (ms), to the second."""
    return datetime.fromtimestamp(min(t, _LAST) // 1000, zone)


def instant(day: date, minute: int, zone: ZoneInfo) -> int:
    """First ms at which the clock shows that minute of the day (0 to 1440), or a later time where it skips it."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    first = int(wall.replace(tzinfo=zone).timestamp())
    if local(first * 1000, zone).replace(tzinfo=None) == wall:
        return first * 1000
    before = int(wall.replace(tzinfo=zone, fold=1).timestamp())
    offset = local(before * 1000, zone).utcoffset()
    after = first
    while after - before > 1:
        middle = (before + after) // 2
        if local(middle * 1000, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after * 1000


def inside(hours: Hours, at: datetime) -> bool:
    minute = at.hour * 60 + at.minute
    day = at.weekday()
    if hours.to_minute > hours.from_minute:
        return hours.from_minute <= minute < hours.to_minute and day in hours.days
    if minute >= hours.from_minute:
        return day in hours.days
    return minute < hours.to_minute and (day - 1) % 7 in hours.days


def quiet_until(t: int, periods: Sequence[Hours], zone: ZoneInfo) -> int | None:
    """``t`` itself if it lies in none of the periods, else the first ms after them; None if they never end."""
    for _ in range(_NEVER_ENDS):
        if t > _LAST:
            return None
        at = local(t, zone)
        found = next((hours for hours in periods if inside(hours, at)), None)
        if found is None:
            return t
        over_midnight = found.to_minute <= found.from_minute and at.hour * 60 + at.minute >= found.from_minute
        t = instant(at.date() + timedelta(days=over_midnight), found.to_minute, zone)
    return None


def open_from(t: int, hours: Sequence[Hours], zone: ZoneInfo) -> int | None:
    """``t`` itself if it is open then, else when it opens next; None if it never does."""
    at = local(t, zone)
    if any(inside(one, at) for one in hours):
        return t
    if t > _LAST:
        return None
    found = []
    for one in hours:
        for ahead in range(9):
            day = at.date() + timedelta(days=ahead)
            opens = instant(day, one.from_minute, zone)
            if day.weekday() in one.days and opens > t and inside(one, local(opens, zone)):
                found.append(opens)
                break
    return min(found, default=None)


def day_start(t: int, days: int, zone: ZoneInfo) -> int:
    """When the first of the last ``days`` calendar days began, today included."""
    return instant(local(t, zone).date() - timedelta(days=days - 1), 0, zone)
