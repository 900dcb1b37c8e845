"""What a replay came to: counted from its outputs while they pass, shown as tables.

Owns the figures and their names. Counting reads nothing but outputs, so it works for a file and for a live log alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.contracts.outputs import Counts, Outputs, Signal
from streams.definitions.model import Definition
from streams.tools.replay.learning import RiskQuality

ENDS: Final = frozenset({"goal", "expired", "limit", "definition", "forgotten"})
"""Reasons for ``stage_left`` that end the instance; ``leave_when`` does where no lower stage was entered."""


@dataclass(slots=True)
class JourneySummary:
    entrants: int = 0
    """Instances that opened."""
    reached: Counter[str] = field(default_factory=Counter)
    """Stage -> how often it was entered."""
    converted: int = 0
    goals_without_instance: int = 0
    abandoned: Counter[str] = field(default_factory=Counter)
    """Stage -> abandonment signals."""
    friction: Counter[str] = field(default_factory=Counter)
    """Rule -> signals, stalled included."""
    ended: Counter[str] = field(default_factory=Counter)
    """Reason -> instances that ended so; the rest is open."""

    @property
    def conversion(self) -> float:
        return self.converted / self.entrants if self.entrants else 0.0


@dataclass(slots=True)
class Summary:
    """Running totals."""

    touchpoints: int = 0
    customers: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Reason -> dead letters."""
    filtered: int = 0
    """Rows that the mapping's filters left out."""
    signals: Counter[str] = field(default_factory=Counter)
    """Kind -> signals."""
    journeys: dict[str, JourneySummary] = field(default_factory=dict)
    other: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, name) of signals that belong to no journey's table: segments, satisfaction, milestones."""
    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(outcome, reason) -> decisions."""
    triggers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(action, status) -> records; an ended status carries its reason."""
    counts: Counter[str] = field(default_factory=Counter)
    """What became of the touchpoints (semantics, rule 26)."""
    unused: Counter[str] = field(default_factory=Counter)
    """Event names that no definition uses -> touchpoints."""
    risks: list[RiskQuality] = field(default_factory=list)
    """Of a replay that learns."""
    first: int | None = None
    last: int | None = None
    """Event time (ms) of the earliest and the latest touchpoint."""
    _open: set[tuple[str, str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, definition: Definition) -> Summary:
        """Empty, with a row for each journey and stage in the definition's order."""
        summary = cls()
        for journey in definition.journeys:
            row = summary.journeys[journey.name] = JourneySummary()
            row.reached.update(dict.fromkeys((stage.name for stage in journey.stages), 0))
            row.abandoned.update(dict.fromkeys((rule.stage for rule in journey.abandonment), 0))
            row.friction.update(dict.fromkeys((rule.name for rule in journey.friction), 0))
        return summary

    def add(self, outputs: Outputs) -> None:
        for signal in outputs.signals:
            self._signal(signal)
        for decision in outputs.decisions:
            self.decisions[decision.outcome, decision.reason] += 1
        for trigger in outputs.triggers:
            status = f"{trigger.status} ({trigger.end_reason})" if trigger.end_reason else trigger.status
            self.triggers[trigger.action, status] += 1
        self.add_counts(outputs.counts)

    def add_counts(self, counts: Counts) -> None:
        totals = self.counts
        if counts.processed == 1 and counts == _ONE:  # the usual touchpoint, kept cheap
            totals["processed"] += 1
            return
        for name in Counts.__struct_fields__:
            value = getattr(counts, name)
            if value:
                totals[name] += value

    def add_unused(self, names: Mapping[str, int]) -> None:
        self.unused.update(names)

    def _signal(self, signal: Signal) -> None:
        kind = signal.kind
        self.signals[kind] += 1
        if signal.journey is None or kind == "milestone":
            self.other[kind, signal.name] += 1
            return
        row = self.journeys.setdefault(signal.journey, JourneySummary())
        key = (signal.customer, signal.journey, signal.instance or "")
        if kind == "stage_entered":
            row.reached[signal.name] += 1
            if key not in self._open:
                self._open.add(key)
                row.entrants += 1
        elif kind == "stage_left":
            # Only the end of an instance says how many touchpoints it took.
            if signal.reason in ENDS or "touchpoints" in signal.figures:
                self._open.discard(key)
                row.ended[signal.reason or ""] += 1
        elif kind == "goal_reached":
            if signal.figures.get("conversion"):
                row.converted += 1
            else:
                row.goals_without_instance += 1
        elif kind == "abandonment":
            row.abandoned[signal.stage or signal.name] += 1
        elif kind in ("friction", "stalled"):
            row.friction[signal.name] += 1
        else:
            self.other[kind, signal.name] += 1


_ONE: Final = Counts(processed=1)
