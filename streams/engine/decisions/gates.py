"""The gates that an action passes for one customer, in order, each with a reason when it closes.

Owns that order (docs/decisions.md has the table). A gate that closes for a time only says until when, so that the
decision can be held: nothing else is remembered of a candidate that was closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from streams.definitions.model import Action, Channel
from streams.engine.decisions import buckets, contacts, hours
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.context import Values, values_of
from streams.engine.decisions.options import Option
from streams.engine.decisions.plan import Way, hours_of
from streams.engine.decisions.state import Held
from streams.engine.facts import in_session
from streams.engine.scoring import features, labels
from streams.engine.scoring.scores import vector
from streams.engine.state import TRIGGERS, Issued, Profile, last
from streams.engine.step import Step

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LARGEST: Final = 1e12
"""Of a value or weight that an expression gives: products of them stay numbers."""
ROLLOUT_SALT: Final = "rollout/"
_OF_TURNS: Final = frozenset({"capacity", "closed"})
_BEFORE_SUPPRESSION: Final = frozenset({"contact_limit", "quiet_hours"})


class Moment:
    """What the candidates of one decision have in common, found out once and only when something asks."""

    __slots__ = (
        "_limits",
        "_looked",
        "_values",
        "_zone",
        "guarded",
        "in_session",
        "p",
        "personal",
        "resting",
        "step",
        "suppressed",
        "t",
        "turn",
        "ways",
    )

    def __init__(self, step: Step, t: int, turn: str = "") -> None:
        """``turn``: the full channel for which the decision has waited."""
        self.step = step
        self.turn = turn
        self.p = step.p
        self.t = t
        self.in_session = in_session(step.facts)
        self.resting = marketing_rests(step, t)
        self._zone: str | None = None
        self._limits: dict[int, bool] = {}
        self._looked = False
        self._values: Values | None = None
        self.personal = False
        """Some P is that of this customer."""
        self.suppressed = step.p.dealings.suppressed if step.p.dealings is not None else None
        self.guarded = (
            self.resting or bool(self.p.triggers) or (self.p.dealings is not None and bool(self.p.dealings.held))
        )
        """Something may close every channel of an action."""
        self.ways: list[tuple[str | None, int] | None] = [None] * step.plan.policy.ways
        """By place: (gate that closes it, when to look again or 0)."""

    @property
    def zone_name(self) -> str:
        if self._zone is None:
            self._zone = last(self.p, "time_zone")
        return self._zone

    @property
    def zone(self) -> ZoneInfo:
        return self.step.plan.policy.zone_of(self.zone_name)

    @property
    def values(self) -> Values | None:
        """The customer's features: those of the first risk. None where there is none, or nothing is known."""
        if not self._looked:
            self._looked = True
            step = self.step
            first = step.plan.scoring.first
            if first is not None and self.p.activity is not None:
                found = vector(step.plan.risks[first], features.Moment(step.facts, step.plan))
                self._values = values_of(labels.pack(found), found)
        return self._values

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
        at = hours.local(t, self.zone)
        now = [period for period in periods if hours.inside(period.hours, at)]
        if not now:
            return "", 0
        if any(period.then == "drop" for period in now):
            return "drop", 0
        return "hold", hours.quiet_until(t, hours_of(periods), self.zone) or 0

    def look(self, way: Way, purpose: str) -> tuple[str | None, int]:
        """(gate that closes a channel for all actions alike, when to look again or 0)."""
        if not reachable(self.step, way.channel, purpose, self.in_session):
            return "channel", 0
        if way.limits and self.limited(way.limits):
            return "contact_limit", 0
        return self._look_at_the_clock(way, purpose)

    def look_instead(self, way: Way, purpose: str, priority: float) -> tuple[str | None, int]:
        """What ``look`` finds if limits do not count the message that one of that priority would replace."""
        taken = _taken(self.p, way.channel.name)
        if taken is None or priority <= _priority(taken):
            return "contact_limit", 0
        step = self.step
        made = contacts.of_trigger(self.p, taken.trigger.trigger_id)
        if made is None or not made.counts or not contacts.unsent(step.plan.policy, taken, self.t):
            return "contact_limit", 0
        policy = step.plan.policy
        made.counts = False
        closed = any(contacts.used_up(self.p, policy.limits[n], self.t, policy, self.zone_name) for n in way.limits)
        made.counts = True
        return ("contact_limit", 0) if closed else self._look_at_the_clock(way, purpose)

    def _look_at_the_clock(self, way: Way, purpose: str) -> tuple[str | None, int]:
        step, t, channel = self.step, self.t, way.channel
        how, until = self.quiet(channel.name, purpose, t)
        if how:
            return "quiet_hours", until
        if channel.open or channel.capacity is not None:
            opening = _openings(step, channel)
            free = step.shares.free_from(channel, t, opening, turn=channel.name == self.turn)
            if free != t:
                return "capacity" if opening(t) == t else "closed", free or 0
        return None, 0


def _openings(step: Step, channel: Channel) -> Callable[[int], int | None]:
    """Of a time itself if the channel is open then, else when it opens next; None if it never does."""
    periods = channel.open
    if not periods:
        return lambda at: at
    zone = step.plan.policy.zones[channel.timezone]
    return lambda at: hours.open_from(at, periods, zone)


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
    closed = _of_action(now, option, held) or _of_channels(now, option)
    if closed is None and now.p.triggers:
        closed = _of_slot(now, option)
    option.candidate.closed_by = closed


def _of_action(now: Moment, option: Option, held: Held | None) -> str | None:
    step = now.step
    action = option.plan.action
    gates = option.gates
    if action.paused:
        return "paused"
    model = step.action_models.get(action.name)
    if model is None:
        option.known, option.p = step.plan.policy.unknown
    else:
        option.model = model.key
        if model.paused and action.guardrails is not None and action.guardrails.pause:
            return "guardrail"
        option.known, option.p = step.plan.policy.known(model)
    if gates.rolled_out < 1.0 and not buckets.within(gates.rolled_out, ROLLOUT_SALT + action.name, now.p.id):
        return "rollout"
    for gate, condition in gates.conditions:
        if not condition(step.facts):
            return gate
    closed = _weigh(now, option, model)
    if closed is not None:
        return closed
    if held is not None:
        closed = held.closed.get(option.signal.signal_id) or held.closed.get(action.name)
        if closed is not None:
            return closed
        if action.expires_after_ms is not None and option.since + action.expires_after_ms <= now.t:
            return "expired"
    return None


def _weigh(now: Moment, option: Option, model: ActionModel | None) -> str | None:
    """P, C, V and L."""
    step = now.step
    gates = option.gates
    candidate = option.candidate
    v, c = gates.value, gates.weight
    if v is None:
        value = number(gates.value_of(step.facts))
        if value is None or value < 0.0:
            return "value"
        v = value - option.plan.action.cost
    if v < 0.0:
        return "value"
    if c is None:
        c = number(gates.weight_of(step.facts))
        if c is None or c < 0.0:
            return "weight"
    lever = gates.lever
    weights = step.plan.policy.arbitration.weights
    if weights and option.signal.journey is not None:
        lever *= weights.get(option.signal.journey, 1.0)
    if model is not None and model.context is not None:
        _look_at_the_customer(now, option, model)
    option.scale = c * v * lever
    candidate.p = option.p
    candidate.c = c
    candidate.v = v
    candidate.l = lever
    candidate.priority = option.priority = option.scale * option.p
    candidate.model = option.model
    return None


def _look_at_the_customer(now: Moment, option: Option, model: ActionModel) -> None:
    """Take P of this customer instead of everyone's, if features mean what they did when it was learned."""
    context = model.context
    values = now.values
    if context is None or values is None or context.meaning != now.step.plan.policy.meaning:
        return
    option.candidate.usual = option.p
    option.known = context.known(values)
    option.p = option.known.mean
    now.personal = True


def number(found: object) -> float | None:
    """What an expression has given, if it is a number within reason."""
    if type(found) is not float:
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        found = float(found)
    return found if -LARGEST <= found <= LARGEST else None


def running(p: Profile, action: str, instance: str | None) -> bool:
    """A further step of the action waits for the same instance."""
    return p.dealings is not None and any(
        held.step and held.action == action and held.signals[0].instance == instance and not held.closed
        for held in p.dealings.held
    )


def _of_channels(now: Moment, option: Option) -> str | None:
    """The first channel that passes all of its gates. Where none does, what closed the first that can be reached."""
    step = now.step
    action = option.plan.action
    candidate = option.candidate
    reason: str | None = None
    ways = option.gates.steps[option.step].ways
    if action.preferred_first and len(ways) > 1:
        ways = tuple(sorted(ways, key=lambda way: -contacts.response_rate(now.p, way.channel.name, now.t)))
    for way in ways:
        found = now.ways[way.place]
        if found is None:
            found = now.ways[way.place] = now.look(way, action.purpose)
        closed, opens = found
        if closed == "channel":
            continue
        if closed == "contact_limit" and now.p.triggers:
            closed, opens = now.look_instead(way, action.purpose, option.priority)
        if reason is None:
            candidate.channel = way.channel.name
            reason = _of_customer(now, option) if now.guarded else None
            if reason is not None:
                return reason
        if closed not in _BEFORE_SUPPRESSION and now.suppressed and now.t < now.suppressed.get(action.name, 0):
            closed, opens = "suppression", 0
        if closed is None:
            option.channel = way.channel
            candidate.channel = way.channel.name
            option.opens = 0
            break
        reason = reason or closed
        if opens and (not option.opens or opens < option.opens):
            option.opens = opens
            option.queued = way.channel if closed in _OF_TURNS and way.channel.capacity is not None else None
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
    if not option.step and len(option.gates.steps) > 1 and running(now.p, action.name, option.signal.instance):
        return "already_open"
    if now.resting and action.purpose == "marketing":
        return "marketing_pause"
    return None


def _outlives(option: Option, until: int) -> bool:
    """It would still be valid then. What ends with the session is for now or never."""
    expires = option.plan.action.expires_after_ms
    return expires is not None and until < option.since + expires and not option.signal.historical


def _of_slot(now: Moment, option: Option) -> str | None:
    taken = _taken(now.p, option.candidate.channel)
    if taken is None:
        return "limit" if len(now.p.triggers) >= TRIGGERS else None
    if option.priority <= _priority(taken):
        return "slot"
    option.replaces = taken
    return None


def _taken(p: Profile, channel: str | None) -> Issued | None:
    """What holds the channel: nothing has been heard of it yet."""
    return next((issued for issued in p.triggers if not issued.freed and issued.trigger.channel == channel), None)


def _priority(issued: Issued) -> float:
    held = issued.trigger.priority
    if held is None:  # of a version that knew the value only
        return 0.5 * (issued.trigger.value or 0.0)
    return held


def reachable(step: Step, channel: Channel, purpose: str, session: bool) -> bool:
    """The customer can be reached on the channel and has not refused it (marketing: has agreed to it)."""
    p = step.p
    if channel.in_session and not session:
        return False
    if channel.identifier is not None:
        held = p.traits.get(channel.identifier)
        if held is None or held[0] is None or held[0] == "":
            return False
    return consented(p, channel, purpose)


def consented(p: Profile, channel: Channel, purpose: str) -> bool:
    held = p.consent.get(channel.name)
    allowed = held[0] if held is not None else None
    if purpose == "marketing" and channel.opt_in:
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
