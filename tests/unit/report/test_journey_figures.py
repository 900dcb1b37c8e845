"""What the report says of journeys, from records written by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.tools.report.frame import MOST_VALUES, OTHERS, Splits
from streams.tools.report.history import History
from streams.tools.report.journeys import JourneyFigures, JourneySlice
from streams.tools.report.records import Found, Record, Touch
from streams.tools.report.report import Report, report_of
from streams.tools.report.statistics import Rate, rate_difference
from tests.unit.report.stories import (
    DAY,
    HOUR,
    MINUTE,
    SHOP,
    T,
    bought,
    by_customer,
    definition,
    entered,
    found,
    frame,
    goal,
    left,
    looked,
    touch,
)


def reported(records: list[Record], text: str = SHOP, **changes: Any) -> Report:
    loaded = definition(text)
    return report_of(loaded, frame(loaded, **changes), by_customer(records))


def buying(records: list[Record], text: str = SHOP, **changes: Any) -> JourneyFigures:
    (journey,) = reported(records, text, **changes).journeys
    return journey


def split(journey: JourneyFigures, by: str) -> dict[str, JourneySlice]:
    return {one.value: one for one in journey.splits if one.by == by}


def test_entrants_conversion_value_and_target() -> None:
    journey = buying([*bought(0), *looked(DAY), *looked(0, "bob"), *bought(HOUR, "cy", value=40.0)])
    whole = journey.whole
    assert (whole.entrants, whole.customers, whole.conversion) == (4, 3, Rate(2, 4))
    assert whole.to_target == pytest.approx(0.0)
    assert (whole.value_per_conversion, whole.value_total) == (30.0, 60.0)
    assert (whole.touchpoints, whole.touchpoints_lost) == (2.0, 1.0)
    assert whole.median_to_goal_s == pytest.approx(60, rel=0.01)


def test_the_funnel_counts_stages_entered_passed_converted_and_lost() -> None:
    records = [
        *bought(0),
        entered("look", 0, "bob"), left("look", MINUTE, "advanced", "bob", s=60),
        entered("pay", MINUTE, "bob"), left("pay", HOUR, "expired", "bob", touchpoints=4, s=3540),
        entered("cart", 0, "cy"),
    ]  # fmt: skip
    look, cart, pay = buying(records).whole.stages
    assert (look.reached, cart.reached, pay.reached) == (Rate(2, 3), Rate(1, 3), Rate(1, 3))
    assert (look.passed, cart.passed, pay.passed) == (3, 2, 1)
    assert (look.converted, cart.converted, pay.converted) == (Rate(1, 2), Rate(0, 1), Rate(0, 1))
    assert (look.lost, pay.lost) == (Rate(0, 3), Rate(1, 3))
    assert [look.critical, cart.critical, pay.critical] == [False, True, False]
    assert look.mean_s == pytest.approx(60)
    assert pay.mean_s is None, "how long a rule waits is no time that a customer took"
    assert buying(records).whole.open == 1


def test_what_a_replay_decided_after_the_data_end_has_not_happened() -> None:
    """The touchpoints end a minute after the look; its hour of silence is the replay's guess."""
    loaded = definition()
    report = report_of(loaded, frame(loaded, days=MINUTE / DAY), by_customer(looked(0)))
    whole = report.journeys[0].whole
    assert (whole.open, whole.stages[0].lost) == (1, Rate(0, 1))


def test_a_fall_back_is_no_end_and_the_way_is_counted_once() -> None:
    records: list[Record] = [
        entered("look", 0), left("look", 1, "advanced"), entered("cart", 1), left("cart", 2, "leave_when"),
        left("look", 3, "advanced"), entered("cart", 3), left("cart", 9, "goal", touchpoints=5), goal(9),
    ]  # fmt: skip
    journey = buying(records)
    assert (journey.whole.entrants, journey.whole.conversion) == (1, Rate(1, 1))
    assert journey.flow == [("cart", "goal", 1), ("look", "cart", 1), ("start", "look", 1)]
    (passage,) = History("ada", records).passages
    assert [(stay.stage, stay.reason) for stay in passage.stays] == [
        ("look", "advanced"), ("cart", "leave_when"), ("cart", "goal"),
    ]  # fmt: skip


def test_a_second_instance_of_the_same_key_and_two_side_by_side() -> None:
    records: list[Record] = [
        entered("look", 0, instance="a"), entered("look", 1, instance="b"),
        found("stage_left", 5, "look", reason="expired", instance="a", figures={"touchpoints": 1.0}),
        entered("look", 9, instance="a"),
    ]  # fmt: skip
    whole = buying(records).whole
    assert (whole.entrants, whole.customers, whole.open) == (3, 1, 2)


def test_abandonment_and_who_came_back() -> None:
    gave_up = found("abandonment", 30 * MINUTE, "look", stage="look")
    records = [entered("look", 0), gave_up, left("look", HOUR, "goal", touchpoints=2), goal(HOUR)]
    whole = buying([*records, *looked(0, "bob")]).whole
    assert (whole.abandoned, whole.returned) == (Rate(1, 2), Rate(1, 1))
    assert whole.stages[0].abandoned == Rate(1, 2)


def test_friction_is_held_against_those_who_reached_the_same_stage() -> None:
    """Friction in the cart, where 2 of 4 without it convert; nobody who only looked is compared with."""
    records: list[Record] = []
    for n in range(6):
        who = f"c{n}"
        records += [entered("look", 0, who), left("look", 1, "advanced", who), entered("cart", 1, who)]
        if n < 2:
            records.append(found("friction", 2, "denied", who, stage="cart"))
        if n in (4, 5):
            records += [left("cart", 3, "goal", who, touchpoints=2), goal(3, who)]
    for n in range(20):
        records += looked(0, f"l{n}")
    both, denied = buying(records).friction
    assert (both.rule, denied.rule) == ("any friction", "denied")
    assert (denied.instances, denied.signals, denied.conversion) == (Rate(2, 26), 2, Rate(0, 2))
    assert denied.effect is not None
    assert denied.effect.estimate == pytest.approx(-0.5)
    assert denied.converted_less == pytest.approx(-1.0)


def test_friction_counts_where_it_was_met_first() -> None:
    records: list[Record] = [
        entered("look", 0), found("friction", 1, "slow", stage="look"), left("look", 2, "advanced"), entered("cart", 2),
        found("friction", 3, "slow", stage="cart"),
    ]  # fmt: skip
    (passage,) = History("ada", records).passages
    assert (passage.friction, passage.frictions) == ({"slow": ("look", T + 1)}, {"slow": 2})


@pytest.mark.parametrize(("at", "seen"), [(HOUR, ["b"]), (HOUR + 1, [])])
def test_a_variant_seen_until_the_end_of_the_instance_is_its_own(at: int, seen: list[str]) -> None:
    journey = buying([*looked(0), touch("page", at, experiment="price", variant="b")])
    assert list(split(journey, "experiment price")) == seen


def test_variants_of_an_experiment_elsewhere_are_held_against_control() -> None:
    records: list[Record] = []
    for n in range(20):
        variant = ("bold", "control")[n % 2]
        records += bought(0, f"c{n}") if variant == "bold" or n < 10 else looked(0, f"c{n}")
        records.append(touch("page", -1, f"c{n}", experiment="price", variant=variant))
    variants = split(buying(records), "experiment price")
    assert variants["control"].difference is None
    assert variants["bold"].difference == rate_difference(Rate(10, 10), Rate(5, 10))
    assert all(one.difference is None for one in split(buying(records), "channel").values())


def test_friction_of_the_customer_counts_in_every_open_instance() -> None:
    records: list[Record] = [
        entered("look", 0, instance="a"), entered("look", 1, instance="b"),
        Found(signal="friction", customer="ada", name="twice", time=T + 2, journey="buy"),
    ]  # fmt: skip
    assert buying(records).friction[1].instances == Rate(2, 2)


def test_friction_after_the_goal_is_counted_but_was_not_on_the_way() -> None:
    late = found("friction", 2 * DAY, "not_shipped")
    both = buying([*bought(0), late])
    assert both.friction[0].rule == "not_shipped"
    assert (both.friction[0].signals, both.friction[0].instances) == (1, Rate(0, 1))
    assert both.friction[0].effect is None


def test_a_goal_without_an_instance_is_no_conversion_but_is_told() -> None:
    whole = buying([*bought(0), goal(2 * DAY, conversion=0.0)]).whole
    assert (whole.conversion, whole.goals_outside) == (Rate(1, 1), 1)


def test_splits_by_what_opened_the_instance() -> None:
    records = [
        found("segment_entered", -5, "rich"),
        *bought(0, channel="web", location="Hull", origin="spring"),
        found("segment_left", HOUR, "rich"),
        *looked(DAY, channel="store", origin="direct"),
        *looked(0, "bob", channel="web"),
    ]
    journey = buying(records)
    assert {v: s.conversion for v, s in split(journey, "channel").items()} == {"web": Rate(1, 2), "store": Rate(0, 1)}
    assert {v: s.entrants for v, s in split(journey, "segment").items()} == {"rich": 1, "(none)": 2}
    assert {v: s.entrants for v, s in split(journey, "location").items()} == {"Hull": 2, "(none)": 1}
    assert {v: s.entrants for v, s in split(journey, "origin").items()} == {"spring": 1, "direct": 2}
    assert {v: s.entrants for v, s in split(journey, "week").items()} == {"2024-04-29": 3}


def test_weeks_begin_on_monday_in_the_zone_of_the_company() -> None:
    sunday_late = 4 * DAY + 23 * HOUR + 30 * MINUTE  # Sunday 23:30 UTC is Monday in Berlin
    text = SHOP + "time: {timezone: Europe/Berlin}\n"
    assert list(split(buying(looked(sunday_late)), "week")) == ["2024-04-29"]
    assert list(split(buying(looked(sunday_late), text), "week")) == ["2024-05-06"]


def test_the_period_and_the_one_before() -> None:
    records = [*looked(0), *bought(DAY, "bob"), *bought(8 * DAY, "cy"), *looked(14 * DAY - 1, "dan"), *looked(14 * DAY)]
    journey = buying(records, length_ms=7 * DAY, until_ms=T + 14 * DAY)
    assert journey.previous is not None
    assert (journey.previous.entrants, journey.whole.entrants) == (2, 2)
    assert journey.change is not None
    assert journey.change.estimate == pytest.approx(0.0)
    assert buying(records).previous is None
    nothing_before = buying(records, length_ms=7 * DAY, until_ms=T + 3 * DAY).previous
    assert nothing_before is not None
    assert nothing_before.entrants == 0


@pytest.mark.parametrize(("after", "converted"), [(7 * DAY, 1), (7 * DAY + 1, 0)])
def test_the_previous_period_is_as_old_as_this_one_is(after: int, converted: int) -> None:
    """The data end with the period on day 14, so of the previous one counts what was known on day 7."""
    records = [entered("look", DAY), left("look", after, "goal", touchpoints=2), goal(after)]
    loaded = definition()
    report = report_of(loaded, frame(loaded, days=14, length_ms=7 * DAY), by_customer([*records, *looked(14 * DAY)]))
    previous = report.journeys[0].previous
    assert previous is not None
    assert (previous.conversion, previous.open) == (Rate(converted, 1), 1 - converted)


def test_versions_variants_and_changes_split_every_figure() -> None:
    text = SHOP + 'changes: [{at: "2024-05-03", title: new page}, {at: "2024-05-04", title: other, journey: buy}]\n'
    first = [*looked(0), touch("page", 1, experiment="price", variant="b")]
    second: list[Record] = [entered("look", 3 * DAY - 1, definition=2)]
    third: list[Record] = [entered("look", 5 * DAY, "bob", definition=3)]
    journey = buying([*first, *second, *third], text)
    assert {v: s.entrants for v, s in split(journey, "definition").items()} == {"0": 1, "2": 1, "3": 1}
    assert {v: s.entrants for v, s in split(journey, "experiment price").items()} == {"b": 2}
    assert {v: s.entrants for v, s in split(journey, "change").items()} == {
        "before new page": 1, "since new page": 1, "since other": 1,
    }  # fmt: skip
    assert journey.marks == [("2024-04-29", "2024-05-03", "new page"), ("2024-04-29", "2024-05-04", "other")]


def test_fields_that_the_reader_names() -> None:
    records = [*bought(0, by=["gold"]), *looked(0, "bob", by=[None])]
    assert {v: s.entrants for v, s in split(buying(records, by=("tier",)), "tier").items()} == {"gold": 1, "(none)": 1}


def test_help_by_people_and_places() -> None:
    contact = touch("Contact Started", HOUR // 2, channel="call", contact_id="k")
    by_bot = [touch("Contact Started", 1, "bob", channel="chat", contact_id="k"),
              touch("Bot Contained", 2, "bob", channel="chat", contact_id="k")]  # fmt: skip
    journey = buying([*looked(0, channel="web"), contact, *bought(0, "bob", channel="web"), *by_bot])
    assert journey.help == {"agent-assisted": Rate(0, 1), "self-service": Rate(1, 1)}
    assert journey.place == {"online": Rate(1, 1), "online and offline": Rate(0, 1)}


def test_visits_by_origin() -> None:
    records: list[Record] = [
        touch("page", 0), touch("page", 30 * MINUTE, origin="spring"), touch("page", 61 * MINUTE),
        touch("Order Shipped", 3 * HOUR, actor="company"), touch("page", 0, "bob"),
    ]  # fmt: skip
    visits = reported(records).visits
    assert visits is not None
    assert (visits.visits, visits.visitors) == (3, 2)
    assert {one.value: (one.visits, one.visitors) for one in visits.splits if one.by == "origin"} == {
        "spring": (1, 1), "direct": (2, 2),
    }  # fmt: skip


def test_without_touchpoints_there_is_a_note() -> None:
    report = reported([entered("look", 0)])
    assert report.visits is None
    assert "No touchpoints" in report.notes[0]


def test_a_repeated_touchpoint_counts_once() -> None:
    again: list[Record] = [touch("page", 0, event_id="e"), touch("page", 9, event_id="e")]
    assert [t.time for t in History("ada", again).touches] == [T]


def test_what_was_said_twice_counts_once() -> None:
    said = [*looked(0), entered("look", DAY, signal_id="s"), found("friction", DAY + 1, "slow", signal_id="f")]
    twice = buying([*said, *said[-2:]])
    assert (twice.whole.entrants, twice.friction[0].signals) == (2, 1)


def test_a_split_with_too_many_values_keeps_the_first() -> None:
    splits: Splits[list[int]] = Splits(list)
    for n in range(MOST_VALUES + 7):
        for cell in splits.at([("channel", f"c{n:03}"), ("week", f"w{n}")]):
            cell.append(n)
    assert len(splits.by("channel")) == MOST_VALUES + 1
    assert len(splits.by("channel")[OTHERS]) == 7
    assert len(splits.by("week")) == MOST_VALUES + 7


def test_the_report_is_json_and_comes_back() -> None:
    report = reported([*bought(0, channel="web"), *looked(0, "bob")], length_ms=7 * DAY)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_touch_is_small_on_disk() -> None:
    assert len(msgspec.msgpack.encode(Touch("e", "page", "ada", T))) < 80
