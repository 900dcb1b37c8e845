"""Triggers: what one carries, and its life from issue to its one end.

Owns the statuses of a trigger (semantics, rules 20 to 25); ``decisions/`` owns how it is chosen. The ghost of a trigger
(of a customer who is held out) lives the same life, and nobody is told.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

import msgspec

from streams.contracts.outputs import Signal, Trigger
from streams.definitions.policy import Arm
from streams.engine.decisions import contacts, holding, outcomes, success
from streams.engine.decisions.gates import consented
from streams.engine.decisions.options import Option
from streams.engine.routes import Route
from streams.engine.state import Issued, last
from streams.engine.step import Step, instance_key

IDENTIFIERS: Final = ("email", "phone", "push_token", "address")
CONTEXT: Final = 10
"""Last touchpoints that travel with a trigger."""


def trigger(step: Step, option: Option, trigger_id: str, t: int, expires: int, arm: Arm | None) -> Trigger:
    p = step.p
    action, candidate, signal = option.plan.action, option.candidate, option.signal
    plan = option.gates.steps[option.step]
    key, parameters = plan.content_key, plan.content
    if arm is not None and not option.step:
        key = arm.content_key or key
        if arm.content:
            parameters = {**parameters, **arm.content}
    content: dict[str, Any] = {}
    for name, parameter in parameters.items():
        value = parameter.value(step.facts) if hasattr(parameter, "uses") else parameter
        content[name] = None if isinstance(value, float) and not isfinite(value) else value
    identifiers = {}
    for name in IDENTIFIERS:
        held = p.traits.get(name)
        if held is not None and isinstance(held[0], str) and held[0]:
            identifiers[name] = held[0]
    contact = next(reversed(p.contacts), None) if p.contacts else None
    return Trigger(
        trigger_id=trigger_id,
        revision=1,
        status="issued",
        customer=p.id,
        action=action.name,
        purpose=action.purpose,
        channel=candidate.channel or "",
        issued_at=t,
        expires_at=expires,
        customer_id=p.customer_id,
        anonymous_id=p.anonymous_id,
        identifiers=identifiers,
        journey=signal.journey,
        instance=signal.instance,
        stage=signal.stage,
        locale=last(p, "locale") or None,
        time_zone=step.plan.policy.zone_name_of(last(p, "time_zone")) or step.plan.time.timezone,
        consent={name: bool(held[0]) for name, held in p.consent.items() if held[0] is not None},
        content_key=key,
        content=content,
        external=dict(action.external),
        reason_words=in_words(signal),
        reason_signals=[signal.signal_id],
        reason_touchpoints=list(signal.evidence),
        stages={instance_key(i.journey, i.key).replace("\x1f", ":"): i.stage for i in p.open.values()},
        last_touchpoints=step.trail()[-CONTEXT:],
        open_contact=contact,
        intent=last(p, "intent") or None,
        emotion=last(p, "emotion") or None,
        value=candidate.v,
        priority=candidate.priority,
        propensity=candidate.propensity,
        experiment=action.experiment.name if action.experiment is not None and arm is not None else None,
        arm=arm.name if arm is not None else None,
        definition=step.plan.number,
        model=candidate.model,
        step=option.step,
    )


def in_words(signal: Signal) -> str:
    """One line that says why."""
    if signal.kind == "churn_risk":
        return "; ".join((f"{signal.name} risk is {signal.band or 'not scored any more'}", *signal.words[:2]))
    where = f" at {signal.stage}" if signal.stage else ""
    journey = f" of {signal.journey}" if signal.journey else ""
    match signal.kind:
        case "abandonment":
            words = f"left {signal.name}{journey} and was silent"
        case "friction" | "satisfaction":
            words = f"{signal.name}{where}{journey}"
        case "stalled":
            words = f"{signal.name}: no progress{where}{journey}"
        case "goal_reached":
            words = f"reached the goal{journey}"
        case "stage_entered":
            words = f"entered {signal.name}{journey}"
        case "stage_left":
            words = f"left {signal.name}{journey} ({signal.reason})"
        case "segment_entered":
            words = f"became {signal.name}"
        case "segment_left":
            words = f"is no longer {signal.name}"
        case _:
            words = f"{signal.kind} {signal.name}"
    shown = ", ".join(f"{name} {value:g}" for name, value in list(signal.figures.items())[:2])
    return f"{words} ({shown})" if shown else words


def end(
    step: Step, issued: Issued, status: str, reason: str | None, at: int, *, replaced_by: str | None = None
) -> None:
    """The one end of a trigger. What is cancelled before it can have been sent gives its contact back; how long ago
    what is heard of late was issued nobody knows, so that is taken for sent."""
    p = step.p
    trigger = issued.trigger
    p.triggers.remove(issued)
    if status == "cancelled":
        if reason != "late" and contacts.unsent(step.plan.policy, issued, at):
            _give_back(step, trigger)
        if reason != "consent":  # of one channel; a later step may have another
            holding.ended(p, trigger.trigger_id, reason or "")
    if issued.ghost:
        return
    step.say(
        msgspec.structs.replace(
            trigger,
            revision=trigger.revision + 1,
            status=status,
            end_reason=reason,
            ended_at=at,
            replaced_by=replaced_by,
            outcome=issued.outcome,
            outcome_at=issued.outcome_at if issued.outcome is not None else None,
            outcome_match=None if issued.outcome is None else issued.match or "trigger_id",
        )
    )
    step.view = True


def _give_back(step: Step, trigger: Trigger) -> None:
    made = contacts.given_back(step.p, trigger.trigger_id)
    success.drop(step, trigger.trigger_id)
    if made is not None:
        outcomes.refund(step, made)


def withdraw(step: Step, route: Route, progressed: frozenset[str] | set[str]) -> None:
    """End the open triggers that this touchpoint makes wrong or right: late, goal, cancel_on, in this order.

    ``progressed``: instance keys in which it enters a higher stage.
    """
    t = step.t
    for issued in list(step.p.triggers):
        trigger = issued.trigger
        key = instance_key(trigger.journey, trigger.instance or "") if trigger.journey is not None else None
        goal = key is not None and key in step.goals
        named = any(step.holds(where) for where in route.cancels.get(trigger.action, ()))
        if issued.due >= 0 and t <= issued.due and (goal or named or (key is not None and key in progressed)):
            end(step, issued, "cancelled", "late", t)
        elif goal:
            if 0 <= issued.reached_at < t:
                end(step, issued, "fulfilled", None, t)
            else:
                end(step, issued, "cancelled", "goal_reached", t)
        elif named:
            end(step, issued, "cancelled", "cancel_on", t)


def channel_told(step: Step) -> str | None:
    """The channel that an outcome is about: its own, else that of its trigger while it is open."""
    if step.tp.channel is not None:
        return step.tp.channel
    return next(
        (i.trigger.channel for i in step.p.triggers if i.trigger.trigger_id == step.tp.trigger_id and not i.ghost), None
    )


def withdraw_unconsented(step: Step) -> None:
    """A consent was withdrawn: what has not been sent yet must not be."""
    for issued in list(step.p.triggers):
        if issued.freed:
            continue
        plan = step.plan.actions.get(issued.trigger.action)
        if plan is not None and not consented(step.p, step.plan.channel(issued.trigger.channel), plan.action.purpose):
            end(step, issued, "cancelled", "consent", step.t)


def expire(step: Step, issued: Issued, due: int) -> None:
    end(step, issued, "expired", None, due)


def end_with_session(step: Step, due: int) -> None:
    for issued in list(step.p.triggers):
        if issued.session_end:
            expire(step, issued, due)
