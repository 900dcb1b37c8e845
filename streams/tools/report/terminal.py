"""The report as tables for a terminal (rich).

Owns what is shown, in which order and in which words; the figures are ``report``'s. JSON has all of them, the tables
what a journey owner asks first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streams.tools.report import words
from streams.tools.report.journeys import JourneyFigures, JourneySlice
from streams.tools.report.report import Report
from streams.tools.report.terminal_actions import action_tables, policy_tables
from streams.tools.report.terminal_drivers import driver_tables, mood_tables
from streams.tools.report.terminal_people import cohort_tables, feeling_tables, service_tables
from streams.tools.report.terminal_table import SHOWN, Detail, table
from streams.tools.report.visits import VisitFigures

WEEKS: Final = 8
"""The newest, in the short form."""
SHORT: Final = frozenset({"week", "channel", "origin", "change", "definition"})


def tables(report: Report, detail: Detail = "short") -> Iterator[RenderableType]:
    """What to print, one after the other."""
    yield from head_tables(report)
    for journey, drivers in zip(report.journeys, report.drivers, strict=True):
        yield from journey_tables(journey, detail)
        yield from driver_tables(drivers, detail)
    yield from action_tables(report.actions, detail)
    if report.policy is not None:
        yield from policy_tables(report.policy)
    if report.feelings is not None:
        yield from feeling_tables(report.feelings, detail)
    if report.mood is not None and detail == "full":
        yield from mood_tables(report.mood)
    if report.service is not None:
        yield from service_tables(report.service, detail)
    yield from cohort_tables(report.cohorts)


def head_tables(report: Report) -> Iterator[RenderableType]:
    yield _head(report)
    if report.visits is not None:
        yield _visits(report.visits)


def _head(report: Report) -> Table:
    made = Table(title="Journey report", show_header=False, title_justify="left", title_style="bold")
    made.add_column()
    made.add_column(overflow="fold")
    made.add_row("period", f"{words.minute(report.start, report.zone)} to {words.minute(report.end, report.zone)}")
    if report.previous_start is not None:
        made.add_row("previous period", f"from {words.minute(report.previous_start, report.zone)}")
    made.add_row("time zone", report.zone)
    made.add_row("customers in the data", f"{report.customers:,}")
    made.add_row("touchpoints, signals", f"{report.touchpoints:,}, {report.signals:,}")
    for _, on, title in report.marks:
        made.add_row("change", f"{on}: {title}")
    for note in report.notes:
        made.add_row("note", note)
    return made


def _visits(visits: VisitFigures) -> Table:
    made = table("Visits by origin", ("origin",), ("visits", "share", "visitors"))
    rows = sorted((one for one in visits.splits if one.by == "origin"), key=lambda one: -one.visits)
    for one in rows[:SHOWN]:
        made.add_row(one.value, f"{one.visits:,}", f"{one.visits / visits.visits:.1%}", f"{one.visitors:,}")
    made.add_section()
    made.add_row("all", f"{visits.visits:,}", "", f"{visits.visitors:,}")
    if visits.previous_visits is not None and visits.previous_visitors is not None:
        made.add_row("previous period", f"{visits.previous_visits:,}", "", f"{visits.previous_visitors:,}")
    return made


def journey_tables(journey: JourneyFigures, detail: Detail) -> Iterator[RenderableType]:
    owner = f", {journey.owner}" if journey.owner else ""
    yield Text(f"\nJourney {journey.journey} ({journey.type}{owner})", style="bold underline")
    if not journey.whole.entrants:
        yield Text("Nobody entered it in this period.")
        return
    yield _headline(journey)
    yield _funnel(journey)
    if journey.friction:
        yield _friction(journey)
    for name in dict.fromkeys(one.by for one in journey.splits):
        rows = [one for one in journey.splits if one.by == name]
        if name == "week" or len(rows) > 1:
            if name == "week" and detail == "short":
                rows = rows[-WEEKS:]
            if detail == "full" or name in SHORT or name.startswith("experiment"):
                yield _split(journey, name, rows)
    if detail == "short":
        return
    yield _company(journey)
    for channel in [one for one in journey.splits if one.by == "channel"][:SHOWN]:
        if channel.entrants != journey.whole.entrants:
            yield _funnel(journey, channel)


def _headline(journey: JourneyFigures) -> Table:
    now, before = journey.whole, journey.previous
    compared = ("previous", "change") if before is not None else ()
    made = table("At a glance", ("",), ("this period", *compared))

    def row(name: str, value: str, previous: str = "", change: str = "") -> None:
        made.add_row(name, value, *((previous, change) if before is not None else ()))

    def both(name: str, was: float | None, is_now: float | None, digits: int = 1) -> None:
        row(name, words.number(is_now, digits), words.number(was, digits), words.change(is_now, was))

    both("entrants", before.entrants if before else None, now.entrants, 0)
    both("customers", before.customers if before else None, now.customers, 0)
    row(
        "conversion",
        f"{words.count_of(now.conversion)} {words.between(now.conversion_interval)}",
        words.count_of(before.conversion) if before else "",
        words.points(journey.change),
    )
    if journey.target is not None:
        verdict = "" if now.to_target is None else f", {100 * now.to_target:+.1f} pp"
        row("target", f"{words.share(journey.target)}{verdict}")
    if now.goals_outside or (before is not None and before.goals_outside):
        row("goals without an open instance", f"{now.goals_outside:,}", f"{before.goals_outside:,}" if before else "")
    row("still open", f"{now.open:,}", f"{before.open:,}" if before else "")
    for name, a, b in (
        ("given up at least once", now.abandoned, before.abandoned if before else None),
        ("of these came back and converted", now.returned, before.returned if before else None),
        ("met friction", now.friction, before.friction if before else None),
    ):
        row(name, words.count_of(a), words.count_of(b) if b is not None else "")
    row(
        "time to the goal (median)",
        words.duration(now.median_to_goal_s),
        words.duration(before.median_to_goal_s) if before else "",
        words.change(now.median_to_goal_s, before.median_to_goal_s if before else None),
    )
    for name in ("touchpoints", "channels", "contacts"):
        both(f"effort: {name} to the goal (mean)", getattr(before, name, None), getattr(now, name))
    both("touchpoints of those who left (mean)", before.touchpoints_lost if before else None, now.touchpoints_lost)
    if now.value_per_conversion is not None:
        both(
            "value of a conversion (mean)", before.value_per_conversion if before else None, now.value_per_conversion, 2
        )
        both("value in all", before.value_total if before else None, now.value_total, 2)
    return made


def _funnel(journey: JourneyFigures, only: JourneySlice | None = None) -> Table:
    one = only or journey.whole
    numbers = ("reached", "this or later", "converted later", "given up there", "ended there", "time in it (median)")
    title = "Funnel" if only is None else f"Funnel by {only.by}: {only.value}"
    made = table(title, ("stage",), numbers)
    for stage in one.stages:
        made.add_row(
            f"{stage.stage} (critical)" if stage.critical else stage.stage,
            words.count_of(stage.reached),
            f"{stage.passed:,}",
            words.count_of(stage.converted),
            words.count_of(stage.abandoned),
            words.count_of(stage.lost),
            words.duration(stage.median_s),
        )
    made.add_section()
    made.add_row("goal", words.count_of(one.conversion), "", "", "", "", words.duration(one.median_to_goal_s))
    return made


def _friction(journey: JourneyFigures) -> Table:
    caption = (
        "Effect: conversion of those who met it less that of those who reached the same stage and did not, with 95 % "
        "interval. It is a comparison, not an experiment."
    )
    numbers = ("instances", "signals", "converted", "effect on conversion", "conversions")
    made = table("Friction", ("rule",), numbers, caption)
    for one in journey.friction[: SHOWN + 1]:
        made.add_row(
            one.rule,
            count_or_nothing(one.instances.count, words.share(one.instances)),
            f"{one.signals:,}",
            words.share(one.conversion),
            words.points(one.effect),
            words.NOTHING if one.converted_less is None else f"{one.converted_less:+,.0f}",
        )
    return made


def count_or_nothing(count: int, of: str) -> str:
    return f"{count:,} ({of})"


def _company(journey: JourneyFigures) -> Table:
    made = table("With and without people", ("",), ("instances", "converted"))
    for kind, rate in {**journey.help, **journey.place}.items():
        made.add_row(kind, f"{rate.of:,}", words.count_of(rate))
    return made


def _split(journey: JourneyFigures, name: str, rows: list[JourneySlice]) -> Table:
    weeks = name == "week"
    compared = any(one.difference is not None for one in rows)
    rates = ("entrants", "conversion", "95 %", "to target", "open", "given up", "friction", "time to goal", "effort")
    numbers = (*(("to week before",) if weeks else ()), *rates, *(("difference",) if compared else ()))
    made = table(f"By {name}", ("week of" if weeks else name,), numbers)
    marks: dict[str, list[str]] = {}
    for monday, _, title in journey.marks:
        marks.setdefault(monday, []).append(title)
    before: JourneySlice | None = None
    shown = rows if weeks else sorted(rows, key=lambda one: -one.entrants)[:SHOWN]
    for one in shown:
        to_before = ""
        if before is not None and one.conversion.share is not None and before.conversion.share is not None:
            to_before = f"{100 * (one.conversion.share - before.conversion.share):+.1f} pp"
        made.add_row(
            one.value + "".join(f"  << {title}" for title in marks.get(one.value, []) if weeks),
            *((to_before,) if weeks else ()),
            f"{one.entrants:,}",
            words.share(one.conversion),
            words.between(one.conversion_interval),
            words.NOTHING if one.to_target is None else f"{100 * one.to_target:+.1f} pp",
            f"{one.open:,}",
            words.share(one.abandoned),
            words.share(one.friction),
            words.duration(one.median_to_goal_s),
            words.number(one.touchpoints),
            *((words.points(one.difference) if one.difference is not None else "",) if compared else ()),
        )
        before = one
    if weeks and shown[-1].open:
        made.caption = "Open instances may still convert: a young week looks worse than it will be."
    if len(rows) > len(shown):
        made.caption = f"and {len(rows) - len(shown)} more (all of them in --json)"
    return made
