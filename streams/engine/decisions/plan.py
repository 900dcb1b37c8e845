"""The contact policy of a definition, compiled: what each action and channel has to pass, and what must be kept for it.

Owns ``PolicyPlan``. Time zones are read here, when a definition is adopted, and never while a touchpoint is processed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final
from zoneinfo import ZoneInfo

from streams.contracts.outputs import Signal
from streams.definitions.model import Action, Channel, Definition, Expression, When
from streams.definitions.policy import DAY_MS, Hours, Limit, PauseMarketing, QuietHours
from streams.engine import facts
from streams.engine.decisions.arbitration import ActionModel, Posterior, posterior
from streams.engine.decisions.hours import zones
from streams.engine.scoring.features import STANDARD

Condition = Callable[[facts.Facts], bool]
MODEL_PREFIX: Final = "action."
"""``action.<name>``: name of an action's model and of its examples."""


@dataclass(slots=True)
class Way:
    """A channel for one step: what closes it closes it for every action with the same place."""

    channel: Channel
    limits: tuple[int, ...]
    """Places of the limits that apply."""
    place: int
    """Among all that differ in channel, purpose or limits."""


@dataclass(slots=True)
class StepPlan:
    """One step of an action; the first is the action itself."""

    after_ms: int
    ways: tuple[Way, ...]
    """The preferred one first."""
    unless: frozenset[str]
    content_key: str | None
    content: Mapping[str, Any]


@dataclass(slots=True)
class Gates:
    """What an action has to pass, beside its ``Action``."""

    conditions: tuple[tuple[str, Condition], ...]
    """(gate, condition), in order."""
    steps: tuple[StepPlan, ...]
    lever: float
    """L without the weight of a journey."""
    value: float | None
    """V; None: it must be computed."""
    weight: float | None
    """C; likewise."""
    value_of: Callable[[facts.Facts], Any]
    """Where it must be computed: the value, the cost not taken off."""
    weight_of: Callable[[facts.Facts], Any]
    rolled_out: float
    model: str
    signature: str


class PolicyPlan:
    def __init__(self, definition: Definition, channel: Callable[[str], Channel]) -> None:
        policy = definition.contact_policy
        self.limits = policy.limits
        self.holdout = policy.holdout
        self.suppression = policy.suppression
        self.unsent_for_ms = policy.unsent_for_ms
        self.arbitration = definition.arbitration
        prior = posterior(self.arbitration, 0.0, 0.0)
        self.features, self.meaning = context_of(definition)
        """What P may depend on beside the action, and the digest of what that means."""
        self.unknown = prior, prior.mean
        """Of an action that nothing is known of: (posterior, its mean)."""
        self._known: dict[str, tuple[Posterior, float]] = {}
        self.pauses = tuple((pause_key(p), p) for p in policy.pauses if p.when is not None)
        self.pausing = frozenset(p.when.signal for p in policy.pauses if p.when is not None)
        """Kinds of signals that may pause marketing."""
        self.pauses_in_contact = any(p.open_contact for p in policy.pauses)
        used = {a.name: tuple(channel(c) for c in a.channels) for a in definition.actions}
        known = {name: channel(name) for name in definition.channels}
        known |= {c.name: c for a in definition.actions for s in a.steps for c in map(channel, s.channels)}
        known |= {c.name: c for channels in used.values() for c in channels}
        known |= {limit.channel: channel(limit.channel) for limit in policy.limits if limit.channel is not None}
        self.channels = known
        self.quiet: dict[tuple[str, str], tuple[QuietHours, ...]] = {}
        """(channel, purpose) -> quiet hours."""
        for name, one in known.items():
            for purpose in ("service", "marketing"):
                found = tuple(
                    q
                    for q in policy.quiet_hours
                    if purpose in q.purposes and (name in q.channels if q.channels else not one.in_session)
                )
                if found:
                    self.quiet[name, purpose] = found
        crowded = (a.guardrails is not None and a.guardrails.crowded is not None for a in definition.actions)
        self.counts_messages = bool(policy.limits) or any(crowded)
        local = bool(policy.quiet_hours) or any(limit.days for limit in policy.limits)
        self.zones: Mapping[str, ZoneInfo] = zones() if local or any(c.open for c in known.values()) else {}
        self.zone = self.zones.get(definition.time.timezone)
        """Of customers whose own is unknown; None where no local time is needed."""
        self._places: dict[tuple[str, str, tuple[int, ...]], int] = {}
        self.of = {a.name: self._gates(a, definition, used[a.name], channel) for a in definition.actions}
        self.ways = len(self._places)
        self.models = {gates.model: gates.signature for gates in self.of.values()}
        """Name of each action's model -> signature that it must have."""
        self.action_of = {gates.model: name for name, gates in self.of.items()}
        self.keep_ms = max(
            [
                7 * DAY_MS,
                *(limit.within_ms or (limit.days + 1) * DAY_MS for limit in policy.limits),
                *(a.attribution_ms for a in definition.actions),
                policy.suppression.within_ms if policy.suppression is not None else 0,
            ]
        )
        """How long a contact is kept: as long as something may ask for it."""

    def _gates(
        self, action: Action, definition: Definition, channels: tuple[Channel, ...], channel: Callable[[str], Channel]
    ) -> Gates:
        expressions = (
            ("eligibility", action.eligible),
            ("applicability", action.applicable),
            ("suitability", action.suitable),
        )
        first = StepPlan(0, self._ways(action, channels), frozenset(), action.content_key, action.content)
        steps = [first]
        for step in action.steps:
            its = tuple(map(channel, step.channels))
            steps.append(
                StepPlan(
                    step.after_ms, self._ways(action, its), frozenset(step.unless),
                    step.content_key or action.content_key, {**action.content, **step.content},
                )
            )  # fmt: skip
        return Gates(
            tuple((gate, e.bound(facts.READERS)) for gate, e in expressions if e is not None),
            tuple(steps),
            action.lever * self.arbitration.weights.get(action.purpose, 1.0),
            float(action.value) - action.cost if isinstance(action.value, (int, float)) else None,
            float(action.weight) if isinstance(action.weight, (int, float)) else None,
            _computed(action.value),
            _computed(action.weight),
            action.rollout,
            MODEL_PREFIX + action.name,
            signature(action, definition),
        )

    def _ways(self, action: Action, channels: Iterable[Channel]) -> tuple[Way, ...]:
        ways = []
        for channel in channels:
            places = tuple(n for n, limit in enumerate(self.limits) if _closes(limit, action, channel.name))
            place = self._places.setdefault((channel.name, action.purpose, places), len(self._places))
            ways.append(Way(channel, places, place))
        return tuple(ways)

    def known(self, model: ActionModel) -> tuple[Posterior, float]:
        """(posterior, its mean) of an action's success."""
        found = self._known.get(model.key)
        if found is None:
            one = posterior(self.arbitration, model.positives, model.negatives)
            found = self._known[model.key] = one, one.mean
            if len(self._known) > 4 * len(self.of):  # older snapshots
                del self._known[next(iter(self._known))]
        return found

    def zone_name_of(self, name: str) -> str:
        """What the customer told; empty if local times are asked for and there is no such zone."""
        return name if name in self.zones or not self.zones else ""

    def zone_of(self, name: str) -> ZoneInfo:
        """The customer's, else the definition's."""
        found = self.zones.get(name) or self.zone
        assert found is not None  # noqa: S101 - the definition's time zone has been checked
        return found


def _computed(stated: float | Expression) -> Callable[[facts.Facts], Any]:
    return (lambda _: stated) if isinstance(stated, (int, float)) else stated.bound_value(facts.READERS)


def _closes(limit: Limit, action: Action, channel: str) -> bool:
    return (
        action.purpose in limit.purposes
        and limit.channel in (None, channel)
        and limit.action in (None, action.name)
    )  # fmt: skip


def signature(action: Action, definition: Definition) -> str:
    """Digest of what an action's label means: which goal, until when."""
    named = {journey for when in action.when for journey in when.journey}
    goals = [
        (j.name, [(ref.event, ref.where.text if ref.where is not None else "") for ref in j.goal.on])
        for j in definition.journeys
        if not named or j.name in named
    ]
    return blake2b(repr((action.name, action.attribution_ms, goals)).encode(), digest_size=8).hexdigest()


def context_of(definition: Definition) -> tuple[tuple[str, ...], str]:
    """Names of the features that an action's P may be made of, those of the first risk, and a digest of what they mean;
    ((), "") for a definition without risks, of whose customers no features are kept."""
    if not definition.risks:
        return (), ""
    names = definition.risks[0].features or STANDARD
    own = {feature.name: feature.value.text for feature in definition.features}
    return names, blake2b(repr([(name, own.get(name)) for name in names]).encode(), digest_size=8).hexdigest()


def served(definition: Definition) -> list[tuple[str, str]]:
    """(name, signature) of every model that the definition takes: of its risks, then of its actions."""
    of_actions = [(MODEL_PREFIX + a.name, signature(a, definition)) for a in definition.actions]
    return [*((risk.name, risk.signature) for risk in definition.risks), *of_actions]


def pause_key(pause: PauseMarketing) -> str:
    """Names the same pause in another definition."""
    return blake2b(repr((pause.when, pause.for_ms)).encode(), digest_size=6).hexdigest()


def pauses(policy: PolicyPlan, signal: Signal, selects: Callable[[When, Signal], bool]) -> Iterable[tuple[str, int]]:
    """(pause, until when) of those that the signal begins."""
    for key, pause in policy.pauses:
        if isinstance(pause.when, When) and pause.when.signal == signal.kind and selects(pause.when, signal):
            yield key, signal.time + pause.for_ms


def hours_of(periods: tuple[QuietHours, ...]) -> list[Hours]:
    return [period.hours for period in periods]
