"""Satisfaction, service and cohorts as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streams.tools.report import words
from streams.tools.report.cohorts import CohortFigures
from streams.tools.report.feelings import FeelingFigures, FeelingSlice
from streams.tools.report.service import ServiceFigures, ServiceSlice
from streams.tools.report.statistics import Interval
from streams.tools.report.terminal_table import SHOWN, Detail, table

SPLITS = ("week", "segment", "location", "channel", "change")
"""Splits that the terminal shows; JSON has all."""


def feeling_tables(feelings: FeelingFigures, detail: Detail) -> Iterator[RenderableType]:
    if not _says(feelings.whole):
        return
    yield Text("\nSatisfaction", style="bold underline")
    yield _feelings(feelings, "stage")
    if detail == "short":
        return
    for by in _shown([one.by for one in feelings.splits if _says(one)]):
        yield _feelings(feelings, by)
    if feelings.whole.emotions:
        made = table("Emotions", ("emotion",), ("touchpoints",))
        for word, n in list(feelings.whole.emotions.items())[:SHOWN]:
            made.add_row(word, f"{n:,}")
        yield made


def _says(one: FeelingSlice) -> bool:
    return bool(one.nps_answers or one.csat_top_two.of or one.ces_answers or one.sentiments or one.response)


def _shown(found: Sequence[str]) -> list[str]:
    """Splits with more than one value."""
    return [by for by in dict.fromkeys(found) if found.count(by) > 1 and (by in SPLITS or by.startswith("experiment"))]


def _feelings(feelings: FeelingFigures, by: str) -> Table:
    mean = feelings.csat_formula == "mean"
    numbers = (
        "NPS",
        "answers",
        "CSAT mean" if mean else "CSAT top 2",
        "CES mean",
        "answered of sent",
        "sentiment",
        "falls",
        "back",
    )
    made = table(f"By {by}", (by,), numbers)

    def row(name: str, one: FeelingSlice) -> None:
        made.add_row(
            name,
            _interval(one.nps, 0),
            f"{one.nps_answers + one.csat_top_two.of + one.ces_answers:,}",
            _interval(one.csat, 2) if mean else words.count_of(one.csat_top_two),
            _interval(one.ces_mean, 2),
            ", ".join(f"{kind or 'survey'} {words.share(rate)}" for kind, rate in one.response.items()),
            _interval(one.sentiment, 2),
            f"{one.falls:,}",
            f"{one.recoveries:,}",
        )

    for one in feelings.splits:
        if one.by == by and _says(one):
            row(one.value, one)
    made.add_section()
    row("all", feelings.whole)
    if feelings.previous is not None:
        row("previous period", feelings.previous)
    return made


def _interval(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return words.NOTHING
    return f"{interval.estimate:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def service_tables(service: ServiceFigures, detail: Detail) -> Iterator[RenderableType]:
    whole = service.whole
    if not (whole.contacts or whole.resolution.of or whole.containment.of):
        return
    yield Text("\nService", style="bold underline")
    yield _service(service, "topic")
    if detail == "short":
        return
    for by in _shown([one.by for one in service.splits]):
        yield _service(service, by)
    kinds = table("Resolution with and without people", ("",), ("cases", "resolved"))
    for kind, rate in whole.resolution_by.items():
        kinds.add_row(kind, f"{rate.of:,}", words.count_of(rate))
    yield kinds
    if service.reasons:
        reasons = table("Contact reasons by the stage held just before", ("stage", "topic"), ("contacts",))
        for stage, topic, n in service.reasons[: 2 * SHOWN]:
            reasons.add_row(stage, topic, f"{n:,}")
        yield reasons


def _service(service: ServiceFigures, by: str) -> Table:
    rates = ("online", "resolved", "first contact", "contained")
    numbers = ("contacts", *rates, "reopened", "transfers", "to resolution", "wait")
    made = table(f"By {by}", (by,), numbers)

    def row(name: str, one: ServiceSlice) -> None:
        made.add_row(
            name,
            f"{one.contacts:,}",
            words.share(one.online),
            words.count_of(one.resolution),
            words.count_of(one.first_contact),
            words.count_of(one.containment),
            f"{one.reopened:,}",
            f"{one.transfers:,}",
            words.duration(one.median_to_resolution_s),
            words.duration(one.median_wait_s),
        )

    mine = [one for one in service.splits if one.by == by]
    for one in mine if by == "week" else sorted(mine, key=lambda one: -one.contacts)[:SHOWN]:
        row(one.value, one)
    made.add_section()
    row("all", service.whole)
    if service.previous is not None:
        row("previous period", service.previous)
    return made


def cohort_tables(cohorts: Sequence[CohortFigures]) -> Iterator[RenderableType]:
    if not any(one.customers for one in cohorts):
        return
    yield Text("\nCohorts", style="bold underline")
    windows = max(len(one.retention) for one in cohorts)
    days = [f"{30 * k}-{30 * (k + 1)} d" for k in range(windows)]
    caption = "Customers with a touchpoint of their own in that window since their first one, where it is over."
    kept = table("Retention by month of the first touchpoint", ("month",), ("customers", *days), caption)
    worth = table(
        "Value of a customer so far (orders less refunds, mean)",
        ("month",),
        ("again in 90 d", *(f"{30 * (k + 1)} d" for k in range(windows))),
    )
    for one in [*(one for one in cohorts if one.by == "cohort"), cohorts[0]]:
        name = one.value or "all"
        kept.add_row(name, f"{one.customers:,}", *(words.share(rate) for rate in one.retention))
        worth.add_row(name, words.count_of(one.repeat), *(words.number(value, 2) for value in one.lifetime_value))
    if windows:
        yield kept
        yield worth
    else:
        yield Text("No customer has been known for 30 days yet.")
