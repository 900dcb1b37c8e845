"""Figures of cohorts: who stays, who buys again, what customers are worth, by the month of their first touchpoint.

Owns the windows: k-th 30 days counted from each customer's own first touchpoint. A customer counts in a window only
once it is over, so the newest cohort is not taken for a bad one. Cohorts look at all data, whatever the period.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from streams.definitions.model import DAY_MS
from streams.tools.report.frame import NONE, WHOLE, Frame, Split, Splits
from streams.tools.report.history import COUNTING, History
from streams.tools.report.statistics import Moments, Rate

WINDOW_MS: Final = 30 * DAY_MS
WINDOWS: Final = 12
AGAIN_MS: Final = 90 * DAY_MS
ORDER, REFUND = "Order Completed", "Order Refunded"


@dataclass(slots=True)
class CohortCell:
    customers: int = 0
    active: list[int] = field(default_factory=lambda: [0] * WINDOWS)
    known: list[int] = field(default_factory=lambda: [0] * WINDOWS)
    """Customers for whom the window is over."""
    value: list[Moments] = field(default_factory=lambda: [Moments() for _ in range(WINDOWS)])
    """Of all orders less refunds up to the end of the window."""
    buyers: int = 0
    again: int = 0


class CohortFigures(msgspec.Struct):
    by: str
    value: str
    customers: int
    retention: list[Rate]
    """k-th 30 days -> customers with a touchpoint of their own in it; the first begins with the first touchpoint."""
    repeat: Rate
    """Customers with a second order within 90 days of the first, of those whose 90 days are over."""
    lifetime_value: list[float | None]
    """Mean by customer up to the end of the k-th 30 days."""


class CohortCounts:
    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.splits: Splits[CohortCell] = Splits(CohortCell)

    def add(self, history: History, frame: Frame) -> None:
        mine = [touch for touch in history.touches if touch.actor in COUNTING]
        if not mine:
            return
        first = mine[0]
        seen = {(touch.time - first.time) // WINDOW_MS for touch in mine}
        money = [
            (touch.time, (touch.value or 0.0) if touch.type == ORDER else -abs(touch.value or 0.0))
            for touch in history.touches
            if touch.type in (ORDER, REFUND)
        ]
        orders = [touch.time for touch in history.touches if touch.type == ORDER]
        windows = min(WINDOWS, (frame.known_until - first.time) // WINDOW_MS)
        for cell in self.splits.at(self._splits(history, frame)):
            cell.customers += 1
            for k in range(windows):
                cell.known[k] += 1
                cell.active[k] += k in seen
                end = first.time + (k + 1) * WINDOW_MS
                cell.value[k].add(sum(amount for time, amount in money if time < end))
            if orders and orders[0] + AGAIN_MS <= frame.known_until:
                cell.buyers += 1
                cell.again += len(orders) > 1 and orders[1] <= orders[0] + AGAIN_MS

    def _splits(self, history: History, frame: Frame) -> list[Split]:
        """Segments are those held at the end; everything else is of the first touchpoint."""
        first = next(touch for touch in history.touches if touch.actor in COUNTING)
        month = datetime.fromtimestamp(first.time / 1000, self.zone).strftime("%Y-%m")
        found: list[Split] = [WHOLE, ("cohort", month)]
        found.extend(("segment", name) for name in sorted(history.segments_at(frame.known_until)) or (NONE,))
        found.append(("location", first.location or NONE))
        found.append(("channel", first.channel or NONE))
        found.append(("origin", first.origin))
        found.extend((name, value or NONE) for name, value in zip(frame.by, first.by, strict=False))
        return found

    def figures(self) -> list[CohortFigures]:
        """The whole first; windows that nobody has completed are left out."""
        splits = self.splits
        found = [_figures(*WHOLE, splits.whole)]
        found.extend(_figures(by, value, cell) for by in splits.names for value, cell in splits.by(by).items())
        return found


def _figures(by: str, value: str, cell: CohortCell) -> CohortFigures:
    known = [k for k in range(WINDOWS) if cell.known[k]]
    return CohortFigures(
        by=by,
        value=value,
        customers=cell.customers,
        retention=[Rate(cell.active[k], cell.known[k]) for k in known],
        repeat=Rate(cell.again, cell.buyers),
        lifetime_value=[cell.value[k].mean for k in known],
    )
