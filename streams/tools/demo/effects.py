"""Did it help, while it runs: each action's uplift against its holdout, and what customers did with their messages.

Owns the incremental count of units; the unit, the window and the interval are those of the report
(``streams.tools.report``): a customer and an action, at the first decision that issued it or would have. A report waits
until a unit's window is over; here all count with what they have done so far, which compares like with like because
both groups are as young.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from streams.contracts.outputs import Decision, Signal
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.tools.report.statistics import FEW, Interval, Rate, difference, moments_of, rate_difference
from streams.tools.report.units import HELD_OUT, HOLDOUT, ISSUED, meant, window_of

LEAST: Final = 2
"""Units of a group before an interval is shown."""


@dataclass(slots=True)
class _Unit:
    action: str
    group: str
    journey: str | None
    instance: str | None
    at: int
    until: int
    converted: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    action: str
    issued: Rate
    held_out: Rate
    uplift: Interval | None
    """Of the conversion rate, absolute; None while a group is too small."""


class Effects:
    def __init__(self, definition: Definition) -> None:
        self._windows = {action.name: window_of(action) for action in definition.actions}
        self._of: dict[str, dict[str, _Unit]] = {}
        """Customer -> action -> unit."""
        self._counts: Counter[tuple[str, str, bool]] = Counter()
        """(action, issued or holdout, converted so far) -> units."""
        self.outcomes: Counter[str] = Counter()

    def decided(self, decision: Decision) -> None:
        name = decision.chosen
        if name is None or decision.outcome not in (ISSUED, HELD_OUT):
            return
        units = self._of.setdefault(decision.customer, {})
        if name not in units:
            group = HOLDOUT if decision.outcome == HELD_OUT else ISSUED
            until = decision.time + self._windows.get(name, 0)
            units[name] = _Unit(name, group, decision.journey, decision.instance, decision.time, until)
            self._counts[name, group, False] += 1

    def found(self, signal: Signal) -> None:
        if signal.kind != "goal_reached":
            return
        for unit in self._of.get(signal.customer, {}).values():
            if unit.converted or not unit.at < signal.time <= unit.until:
                continue
            if meant(unit.journey, unit.instance, signal.journey, signal.instance):
                unit.converted = True
                self._counts[unit.action, unit.group, False] -= 1
                self._counts[unit.action, unit.group, True] += 1

    def heard(self, touchpoint: Touchpoint) -> None:
        if touchpoint.outcome is not None and touchpoint.trigger_id is not None:
            self.outcomes[touchpoint.outcome] += 1

    def effects(self) -> list[Effect]:
        """Of the actions that have a unit in both groups, those with most units first."""
        found = []
        for action in self._windows:
            issued, held_out = (self._rate(action, group) for group in (ISSUED, HOLDOUT))
            if issued.of and held_out.of:
                enough = min(issued.of, held_out.of) >= LEAST
                # As in the report: of nought among two held out the variance is nought, too.
                few = any(min(side.count, side.of - side.count) < FEW for side in (issued, held_out))
                between = (
                    rate_difference(issued, held_out) if few else difference(moments_of(issued), moments_of(held_out))
                )
                uplift = between if enough else None
                found.append(Effect(action, issued, held_out, uplift))
        return sorted(found, key=lambda one: -one.issued.of)

    def _rate(self, action: str, group: str) -> Rate:
        true, false = self._counts[action, group, True], self._counts[action, group, False]
        return Rate(true, true + false)
