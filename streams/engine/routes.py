"""The parts of a compiled definition: plans of journeys, rules and actions, and the routes of event names.

Owns the shapes that ``plan.py`` fills and the rest of the engine reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from streams.definitions.model import (
    Abandonment,
    Absence,
    Action,
    Channel,
    Count,
    Friction,
    Journey,
    Sequence,
    Stage,
    Stalled,
)
from streams.engine import facts
from streams.engine.contents import Handler
from streams.engine.detectors.clicks import ClickPreset
from streams.engine.scoring.kinds import OTHER
from streams.engine.scoring.plan import RiskPlan

Condition = Callable[[facts.Facts], bool]
"""An expression's test, with the readers of its variables bound to it."""


@dataclass(slots=True)
class StagePlan:
    stage: Stage
    name: str
    rank: int
    tier: TierPlan | None = None
    """The abandonment deadline in force at this stage: its own or the next lower one's."""
    stalled: tuple[RulePlan, ...] = ()


@dataclass(slots=True)
class TierPlan:
    spec: Abandonment
    order: int


@dataclass(slots=True)
class RulePlan:
    """A friction rule in its journey."""

    friction: Friction
    journey: JourneyPlan
    key: str
    order: int
    per_customer: bool
    """Its windows are the customer's, not the instance's."""
    signature: str
    """Changes with every parameter that a window depends on: such a window starts empty."""

    @property
    def count(self) -> Count:
        assert isinstance(self.friction.rule, Count)  # noqa: S101 - narrows the type for the checker
        return self.friction.rule

    @property
    def sequence(self) -> Sequence:
        assert isinstance(self.friction.rule, Sequence)  # noqa: S101
        return self.friction.rule

    @property
    def absence(self) -> Absence:
        assert isinstance(self.friction.rule, Absence)  # noqa: S101
        return self.friction.rule

    @property
    def stalled(self) -> Stalled:
        assert isinstance(self.friction.rule, Stalled)  # noqa: S101
        return self.friction.rule


@dataclass(slots=True)
class JourneyPlan:
    journey: Journey
    name: str
    order: int
    instance_by: str | None
    within_ms: int
    """0: an instance does not expire."""
    stages: dict[str, StagePlan] = field(default_factory=dict)
    """In order of rank."""
    leaves: tuple[tuple[StagePlan, Condition, int], ...] = ()
    """(stage, condition, facts it reads), lowest rank first."""
    milestones: tuple[tuple[str, int], ...] = ()
    """(name, n-th goal)."""
    rules: dict[str, RulePlan] = field(default_factory=dict)


@dataclass(slots=True)
class SegmentPlan:
    name: str
    holds: Condition
    reads: int


@dataclass(slots=True)
class ActionPlan:
    action: Action
    order: int
    channels: tuple[Channel, ...] = ()
    """Where it may go, the preferred one first."""


@dataclass(slots=True)
class JourneyRoute:
    journey: JourneyPlan
    entries: tuple[tuple[StagePlan, Condition | None], ...]
    """Highest stage first."""
    goals: tuple[Condition | None, ...]
    belongs: bool
    """A fact that leave_when reads: it belongs without a condition."""


Ref = tuple[RulePlan, Condition | None]


@dataclass(slots=True)
class Route:
    """What a touchpoint of one event name can set in motion."""

    event: str
    actor: str = "customer"
    known: bool = False
    """A rule names it, or the engine keeps facts from it."""
    named: bool = False
    """A rule names it: it is applied whoever the actor is."""
    handler: Handler | None = None
    """The engine keeps facts from it: how."""
    journeys: tuple[JourneyRoute, ...] = ()
    counts: tuple[Ref, ...] = ()
    sequences: tuple[tuple[RulePlan, int, Condition | None], ...] = ()
    ended_absences: tuple[Ref, ...] = ()
    started_absences: tuple[Ref, ...] = ()
    presets: tuple[tuple[RulePlan, ClickPreset], ...] = ()
    cancels: dict[str, tuple[Condition | None, ...]] = field(default_factory=dict)
    """Action -> conditions under which this event withdraws its trigger."""
    has_goals: bool = False
    message: bool = False
    """Somebody's message to the customer, which counts against contact limits."""
    kind: str = OTHER
    """Kind of touchpoint, for the features of risks."""
    decides: tuple[tuple[RiskPlan, Condition | None], ...] = ()
    """Risks whose labels it may decide."""
    grows: int = 0
    """Most bytes that a touchpoint adds to a profile by itself; what its handlers add they account for themselves."""
    keeps: int = 0
    """In how many places its id may be kept."""


def weigh(route: Route) -> None:
    """Its id is kept for deduplication, in the trail, and by each rule, there with its time and some numbers."""
    rules = len(route.counts) + len(route.sequences) + len(route.presets) + len(route.started_absences)
    route.keeps = 2 + rules + len(route.journeys)
    route.grows = 400 + 4 * len(route.event) + 120 * route.keeps + 300 * len(route.presets)
