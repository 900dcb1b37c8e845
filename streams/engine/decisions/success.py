"""Success of an action: the goal of its journey soon after, and the example that it makes.

Owns the boundaries, as ``scoring/labels.py`` does for risks: success of a contact decided at s is a goal, or an outcome
``converted``, in (s, s + attribution]. It is known when the goal comes or the time has passed, never sooner. A contact
that was given back, and the ghost of a holdout, teach nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.contracts.outputs import Example, Trigger
from streams.engine.decisions import contacts
from streams.engine.decisions.context import Values
from streams.engine.decisions.options import Option
from streams.engine.decisions.plan import MODEL_PREFIX
from streams.engine.decisions.state import BITS, WAITING, WAITING_BYTES, Waiting
from streams.engine.plan import Plan
from streams.engine.scoring import labels
from streams.engine.state import Profile
from streams.engine.step import Step, derived_id, instance_key

COMPLAINED: Final = "complained"
CROWDED: Final = "crowded"


def wait(step: Step, option: Option, trigger: Trigger, t: int, values: Values | None) -> None:
    """Keep what the decision knew until success is known. ``values``: the customer's features."""
    known = contacts.dealings(step.p)
    if len(known.waiting) >= WAITING:
        step.counts.contacts_censored += 1
        return
    until = t + option.plan.action.attribution_ms
    known.waiting.append(
        Waiting(
            t,
            until,
            trigger.action,
            trigger.trigger_id,
            trigger.journey,
            trigger.instance,
            option.known.mean,
            option.model,
            option.gates.signature,
            values=values.packed if values is not None else b"",
        )
    )
    step.p.room -= WAITING_BYTES + len(known.waiting[-1].values)
    known.recount()
    step.arm(until)


def _named(step: Step, one: Waiting) -> dict[str, float]:
    """Feature -> value, as in a risk's example."""
    first = step.plan.scoring.first
    if not one.values or first is None:
        return {}
    values = zip(step.plan.risks[first].names, labels.unpack(one.values), strict=True)
    return {name: x for name, x in values if x == x}  # noqa: PLR0124 - NaN


def reached(step: Step) -> None:
    """This touchpoint reaches goals."""
    t = step.t
    goals = step.goals

    def hit(waiting: Waiting) -> bool:
        if not waiting.at < t <= waiting.until:
            return False
        if waiting.journey is None:
            return True
        return instance_key(waiting.journey, waiting.instance or "") in goals

    _decided(step, hit, came_true=True)


def converted(step: Step, trigger: str) -> None:
    """The downstream system says so."""
    t = step.t
    _decided(step, lambda one: one.trigger == trigger and t <= one.until, came_true=True)


def complained(step: Step) -> None:
    """A detractor's answer, or the customer has turned to the company."""
    if step.p.dealings is not None:
        for one in step.p.dealings.waiting:
            if one.at < step.t <= one.until:
                one.complained = True


def mature(step: Step, due: int) -> None:
    """Time has passed the end of at least one."""
    _decided(step, lambda one: one.until <= due, came_true=False)


def drop(step: Step, trigger: str) -> None:
    """The contact was not made: it says nothing."""
    _censor(step, lambda one: one.trigger == trigger)


def censor(step: Step, until: int | None = None) -> None:
    """Drop what waits (for labels that end by ``until``): what came to pass will not be known."""
    _censor(step, lambda one: until is None or one.until <= until)


def adopt(step: Step, old: Plan, new: Plan) -> bool:
    """Another definition: what its actions do not mean by success any more is dropped, and features that meant another
    thing."""
    if old.policy.meaning != new.policy.meaning and step.p.dealings is not None:
        for waiting in step.p.dealings.waiting:
            waiting.values = b""

    def changed(one: Waiting) -> bool:
        gates = new.policy.of.get(one.action)
        return gates is None or gates.signature != one.signature

    return _censor(step, changed)


def _censor(step: Step, which: Callable[[Waiting], bool]) -> bool:
    known = step.p.dealings
    if known is None or not known.waiting:
        return False
    kept = [one for one in known.waiting if not which(one)]
    dropped = len(known.waiting) - len(kept)
    if dropped:
        step.counts.contacts_censored += dropped
        known.waiting = kept
        known.recount()
    return dropped > 0


def _decided(step: Step, which: Callable[[Waiting], bool], *, came_true: bool) -> None:
    p = step.p
    known = p.dealings
    if known is None or not known.waiting:
        return
    decided = [one for one in known.waiting if which(one)]
    if not decided:
        return
    known.waiting = [one for one in known.waiting if one not in decided]
    known.recount()
    for one in decided:
        _tell(step, p, one, came_true=came_true)


def _tell(step: Step, p: Profile, one: Waiting, *, came_true: bool) -> None:
    made = contacts.of_trigger(p, one.trigger)
    heard = [name for name, bit in BITS.items() if made is not None and made.told & bit]
    if one.complained:
        heard.append(COMPLAINED)
    plan = step.plan.actions.get(one.action)
    rules = plan.action.guardrails if plan is not None else None
    if rules is not None and rules.crowded is not None and p.dealings is not None:
        messages = sum(made.counts and one.at <= made.at <= one.until for made in p.dealings.contacts)
        if messages > rules.contacts:
            heard.append(CROWDED)
    step.out.examples.append(
        Example(
            derived_id(p.id, "example", MODEL_PREFIX + one.action, one.trigger),
            p.id,
            MODEL_PREFIX + one.action,
            one.signature,
            one.at,
            max(step.t, one.at) if came_true else one.until,
            came_true,
            _named(step, one),
            one.p,
            one.model,
            False,
            step.plan.number,
            outcomes=heard,
        )
    )
