"""Visits and visitors by origin.

Owns cutting a customer's own touchpoints into visits (a pause longer than the session gap or the cap ends one; both
bounds still belong to it, as in the engine) and the origin of a visit: that of its first touchpoint which names one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from streams.tools.report.frame import PREVIOUS, Frame, Splits
from streams.tools.report.history import COUNTING, History
from streams.tools.report.records import DIRECT, Touch


@dataclass(slots=True)
class VisitCell:
    visits: int = 0
    visitors: int = 0
    _customer: str | None = None

    def add(self, customer: str) -> None:
        self.visits += 1
        if customer != self._customer:
            self._customer = customer
            self.visitors += 1


class VisitSlice(msgspec.Struct):
    by: str
    value: str
    visits: int
    visitors: int


class VisitFigures(msgspec.Struct):
    visits: int
    visitors: int
    previous_visits: int | None
    previous_visitors: int | None
    splits: list[VisitSlice]


def visits_of(touches: list[Touch], gap_ms: int, cap_ms: int) -> Iterator[list[Touch]]:
    """The customer's own touchpoints by visit; ``touches`` in order of time."""
    visit: list[Touch] = []
    for touch in touches:
        if touch.actor not in COUNTING:
            continue
        if visit and (touch.time - visit[-1].time > gap_ms or touch.time - visit[0].time > cap_ms):
            yield visit
            visit = []
        visit.append(touch)
    if visit:
        yield visit


class VisitCounts:
    def __init__(self, gap_ms: int, cap_ms: int) -> None:
        self.gap_ms, self.cap_ms = gap_ms, cap_ms
        self.splits: Splits[VisitCell] = Splits(VisitCell)

    def add(self, history: History, frame: Frame) -> None:
        for visit in visits_of(history.touches, self.gap_ms, self.cap_ms):
            splits = frame.splits(history, visit[0].time, until=visit[-1].time, touch=visit[0])
            origin = next((touch.origin for touch in visit if touch.origin != DIRECT), DIRECT)
            splits = [("origin", origin) if split[0] == "origin" else split for split in splits]
            for cell in self.splits.at(splits):
                cell.add(history.customer)

    def figures(self) -> VisitFigures:
        splits = self.splits
        previous = splits.cells.get(PREVIOUS)
        return VisitFigures(
            splits.whole.visits,
            splits.whole.visitors,
            previous.visits if previous is not None else None,
            previous.visitors if previous is not None else None,
            [VisitSlice(n, v, cell.visits, cell.visitors) for n in splits.names for v, cell in splits.by(n).items()],
        )
