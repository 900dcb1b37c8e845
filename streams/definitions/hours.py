"""Times of the week as people write them: ``Mon-Fri 09:00-17:00, Sat 10:00-14:00``, and the zones they are in.

Owns reading clock times, days, opening hours and time zones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from streams.definitions.draft import Draft
from streams.definitions.faults import near
from streams.definitions.policy import Hours
from streams.definitions.positions import Node
from streams.definitions.table import one_or_many, read_text

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FULL: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY: Final = frozenset(range(7))
DAY_MINUTES: Final = 1_440
WEEK_MINUTES: Final = 7 * DAY_MINUTES
MAX_HOURS: Final = 50
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_HOURS: Final = re.compile(r"(?:(.*\S)\s+)?(\S+)\s*[-\u2013]\s*(\S+)")
HOURS_HINT: Final = "for example Mon-Fri 09:00-17:00"


def minute_of(text: str) -> int | None:
    """``09:30`` -> 570, ``24:00`` -> 1440; None if it is no time of a day."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour, minute = int(found[1]), int(found[2])
    if minute > 59 or hour > 24 or (hour == 24 and minute):
        return None
    return hour * 60 + minute


def read_clock(node: Node, draft: Draft, what: str, *, end: bool = False) -> int | None:
    """A local time of day as minutes; only an end may be 24:00."""
    if node.kind == "scalar" and isinstance(node.scalar, int) and not isinstance(node.scalar, bool):
        hint = f'write "{node.scalar:02d}:00"' if 0 <= node.scalar < 24 else 'for example "21:00"'
        draft.report.fault(node, f"{what} is a time of day, not {node.spoken}", hint)
        return None
    text = read_text(node, draft.report, what)
    if text is None:
        return None
    minute = minute_of(text)
    if minute is None or (minute == DAY_MINUTES and not end):
        hint = 'write "00:00"' if minute is not None else 'from "00:00" to "23:59", for example "21:00"'
        draft.report.fault(node, f"{what} is {text!r}, which is no time of day", hint)
        return None
    return minute


def days_of(text: str) -> frozenset[int] | str:
    """``Mon-Fri`` or ``Sat`` or ``daily`` -> days, 0 is Monday; else the word that is none."""
    if text.casefold() in ("daily", "every day"):
        return EVERY_DAY
    words = [word.strip() for word in re.split("[-\u2013]", text)]
    found: list[int] = []
    for word in words:
        low = word.casefold()
        if low in _FULL:
            found.append(_FULL.index(low))
        elif low.title() in DAYS:
            found.append(DAYS.index(low.title()))
        else:
            return word
    if len(found) > 2:
        return text
    first, last = found[0], found[-1]
    return frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))


def read_days(node: Node | None, draft: Draft) -> frozenset[int]:
    """A text or a list of them; every day where none is given."""
    if node is None:
        return EVERY_DAY
    out: set[int] = set()
    for item in one_or_many(node, draft.report, "'days'"):
        text = read_text(item, draft.report, "'days'")
        for part in [] if text is None else text.split(","):
            days = _days(part.strip(), item, draft)
            if days is not None and out & days:
                twice = ", ".join(DAYS[day] for day in sorted(out & days))
                draft.report.fault(item, f"a day is given twice in 'days': {twice}")
            out |= days or set()
    return frozenset(out) or EVERY_DAY


def _days(text: str, place: Node, draft: Draft) -> frozenset[int] | None:
    days = days_of(text)
    if isinstance(days, str):
        hint = near(days.title(), (*DAYS, *(name.title() for name in _FULL))) or "for example Mon-Fri, Sat"
        draft.report.fault(place, f"{days!r} is no day of the week", hint)
        return None
    return days


def read_hours(texts: Iterable[tuple[str, Node]], draft: Draft) -> tuple[Hours, ...]:
    """Opening hours; each text is ``[DAYS] HH:MM-HH:MM``, and days alone belong to the next that has a time."""
    out: dict[Hours, None] = {}
    waiting: frozenset[int] = frozenset()
    last: Node | None = None
    for text, place in texts:
        last = place
        if isinstance(days := days_of(text), frozenset):
            waiting |= days
            continue
        found = _HOURS.fullmatch(text)
        start, end = (minute_of(found[2]), minute_of(found[3])) if found else (None, None)
        if found is None or start is None or end is None or start == DAY_MINUTES:
            draft.report.fault(place, f"{text!r} are no opening hours", HOURS_HINT)
            waiting = frozenset()
            continue
        chosen = _days(found[1], place, draft) if found[1] else waiting or EVERY_DAY
        if chosen is None:
            continue
        if start == end:
            draft.report.fault(place, f"{text!r} begins and ends at the same time", "all day is 00:00-24:00")
            continue
        hours = Hours(start, end, chosen | (waiting if found[1] else frozenset()))
        waiting = frozenset()
        if hours in out:
            draft.report.fault(place, f"{text!r} is given twice")
        out[hours] = None
    if waiting and last is not None:
        draft.report.fault(last, "days without a time", HOURS_HINT)
    if len(out) > MAX_HOURS and last is not None:
        draft.report.fault(last, f"more than {MAX_HOURS} opening hours")
    return tuple(out)


def minutes_of_week(hours: Hours) -> Iterable[int]:
    """Every minute of the week that they cover, 0 is Monday 00:00."""
    length = (hours.to_minute - hours.from_minute) % DAY_MINUTES or DAY_MINUTES
    for day in hours.days:
        start = day * DAY_MINUTES + hours.from_minute
        for minute in range(start, start + length):
            yield minute % WEEK_MINUTES


def read_zone(node: Node, draft: Draft) -> str | None:
    """An IANA time zone that exists here."""
    name = read_text(node, draft.report, "'timezone'")
    if name is None:
        return None
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        hint = near(name, available_timezones()) or "an IANA name, for example Europe/London"
        draft.report.fault(node, f"{name!r} is no time zone", hint)
        return None
    return name
