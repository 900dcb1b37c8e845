"""Actions: candidates for a signal, their gates, the choice, and the life of a trigger from issue to its one end.

Owns the order of the gates and the statuses of a trigger (semantics, rules 13 to 15). Every choice leaves a decision
record, whether or not it became a trigger.
"""

from __future__ import annotations

from math import inf
from typing import Any, Final

import msgspec

from streams.contracts.outputs import Candidate, Decision, Signal, Trigger
from streams.definitions.model import Action, Channel
from streams.engine import sessions
from streams.engine.facts import in_session
from streams.engine.routes import ActionPlan, Route
from streams.engine.scoring.state import SUM_BYTES
from streams.engine.state import TRIGGER_BYTES, TRIGGERS, Issued, Profile, last, weight
from streams.engine.step import Step, derived_id, instance_key

FREEING: Final = frozenset(
    {"sent", "delivered", "opened", "clicked", "not_sent", "bounced", "dismissed", "unsubscribed", "converted"}
)
"""Outcomes after which the channel is free for another trigger."""
REACHED: Final = frozenset({"delivered", "opened", "clicked", "converted"})
"""Outcomes after which a goal fulfils the trigger."""
IDENTIFIERS: Final = ("email", "phone", "push_token", "address")
CONTEXT: Final = 10
"""Last touchpoints that travel with a trigger."""


def decide(step: Step, signal: Signal, due: int) -> None:
    """At most one trigger for a signal: the most valuable candidate that passes every gate."""
    matched = step.plan.candidates(signal)
    if not matched:
        return
    if step.p.triggers:
        _expire_passed(step, signal.time)
    step.facts.signal = signal
    candidates: list[Candidate] = []
    best: tuple[float, Candidate, ActionPlan, Issued | None] | None = None
    for plan in matched:
        candidate, held = _gates(step, plan, signal)
        candidates.append(candidate)
        if candidate.closed_by is None and (best is None or (candidate.v or 0.0) > best[0]):
            if best is not None:
                best[1].closed_by = "lower_value"
            best = (candidate.v or 0.0, candidate, plan, held)
        elif candidate.closed_by is None:
            candidate.closed_by = "lower_value"
    decision = Decision(
        derived_id(step.p.id, "decision", signal.signal_id),
        step.p.id,
        signal.time,
        "none",
        "",
        signal.signal_id,
        journey=signal.journey,
        instance=signal.instance,
        candidates=candidates,
        definition=step.plan.number,
    )
    step.out.decisions.append(decision)
    if best is None:
        decision.reason = max(candidates, key=_known_value).closed_by or ""
        return
    _, candidate, plan, held = best
    decision.chosen = plan.action.name
    decision.channel = candidate.channel
    decision.reason = _issue(step, plan.action, candidate, signal, due, held, decision)
    if decision.reason == "issued":
        decision.outcome = "issued"


def _expire_passed(step: Step, t: int) -> None:
    """The company's touchpoint fires no timer of rules that do not name it; what has expired takes no slot though."""
    for issued in list(step.p.triggers):
        due = sessions.end_of(step, step.p) if issued.session_end else issued.trigger.expires_at
        if due < t:
            expire(step, issued, due)


def _known_value(candidate: Candidate) -> float:
    return -inf if candidate.v is None else candidate.v


def _gates(step: Step, plan: ActionPlan, signal: Signal) -> tuple[Candidate, Issued | None]:
    """The candidate with the gate that closed it, and the open trigger that it would replace."""
    p = step.p
    action = plan.action
    candidate = Candidate(action.name)
    if action.paused:
        candidate.closed_by = "paused"
        return candidate, None
    if action.eligible is not None and not action.eligible.test(step.facts):
        candidate.closed_by = "eligibility"
        return candidate, None
    value = action.value
    if not isinstance(value, (int, float)):
        found = value.value(step.facts)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            candidate.closed_by = "value"
            return candidate, None
        value = float(found)
    candidate.v = float(value)
    for channel in plan.channels:
        if reachable(step, channel, action):
            candidate.channel = channel.name
            break
    else:
        candidate.closed_by = "channel"
        return candidate, None
    for issued in p.triggers:
        if issued.freed or issued.trigger.channel != candidate.channel:
            continue
        if issued.trigger.action == action.name and issued.trigger.instance == signal.instance:
            candidate.closed_by = "already_open"
            return candidate, None
        if candidate.v <= (issued.trigger.value or 0.0):
            candidate.closed_by = "slot"
            return candidate, None
        return candidate, issued
    if len(p.triggers) >= TRIGGERS:
        candidate.closed_by = "limit"
    return candidate, None


def reachable(step: Step, channel: Channel, action: Action) -> bool:
    """The customer can be reached on the channel and has not refused it (marketing: has agreed to it)."""
    p = step.p
    if channel.in_session and not in_session(step.facts):
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


def _issue(
    step: Step, action: Action, candidate: Candidate, signal: Signal, due: int, held: Issued | None, decision: Decision
) -> str:
    """Issue the trigger, or say why not: warm_up, session_over, stale or too_large."""
    p = step.p
    if signal.historical:
        return "warm_up"
    if action.expires_after_ms is None:
        if not in_session(step.facts):
            return "session_over"
        expires = sessions.end_of(step, p)
    else:
        expires = signal.time + action.expires_after_ms
    trigger_id = derived_id(p.id, signal.journey or "", signal.instance or "", action.name, signal.signal_id, "0")
    if trigger_id in step.stale_ids:
        return "stale"
    if step.now_ms is not None and expires <= step.now_ms:
        step.out.stale.append(trigger_id)
        return "stale"
    trigger = _trigger(step, action, candidate, signal, trigger_id, expires)
    size = weight(trigger)
    if size + sum(weight(issued.trigger) for issued in p.triggers if issued is not held) > TRIGGER_BYTES:
        return "too_large"
    p.room -= size + 100
    decision.trigger_id = trigger_id
    if held is not None:
        end(step, held, "cancelled", "replaced", signal.time, replaced_by=trigger_id)
    p.triggers.append(Issued(trigger, due, session_end=action.expires_after_ms is None))
    step.out.triggers.append(trigger)
    if p.activity is not None:
        p.activity.add("issued", signal.time)
        p.room -= SUM_BYTES
    if action.expires_after_ms is not None:
        step.arm(expires)
    else:
        step.arm(sessions.end_of(step, p))
    step.view = True
    return "issued"


def _trigger(
    step: Step, action: Action, candidate: Candidate, signal: Signal, trigger_id: str, expires: int
) -> Trigger:
    p = step.p
    content: dict[str, Any] = {}
    for name, parameter in action.content.items():
        content[name] = parameter.value(step.facts) if hasattr(parameter, "uses") else parameter
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
        issued_at=signal.time,
        expires_at=expires,
        customer_id=p.customer_id,
        anonymous_id=p.anonymous_id,
        identifiers=identifiers,
        journey=signal.journey,
        instance=signal.instance,
        stage=signal.stage,
        locale=last(p, "locale") or None,
        time_zone=last(p, "time_zone") or step.plan.time.timezone,
        consent={name: bool(held[0]) for name, held in p.consent.items() if held[0] is not None},
        content_key=action.content_key,
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
        definition=step.plan.number,
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
    """The one end of a trigger."""
    ended = msgspec.structs.replace(
        issued.trigger,
        revision=issued.trigger.revision + 1,
        status=status,
        end_reason=reason,
        ended_at=at,
        replaced_by=replaced_by,
    )
    step.out.triggers.append(ended)
    step.p.triggers.remove(issued)
    step.view = True


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
            if issued.outcome in REACHED and t > issued.outcome_at:
                end(step, issued, "fulfilled", None, t)
            else:
                end(step, issued, "cancelled", "goal_reached", t)
        elif named:
            end(step, issued, "cancelled", "cancel_on", t)


def channel_told(step: Step) -> str | None:
    """The channel that an outcome is about: its own, else that of its trigger while it is open."""
    if step.tp.channel is not None:
        return step.tp.channel
    return next((i.trigger.channel for i in step.p.triggers if i.trigger.trigger_id == step.tp.trigger_id), None)


def hear(step: Step) -> None:
    """An outcome of one of the customer's triggers."""
    tp = step.tp
    outcome = tp.outcome
    if outcome is None or tp.trigger_id is None:
        return
    for issued in step.p.triggers:
        if issued.trigger.trigger_id == tp.trigger_id:
            if outcome in FREEING:
                issued.freed = True
            if outcome in REACHED and issued.outcome not in REACHED:
                issued.outcome = outcome
                issued.outcome_at = step.t
            elif issued.outcome not in REACHED:
                issued.outcome = outcome
                issued.outcome_at = max(issued.outcome_at, step.t)
            step.view = True
            return


def withdraw_unconsented(step: Step) -> None:
    """A consent was withdrawn: what has not been sent yet must not be."""
    for issued in list(step.p.triggers):
        if issued.freed:
            continue
        plan = step.plan.actions.get(issued.trigger.action)
        if plan is not None and not consented(step.p, step.plan.channel(issued.trigger.channel), plan.action):
            end(step, issued, "cancelled", "consent", step.t)


def expire(step: Step, issued: Issued, due: int) -> None:
    end(step, issued, "expired", None, due)


def end_with_session(step: Step, due: int) -> None:
    for issued in list(step.p.triggers):
        if issued.session_end:
            expire(step, issued, due)
