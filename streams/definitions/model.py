"""A definition after its checks: the typed, immutable model that the engine compiles.

Owns what a journey owner can say, with durations in ms and event names already translated to the standard ones.
``load.py`` makes it from YAML; nothing here reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from streams.definitions.policy import (
    Arbitration,
    Budget,
    Capacity,
    Change,
    ContactPolicy,
    Experiment,
    Guardrails,
    Holdout,
    Hours,
    Purpose,
    SequenceStep,
)
from streams.definitions.satisfaction import Satisfaction

Facts = Callable[[str], object]
"""Variable name (``cart.items``) -> its value now; the engine supplies it."""

DAY_MS: Final = 86_400_000
Severity = Literal["low", "medium", "high", "critical"]


class Expression(Protocol):
    """A checked CEL expression. Equal text is an equal expression."""

    text: str
    uses: frozenset[str]
    """Variables read, by their declared names (``cart.items``, ``traits``)."""
    errors: int
    """How often evaluation failed (missing key, wrong type) since load; read by the metrics."""

    def test(self, facts: Facts) -> bool:
        """True if it is true; an evaluation error is false and counted."""

    def bound(self, readers: Mapping[str, Callable[[Any], object]]) -> Callable[[Any], bool]:
        """``test`` for facts that are read by these functions, one for each variable, instead of asked by name."""

    def bound_value(self, readers: Mapping[str, Callable[[Any], object]]) -> Callable[[Any], Any]:
        """``value`` likewise."""

    def value(self, facts: Facts) -> Any:
        """Its value as str, float, bool, list or dict; None on an evaluation error (counted)."""


@dataclass(frozen=True, slots=True)
class EventRef:
    """An event name, perhaps with a condition on the touchpoint (scope: event)."""

    event: str
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class EventInfo:
    """What the definition says about an event whoever emits it."""

    actor: str | None = None
    visible: str | None = None
    department: str | None = None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Time:
    timezone: str = "UTC"
    allowed_lateness_ms: int = 30_000
    session_gap_ms: int = 30 * 60_000
    session_cap_ms: int = DAY_MS
    permitted_skew_ms: int = 5 * 60_000
    too_late_ms: int = DAY_MS
    forget_after_ms: int = 400 * DAY_MS


@dataclass(frozen=True, slots=True)
class Segment:
    name: str
    where: Expression
    title: str | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    on: tuple[EventRef, ...]
    target: float | None = None
    within_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    on: tuple[EventRef, ...]
    leave_when: Expression | None = None
    critical: bool = False
    customer_wants: str | None = None
    was: str | None = None
    """Former name of the stage: state under that name moves here."""


@dataclass(frozen=True, slots=True)
class Abandonment:
    """A deadline of one stage; exactly one of ``after_ms`` and ``before`` is set."""

    stage: str
    after_ms: int | None = None
    from_entry: bool = False
    """Counts from entering the stage and is not re-armed."""
    before: Expression | None = None
    """A date in ms (number) or ISO 8601 (text); the deadline is that date minus ``by_ms``."""
    by_ms: int = 0
    once_per: Literal["cart contents"] | None = None
    min_events: int = 1
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Count:
    on: tuple[EventRef, ...]
    at_least: int
    within_ms: int
    same: tuple[str, ...] = ()
    """Touchpoint fields, else property names, whose values must agree (per customer, over all instances)."""
    different: tuple[str, ...] = ()
    """Fields whose distinct values are what is counted."""


@dataclass(frozen=True, slots=True)
class Sequence:
    of: tuple[EventRef, ...]
    within_ms: int
    across_customer: bool = False


@dataclass(frozen=True, slots=True)
class Absence:
    of: tuple[EventRef, ...]
    within_ms: int
    after: tuple[EventRef, ...]


@dataclass(frozen=True, slots=True)
class Stalled:
    stage: str
    longer_than_ms: int | None = None
    or_touchpoints: int | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """A click preset, ``rage_click/posthog`` and the like; the names are in ``engine/detectors/clicks.py``."""

    preset: str


@dataclass(frozen=True, slots=True)
class Friction:
    name: str
    """Unique in its journey; a preset without a name is called by its preset."""
    rule: Count | Sequence | Absence | Stalled | Preset
    severity: Severity = "medium"
    cool_down_ms: int = 0


@dataclass(frozen=True, slots=True)
class Journey:
    name: str
    type: str
    goal: Goal
    stages: tuple[Stage, ...]
    abandonment: tuple[Abandonment, ...] = ()
    friction: tuple[Friction, ...] = ()
    owner: str | None = None
    instance_by: str | None = None
    """Touchpoint field, else property name, whose value tells the instances apart."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """Exactly one of ``goal`` (journey name, with ``nth``) and ``anniversary_of`` is set."""

    name: str
    goal: str | None = None
    nth: int = 1
    anniversary_of: Literal["first_seen"] | None = None


@dataclass(frozen=True, slots=True)
class When:
    """Selects signals; an empty tuple selects all."""

    signal: str
    """A kind of ``SIGNAL_KINDS``."""
    journey: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    band: tuple[str, ...] = ()
    """Of a churn_risk signal."""


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    when: tuple[When, ...]
    """Any of them."""
    channels: tuple[str, ...]
    expires_after_ms: int | None
    """None: at the end of the session (``session_end``)."""
    purpose: Purpose = "service"
    value: float | Expression = 0.0
    eligible: Expression | None = None
    cancel_on: tuple[EventRef, ...] = ()
    content_key: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    """Parameter -> literal or ``Expression``."""
    external: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    applicable: Expression | None = None
    """The customer's situation allows it (gate after ``eligible``)."""
    suitable: Expression | None = None
    """It is right for this customer now (gate after ``applicable``)."""
    cost: float = 0.0
    """Of one contact, in the unit of ``value``: V = value - cost."""
    weight: float | Expression = 1.0
    """C: how much it matters in this context."""
    lever: float = 1.0
    """L: the business's own thumb on the scale."""
    rollout: float = 1.0
    """Share of the customers who may get it, sticky; a larger share keeps those of a smaller one."""
    holdout: Holdout | None = None
    """Of its own, besides the global one."""
    experiment: Experiment | None = None
    steps: tuple[SequenceStep, ...] = ()
    """After the first."""
    budget: Budget | None = None
    attribution_ms: int = 7 * DAY_MS
    """A goal of its journey that soon after the decision is its success."""
    guardrails: Guardrails | None = None
    preferred_first: bool = False
    """Of ``channels``, first the one on which this customer has answered most."""


@dataclass(frozen=True, slots=True)
class OwnFeature:
    """A feature that the definition adds to those of ``engine/scoring/features.py``."""

    name: str
    value: Expression
    """A number from the customer's state; an error or a value that is not finite is a missing value."""
    title: str
    """What a person reads where it raised a risk: "share of visits by app"."""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """From ``at`` (probability, inclusive) upwards, to the next band."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A River pipeline by name (``learner/pipelines.py``) with the options that its model takes."""

    name: str
    model: str
    options: Mapping[str, float | int | str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learning:
    """How the model of one risk learns; counts are matured labels."""

    champion: Pipeline = Pipeline("logistic", "logistic_regression")
    challengers: tuple[Pipeline, ...] = (
        Pipeline("tree", "hoeffding_tree"),
        Pipeline("forest", "adaptive_random_forest"),
    )
    at_least: int = 200
    """Labels before the first model is published; of each class a tenth of that."""
    publish_every: int = 500
    window: int = 2_000
    """Labels over which quality is judged."""
    margin: float = 0.01
    """By how much AUC a challenger must lead, and log loss must not be worse,"""
    for_checks: int = 3
    """in so many checks in a row, each on ``window`` labels of its own, to become the champion."""


@dataclass(frozen=True, slots=True)
class Risk:
    """A named risk: for whom, of what, until when, how often it is scored, and what is made of the score."""

    name: str
    comes_true: Literal["without", "with"]
    """``without``: it comes true if none of ``on`` happens within the horizon (no purchase); ``with``: if one does
    (a complaint)."""
    on: tuple[EventRef, ...]
    horizon_ms: int
    """The label of a score at s is decided by (s, s + horizon]."""
    until: Expression | None = None
    """A date (as in ``Abandonment.before``): labels are decided then, at the latest after the horizon; a customer
    without such a date in the future is not scored."""
    active_within_ms: int = 90 * DAY_MS
    """Scored is who had a touchpoint that counts within that time."""
    every_ms: int = 7 * DAY_MS
    spread: bool = True
    """Each customer has a time of day and week of its own; otherwise all are scored at the same instants, multiples
    of ``every_ms`` since 1970-01-05 (a Monday), 00:00 UTC."""
    score_on: tuple[When, ...] = ()
    """Signals after which it is scored at once,"""
    apart_ms: int = 3_600_000
    """though not sooner than this after the last score."""
    bands: tuple[Band, ...] = (Band("low", 0.0), Band("medium", 0.4), Band("high", 0.7))
    """Rising; the first begins at 0."""
    hysteresis: float = 0.05
    """A lower band is entered only when the score lies so far below the bound of the one held."""
    prior: float | Expression = 0.5
    """The score while there is no model: a number, or a rule over state."""
    features: tuple[str, ...] = ()
    """Names, in the order of the model's numbers."""
    learning: Learning = Learning()
    signature: str = ""
    """Digest of everything that a model depends on: labels, horizon, features. A model of another one is refused."""


@dataclass(frozen=True, slots=True)
class ExpectedValue:
    """Priors of what a customer will spend over a horizon (``engine/scoring/value.py`` has the formula and source)."""

    horizon_ms: int = 90 * DAY_MS
    prior_orders: float = 1.0
    prior_within_ms: int = 180 * DAY_MS
    prior_spend: float = 50.0
    """Mean value of an order, in the company's currency."""
    prior_weight: float = 2.0
    """Orders that the prior mean counts for."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How a channel can be reached and what consent it needs; defaults are in ``channels.py``."""

    name: str
    identifier: str | None = None
    """Trait that must be set (``email``); None: none is needed."""
    in_session: bool = False
    """Reachable only while the customer's session is open."""
    opt_in: bool = True
    """Marketing needs an explicit consent; otherwise only a refusal closes it."""
    open: tuple[Hours, ...] = ()
    """When somebody is there: in any of these; empty: always. A channel that is closed or full is passed over for the
    next."""
    timezone: str = "UTC"
    """Of the opening hours."""
    capacity: Capacity | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """All that the owners of one application have defined; immutable."""

    number: int
    """Growing number under which it was published; 0: not published."""
    digest: str
    """SHA-256 of the sources' content."""
    sources: tuple[tuple[str, str], ...]
    """(file name, text), in order."""
    time: Time = Time()
    aliases: Mapping[str, str] = field(default_factory=dict)
    """A company's own event name -> the standard one."""
    events: Mapping[str, EventInfo] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    journeys: tuple[Journey, ...] = ()
    satisfaction: Satisfaction = field(default_factory=Satisfaction)
    milestones: tuple[Milestone, ...] = ()
    actions: tuple[Action, ...] = ()
    channels: Mapping[str, Channel] = field(default_factory=dict)
    features: tuple[OwnFeature, ...] = ()
    risks: tuple[Risk, ...] = ()
    expected_value: ExpectedValue = ExpectedValue()
    contact_policy: ContactPolicy = field(default_factory=ContactPolicy)
    arbitration: Arbitration = field(default_factory=Arbitration)
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
