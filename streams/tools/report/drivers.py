"""What moves customers: touchpoints that go with the next stage or with a change of satisfaction, and the moment at
which a journey is decided.

Owns the comparisons with and without. They are no proof: nobody decided by lot who would have a touchpoint. They say
where an experiment is worth it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.definitions.model import DAY_MS
from streams.tools.report.frame import WHOLE, Frame, Split, Splits
from streams.tools.report.friction import ANY, friction_effect
from streams.tools.report.history import History
from streams.tools.report.journeys import FORWARD, JourneyCell, JourneyCounts
from streams.tools.report.passages import Passage
from streams.tools.report.records import Touch
from streams.tools.report.statistics import Interval, Moments, Rate, difference, rate_difference

LEAST: Final = 20
"""Stays (or changes) with, and without, a touchpoint: with fewer nothing is said of it."""
MOST_TYPES: Final = 200
SAMPLE: Final = 5_000
"""Stays kept of each stage."""
SPLIT_BY: Final = ("week", "segment", "location")
LEAST_GROUP: Final = 100
"""Instances (or changes) of a week, a segment, a location: of fewer nothing is said."""
SAMPLE_GROUP: Final = 500
"""Stays kept of each stage and group."""
MOST_GROUPS: Final = 60
"""Groups of each split whose stays are kept."""
SHOWN_GROUP: Final = 5
"""Strongest touchpoints of each group."""
APART_MS: Final = 30 * DAY_MS
"""Two readings of satisfaction farther apart tell nothing about what lay between."""
SCALES: Final = {"nps": (5.0, 5.0), "csat": (3.0, 2.0), "ces": (4.0, 3.0)}
"""Middle and half width: every reading becomes -1 to 1, like a sentiment."""
_MOOD_BY: Final = frozenset((WHOLE[0], *SPLIT_BY))
WARNING: Final = (
    "No proof: who has a touchpoint differs in other ways. About one comparison in twenty shows a difference by chance "
    "alone. Try what looks promising as an experiment."
)


class MovedFigures(msgspec.Struct):
    """Stays in a stage with a type of touchpoint until the landmark, against those without."""

    stage: str
    type: str
    landmark_s: float
    """Since entering the stage."""
    with_it: Rate
    """Who came on after it, to another stage or the goal, of those who were still there."""
    without: Rate
    difference: Interval | None


class MoodFigures(msgspec.Struct):
    """Mean change between two readings of a customer's satisfaction (-1 to 1 each), with and without a type between."""

    type: str
    changes: int
    with_it: float
    without: float
    difference: Interval | None


class MomentFigures(msgspec.Struct):
    stage: str
    declared: bool
    """``critical: true`` in the definition."""
    friction: Rate
    """Instances that met their first friction there, of those that reached it."""
    effect: Interval | None
    """Of any friction met first there on conversion (share)."""
    conversions: float | None
    """Instances x effect: negative is what it costs."""


class DriverSlice(msgspec.Struct):
    """The same of one week, segment or location."""

    by: str
    value: str
    instances: int
    moments: list[MomentFigures]
    measured: str | None
    moved: list[MovedFigures]
    """The strongest."""


class DriverFigures(msgspec.Struct):
    journey: str
    moments: list[MomentFigures]
    measured: str | None
    """The stage in which friction costs most conversions, among those whose interval lies below 0."""
    moved: list[MovedFigures]
    splits: list[DriverSlice]
    too_small: dict[str, int]
    """Split -> groups of too few instances to say anything."""


class MoodSlice(msgspec.Struct):
    by: str
    value: str
    changes: int
    mean: Interval | None
    drivers: list[MoodFigures]
    """The strongest."""


class MoodDrivers(msgspec.Struct):
    changes: int
    mean: Interval | None
    drivers: list[MoodFigures]
    splits: list[MoodSlice]
    too_small: dict[str, int]
    """Split -> groups of too few changes to say anything."""


@dataclass(slots=True)
class _Stay:
    entered: int
    lasted: int | None
    """ms; None: still there."""
    came_on: bool
    first: dict[str, int]
    """Type -> ms from entering to the first touchpoint of it, before the one that left the stage."""


@dataclass(slots=True)
class _Stage:
    """An even sample of the stays, so that a long history takes no more room (reservoir; Vitter 1985)."""

    seen: int = 0
    stays: list[_Stay] = field(default_factory=list)

    def add(self, stay: _Stay, draw: random.Random, most: int = SAMPLE) -> None:
        self.seen += 1
        if len(self.stays) < most:
            self.stays.append(stay)
        elif (place := draw.randrange(self.seen)) < most:
            self.stays[place] = stay


class DriverCounts:
    """One journey in the period, and its larger weeks, segments and locations."""

    def __init__(self) -> None:
        self.stages: dict[str, _Stage] = {}
        self.groups: dict[Split, dict[str, _Stage]] = {}
        self._kept = dict.fromkeys(SPLIT_BY, 0)
        self._draw = random.Random(0)  # noqa: S311 - the same report every time, and no secret

    def add(self, passage: Passage, history: History, frame: Frame) -> None:
        if not frame.start <= passage.opened < frame.end:
            return
        groups = self._groups(frame.splits(history, passage.opened, touch=passage.first, journey=passage.journey))
        for stay in passage.stays:
            end = frame.known_until if stay.left is None else stay.left - 1
            first: dict[str, int] = {}
            for touch in history.between(stay.entered, end):
                if touch.type not in first and len(first) < MOST_TYPES:
                    first[touch.type] = touch.time - stay.entered
            lasted = None if stay.left is None else stay.left - stay.entered
            kept = _Stay(stay.entered, lasted, stay.reason in FORWARD, first)
            self.stages.setdefault(stay.stage, _Stage()).add(kept, self._draw)
            for stages in groups:
                stages.setdefault(stay.stage, _Stage()).add(kept, self._draw, SAMPLE_GROUP)

    def _groups(self, splits: list[Split]) -> list[dict[str, _Stage]]:
        found = []
        for split in splits:
            if split[0] in self._kept:
                stages = self.groups.get(split)
                if stages is None and self._kept[split[0]] < MOST_GROUPS:
                    self._kept[split[0]] += 1
                    stages = self.groups[split] = {}
                if stages is not None:
                    found.append(stages)
        return found

    def figures(self, journey: JourneyCounts, frame: Frame) -> DriverFigures:
        whole = self._slice(journey, WHOLE, journey.splits.whole, self.stages, frame)
        splits = []
        too_small = {}
        for by in SPLIT_BY:
            cells = journey.splits.by(by)
            large = {value: cell for value, cell in cells.items() if cell.all.of >= LEAST_GROUP}
            too_small[by] = len(cells) - len(large)
            for value, cell in large.items():
                one = self._slice(journey, (by, value), cell, self.groups.get((by, value), {}), frame)
                one.moved = sorted(one.moved, key=lambda moved: -_strength(moved.difference))[:SHOWN_GROUP]
                splits.append(one)
        return DriverFigures(journey.journey.name, whole.moments, whole.measured, whole.moved, splits, too_small)

    @staticmethod
    def _slice(
        journey: JourneyCounts, split: Split, cell: JourneyCell, stages: Mapping[str, _Stage], frame: Frame
    ) -> DriverSlice:
        moments = moments_of(journey, cell)
        cost = [(one.conversions, one.stage) for one in moments if one.effect is not None and one.effect.says == "down"]
        measured = min(((n, stage) for n, stage in cost if n is not None), default=None)
        moved = [one for name in journey.ranks if name in stages for one in _moved(name, stages[name], frame)]
        return DriverSlice(*split, cell.all.of, moments, None if measured is None else measured[1], moved)


def _moved(name: str, stage: _Stage, frame: Frame) -> list[MovedFigures]:
    """Landmark analysis (Anderson, Cain and Gelber 1983).

    Who stays longer has more touchpoints, and who never comes on stays longest. So one looks at everybody who is still
    there at a landmark, by what they had until then, and at who comes on after it. The landmark is when a quarter of
    those who came on had come on; the outcome is known when 95 % of them had, and who entered later is left out.
    """
    lasted = sorted(stay.lasted for stay in stage.stays if stay.came_on and stay.lasted is not None)
    if len(lasted) < LEAST:
        return []
    landmark, horizon = lasted[len(lasted) // 4], lasted[len(lasted) * 95 // 100]
    there = [
        stay
        for stay in stage.stays
        if (stay.lasted is None or stay.lasted > landmark) and stay.entered + horizon <= frame.known_until
    ]
    came_on = [stay.came_on and stay.lasted is not None and stay.lasted <= horizon for stay in there]
    types: dict[str, list[int]] = {}
    for stay, success in zip(there, came_on, strict=True):
        for kind, after in stay.first.items():
            if after <= landmark:
                pair = types.setdefault(kind, [0, 0])
                pair[0] += 1
                pair[1] += success
    found = []
    for kind, (n, successes) in types.items():
        with_it, without = Rate(successes, n), Rate(sum(came_on) - successes, len(there) - n)
        if min(with_it.of, without.of) >= LEAST:
            interval = rate_difference(with_it, without)
            found.append(MovedFigures(name, kind, landmark / 1000, with_it, without, interval))
    found.sort(key=lambda one: (-_strength(one.difference), one.type))
    return found


def moments_of(journey: JourneyCounts, cell: JourneyCell) -> list[MomentFigures]:
    friction = cell.friction.get(ANY)
    critical = {stage.name for stage in journey.journey.stages if stage.critical}
    found = []
    for stage in journey.ranks:
        reached = cell.reached.get(stage)
        met = friction.first_at.get(stage) if friction is not None else None
        effect = friction_effect(cell, friction, stage) if friction is not None and met is not None else None
        found.append(
            MomentFigures(
                stage,
                stage in critical,
                Rate(met.of if met is not None else 0, reached.of if reached is not None else 0),
                effect,
                effect.estimate * met.of if effect is not None and met is not None else None,
            )
        )
    return found


def _strength(interval: Interval | None) -> float:
    """How far from 0 the nearer end lies; negative where 0 lies inside."""
    if interval is None:
        return float("-inf")
    return max(interval.low, -interval.high)


@dataclass(slots=True)
class _Mood:
    all: Moments = field(default_factory=Moments)
    types: dict[str, Moments] = field(default_factory=dict)

    def add(self, change: float, kinds: Iterable[str]) -> None:
        self.all.add(change)
        for kind in kinds:
            if kind in self.types or len(self.types) < MOST_TYPES:
                self.types.setdefault(kind, Moments()).add(change)

    def drivers(self) -> list[MoodFigures]:
        found = []
        for kind, with_it in self.types.items():
            without = rest_of(self.all, with_it)
            if min(with_it.n, without.n) >= LEAST:
                found.append(MoodFigures(kind, with_it.n, with_it.mean, without.mean, difference(with_it, without)))
        found.sort(key=lambda one: (-_strength(one.difference), one.type))
        return found


class MoodCounts:
    """Changes of satisfaction of all customers, and what lay between the two readings."""

    def __init__(self) -> None:
        self.splits: Splits[_Mood] = Splits(_Mood)

    def add(self, history: History, frame: Frame) -> None:
        last: dict[str, tuple[int, float]] = {}
        for touch in history.touches:
            for measure, reading in readings(touch):
                before = last.get(measure)
                last[measure] = touch.time, reading
                if before is None or touch.time - before[0] > APART_MS or not frame.start <= touch.time < frame.end:
                    continue
                kinds = {between.type for between in history.between(before[0], touch.time - 1)}
                wanted = [one for one in frame.splits(history, touch.time, touch=touch) if one[0] in _MOOD_BY]
                for cell in self.splits.at(wanted):
                    cell.add(reading - before[1], kinds)

    def figures(self) -> MoodDrivers:
        splits = []
        too_small = {}
        for by in SPLIT_BY:
            cells = self.splits.by(by)
            large = {value: cell for value, cell in cells.items() if cell.all.n >= LEAST_GROUP}
            too_small[by] = len(cells) - len(large)
            for value, cell in large.items():
                splits.append(MoodSlice(by, value, cell.all.n, cell.all.interval(), cell.drivers()[:SHOWN_GROUP]))
        whole = self.splits.whole
        return MoodDrivers(whole.all.n, whole.all.interval(), whole.drivers(), splits, too_small)


def readings(touch: Touch) -> Iterator[tuple[str, float]]:
    """(measure, -1 to 1): sentiment, and the answer to a survey on its own scale."""
    if touch.sentiment is not None:
        yield "sentiment", touch.sentiment
    if touch.score is not None and touch.survey in SCALES:
        middle, half = SCALES[touch.survey]
        yield touch.survey, max(-1.0, min(1.0, (touch.score - middle) / half))


def rest_of(everything: Moments, part: Moments) -> Moments:
    """Moments of what is in ``everything`` and not in ``part``."""
    n = everything.n - part.n
    if n <= 0:
        return Moments()
    mean = (everything.mean * everything.n - part.mean * part.n) / n
    between = (part.mean - mean) ** 2 * part.n * n / everything.n
    return Moments(n, mean, max(0.0, everything.squares - part.squares - between))
