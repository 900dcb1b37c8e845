"""Figures of journeys: entrants, funnel, time, effort, abandonment, friction and what it costs in conversion.

Owns the counting (``JourneyCell``) and the figures made of it. Everything is of instances by the time at which they
opened, so a rate compares people who began alike; an instance that is still open counts as not converted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.definitions.model import Journey
from streams.tools.report.frame import EXPERIMENT, PREVIOUS, WHOLE, Frame, Splits
from streams.tools.report.friction import ANY, FrictionCell, FrictionFigures, Pair, friction_figures
from streams.tools.report.groups import CONTROL
from streams.tools.report.history import History
from streams.tools.report.passages import Passage
from streams.tools.report.records import Found, Touch
from streams.tools.report.statistics import (
    Durations,
    Interval,
    Moments,
    Rate,
    rate_difference,
    wilson,
)

START, GOAL, OPEN, LEFT = "start", "goal", "still open", "left"
OFFLINE: Final = frozenset({"store", "call", "callback", "post", "phone", "agent", "branch", "retail"})
"""Channels that are no device of the customer's own; every other one is online."""
FORWARD: Final = frozenset({"advanced", "goal"})
"""Reasons for leaving a stage by which the customer came on; a stage that ran out says how long the rule waits."""
CONTACT: Final = "Contact Started"
CONTAINED: Final = "Bot Contained"
ASSISTANCE: Final = frozenset({"Answered", "Agent Replied", "Callback Made", "Transferred"})
"""Events that show a person of the company at work, beside every touchpoint whose actor is an agent."""


def is_assisted(touches: Collection[Touch]) -> bool:
    """A person of the company took part: an agent's touchpoint, or a contact that no bot has contained."""
    contained = {touch.contact_id for touch in touches if touch.type == CONTAINED}
    return any(
        touch.actor == "agent"
        or touch.type in ASSISTANCE
        or (touch.type == CONTACT and (touch.contact_id is None or touch.contact_id not in contained))
        for touch in touches
    )


@dataclass(slots=True)
class JourneyCell:
    """Running counts of one split."""

    all: Pair = field(default_factory=Pair)
    customers: int = 0
    open: int = 0
    value: Moments = field(default_factory=Moments)
    reached: dict[str, Pair] = field(default_factory=dict)
    passed: Counter[str] = field(default_factory=Counter)
    """Stage -> instances that reached it or a later one."""
    last: Counter[str] = field(default_factory=Counter)
    """Stage -> instances that ended there without the goal."""
    abandoned: Counter[str] = field(default_factory=Counter)
    """Stage -> instances that were given up there at least once."""
    given_up: Pair = field(default_factory=Pair)
    seconds: dict[str, Durations] = field(default_factory=dict)
    to_goal: Durations = field(default_factory=Durations)
    touchpoints: Moments = field(default_factory=Moments)
    channels: Moments = field(default_factory=Moments)
    contacts: Moments = field(default_factory=Moments)
    touchpoints_lost: Moments = field(default_factory=Moments)
    friction: dict[str, FrictionCell] = field(default_factory=dict)
    goals_outside: int = 0
    loose: Counter[str] = field(default_factory=Counter)
    """Rule -> signals that belong to no instance, by their own time."""
    flow: Counter[tuple[str, str]] = field(default_factory=Counter)
    help: dict[str, Pair] = field(default_factory=dict)
    place: dict[str, Pair] = field(default_factory=dict)
    _customer: str | None = None

    def add(self, passage: Passage, ranks: Mapping[str, int], touches: list[Touch] | None) -> None:
        """``touches``: of the customer while it was open; None where none are known."""
        self.all.add(passage)
        # A customer's instances come one after the other, so a change of customer is a new one.
        if passage.customer != self._customer:
            self._customer = passage.customer
            self.customers += 1
        self.open += passage.closed is None
        reached = passage.reached
        for stage in reached:
            self.reached.setdefault(stage, Pair()).add(passage)
        highest = max((ranks.get(stage, 0) for stage in reached), default=0)
        for stage, rank in ranks.items():
            self.passed[stage] += rank <= highest
        for stage in passage.abandoned:
            self.abandoned[stage] += 1
        if passage.abandoned:
            self.given_up.add(passage)
        for stay in passage.stays:
            if stay.seconds is not None and stay.reason in FORWARD:
                self.seconds.setdefault(stay.stage, Durations()).add(stay.seconds)
        effort = passage.effort
        if passage.converted:
            self.to_goal.add(effort.get("seconds", 0.0))
            self.touchpoints.add(effort.get("touchpoints", 0.0))
            self.channels.add(effort.get("channels", 0.0))
            self.contacts.add(effort.get("contacts", 0.0))
            if passage.value is not None:
                self.value.add(passage.value)
        elif passage.closed is not None:
            self.last[passage.stage] += 1
            self.touchpoints_lost.add(effort.get("touchpoints", 0.0))
        self._friction(passage, reached)
        self._flow(passage)
        if touches is not None:
            self._company(passage, touches)

    def _friction(self, passage: Passage, reached: Mapping[str, None]) -> None:
        if not passage.friction:
            return
        first = min(passage.friction.values(), key=lambda met: met[1])
        for rule, (stage, _) in {**passage.friction, ANY: first}.items():
            cell = self.friction.setdefault(rule, FrictionCell())
            cell.signals += passage.frictions.total() if rule == ANY else passage.frictions[rule]
            cell.all.add(passage)
            cell.first_at.setdefault(stage, Pair()).add(passage)
            for one in reached:
                cell.reached.setdefault(one, Pair()).add(passage)

    def _flow(self, passage: Passage) -> None:
        at = START
        for stage in passage.reached:
            self.flow[at, stage] += 1
            at = stage
        self.flow[at, GOAL if passage.converted else OPEN if passage.closed is None else LEFT] += 1

    def _company(self, passage: Passage, touches: list[Touch]) -> None:
        kind = "agent-assisted" if is_assisted(touches) else "self-service"
        self.help.setdefault(kind, Pair()).add(passage)
        channels = {touch.channel for touch in touches if touch.channel is not None}
        if channels:
            offline = len(channels & OFFLINE)
            kind = "online" if not offline else "offline" if offline == len(channels) else "online and offline"
            self.place.setdefault(kind, Pair()).add(passage)


class StageFigures(msgspec.Struct):
    stage: str
    critical: bool
    reached: Rate
    """Instances that entered it, of entrants."""
    passed: int
    """That entered it or a later one."""
    converted: Rate
    """Of those that reached it."""
    abandoned: Rate
    """Given up in it at least once, of those that reached it."""
    lost: Rate
    """Ended in it without the goal, of entrants."""
    median_s: float | None
    """Time in it of those who came on from it (to another stage or the goal)."""
    mean_s: float | None


class JourneySlice(msgspec.Struct):
    by: str
    value: str
    entrants: int
    customers: int
    conversion: Rate
    conversion_interval: Interval | None
    to_target: float | None
    goals_outside: int
    """Goals without an open instance, by their own time; no conversions."""
    open: int
    abandoned: Rate
    """Given up at least once, of entrants."""
    returned: Rate
    """Of those, the ones that reached the goal all the same."""
    friction: Rate
    median_to_goal_s: float | None
    touchpoints: float | None
    """Mean of those that converted; likewise channels and contacts."""
    channels: float | None
    contacts: float | None
    touchpoints_lost: float | None
    """Mean of those that ended without the goal."""
    value_per_conversion: float | None
    value_total: float
    difference: Interval | None
    """Of an experiment's variants: conversion less that of ``control``, else of the first by name."""
    stages: list[StageFigures]


class JourneyFigures(msgspec.Struct):
    journey: str
    type: str
    owner: str | None
    target: float | None
    whole: JourneySlice
    previous: JourneySlice | None
    change: Interval | None
    """Of the conversion rate against the previous period (share)."""
    splits: list[JourneySlice]
    friction: list[FrictionFigures]
    flow: list[tuple[str, str, int]]
    help: dict[str, Rate]
    """agent-assisted, self-service -> conversion."""
    place: dict[str, Rate]
    """online, offline, online and offline -> conversion."""
    marks: list[tuple[str, str, str]]
    """Dated changes: week, day, title."""


class JourneyCounts:
    """One journey over all splits."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.ranks = {stage.name: rank for rank, stage in enumerate(journey.stages, 1)}
        self.splits: Splits[JourneyCell] = Splits(JourneyCell)

    def add(self, passage: Passage, history: History, frame: Frame, known_until: int) -> None:
        """``known_until``: up to when ``passage`` is known."""
        until = passage.closed if passage.closed is not None else known_until
        splits = frame.splits(
            history,
            passage.opened,
            until=until,
            touch=passage.first,
            journey=passage.journey,
            definition=passage.definition,
        )
        if not splits:
            return
        touches = None
        if history.touches:
            touches = [
                touch
                for touch in history.between(passage.opened - 1, until)
                if not passage.instance or touch.case_id in (None, passage.instance)
            ]
        for cell in self.splits.at(splits):
            cell.add(passage, self.ranks, touches)

    def add_loose(self, signal: Found, history: History, frame: Frame) -> None:
        """Friction, or a goal, outside every instance."""
        touch = history.by_id.get(signal.evidence[-1]) if signal.evidence else None
        splits = frame.splits(history, signal.time, touch=touch, journey=signal.journey, definition=signal.definition)
        for cell in self.splits.at(splits):
            if signal.signal == "goal_reached":
                cell.goals_outside += 1
            else:
                cell.loose[signal.name] += 1

    def figures(self, frame: Frame) -> JourneyFigures:
        journey, splits = self.journey, self.splits
        whole, previous = splits.whole, splits.previous
        if previous is None and frame.length is not None:
            previous = JourneyCell()
        critical = {stage.name for stage in journey.stages if stage.critical}

        def slice_of(by: str, value: str, cell: JourneyCell) -> JourneySlice:
            return _slice(by, value, cell, journey.goal.target, list(self.ranks), critical)

        def slices(name: str) -> list[JourneySlice]:
            return [slice_of(name, value, cell) for value, cell in splits.by(name).items()]

        return JourneyFigures(
            journey=journey.name,
            type=journey.type,
            owner=journey.owner,
            target=journey.goal.target,
            whole=slice_of(*WHOLE, whole),
            previous=slice_of(*PREVIOUS, previous) if previous is not None else None,
            change=rate_difference(whole.all.rate, previous.all.rate) if previous is not None else None,
            splits=[one for name in splits.names for one in against_control(name, slices(name))],
            friction=friction_figures(whole),
            flow=[(a, b, n) for (a, b), n in sorted(whole.flow.items())],
            help={kind: pair.rate for kind, pair in sorted(whole.help.items())},
            place={kind: pair.rate for kind, pair in sorted(whole.place.items())},
            marks=frame.marks(journey.name),
        )


def against_control(name: str, variants: list[JourneySlice]) -> list[JourneySlice]:
    """Variants of an experiment run elsewhere with their difference; other splits as they are."""
    if name.startswith(EXPERIMENT) and len(variants) > 1:
        control = next((one for one in variants if one.value == CONTROL), variants[0])
        for one in variants:
            if one is not control:
                one.difference = rate_difference(one.conversion, control.conversion)
    return variants


def _slice(
    by: str, value: str, cell: JourneyCell, target: float | None, stages: list[str], critical: set[str]
) -> JourneySlice:
    rate = cell.all.rate
    of = cell.all.of
    friction = cell.friction.get(ANY)
    share = rate.share
    return JourneySlice(
        by=by,
        value=value,
        entrants=of,
        customers=cell.customers,
        conversion=rate,
        conversion_interval=wilson(rate.count, rate.of),
        to_target=share - target if share is not None and target is not None else None,
        goals_outside=cell.goals_outside,
        open=cell.open,
        abandoned=Rate(cell.given_up.of, of),
        returned=cell.given_up.rate,
        friction=Rate(friction.all.of if friction is not None else 0, of),
        median_to_goal_s=cell.to_goal.median,
        touchpoints=_mean(cell.touchpoints),
        channels=_mean(cell.channels),
        contacts=_mean(cell.contacts),
        touchpoints_lost=_mean(cell.touchpoints_lost),
        value_per_conversion=_mean(cell.value),
        value_total=cell.value.mean * cell.value.n,
        difference=None,
        stages=[_stage(stage, cell, stage in critical) for stage in stages],
    )


def _stage(stage: str, cell: JourneyCell, critical: bool) -> StageFigures:
    pair = cell.reached.get(stage) or Pair()
    seconds = cell.seconds.get(stage) or Durations()
    return StageFigures(
        stage=stage,
        critical=critical,
        reached=Rate(pair.of, cell.all.of),
        passed=cell.passed[stage],
        converted=pair.rate,
        abandoned=Rate(cell.abandoned[stage], pair.of),
        lost=Rate(cell.last[stage], cell.all.of),
        median_s=seconds.median,
        mean_s=seconds.mean,
    )


def _mean(moments: Moments) -> float | None:
    return moments.mean if moments.n else None
