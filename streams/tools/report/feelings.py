"""Figures of satisfaction: NPS, CSAT and CES with response rates, sentiment and emotions; each by stage, too.

Owns the formulas (reference: NPS is % of 9-10 less % of 0-6; CSAT top-2-box and mean of 1-5; CES mean of 1-7) and to
which stage an answer belongs: that of its case, else of the newest open instance, else where the last one ended.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

import msgspec

from streams.definitions.satisfaction import Csat
from streams.tools.report.frame import PREVIOUS, WHOLE, Frame, Split, Splits
from streams.tools.report.history import History
from streams.tools.report.records import Touch
from streams.tools.report.statistics import Interval, Moments, Rate, Z, wilson

SENT: Final = "Survey Sent"
KINDS: Final = ("nps", "csat", "ces")
BOUNDS: Final = {"nps": (0.0, 10.0), "csat": (1.0, 5.0), "ces": (1.0, 7.0)}
"""Lowest and highest answer; one outside is left out and counted."""
TOP_TWO: Final = 4.0
MOST_EMOTIONS: Final = 50


@dataclass(slots=True)
class FeelingCell:
    promoters: int = 0
    passives: int = 0
    detractors: int = 0
    satisfied: int = 0
    csat: Moments = field(default_factory=Moments)
    ces: Moments = field(default_factory=Moments)
    outside: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    """Invitations that were answered."""
    sentiment: Moments = field(default_factory=Moments)
    emotions: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    """fall, recovery, as the engine found them."""

    def answer(self, kind: str, score: float) -> None:
        low, high = BOUNDS[kind]
        if not low <= score <= high:
            self.outside += 1
        elif kind == "csat":
            self.csat.add(score)
            self.satisfied += score >= TOP_TWO
        elif kind == "ces":
            self.ces.add(score)
        elif score >= 9:
            self.promoters += 1
        elif score <= 6:
            self.detractors += 1
        else:
            self.passives += 1

    def feel(self, touch: Touch) -> None:
        if touch.sentiment is not None:
            self.sentiment.add(touch.sentiment)
        if touch.emotion:
            word = touch.emotion.lower()[:64]
            if word in self.emotions or len(self.emotions) < MOST_EMOTIONS:
                self.emotions[word] += 1


class FeelingSlice(msgspec.Struct):
    by: str
    value: str
    nps: Interval | None
    """-100 to 100."""
    nps_answers: int
    promoters: Rate
    detractors: Rate
    csat: Interval | None
    """By the definition's formula: the share of answers 4 and 5 (Wilson), or the mean."""
    csat_top_two: Rate
    csat_mean: Interval | None
    """None with fewer than two answers; so of CES and sentiment."""
    ces_mean: Interval | None
    ces_answers: int
    outside: int
    """Answers beyond the scale, left out."""
    response: dict[str, Rate]
    """Kind of survey -> invitations answered of those sent."""
    sentiment: Interval | None
    sentiments: int
    emotions: dict[str, int]
    falls: int
    recoveries: int


class FeelingFigures(msgspec.Struct):
    csat_formula: Csat
    whole: FeelingSlice
    previous: FeelingSlice | None
    splits: list[FeelingSlice]
    """Among them ``stage`` (journey/stage)."""


def nps(promoters: int, passives: int, detractors: int) -> Interval | None:
    """Points from -100 to 100. The interval is the adjusted Wald one with 3/4 of a promoter and of a detractor and 3/2
    of a passive added (Rocks 2016), which holds for few answers and for answers that all agree.
    """
    n = promoters + passives + detractors
    if n == 0:
        return None
    score = 100 * (promoters - detractors) / n
    p, d = (promoters + 0.75) / (n + 3), (detractors + 0.75) / (n + 3)
    middle = 100 * (p - d)
    half = 100 * Z * sqrt((p + d - (p - d) ** 2) / (n + 3))
    return Interval(score, min(score, max(-100.0, middle - half)), max(score, min(100.0, middle + half)))


class FeelingCounts:
    def __init__(self, formula: Csat = "top_2_box") -> None:
        self.formula = formula
        self.splits: Splits[FeelingCell] = Splits(FeelingCell)

    def add(self, history: History, frame: Frame) -> None:
        for touch in history.touches:
            answered = touch.survey in BOUNDS and touch.score is not None
            if answered or touch.sentiment is not None or touch.emotion:
                for cell in self.splits.at(splits_with_stage(history, frame, touch)):
                    if answered and touch.survey is not None and touch.score is not None:
                        cell.answer(touch.survey, touch.score)
                    cell.feel(touch)
        self._response(history, frame)
        for signal in history.found:
            if signal.signal == "satisfaction" and signal.name in ("fall", "recovery"):
                seen = history.by_id.get(signal.evidence[-1]) if signal.evidence else None
                splits = frame.splits(history, signal.time, touch=seen, definition=signal.definition)
                if splits and signal.journey is not None and signal.stage is not None:
                    splits.append(("stage", f"{signal.journey}/{signal.stage}"))
                for cell in self.splits.at(splits):
                    cell.changes[signal.name] += 1

    def _response(self, history: History, frame: Frame) -> None:
        """An invitation is answered by the first answer of its kind before the next invitation of that kind."""
        waiting: dict[str, Touch] = {}
        for touch in history.touches:
            kind = touch.survey or ""
            if touch.type == SENT:
                for cell in self.splits.at(splits_with_stage(history, frame, touch)):
                    cell.sent[kind] += 1
                waiting[kind] = touch
            elif touch.score is not None and kind:
                asked = waiting.pop(kind, None) or waiting.pop("", None)
                if asked is not None:
                    for cell in self.splits.at(splits_with_stage(history, frame, asked)):
                        cell.answered[asked.survey or ""] += 1

    def figures(self, frame: Frame) -> FeelingFigures:
        splits = self.splits
        previous = splits.previous
        if previous is None and frame.length is not None:
            previous = FeelingCell()
        return FeelingFigures(
            self.formula,
            _slice(*WHOLE, splits.whole, self.formula),
            _slice(*PREVIOUS, previous, self.formula) if previous is not None else None,
            [_slice(by, value, cell, self.formula) for by in splits.names for value, cell in splits.by(by).items()],
        )


def splits_with_stage(history: History, frame: Frame, touch: Touch) -> list[Split]:
    """Where something that a touchpoint says counts; the stage is the one it is about."""
    passage = history.passage_at(touch.time, touch.case_id)
    journey = passage.journey if passage is not None else None
    splits = frame.splits(history, touch.time, touch=touch, journey=journey)
    if splits and splits[0] == WHOLE:
        stage = f"{passage.journey}/{passage.stage_at(touch.time)}" if passage is not None else "(none)"
        splits.append(("stage", stage))
    return splits


def _slice(by: str, value: str, cell: FeelingCell, formula: Csat) -> FeelingSlice:
    mean = cell.csat.interval()
    answers = cell.promoters + cell.passives + cell.detractors
    return FeelingSlice(
        by=by,
        value=value,
        nps=nps(cell.promoters, cell.passives, cell.detractors),
        nps_answers=answers,
        promoters=Rate(cell.promoters, answers),
        detractors=Rate(cell.detractors, answers),
        csat=mean if formula == "mean" else wilson(cell.satisfied, cell.csat.n),
        csat_top_two=Rate(cell.satisfied, cell.csat.n),
        csat_mean=mean,
        ces_mean=cell.ces.interval(),
        ces_answers=cell.ces.n,
        outside=cell.outside,
        response={kind: Rate(cell.answered[kind], n) for kind, n in sorted(cell.sent.items())},
        sentiment=cell.sentiment.interval(),
        sentiments=cell.sentiment.n,
        emotions=dict(cell.emotions.most_common()),
        falls=cell.changes["fall"],
        recoveries=cell.changes["recovery"],
    )
