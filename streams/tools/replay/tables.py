"""The summary of a replay as tables for a terminal (rich).

Owns what is shown and in which order; the figures are ``summary``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import isnan
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table

from streams.definitions.model import Definition
from streams.learner.quality import Quality
from streams.tools.replay.learning import RiskQuality
from streams.tools.replay.summary import JourneySummary, Summary

UNUSED_SHOWN: Final = 20
COUNTS: Final = {
    "late": "late (after a deadline that had fired)",
    "duplicate": "duplicates",
    "conflicting": "of these with other contents",
    "too_late": "too late, dropped",
    "skew_corrected": "clock corrected",
    "skew_cut": "time cut to the record's",
    "unassigned": "without the field that names the instance",
    "preset_fields_missing": "without the fields of a click preset",
    "evicted": "profiles forgotten",
    "shed": "pieces of state shed",
}


def tables(summary: Summary, definition: Definition) -> Iterator[RenderableType]:
    """What to print, one after the other."""
    yield _totals(summary)
    targets = {journey.name: journey.goal.target for journey in definition.journeys}
    for name, journey in summary.journeys.items():
        yield _journey(name, journey, targets.get(name))
    if summary.other:
        yield _counter("Other signals", ("kind", "name", "signals"), dict(sorted(summary.other.items())))
    for risk in summary.risks:
        yield _risk(risk)
        yield _calibration(risk)
    if summary.triggers:
        triggers = dict(sorted(summary.triggers.items(), key=_life))
        yield _counter("Triggers", ("action", "status", "records"), triggers)
    if summary.decisions:
        decisions = dict(sorted(summary.decisions.items()))
        yield _counter("Decisions", ("outcome", "reason", "decisions"), decisions)
    if summary.refused:
        yield _counter("Dead letters", ("reason", "rows"), {(reason,): n for reason, n in summary.refused.items()})
    if summary.unused:
        most = summary.unused.most_common(UNUSED_SHOWN)
        yield _counter("Events that no definition uses", ("event", "touchpoints"), {(name,): n for name, n in most})


def _life(row: tuple[tuple[str, str], int]) -> tuple[str, bool, str]:
    """By action; what was issued before what became of it."""
    action, status = row[0]
    return action, status != "issued", status


def _time(ms: int | None) -> str:
    if ms is None:
        return "none"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _totals(summary: Summary) -> Table:
    table = Table(title="Replay", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    table.add_row("touchpoints", f"{summary.touchpoints:,}")
    table.add_row("customers", f"{summary.customers:,}")
    if summary.first is not None:
        table.add_row("from", _time(summary.first))
        table.add_row("to", _time(summary.last))
    if summary.filtered:
        table.add_row("rows that the mapping filters out", f"{summary.filtered:,}")
    for name, words in COUNTS.items():
        if summary.counts[name]:
            table.add_row(words, f"{summary.counts[name]:,}")
    table.add_row("signals", f"{summary.signals.total():,}")
    return table


def _journey(name: str, journey: JourneySummary, target: float | None) -> Table:
    table = Table(title=f"Journey {name}", title_justify="left")
    for column in ("", "what"):
        table.add_column(column)
    table.add_column("number", justify="right")
    table.add_column("of entrants", justify="right")

    def row(kind: str, what: str, number: int) -> None:
        share = f"{number / journey.entrants:.1%}" if journey.entrants else ""
        table.add_row(kind, what, f"{number:,}", share)

    row("entrants", "", journey.entrants)
    for stage, number in journey.reached.items():
        row("reached", stage, number)
    row("converted", "" if target is None else f"target {target:.1%}", journey.converted)
    if journey.goals_without_instance:
        table.add_row("goal", "without an open journey", f"{journey.goals_without_instance:,}", "")
    for stage, number in journey.abandoned.items():
        row("abandoned", stage, number)
    for rule, number in journey.friction.items():
        row("friction", rule, number)
    for reason, number in sorted(journey.ended.items()):
        if reason != "goal":
            row("ended", reason, number)
    return table


def _risk(found: RiskQuality) -> Table:
    """Scores as they were given, against rules and pipelines."""
    table = Table(title=f"Risk {found.risk}: quality", title_justify="left")
    table.add_column("")
    for column in ("AUC", "log loss", "ECE", "base rate", "labels"):
        table.add_column(column, justify="right")

    def row(name: str, quality: Quality) -> None:
        figures = (quality.auc, quality.log_loss, quality.ece, quality.base_rate)
        table.add_row(name, *(_figure(x) for x in figures), f"{quality.labels:,}")

    row("scores as given", found.issued)
    for rule, auc in found.rules.items():
        table.add_row(f"rule: {rule}", _figure(auc), "", "", "", "")
    for name, quality in found.pipelines.items():
        row(f"{'champion' if name == found.champion else 'challenger'} {name} (newest)", quality)
    drifts = sum(n for name, n in found.drifts.items() if name.startswith(f"loss.{found.champion}."))
    said = [
        f"given: the last {found.tested:,} of {found.scores:,} with a whole horizon",
        f"in the input, from {_time(found.tested_from)} on",
        *([f"by the prior: {found.by_prior:,}"] if found.by_prior else []),
        f"models: {found.models:,}, drifts of the champion's loss: {drifts:,}",
    ]
    table.caption = "\n".join(said)
    table.caption_justify = "left"
    return table


def _calibration(found: RiskQuality) -> Table:
    table = Table(title=f"Risk {found.risk}: calibration", title_justify="left")
    for column in ("score", "mean score", "came true", "labels"):
        table.add_column(column, justify="right")
    bins = found.issued.bins
    for i, one in enumerate(bins):
        if one.labels:
            between = f"{i / len(bins):.1f} to {(i + 1) / len(bins):.1f}"
            table.add_row(between, f"{one.score:.3f}", f"{one.rate:.3f}", f"{one.labels:,}")
    return table


def _figure(x: float) -> str:
    return "" if isnan(x) else f"{x:.4f}"


def _counter(title: str, columns: tuple[str, ...], rows: Mapping[Any, int]) -> Table:
    """Rows are tuples of names and their number."""
    table = Table(title=title, title_justify="left")
    for column in columns[:-1]:
        table.add_column(column)
    table.add_column(columns[-1], justify="right")
    for names, number in rows.items():
        table.add_row(*names, f"{number:,}")
    return table
