"""The report on the replayed shop, against figures that pandas computes from the file without engine and report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pytest

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files
from streams.tools.replay.mapping_file import load_mapping
from streams.tools.replay.shipped import find
from streams.tools.replay.sources import open_inputs
from streams.tools.report.frame import frame_of
from streams.tools.report.journeys import JourneySlice
from streams.tools.report.records import of_output, of_touchpoint
from streams.tools.report.report import Report, report_of
from streams.tools.report.spool import Spool
from streams.tools.report.statistics import Rate

PAYMENT_FAULT = ("2024-05-20", "2024-05-27", "2024-06-03")
"""Weeks in which payments fail."""
STEPS = ("catalog", "filter_results", "search", "product_view", "add_to_cart", "cart", "shipping_details",
         "payment_details")  # fmt: skip
BY = ("lifecycle",)


class Replayed(Protocol):
    summary: Any
    signals: list[Any]
    triggers: list[Any]
    decisions: list[Any]


@pytest.fixture(scope="module")
def report(ecom: Replayed, data_file: Callable[[str], Path]) -> Report:
    definition = load_files([find("ecom", "journey")])
    with Spool() as spool:
        for record in (*ecom.signals, *ecom.decisions, *ecom.triggers):
            spool.add(of_output(record))
        for file in open_inputs([data_file("ecom.csv.gz")], [load_mapping(find("ecom", "mapping"))]):
            for item in file:
                assert isinstance(item, Touchpoint)
                touch = of_touchpoint(item, definition, BY)
                assert touch is not None
                spool.add(touch)
        assert spool.first is not None
        assert spool.last is not None
        return report_of(definition, frame_of(definition, spool.first, spool.last, by=BY), spool)


@pytest.fixture(scope="module")
def clicks(data_file: Callable[[str], Path]) -> pd.DataFrame:
    frame = pd.read_csv(data_file("ecom.csv.gz"))
    frame["time"] = pd.to_datetime(frame.timestamp)
    frame["week"] = frame.time.dt.to_period("W-SUN").dt.start_time.dt.strftime("%Y-%m-%d")
    frame["row"] = range(len(frame))
    return frame.sort_values(["user_id", "time", "row"])


def split(report: Report, by: str) -> dict[str, JourneySlice]:
    return {one.value: one for one in report.journeys[0].splits if one.by == by}


def test_totals_are_those_of_the_replay(report: Report, ecom: Replayed) -> None:
    whole, summary = report.journeys[0].whole, ecom.summary.journeys["purchase"]
    assert (report.customers, report.touchpoints) == (600, 31_106)
    assert (whole.entrants, whole.conversion.count) == (summary.entrants, summary.converted)
    assert whole.goals_outside == summary.goals_without_instance == 2
    assert {stage.stage: stage.reached.count for stage in whole.stages} == dict(summary.reached)
    assert {rule.rule: rule.signals for rule in report.journeys[0].friction[1:]} == {
        rule: n for rule, n in summary.friction.items() if n
    }
    # The replay has decided what silence after the end of the file would come to; the report does not know that yet.
    ends = [s.time for s in ecom.signals if s.kind == "stage_left" and "touchpoints" in s.figures]
    assert whole.open == sum(end > report.known_until for end in ends) > 0


@pytest.mark.parametrize(("by", "column"), [("channel", "platform"), ("lifecycle", "user_lifecycle")])
def test_conversions_by_what_the_visit_was(report: Report, clicks: pd.DataFrame, by: str, column: str) -> None:
    """An order converts if a step of the journey came before it, since the last order of the visit."""
    parts = clicks.event.eq("purchase").groupby(clicks.session_id).cumsum() - clicks.event.eq("purchase")
    opened = clicks.event.isin(STEPS).groupby([clicks.session_id, parts]).cummax()
    orders = clicks[clicks.event.eq("purchase") & opened].groupby(column).size()
    assert {value: one.conversion.count for value, one in split(report, by).items()} == orders.to_dict()


def test_every_split_adds_up_to_the_whole(report: Report) -> None:
    whole = report.journeys[0].whole
    for by in ("week", "channel", "lifecycle", "location", "origin", "definition"):
        parts = split(report, by).values()
        assert sum(one.entrants for one in parts) == whole.entrants
        assert sum(one.conversion.count for one in parts) == whole.conversion.count
        assert sum(one.friction.count for one in parts) == whole.friction.count


def test_visits_are_the_files_sessions(report: Report, clicks: pd.DataFrame) -> None:
    """Cut by a pause of more than 30 minutes; the file's own sessions have longer ones."""
    pause = clicks.groupby("user_id").time.diff()
    visits = (pause.isna() | (pause > pd.Timedelta(minutes=30))).sum()
    assert report.visits is not None
    assert report.visits.visits == visits
    assert report.visits.visitors == clicks.user_id.nunique()


def test_failing_payments_cost_conversions_and_show_by_week(report: Report, clicks: pd.DataFrame) -> None:
    effects = {one.rule: one.effect for one in report.journeys[0].friction}
    failed = effects["payment_failed"]
    assert failed is not None
    assert failed.high < 0
    weeks = split(report, "week")
    during = [weeks[week] for week in PAYMENT_FAULT]
    others = [one for week, one in weeks.items() if week not in PAYMENT_FAULT]
    assert min(one.friction.share or 0 for one in during) > 0.1
    assert sum(one.friction.count for one in others) / sum(one.entrants for one in others) < 0.03
    orders = clicks[clicks.event.eq("purchase")].groupby("week").size()
    assert sum(one.conversion.count for one in during) == pytest.approx(orders[list(PAYMENT_FAULT)].sum(), abs=2)


def test_time_to_the_goal_is_that_of_the_clicks(report: Report, ecom: Replayed) -> None:
    seconds = sorted(s.figures["seconds"] for s in ecom.signals if s.figures.get("conversion"))
    assert report.journeys[0].whole.median_to_goal_s == pytest.approx(pd.Series(seconds).median(), rel=0.02)


def test_each_instance_is_lost_converted_or_open(report: Report) -> None:
    whole = report.journeys[0].whole
    lost = sum(stage.lost.count for stage in whole.stages)
    assert lost + whole.open + whole.conversion.count == whole.entrants
    assert Rate(whole.conversion.count, whole.entrants) == whole.conversion


def test_retention_by_month_is_that_of_the_clicks(report: Report, clicks: pd.DataFrame) -> None:
    month = pd.Timedelta(days=30)
    last = clicks.time.max()
    first = clicks.groupby("user_id").time.transform("min")
    window = (clicks.time - first) // month
    active = clicks.assign(window=window, cohort=first.dt.strftime("%Y-%m"), first=first)
    people = active.groupby("user_id").agg(cohort=("cohort", "first"), first=("first", "first"))
    for cohort in (one for one in report.cohorts if one.by == "cohort"):
        mine = people[people.cohort == cohort.value]
        assert cohort.customers == len(mine)
        for k, rate in enumerate(cohort.retention):
            over = mine.index[mine["first"] + (k + 1) * month <= last]
            seen = active[active.user_id.isin(over) & (active.window == k)].user_id.nunique()
            assert rate == Rate(seen, len(over))


def test_contacts_are_those_of_the_clicks(report: Report, clicks: pd.DataFrame) -> None:
    assert report.service is not None
    assert report.service.whole.contacts == clicks.event.eq("support_chat").sum()
