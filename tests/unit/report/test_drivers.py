"""What moves customers: no effect is found where there is none, one is found where there is one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streams.tools.report.drivers import DriverFigures, MovedFigures, rest_of
from streams.tools.report.records import Record, Touch
from streams.tools.report.report import Report, report_of
from streams.tools.report.statistics import Moments, Rate
from streams.tools.report.terminal import tables
from tests.unit.report.stories import (
    DAY,
    HOUR,
    MINUTE,
    by_customer,
    definition,
    entered,
    found,
    frame,
    goal,
    left,
    touch,
)


def reported(records: Sequence[Record], **changes: Any) -> Report:
    loaded = definition()
    return report_of(loaded, frame(loaded, **changes), by_customer(records))


def drivers(records: Sequence[Record]) -> DriverFigures:
    (one,) = reported(records).drivers
    return one


def moved(records: Sequence[Record], kind: str) -> MovedFigures:
    return next(one for one in drivers(records).moved if (one.stage, one.type) == ("look", kind))


def people(n: int, seed: int, chance: float, with_it: float) -> list[Record]:
    """Each minute a customer in the stage may chat (1 in 30) and may come on (``chance``; after a chat ``with_it``);
    after two hours the others are gone.
    """
    rng = random.Random(seed)
    records: list[Record] = []
    for i in range(n):
        who = f"c{i}"
        records.append(entered("look", 0, who))
        chatted = False
        for minute in range(1, 120):
            if rng.random() < 1 / 30:
                records.append(touch("Message Sent", minute * MINUTE, who))
                chatted = True
            if rng.random() < (with_it if chatted else chance):
                at = minute * MINUTE + 1
                records += [left("look", at, "advanced", who, s=at / 1000), entered("cart", at, who)]
                break
        else:
            records.append(left("look", 2 * HOUR, "expired", who, touchpoints=5))
    return records


def test_a_touchpoint_without_effect_shows_none_though_who_stays_has_more_of_them() -> None:
    """Half come on, most of them early: whoever never does has had more time to chat."""
    unclear = 0
    for seed in range(20):
        one = moved(people(400, seed, 0.006, 0.006), "Message Sent")
        assert one.difference is not None
        unclear += one.difference.says == "unclear"
    assert unclear >= 17


def test_a_touchpoint_with_an_effect_shows_it() -> None:
    one = moved(people(600, 1, 0.003, 0.03), "Message Sent")
    assert one.difference is not None
    assert one.difference.says == "up"


def test_the_landmark_is_when_a_quarter_had_come_on() -> None:
    """40 come on after 1 to 40 minutes; 20 stay. Half of everybody writes after 5 minutes, the landmark is at 11."""
    records: list[Record] = []
    for n in range(60):
        who = f"c{n}"
        records.append(entered("look", 0, who))
        if n % 2:
            records.append(touch("Message Sent", 5 * MINUTE, who))
        records.append(touch("Page Scrolled", 30 * MINUTE, who))
        if n < 40:
            records.append(left("look", (n + 1) * MINUTE, "advanced", who))
        else:
            records.append(left("look", 5 * HOUR, "expired", who, touchpoints=1))
    one = moved(records, "Message Sent")
    assert one.landmark_s == 11 * 60
    # Of those that were there after 11 minutes: c11 to c59. Until minute 39 (95 %) c11 to c38 came on.
    assert one.with_it == Rate(14, 25)
    assert one.without == Rate(14, 24)
    assert [one.type for one in drivers(records).moved] == ["Message Sent"], "scrolling came after the landmark"


def test_who_entered_too_lately_is_not_judged() -> None:
    records = people(200, 3, 0.05, 0.05)
    late: list[Record] = []
    for n in range(50):
        late += [entered("look", 30 * DAY - 2 * MINUTE, f"l{n}"), touch("Message Sent", 30 * DAY - MINUTE, f"l{n}")]
    assert moved([*records, *late], "Message Sent") == moved(records, "Message Sent")


def test_with_few_nothing_is_said() -> None:
    assert drivers(people(15, 1, 0.05, 0.05)).moved == []


def cart_and_pay(hurt: int, n: int = 60) -> list[Record]:
    """Everybody comes to pay; ``hurt`` meet friction in the cart, and none of them buys; of the others all do."""
    records: list[Record] = []
    for i in range(n):
        who = f"c{i}"
        records += [entered("cart", 0, who)]
        if i < hurt:
            records.append(found("friction", 1, "denied", who, stage="cart"))
        records += [left("cart", 2, "advanced", who), entered("pay", 2, who)]
        if i >= n - 20:
            records.append(found("friction", 3, "slow", who, stage="pay"))
        bought = i >= hurt
        records.append(left("pay", HOUR, "goal" if bought else "expired", who, touchpoints=3))
        if bought:
            records.append(goal(HOUR, who))
    return records


def test_the_measured_moment_is_where_friction_costs_most() -> None:
    one = drivers(cart_and_pay(20))
    assert one.measured == "cart"
    assert {m.stage: m.declared for m in one.moments} == {"look": False, "cart": True, "pay": False}
    cart = next(m for m in one.moments if m.stage == "cart")
    assert cart.friction == Rate(20, 60)
    assert cart.conversions == pytest.approx(-20)


def test_no_moment_is_measured_where_friction_costs_nothing() -> None:
    assert drivers(cart_and_pay(0)).measured is None


def test_a_change_of_satisfaction_is_told_apart_by_what_lay_between() -> None:
    records: list[Record] = []
    for n in range(60):
        who = f"c{n}"
        passed_on = n < 30
        records.append(touch("Message Sent", 0, who, sentiment=0.5))
        if passed_on:
            records.append(touch("Transferred", MINUTE, who, actor="agent"))
        records.append(touch("Message Sent", 2 * MINUTE, who, sentiment=-0.1 if passed_on else 0.4 + 0.001 * n))
    report = reported(records)
    assert report.mood is not None
    (one,) = report.mood.drivers
    assert (report.mood.changes, one.type, one.changes) == (60, "Transferred", 30)
    assert (one.with_it, one.without) == pytest.approx((-0.6, -0.0555), abs=1e-9)
    assert one.difference is not None
    assert one.difference.says == "down"


def test_readings_of_different_surveys_or_long_apart_are_no_change() -> None:
    records: list[Record] = [
        touch("Survey Answered", 0, survey="nps", score=10.0), touch("Survey Answered", 1, survey="ces", score=1.0),
        touch("Survey Answered", 0, "bob", survey="nps", score=10.0),
        touch("Survey Answered", 29 * DAY, "bob", survey="nps", score=0.0),
        touch("Survey Answered", -5 * DAY, "cy", survey="nps", score=10.0),
        touch("Survey Answered", 26 * DAY, "cy", survey="nps", score=0.0),
    ]  # fmt: skip
    mood = reported(records).mood
    assert mood is not None
    assert mood.changes == 1


@given(st.lists(st.floats(-1, 1), max_size=30), st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_what_is_left_without_a_part(part: list[float], rest: list[float]) -> None:
    def of(values: list[float]) -> Moments:
        moments = Moments()
        for value in values:
            moments.add(value)
        return moments

    left_over, expected = rest_of(of(part + rest), of(part)), of(rest)
    assert left_over.n == expected.n
    assert left_over.mean == pytest.approx(expected.mean, abs=1e-9)
    assert left_over.squares == pytest.approx(expected.squares, abs=1e-9)


def test_larger_groups_have_figures_of_their_own_and_of_smaller_ones_their_number_is_said() -> None:
    records: list[Record] = []
    for town, n, with_it in (("berlin", 500, 0.1), ("bonn", 300, 0.01), ("ulm", 99, 0.1)):
        for record in people(n, 3, 0.01, with_it):
            record.customer = f"{town}-{record.customer}"
            if isinstance(record, Touch):
                record.event_id = f"{town}-{record.event_id}"
            records.append(record)
        records += [touch("page", 0, f"{town}-c{i}", location=town) for i in range(n)]
    report = reported(records)
    (one,) = report.drivers
    towns = {part.value: part for part in one.splits if part.by == "location"}
    assert {name: part.instances for name, part in towns.items()} == {"berlin": 500, "bonn": 300}
    assert one.too_small == {"week": 0, "segment": 0, "location": 1}
    chats = {name: next(m for m in part.moved if m.type == "Message Sent").difference for name, part in towns.items()}
    assert chats["berlin"] is not None
    assert chats["bonn"] is not None
    assert (chats["berlin"].says, chats["bonn"].says) == ("up", "unclear")
    whole = next(part for part in one.splits if part.by == "week")
    assert (whole.instances, whole.moments, whole.measured) == (899, one.moments, one.measured)
    shown = Console(width=220, file=StringIO(), record=True)
    for table in tables(report, "full"):
        shown.print(table)
    words = shown.export_text()
    assert "by week, segment and location" in words
    assert "smaller: 1 by location" in words


def test_changes_of_satisfaction_are_split_likewise() -> None:
    records: list[Record] = []
    for town, n, change in (("berlin", 120, 0.5), ("ulm", 30, 0.5)):
        for i in range(n):
            who = f"{town}{i}"
            between = i % 2 == 0
            records.append(touch("page", 0, who, location=town, sentiment=0.0))
            if between:
                records.append(touch("Message Sent", HOUR, who))
            records.append(touch("page", 2 * HOUR, who, sentiment=change * between))
    mood = reported(records).mood
    assert mood is not None
    (large,) = (part for part in mood.splits if part.by == "location")
    assert (large.value, large.changes, mood.too_small["location"]) == ("berlin", 120, 1)
    assert large.drivers[0].type == "Message Sent"
    assert (large.drivers[0].with_it, large.drivers[0].without) == pytest.approx((0.5, 0.0))
