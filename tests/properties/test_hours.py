"""Quiet and opening hours equal brute force, minute by minute, in zones whose clocks change in every possible way."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.contracts.limits import LATEST_MS
from streams.definitions.policy import Hours
from streams.engine.decisions.hours import day_start, inside, local, open_from, quiet_until, zones
from tests.support.worlds import law

M = 60_000
ZONES = (
    "UTC", "Europe/London", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Pacific/Apia", "Africa/Cairo", "America/St_Johns", "Antarctica/Troll",
)  # fmt: skip
"""Half an hour of summer time, a day that was left out, changes at midnight, two hours at once."""
CHANGES = (
    datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC), datetime(2018, 11, 4, tzinfo=UTC), datetime(2018, 2, 18, tzinfo=UTC),
    datetime(2026, 4, 5, tzinfo=UTC), datetime(2026, 10, 4, tzinfo=UTC), datetime(2011, 12, 30, tzinfo=UTC),
    datetime(2026, 4, 24, tzinfo=UTC), datetime(2026, 10, 30, tzinfo=UTC),
)  # fmt: skip

TIMES = st.tuples(st.sampled_from(CHANGES), st.integers(-36 * 60, 36 * 60), st.sampled_from([0, 0, 1, 59_999])).map(
    lambda found: int(found[0].timestamp()) * 1000 + found[1] * M + found[2]
)
DAYS = st.sets(st.integers(0, 6), min_size=1).map(frozenset)
HOURS = st.builds(Hours, st.integers(0, 1439), st.integers(0, 1440), st.one_of(st.just(frozenset(range(7))), DAYS))
PLACES = st.sampled_from(ZONES)


def first(t: int, within_minutes: int, zone: ZoneInfo, periods: list[Hours], *, wanted: bool) -> int | None:
    """The first ms from ``t`` on at which the clock is in one of the periods, or in none."""
    for n in range(within_minutes):
        at = t if n == 0 else (t // M + n) * M
        if any(inside(one, local(at, zone)) for one in periods) is wanted:
            return at
    return None


@law(150)
@given(TIMES, st.lists(HOURS, min_size=1, max_size=2), PLACES)
@example(int(datetime(2026, 3, 29, tzinfo=UTC).timestamp()) * 1000, [Hours(21 * 60, 90)], "Europe/London")
@example(int(datetime(2026, 10, 24, 23, tzinfo=UTC).timestamp()) * 1000, [Hours(21 * 60, 90)], "Europe/London")
def test_quiet_hours_end_at_the_first_minute_that_is_not_quiet(t: int, periods: list[Hours], name: str) -> None:
    zone = zones()[name]
    found = quiet_until(t, periods, zone)
    expected = first(t, 9 * 24 * 60, zone, periods, wanted=False)
    if expected is None or found is None:
        assert found is None or found > t + 8 * 24 * 60 * M
    else:
        assert found == expected


@law(100)
@given(TIMES, st.lists(HOURS, min_size=1, max_size=2), PLACES)
def test_a_channel_opens_at_the_first_minute_that_is_open(t: int, periods: list[Hours], name: str) -> None:
    zone = zones()[name]
    found = open_from(t, periods, zone)
    expected = first(t, 8 * 24 * 60, zone, periods, wanted=True)
    if expected is not None:
        assert found == expected


@law(100)
@given(TIMES, st.integers(1, 30), PLACES)
def test_a_day_begins_when_the_clock_first_shows_its_date(t: int, days: int, name: str) -> None:
    zone = zones()[name]
    start = day_start(t, days, zone)
    assert start <= t
    today, then = local(t, zone).date(), local(start, zone).date()
    assert (today - then).days == days - 1 or (name == "Pacific/Apia" and then.year == 2011)
    assert local(start - 1, zone).date() < then


def test_zones_are_those_of_the_package() -> None:
    found = zones()
    assert {"UTC", "Europe/London", "America/Argentina/Buenos_Aires"} <= set(found)
    assert len(found) > 400
    assert found is zones()


@pytest.mark.parametrize("minute", [0, 1440])
def test_all_day_long_never_ends(minute: int) -> None:
    assert quiet_until(0, [Hours(0, minute)], zones()["Europe/London"]) is None
    assert open_from(5, [Hours(0, minute)], zones()["Europe/London"]) == 5


@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "America/New_York"])
@pytest.mark.parametrize("before_end", [0, 12 * 3_600_000, 9 * 86_400_000])
def test_at_the_end_of_the_calendar_nothing_ends_or_opens_any_more(name: str, before_end: int) -> None:
    t, zone = LATEST_MS - before_end, zones()[name]
    assert quiet_until(t, [Hours(0, 1440)], zone) is None
    assert open_from(t, [], zone) is None
    assert day_start(t, 7, zone) <= t
