"""Friction in instances of a journey, and what it costs in conversion.

Owns the comparison stage by stage: friction needs somebody who is there, so who met it is held against those who came
as far and did not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from streams.tools.report.passages import Passage
from streams.tools.report.statistics import Interval, Rate, stratified_difference

if TYPE_CHECKING:
    from streams.tools.report.journeys import JourneyCell

ANY: Final = "any friction"


@dataclass(slots=True)
class Pair:
    """Instances and how many of them converted."""

    of: int = 0
    converted: int = 0

    def add(self, passage: Passage) -> None:
        self.of += 1
        self.converted += passage.converted

    @property
    def rate(self) -> Rate:
        return Rate(self.converted, self.of)


@dataclass(slots=True)
class FrictionCell:
    """One rule: where it was met first, and who with it came how far."""

    signals: int = 0
    all: Pair = field(default_factory=Pair)
    first_at: dict[str, Pair] = field(default_factory=dict)
    """Stage in which the instance met the rule first."""
    reached: dict[str, Pair] = field(default_factory=dict)
    """Stage -> instances with the rule, wherever they met it, that reached the stage."""


class FrictionFigures(msgspec.Struct):
    rule: str
    instances: Rate
    """With at least one, of entrants."""
    signals: int
    """All of them, those outside of instances included (after the goal: a parcel that is late)."""
    conversion: Rate
    """Of those with it."""
    effect: Interval | None
    """On conversion (share): with less without, among those that reached the stage in which it was met first."""
    converted_less: float | None
    """Conversions that the effect stands for: instances x effect (negative: fewer)."""


def friction_figures(cell: JourneyCell) -> list[FrictionFigures]:
    """Rules by how many instances met them; all of them together come first."""
    found = []
    rules = {rule: cell.friction.get(rule) or FrictionCell() for rule in (*cell.friction, *cell.loose)}
    for rule, friction in sorted(rules.items(), key=lambda item: (item[0] != ANY, -item[1].all.of, item[0])):
        effect = friction_effect(cell, friction)
        found.append(
            FrictionFigures(
                rule,
                Rate(friction.all.of, cell.all.of),
                friction.signals + (cell.loose.total() if rule == ANY else cell.loose[rule]),
                friction.all.rate,
                effect,
                effect.estimate * friction.all.of if effect is not None else None,
            )
        )
    return found


def friction_effect(cell: JourneyCell, friction: FrictionCell, stage: str | None = None) -> Interval | None:
    """Friction needs somebody who is there: whoever met it in a stage is compared with those who reached that stage and
    never met the rule, stage by stage. ``stage``: only there."""
    strata = []
    for at, met in friction.first_at.items():
        reached, with_it = cell.reached.get(at), friction.reached.get(at)
        if reached is not None and with_it is not None and stage in (None, at):
            without = Rate(reached.converted - with_it.converted, reached.of - with_it.of)
            strata.append((met.rate, without))
    return stratified_difference(strata)
