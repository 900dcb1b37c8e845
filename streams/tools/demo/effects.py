"""Did it help, while it runs: each action's uplift against its holdout, and what customers did with their messages.

Owns the incremental count of units; the unit, the window and the interval are those of the report
(``streams.tools.report``): a customer and an action, at the first decision that issued it or would have.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import Final

from streams.contracts.outputs import Decision, Signal
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.tools.report.statistics import Interval, Rate, difference, moments_of
from streams.tools.report.units import HELD_OUT, HOLDOUT, ISSUED, window_of

LEAST: Final = 2
"""Units of a group before an interval is shown."""


@dataclass(slots=True)
class _Unit:
    action: str
    group: str
    journey: str | None
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
        self._units: dict[tuple[str, str], _Unit] = {}
        """(customer, action) -> unit."""
        self._of: dict[str, list[_Unit]] = {}
        """Customer -> units whose window may be open."""
        self._open: list[tuple[int, int, str, _Unit]] = []
        self._counts: Counter[tuple[str, str, bool]] = Counter()
        """(action, issued or holdout, converted) -> units whose window is over."""
        self.outcomes: Counter[str] = Counter()

    def decided(self, decision: Decision) -> None:
        name = decision.chosen
        if name is None or decision.outcome not in (ISSUED, HELD_OUT) or (decision.customer, name) in self._units:
            return
        group = HOLDOUT if decision.outcome == HELD_OUT else ISSUED
        until = decision.time + self._windows.get(name, 0)
        unit = _Unit(name, group, decision.journey, decision.time, until)
        self._units[decision.customer, name] = unit
        self._of.setdefault(decision.customer, []).append(unit)
        heapq.heappush(self._open, (until, len(self._units), decision.customer, unit))

    def found(self, signal: Signal) -> None:
        if signal.kind == "goal_reached":
            for unit in self._of.get(signal.customer, ()):
                if unit.at < signal.time <= unit.until and unit.journey in (None, signal.journey):
                    unit.converted = True

    def heard(self, touchpoint: Touchpoint) -> None:
        if touchpoint.outcome is not None and touchpoint.trigger_id is not None:
            self.outcomes[touchpoint.outcome] += 1

    def passed(self, now_ms: int) -> None:
        """All until ``now_ms`` has been told: units whose window is over count."""
        while self._open and self._open[0][0] < now_ms:
            _, _, customer, unit = heapq.heappop(self._open)
            self._of[customer].remove(unit)
            self._counts[unit.action, unit.group, unit.converted] += 1

    def effects(self) -> list[Effect]:
        """Of the actions that have a unit in both groups, those with most units first."""
        found = []
        for action in self._windows:
            issued, held_out = (self._rate(action, group) for group in (ISSUED, HOLDOUT))
            if issued.of and held_out.of:
                enough = min(issued.of, held_out.of) >= LEAST
                uplift = difference(moments_of(issued), moments_of(held_out)) if enough else None
                found.append(Effect(action, issued, held_out, uplift))
        return sorted(found, key=lambda one: -one.issued.of)

    def _rate(self, action: str, group: str) -> Rate:
        true, false = self._counts[action, group, True], self._counts[action, group, False]
        return Rate(true, true + false)
