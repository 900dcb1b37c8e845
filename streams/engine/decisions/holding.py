"""Decisions that wait in the profile: held by a gate that opens later, and the further steps of sequences.

Owns their life: what is kept, what closes them meanwhile, and when they are decided anew. Each is a durable timer; at
its due time nothing is taken for granted, all gates are passed again.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.contracts.outputs import Signal
from streams.definitions.model import Channel
from streams.engine.decisions import contacts
from streams.engine.decisions.options import Option
from streams.engine.decisions.state import HELD, HELD_BYTES, HELD_MORE, Held
from streams.engine.plan import Plan
from streams.engine.routes import Route
from streams.engine.state import Profile, size_of
from streams.engine.step import Step, instance_key


def hold(
    step: Step,
    options: Sequence[Option],
    asking: Sequence[Signal],
    due: int,
    held: Held | None,
    queued: Channel | None = None,
) -> bool:
    """Wait until ``due`` (for a turn on a channel that is full); False if too many wait already."""
    dues = {option.signal.signal_id: option.due for option in options}
    one = Held(
        due,
        list(asking),
        [dues.get(signal.signal_id, -1) for signal in asking],
        options[0].since,
        [option.plan.action.name for option in options],
        tries=1,
        channel=queued.name if queued is not None else "",
    )
    if held is not None:
        one.since, one.tries = held.since, held.tries + 1
        one.action, one.step = held.action, held.step
        one.closed, one.triggers = held.closed, held.triggers
    return _keep(step, one)


def follow(step: Step, option: Option, t: int, triggers: list[str]) -> None:
    """The next step of the option's action, counted from ``t``."""
    following = option.gates.steps[option.step + 1]
    name = option.plan.action.name
    due = t + following.after_ms
    _keep(
        step,
        Held(due, [option.signal], [option.due], due, [name], action=name, step=option.step + 1, triggers=triggers),
    )


def go_on(step: Step, held: Held, option: Option) -> None:
    """A later step was not possible: the one after it has its own time, unless the sequence is over."""
    if held.step and not held.closed and len(option.gates.steps) > option.step + 1:
        follow(step, option, step.t, held.triggers)


def _keep(step: Step, one: Held) -> bool:
    p = step.p
    known = contacts.dealings(p)
    one.size = size_of(one) + HELD_MORE
    waiting = sum(held.size for held in known.held)
    if len(known.held) >= HELD or one.size + waiting > HELD_BYTES:
        step.counts.held_full += 1
        return False
    known.held.append(one)
    p.room -= one.size
    known.recount()
    step.arm(one.due)
    return True


def take(p: Profile, place: int) -> Held:
    """Its time has come: it waits no more."""
    known = contacts.dealings(p)
    held = known.held.pop(place)
    known.recount()
    return held


def withdraw(step: Step, route: Route, progressed: frozenset[str] | set[str]) -> None:
    """What a touchpoint closes while they wait: as ``actions.withdraw`` ends triggers.

    ``progressed``: instance keys in which it enters a higher stage.
    """
    known = step.p.dealings
    if known is None:
        return
    t = step.t
    for held in known.held:
        named = [name for name in held.actions if any(step.holds(where) for where in route.cancels.get(name, ()))]
        late = False
        for signal, due in zip(held.signals, held.dues, strict=True):
            key = None if signal.journey is None else instance_key(signal.journey, signal.instance or "")
            goal = key in step.goals
            if due >= 0 and t <= due and (goal or named or key in progressed):
                late = True
                if goal or key in progressed:
                    held.closed.setdefault(signal.signal_id, "late")
            elif goal:
                held.closed.setdefault(signal.signal_id, "goal_reached")
        for name in named:
            held.closed.setdefault(name, "late" if late else "cancel_on")


def answered(p: Profile, plan: Plan, trigger: str, outcome: str) -> None:
    """An outcome of an earlier step makes the later ones needless."""
    if p.dealings is None:
        return
    for held in p.dealings.held:
        if held.step and trigger in held.triggers:
            gates = plan.policy.of.get(held.action)
            if gates is not None and held.step < len(gates.steps) and outcome in gates.steps[held.step].unless:
                held.closed.setdefault(held.action, "answered")


def ended(p: Profile, trigger: str, reason: str) -> None:
    """A step's trigger was cancelled for a reason that holds for those after it."""
    if p.dealings is not None:
        for held in p.dealings.held:
            if held.step and trigger in held.triggers:
                held.closed.setdefault(held.action, reason)


def named(held: Held, route: Route) -> bool:
    """The decision's own rules name the event: it is released before such a touchpoint that comes after it."""
    return any(name in route.cancels for name in held.actions) or any(
        jr.goals and any(signal.journey == jr.journey.name for signal in held.signals) for jr in route.journeys
    )


def adopt(p: Profile, plan: Plan) -> bool:
    """Fit what waits to another definition; True if anything fell away."""
    known = p.dealings
    if known is None:
        return False
    policy = plan.policy
    before = len(known.held) + len(known.pauses) + len(known.suppressed) + len(known.refusals)
    known.held = [
        held
        for held in known.held
        if any(name in policy.of and held.step < len(policy.of[name].steps) for name in held.actions)
    ]
    keys = {key for key, _ in policy.pauses}
    known.pauses = {key: until for key, until in known.pauses.items() if key in keys}
    known.suppressed = {name: until for name, until in known.suppressed.items() if name in policy.of}
    known.refusals = {name: times for name, times in known.refusals.items() if name in policy.of}
    known.recount()
    return before != len(known.held) + len(known.pauses) + len(known.suppressed) + len(known.refusals)
