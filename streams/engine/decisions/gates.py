"""The gates that an action passes for one customer, in order, each with a reason when it closes.

Owns that order (docs/decisions.md has the table). A gate that closes for a time only says until when, so that the
decision can be held: nothing else is remembered of a candidate that was closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from streams.contracts.outputs import Candidate, Signal
from streams.definitions.model import Action, Channel, Expression
from streams.engine.decisions import buckets, contacts, hours
from streams.engine.decisions.arbitration import Posterior, posterior
from streams.engine.decisions.plan import Gates, StepPlan, hours_of
from streams.engine.decisions.state import Held
from streams.engine.facts import in_session
from streams.engine.routes import ActionPlan
from streams.engine.state import TRIGGERS, Issued, Profile, last
from streams.engine.step import Step

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

ROLLOUT_SALT: Final = "rollout/"
PRIOR: Final = "prior"
UNKNOWN: Final = Posterior(0.5, 0.5)


@dataclass(slots=True)
class Option:
    """One action that a signal asks for, on its way through the gates."""

    plan: ActionPlan
    gates: Gates
    signal: Signal
    due: int
    """Of the deadline that made the signal; -1: none did."""
    step: int
    since: int
    """Validity counts from here."""
    candidate: Candidate
    channel: Channel | None = None
    replaces: Issued | None = None
    scale: float = 0.0
    """C x V x L."""
    known: Posterior = UNKNOWN
    model: str = PRIOR
    opens: int = 0
    """Where a gate is closed for a time only: when to look again; 0: it is not."""

    @property
    def priority(self) -> float:
        return self.scale * self.known.mean


class Moment:
    """What the candidates of one decision have in common, found out once and only when something asks."""

    __slots__ = ("_limits", "_quiet", "_zone", "in_session", "p", "resting", "step", "t")

    def __init__(self, step: Step, t: int) -> None:
        self.step = step
        self.p = step.p
        self.t = t
        self.in_session = in_session(step.facts)
        self.resting = marketing_rests(step, t)
        self._zone: str | None = None
        self._limits: dict[int, bool] = {}
        self._quiet: dict[tuple[str, str, int], tuple[str, int]] = {}

    @property
    def zone_name(self) -> str:
        if self._zone is None:
            self._zone = last(self.p, "time_zone")
        return self._zone

    @property
    def zone(self) -> ZoneInfo:
        return self.step.plan.policy.zone_of(self.zone_name)

    def limited(self, places: tuple[int, ...]) -> bool:
        policy = self.step.plan.policy
        for n in places:
            found = self._limits.get(n)
            if found is None:
                found = self._limits[n] = contacts.used_up(self.p, policy.limits[n], self.t, policy, self.zone_name)
            if found:
                return True
        return False

    def quiet(self, channel: str, purpose: str, t: int) -> tuple[str, int]:
        """("", 0) where it is not; else ("drop", 0) or ("hold", end of the quiet hours or 0 for never)."""
        periods = self.step.plan.policy.quiet.get((channel, purpose))
        if periods is None or (purpose == "service" and self.in_session):
            return "", 0
        found = self._quiet.get((channel, purpose, t))
        if found is None:
            at = hours.local(t, self.zone)
            now = [period for period in periods if hours.inside(period.hours, at)]
            if not now:
                found = "", 0
            elif any(period.then == "drop" for period in now):
                found = "drop", 0
            else:
                found = "hold", hours.quiet_until(t, hours_of(periods), self.zone) or 0
            self._quiet[channel, purpose, t] = found
        return found


def marketing_rests(step: Step, t: int) -> bool:
    """An open contact, or what a signal has said, pauses marketing."""
    policy = step.plan.policy
    p = step.p
    if policy.pauses_in_contact and p.contacts:
        return True
    if policy.pauses and p.dealings is not None and p.dealings.pauses:
        held = p.dealings.pauses
        return any(t < held.get(key, 0) for key, _ in policy.pauses)
    return False


def judge(now: Moment, option: Option, held: Held | None) -> None:
    """Take an option through the gates; the first that closes is noted in its candidate."""
    candidate = option.candidate
    candidate.closed_by = _of_action(now, option, held) or _of_channels(now, option) or _of_slot(now, option)


def _of_action(now: Moment, option: Option, held: Held | None) -> str | None:
    step = now.step
    action = option.plan.action
    gates = option.gates
    if action.paused:
        return "paused"
    model = step.action_models.get(action.name)
    if model is not None:
        option.model = model.key
        if model.paused and action.guardrails is not None and action.guardrails.pause:
            return "guardrail"
        option.known = posterior(step.plan.policy.arbitration, model.positives, model.negatives)
    else:
        option.known = posterior(step.plan.policy.arbitration, 0.0, 0.0)
    if action.rollout < 1.0 and not buckets.within(action.rollout, ROLLOUT_SALT + action.name, now.p.id):
        return "rollout"
    facts = step.facts
    for gate, condition in gates.conditions:
        if not condition(facts):
            return gate
    closed = _weigh(step, option)
    if closed is not None:
        return closed
    if held is not None:
        closed = held.closed.get("") or held.closed.get(action.name)
        if closed is not None:
            return closed
        if action.expires_after_ms is not None and option.since + action.expires_after_ms <= now.t:
            return "expired"
    return None


def _weigh(step: Step, option: Option) -> str | None:
    """P, C, V and L."""
    action = option.plan.action
    candidate = option.candidate
    value = number(step, action.value)
    if value is None or value < 0.0 or value < action.cost:
        return "value"
    weight = action.weight
    c = number(step, weight) if not isinstance(weight, (int, float)) else float(weight)
    if c is None or c < 0.0:
        return "weight"
    lever = option.gates.lever
    weights = step.plan.policy.arbitration.weights
    if weights and option.signal.journey is not None:
        lever *= weights.get(option.signal.journey, 1.0)
    v = value - action.cost
    option.scale = c * v * lever
    candidate.p = option.known.mean
    candidate.c = c
    candidate.v = v
    candidate.l = lever
    candidate.priority = option.priority
    candidate.model = option.model
    return None


def number(step: Step, stated: float | Expression) -> float | None:
    """A finite number; None where an expression gives none."""
    if isinstance(stated, (int, float)):
        return float(stated)
    found = stated.value(step.facts)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not -inf < found < inf:
        return None
    return float(found)


def _of_channels(now: Moment, option: Option) -> str | None:
    """The first channel that passes all of its gates. Where none does, what closed the first that can be reached."""
    step = now.step
    action = option.plan.action
    plan = option.gates.steps[option.step]
    reason: str | None = None
    for channel in plan.channels:
        if not reachable(step, channel, action, now.in_session):
            continue
        if reason is None:
            option.candidate.channel = channel.name
            reason = _of_customer(now, option)
            if reason is not None:
                return reason
        closed, opens = _of_channel(now, option, plan, channel)
        if closed is None:
            option.channel = channel
            option.candidate.channel = channel.name
            option.opens = 0
            break
        reason = reason or closed
        if opens and (not option.opens or opens < option.opens):
            option.opens = opens
    else:
        if option.opens and not _outlives(option, option.opens):
            option.opens = 0
        return reason or "channel"
    if action.budget is not None and not step.shares.affords(action.name, action.budget, action.cost, now.t):
        return "budget"
    return None


def _of_customer(now: Moment, option: Option) -> str | None:
    """What closes every channel alike."""
    action = option.plan.action
    for issued in now.p.triggers:
        if (
            not issued.freed
            and issued.trigger.action == action.name
            and issued.trigger.instance == option.signal.instance
            and issued.step == option.step
        ):
            return "already_open"
    if action.purpose == "marketing" and now.resting:
        return "marketing_pause"
    return None


def _of_channel(now: Moment, option: Option, plan: StepPlan, channel: Channel) -> tuple[str | None, int]:
    """(gate that closes it, when to look again or 0)."""
    step, t = now.step, now.t
    places = plan.limits[channel.name]
    if places and now.limited(places):
        return "contact_limit", 0
    how, until = now.quiet(channel.name, option.plan.action.purpose, t)
    if how:
        return "quiet_hours", until
    if suppressed(now.p, option.plan.action, t):
        return "suppression", 0
    if channel.open:
        opens = hours.open_from(t, channel.open, step.plan.policy.zones[channel.timezone])
        if opens != t:
            return "closed", opens or 0
    if channel.capacity is not None:
        free = step.shares.free_from(channel, t)
        if free != t:
            return "capacity", free or 0
    return None, 0


def _outlives(option: Option, until: int) -> bool:
    """It would still be valid then. What ends with the session is for now or never."""
    expires = option.plan.action.expires_after_ms
    return expires is not None and until < option.since + expires and not option.signal.historical


def _of_slot(now: Moment, option: Option) -> str | None:
    p = now.p
    channel = option.candidate.channel
    for issued in p.triggers:
        if issued.freed or issued.trigger.channel != channel:
            continue
        held = issued.trigger.priority
        if held is None:  # of a version that knew the value only
            held = 0.5 * (issued.trigger.value or 0.0)
        if option.priority <= held:
            return "slot"
        option.replaces = issued
        return None
    if len(p.triggers) >= TRIGGERS:
        return "limit"
    return None


def suppressed(p: Profile, action: Action, t: int) -> bool:
    return p.dealings is not None and t < p.dealings.suppressed.get(action.name, 0)


def reachable(step: Step, channel: Channel, action: Action, session: bool) -> bool:
    """The customer can be reached on the channel and has not refused it (marketing: has agreed to it)."""
    p = step.p
    if channel.in_session and not session:
        return False
    if channel.identifier is not None:
        held = p.traits.get(channel.identifier)
        if held is None or held[0] is None or held[0] == "":
            return False
    return consented(p, channel, action)


def consented(p: Profile, channel: Channel, action: Action) -> bool:
    held = p.consent.get(channel.name)
    allowed = held[0] if held is not None else None
    if action.purpose == "marketing" and channel.opt_in:
        return allowed is True
    return allowed is not False


def held_out(step: Step, action: Action) -> bool:
    """The customer is in the holdout of all, or of this action."""
    policy = step.plan.policy
    every = policy.holdout
    if every is not None and action.purpose in every.purposes and buckets.within(every.share, every.salt, step.p.id):
        return True
    own = action.holdout
    return own is not None and buckets.within(own.share, own.salt, step.p.id)
