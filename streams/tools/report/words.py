"""How figures read: shares, differences with intervals, durations, amounts. One form for terminal and page."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from streams.tools.report.statistics import Interval, Rate

NOTHING = "–"


def share(rate: Rate | float | None) -> str:
    value = rate.share if isinstance(rate, Rate) else rate
    return NOTHING if value is None else f"{value:.1%}"


def count_of(rate: Rate) -> str:
    return f"{rate.count:,} ({share(rate)})" if rate.of else NOTHING


def points(interval: Interval | None) -> str:
    """A difference of shares in percentage points with its interval."""
    if interval is None:
        return NOTHING
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.estimate:+.1f} pp [{low:+.1f}, {high:+.1f}]"


def relative(interval: Interval | None) -> str:
    if interval is None:
        return NOTHING
    return f"{interval.estimate:+.1%} [{interval.low:+.1%}, {interval.high:+.1%}]"


def between(interval: Interval | None) -> str:
    """A rate's interval."""
    return NOTHING if interval is None else f"[{interval.low:.1%}, {interval.high:.1%}]"


def amounts(interval: Interval | None) -> str:
    if interval is None:
        return NOTHING
    return f"{interval.estimate:+,.2f} [{interval.low:+,.2f}, {interval.high:+,.2f}]"


def number(value: float | None, digits: int = 1) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    for unit, size, below in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800), ("d", 86_400, float("inf"))):
        if seconds < below:
            return f"{seconds / size:.3g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return NOTHING


def change(now: float | None, before: float | None) -> str:
    """By how much a number changed, relatively."""
    if now is None or not before:
        return NOTHING
    return f"{now / before - 1:+.1%}"


def day(ms: int, zone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d")


def minute(ms: int, zone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
