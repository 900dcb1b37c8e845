"""Actions in the report: units, groups, uplift, the check of the division, guardrails, lives of triggers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.tools.report.actions import ActionFigures, OwnFigures
from streams.tools.report.groups import ALL_ISSUED, GroupCell, expected_shares
from streams.tools.report.history import History
from streams.tools.report.records import Choice, Life, Option, Record
from streams.tools.report.report import report_of
from streams.tools.report.statistics import Rate, rate_difference
from streams.tools.report.units import HOLDOUT, ISSUED, Aftermath, Unit, units_of
from tests.unit.report.stories import DAY, HOUR, SHOP, T, by_customer, definition, found, frame, goal, touch

ACTION = (
    SHOP
    + """
actions:
  nudge:
    purpose: marketing
    when: {signal: stage_entered, journey: buy}
    channel: email
    value: 5
    expires_after: 1d
    attribution: 3d
    holdout: {share: 0.5}
"""
)
GUARDED = ACTION + "    guardrails: {unsubscribed: 0.05, window: 100}\n"
ARMS = ACTION + "    experiment: {name: words, arms: {plain: 0.5, warm: 0.5}}\n"


def choice(at: int, customer: str = "ada", outcome: str = "issued", **fields: Any) -> Choice:
    given_fields: dict[str, Any] = {"chosen": "nudge", "trigger_id": f"t-{customer}-{at}", "journey": "buy"}
    return Choice(
        decision_id=f"d-{customer}-{at}", customer=customer, time=T + at, outcome=outcome, reason="", signal_id="s",
        **{**given_fields, **fields},
    )  # fmt: skip


def life(at: int, status: str, customer: str = "ada", **fields: Any) -> Life:
    return Life(f"t-{customer}-{at}", status, customer, "nudge", T + at, "email", **fields)


def action_of(records: Sequence[Record], text: str = ACTION, **changes: Any) -> ActionFigures:
    loaded = definition(text)
    (made,) = report_of(loaded, frame(loaded, **changes), by_customer(records)).actions
    return made


def group(figures: ActionFigures, name: str) -> Any:
    return next(one for one in figures.whole.groups if one.group == name)


def units(records: Sequence[Record], text: str = ACTION, until: int = 30 * DAY) -> list[Unit]:
    loaded = definition(text)
    actions = {action.name: action for action in loaded.actions}
    return list(units_of(History("ada", records), actions, T + until))


def test_a_customer_is_a_unit_once_at_the_first_decision() -> None:
    records: list[Record] = [
        choice(9 * HOUR), choice(HOUR, outcome="held_out"), choice(0, outcome="none", chosen=None),
        choice(2 * HOUR, chosen="other"), choice(0, outcome="held", chosen="nudge"),
    ]  # fmt: skip
    assert [(unit.action, unit.group, unit.choice.time) for unit in units(records)] == [
        ("nudge", HOLDOUT, T + HOUR), ("other", ISSUED, T + 2 * HOUR),
    ]  # fmt: skip


def test_who_was_assigned_an_arm_counts_with_it_though_quiet_hours_kept_the_message_back() -> None:
    late: dict[str, Any] = {"arm": "warm", "experiment": "words", "trigger_id": None}
    records: list[Record] = [choice(0, outcome="none", **late), choice(HOUR, arm="warm"), goal(2 * HOUR)]
    (unit,) = units(records, ARMS)
    assert (unit.group, unit.choice.time, unit.after.converted) == ("warm", T, True)
    assert [unit.group for unit in units([choice(0, outcome="held_out", **late)], ARMS)] == [HOLDOUT]
    assert units([choice(0, outcome="none", trigger_id=None)], ARMS) == []


@pytest.mark.parametrize(
    ("at", "converted"), [(-1, False), (0, False), (1, True), (3 * DAY, True), (3 * DAY + 1, False)]
)
def test_the_window_is_open_at_the_decision_and_closed_at_its_end(at: int, converted: bool) -> None:
    (unit,) = units([choice(0), goal(at)])
    assert unit.after.converted is converted


def test_another_journeys_goal_is_no_success_but_any_is_where_the_decision_has_none() -> None:
    elsewhere = found("goal_reached", HOUR, "return", journey="return")
    assert not units([choice(0), elsewhere])[0].after.converted
    assert units([choice(0, journey=None), elsewhere])[0].after.converted


def test_another_instances_goal_is_no_success_nor_is_one_that_names_none() -> None:
    about = choice(0, instance="case-1")
    for instance, meant in (("case-1", True), ("case-2", False), (None, False), ("", False)):
        goals = [found("goal_reached", HOUR, "buy", instance=instance)]
        assert units([about, *goals])[0].after.converted is meant


def test_value_is_that_of_the_goals_touchpoints() -> None:
    orders: list[Record] = [touch("Order Completed", n * HOUR, event_id=f"o{n}", value=10.0 * n) for n in (1, 2, 90)]
    goals = [goal(n * HOUR, evidence=[f"o{n}"]) for n in (1, 2, 90)]
    assert units([choice(0), *orders, *goals])[0].after.value == 30.0


def test_a_window_that_is_not_over_counts_in_nothing() -> None:
    figures = action_of([choice(0), goal(1), choice(29 * DAY, "bob")])
    assert (group(figures, ISSUED).units, group(figures, ISSUED).young) == (1, 1)


def two_groups(treated: Rate, control: Rate) -> list[Record]:
    records: list[Record] = []
    for name, rate, outcome in (("t", treated, "issued"), ("c", control, "held_out")):
        for n in range(rate.of):
            who = f"{name}{n}"
            records.append(choice(0, who, outcome))
            if n < rate.count:
                records.append(touch("Order Completed", HOUR, who, event_id=f"o-{who}", value=100.0 + n))
                records.append(goal(HOUR, who, [f"o-{who}"]))
    return records


def test_uplift_is_the_difference_with_the_interval_of_the_delta_method() -> None:
    figures = action_of([touch("page", 0, "z"), *two_groups(Rate(60, 200), Rate(40, 200))])
    treated = group(figures, ISSUED)
    assert (treated.against, treated.conversion) == (HOLDOUT, Rate(60, 200))
    se = math.sqrt(0.3 * 0.7 / 199 + 0.2 * 0.8 / 199)
    assert treated.uplift.estimate == pytest.approx(0.1)
    assert treated.uplift.low == pytest.approx(0.1 - 1.96 * se)
    relative = math.sqrt(0.3 * 0.7 / 199 / 0.04 + 0.09 * 0.2 * 0.8 / 199 / 0.2**4)
    assert treated.uplift_relative.estimate == pytest.approx(0.5)
    assert treated.uplift_relative.high == pytest.approx(0.5 + 1.96 * relative)
    values = [100.0 + n if n < 60 else 0.0 for n in range(200)]
    control = [100.0 + n if n < 40 else 0.0 for n in range(200)]
    assert treated.value_uplift.estimate == pytest.approx(sum(values) / 200 - sum(control) / 200)
    assert not treated.few
    assert figures.harmful == []


def test_interval_of_few_conversions_claims_nothing_that_a_handful_cannot_tell() -> None:
    few = group(action_of(two_groups(Rate(12, 36), Rate(0, 3))), ISSUED)
    assert few.few
    assert few.uplift == rate_difference(Rate(12, 36), Rate(0, 3))
    assert few.uplift.low < 0 < few.uplift.high < 1


def test_what_only_a_message_can_bring_is_no_harm_against_those_who_got_none() -> None:
    records = two_groups(Rate(30, 100), Rate(30, 100))
    issued = [one for one in records if isinstance(one, Choice) and one.outcome == "issued"]
    records += [
        touch("Message Handled", HOUR, one.customer, outcome="dismissed", trigger_id=one.trigger_id)
        for one in issued[:40]
    ]
    figures = action_of(records)
    assert group(figures, ISSUED).harm["dismissed"] == Rate(40, 100)
    assert figures.harmful == []


def test_few_conversions_are_marked() -> None:
    assert group(action_of(two_groups(Rate(4, 200), Rate(40, 200))), ISSUED).few


def test_a_division_unlike_the_declared_one_is_a_warning() -> None:
    assert action_of(two_groups(Rate(9, 100), Rate(9, 110))).warnings == []
    uneven = action_of(two_groups(Rate(9, 100), Rate(9, 200)))
    assert uneven.sample_ratio is not None
    assert uneven.sample_ratio < 1e-6
    assert "not divided as declared" in uneven.warnings[0]


def test_arms_and_holdouts_share_the_customers_as_declared() -> None:
    loaded = definition(ARMS + "contact_policy: {holdout: {share: 0.1}}\n")
    shares = expected_shares(loaded.actions[0], loaded)
    assert shares == pytest.approx({HOLDOUT: 0.55, "plain": 0.225, "warm": 0.225})
    plain = definition(SHOP + ACTION.removeprefix(SHOP).replace("    holdout: {share: 0.5}\n", ""))
    assert expected_shares(plain.actions[0], plain) == {}


def test_arms_are_held_against_the_holdout_and_together() -> None:
    records: list[Record] = []
    for n in range(40):
        records += [choice(0, f"p{n}", arm="plain"), choice(0, f"w{n}", arm="warm"), choice(0, f"h{n}", "held_out")]
        if n < 20:
            records.append(goal(HOUR, f"w{n}"))
    figures = action_of(records, ARMS)
    assert [one.group for one in figures.whole.groups] == [ALL_ISSUED, "plain", "warm", HOLDOUT]
    assert group(figures, ALL_ISSUED).conversion == Rate(20, 80)
    assert group(figures, "warm").uplift.estimate == pytest.approx(0.5)
    assert group(figures, HOLDOUT).against is None


def test_without_a_holdout_arms_are_held_against_the_first() -> None:
    records = [choice(0, f"{arm}{n}", arm=arm) for arm in ("plain", "warm") for n in range(5)]
    assert [(one.group, one.against) for one in action_of(records, ARMS).whole.groups] == [
        ("plain", None), ("warm", "plain"),
    ]  # fmt: skip


def test_control_is_what_the_others_are_held_against() -> None:
    text = ARMS.replace("plain", "bold").replace("warm", "control")
    records = [choice(0, f"{arm}{n}", arm=arm) for arm in ("bold", "control") for n in range(5)]
    assert [(one.group, one.against) for one in action_of(records, text).whole.groups] == [
        ("bold", "control"), ("control", None),
    ]  # fmt: skip


def test_an_outcome_that_the_engine_has_matched_counts_though_no_touchpoint_names_the_trigger() -> None:
    records = [life(0, "issued"), life(0, "expired", ended_at=T + HOUR, outcome="opened")]
    assert action_of(records).whole.lives[0].outcomes == {"opened": Rate(1, 1)}


def test_fewer_conversions_than_the_holdout_are_harm() -> None:
    assert action_of(two_groups(Rate(10, 200), Rate(60, 200))).harmful == [
        "issued: conversion is lower than in the holdout", "issued: value of a customer is lower than in the holdout",
    ]  # fmt: skip


def test_few_conversions_are_no_proof_of_harm() -> None:
    few = action_of(two_groups(Rate(0, 60), Rate(12, 60)))
    assert group(few, ISSUED).uplift.high < 0
    assert few.harmful == []


def test_more_complaints_than_the_holdout_are_harm() -> None:
    records = two_groups(Rate(30, 100), Rate(30, 100))
    records += [touch("Contact Started", HOUR, f"t{n}") for n in range(30)]
    records += [touch("Survey Answered", HOUR, f"t{n}", survey="nps", score=3.0) for n in range(30, 40)]
    records += [touch("Contact Started", HOUR, f"t{n}", actor="agent") for n in range(50, 60)]
    figures = action_of(records)
    assert group(figures, ISSUED).harm["complained"] == Rate(40, 100)
    assert figures.harmful == ["issued: complained more often than in the holdout"]


def test_a_broken_guardrail_is_harm_only_when_chance_cannot_be_it() -> None:
    def with_refusals(n: int) -> ActionFigures:
        records: list[Record] = [choice(0, f"c{i}") for i in range(100)]
        records += [
            touch("Email Link Clicked", HOUR, f"c{i}", outcome="unsubscribed", trigger_id=f"t-c{i}-0") for i in range(n)
        ]
        return action_of(records, GUARDED)

    assert with_refusals(9).harmful == [], "9 of 100 may still be 5 %"
    assert action_of([choice(0, "c"), touch("Unsubscribed", 1, "c")], GUARDED).harmful == [], "one of one says nothing"
    (reason,) = with_refusals(13).harmful
    assert reason.startswith("unsubscribed after 13.0% of the last 100")
    assert reason.endswith("the guardrail is 5.0%")


def test_a_guardrail_looks_at_the_newest_decisions_whoever_they_are_of() -> None:
    records: list[Record] = [choice(n, f"c{n}") for n in range(300)]
    records += [touch("Unsubscribed", n + 1, f"c{n}") for n in range(100)]
    assert action_of(records, GUARDED).harmful == [], "the last 100 have none"


def test_too_many_messages_break_a_guardrail_of_their_own() -> None:
    def crowded(customers: int) -> list[str]:
        records: list[Record] = [choice(0, f"c{i}") for i in range(100)]
        records += [choice(n * HOUR, f"c{i}", chosen="other") for i in range(customers) for n in (1, 2)]
        loaded = definition(ACTION + "    guardrails: {crowded: 0.05, contacts: 2, window: 100}\n")
        actions = report_of(loaded, frame(loaded), by_customer(records)).actions
        return next(figures.harmful for figures in actions if figures.action == "nudge")

    assert crowded(9) == []
    (reason,) = crowded(13)
    assert reason.startswith("crowded after 13.0% of the last 100")


def test_another_triggers_refusal_is_not_this_ones() -> None:
    refused = touch("Email Link Clicked", HOUR, outcome="dismissed", trigger_id="t-else")
    assert not units([choice(0), refused])[0].after.dismissed


def test_contacts_are_triggers_issued_in_the_window() -> None:
    records: list[Record] = [choice(0), choice(HOUR, chosen="other"), choice(4 * DAY, chosen="third")]
    # Three days for nudge; seven for actions that the definition does not have any more.
    assert [unit.after.contacts for unit in units(records)] == [2, 2, 1]


def test_lives_and_outcomes_of_triggers() -> None:
    records: list[Record] = [touch("Email Sent", HOUR, outcome="sent", trigger_id="t-ada-0")]
    records += [touch("Email Opened", n * HOUR, outcome="opened", trigger_id="t-ada-0") for n in (2, 3)]
    records += [life(0, "issued"), life(0, "fulfilled", ended_at=T + 5 * HOUR)]
    records += [life(0, "issued", "bob"), life(0, "cancelled", "bob", end_reason="late", ended_at=T + 1)]
    records += [life(0, "issued", "cy", arm="warm"), life(0, "issued", "test", test=True), life(1, "issued", "dan")]
    plain, warm = action_of(records).whole.lives
    assert (plain.arm, plain.issued, plain.fulfilled, plain.cancelled) == (ISSUED, 3, Rate(1, 3), {"late": 1})
    assert (plain.open, plain.outcomes) == (1, {"sent": Rate(1, 3), "opened": Rate(1, 3)})
    assert (warm.arm, warm.issued, warm.open) == ("warm", 1, 1)


def test_gates_say_why_not() -> None:
    closed = [Option("nudge", "channel"), Option("nudge", "eligibility"), Option("other", "channel")]
    decided = choice(0, outcome="none", chosen=None, candidates=closed)
    loaded = definition(ACTION)
    figures = report_of(loaded, frame(loaded), by_customer([decided])).actions
    assert {one.action: one.closed for one in figures} == {
        "nudge": {"channel": 1, "eligibility": 1}, "other": {"channel": 1},
    }  # fmt: skip


def test_whose_p_it_was_is_told() -> None:
    own = [Option("nudge", p=0.3, usual=0.2, propensity=0.9), Option("other", "not_drawn", p=0.1, usual=0.15)]
    records = [choice(n, candidates=own, customer=f"c{n}") for n in range(3)]
    records.append(choice(9, candidates=[Option("nudge", p=0.2, propensity=1.0)], customer="plain"))
    loaded = definition(ACTION)
    figures = report_of(loaded, frame(loaded), by_customer(records)).actions
    nudge, other = (one.own for one in sorted(figures, key=lambda one: one.action))
    assert nudge is not None
    assert (nudge.weighed, nudge.issued) == (3, 3)
    assert nudge.p == pytest.approx(0.3)
    assert nudge.usual == pytest.approx(0.2)
    assert other == OwnFigures(3, 0, 0.0, 0.0)
    plain = report_of(loaded, frame(loaded), by_customer(records[3:])).actions
    assert [one.own for one in plain] == [None]


@given(st.lists(st.floats(0, 1000), max_size=20), st.lists(st.floats(0, 1000), max_size=20))
def test_groups_put_together_are_as_if_counted_together(one: list[float], other: list[float]) -> None:
    def counted(values: list[float]) -> GroupCell:
        cell = GroupCell()
        for value in values:
            after = Aftermath(converted=value > 500, value=value)
            cell.add(Unit(choice(0), "nudge", ISSUED, mature=True, after=after))
        return cell

    together, joined = counted(one + other), counted(one).joined(counted(other))
    assert (joined.units, joined.converted) == (together.units, together.converted)
    assert joined.value.mean == pytest.approx(together.value.mean, abs=1e-9)
    assert joined.value.squares == pytest.approx(together.value.squares, rel=1e-9, abs=1e-6)


def test_the_interval_of_the_uplift_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(7)
    inside = 0
    for _ in range(120):
        treated = Rate(sum(rng.random() < 0.3 for _ in range(150)), 150)
        control = Rate(sum(rng.random() < 0.2 for _ in range(150)), 150)
        uplift = group(action_of(two_groups(treated, control)), ISSUED).uplift
        inside += uplift.low <= 0.1 <= uplift.high
    assert 0.89 <= inside / 120 <= 0.99
