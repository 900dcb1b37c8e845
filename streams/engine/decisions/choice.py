"""One decision: what a step's signals ask for, taken through the gates, weighed against each other, and recorded.

Owns the decision record and its outcomes. All signals of a step are arbitrated together, over all journeys, and lead to
at most one trigger. Every decision leaves a record with each candidate and the gate that closed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from streams.contracts.outputs import Candidate, Decision, Signal
from streams.engine import actions, sessions
from streams.engine.decisions import arbitration, buckets, contacts, context, gates, holding, success
from streams.engine.decisions.gates import Moment
from streams.engine.decisions.options import PRIOR, Option
from streams.engine.decisions.state import Held, Made
from streams.engine.facts import in_session
from streams.engine.scoring.state import SUM_BYTES
from streams.engine.state import TRIGGER_BYTES, Issued, weight
from streams.engine.step import Step, derived_id


def decide(step: Step, wanting: Sequence[tuple[Signal, int]]) -> None:
    """At most one trigger for all that a step has found. ``wanting``: signals with the due time of their deadline."""
    options: list[Option] = []
    asking: list[Signal] = []
    policy = step.plan.policy
    for signal, due in wanting:
        matched = step.plan.candidates(signal)
        if matched:
            asking.append(signal)
        for plan in matched:
            name = plan.action.name
            if len(asking) > 1 and any(option.plan is plan for option in options):
                continue  # the first signal that asks for an action is its reason
            options.append(Option(plan, policy.of[name], signal, due, 0, signal.time, Candidate(name)))
    if options:
        _decide(step, options, asking, max(signal.time for signal in asking), None)


def release(step: Step, held: Held) -> None:
    """Decide anew what was held, as of its due time."""
    policy = step.plan.policy
    if held.channel in policy.channels:
        step.shares.turn(policy.channels[held.channel], held.due)
    options: list[Option] = []
    # A signal whose goal was reached meanwhile is no reason while there is another one.
    asking = sorted(zip(held.signals, held.dues, strict=True), key=lambda one: one[0].signal_id in held.closed)
    for signal, due in asking:
        for plan in step.plan.candidates(signal):
            name = plan.action.name
            if held.action not in ("", name) or any(option.plan is plan for option in options):
                continue
            found = policy.of[name]
            if held.step < len(found.steps):
                since = held.since if held.step else signal.time
                options.append(Option(plan, found, signal, due, held.step, since, Candidate(name)))
    if options:
        _decide(step, options, held.signals, step.t, held)


def _decide(step: Step, options: list[Option], asking: Sequence[Signal], t: int, held: Held | None) -> None:
    if step.p.triggers:
        expire_passed(step, t)
    if len(asking) > 1:
        options.sort(key=lambda option: option.plan.order)
    now = Moment(step, t, held.channel if held is not None else "")
    passed = []
    for option in options:
        step.facts.signal = option.signal
        gates.judge(now, option, held)
        if option.candidate.closed_by is None:
            passed.append(option)
        if option.signal is not asking[0]:
            option.candidate.signal_id = option.signal.signal_id
    decision = _record(step, options, asking, t, held)
    if now.personal and now.values is not None:
        decision.features = context.named(step.plan.policy.features, now.values)
    step.out.decisions.append(decision)
    if not passed:
        _none_passed(step, options, decision, asking, held)
        return
    option = _choose(now, decision, passed)
    step.facts.signal = option.signal
    candidate = option.candidate
    decision.chosen = candidate.action
    decision.channel = candidate.channel
    decision.value = candidate.v
    decision.propensity = candidate.propensity
    decision.model = candidate.model
    decision.journey, decision.instance = option.signal.journey, option.signal.instance
    decision.reason = _issue(step, now, option, decision, held)
    if decision.reason == "issued":
        decision.outcome = "issued"
    elif decision.reason == "holdout":
        decision.outcome = "held_out"
    elif held is not None:
        holding.go_on(step, held, option)


def expire_passed(step: Step, t: int) -> None:
    """The company's touchpoint fires no timer of rules that do not name it; what has expired takes no slot though."""
    for issued in list(step.p.triggers):
        due = sessions.end_of(step, step.p) if issued.session_end else issued.trigger.expires_at
        if due < t:
            actions.expire(step, issued, due)


def _record(step: Step, options: list[Option], asking: Sequence[Signal], t: int, held: Held | None) -> Decision:
    first = asking[0]
    parts = ["decision", first.signal_id]
    if held is not None:
        parts += [held.action, str(held.step), str(held.tries)]
    return Decision(
        derived_id(step.p.id, *parts),
        step.p.id,
        t,
        "none",
        "",
        first.signal_id,
        journey=first.journey,
        instance=first.instance,
        candidates=[option.candidate for option in options],
        definition=step.plan.number,
        step=held.step if held is not None else 0,
        signals=[signal.signal_id for signal in asking] if len(asking) > 1 else [],
        tries=held.tries if held is not None else 0,
    )


def _none_passed(
    step: Step, options: list[Option], decision: Decision, asking: Sequence[Signal], held: Held | None
) -> None:
    waiting = [option for option in options if option.opens]
    if waiting:
        best = max(waiting, key=_known_value)
        decision.reason = best.candidate.closed_by or ""
        first = min(waiting, key=_opens)
        due = first.opens
        if holding.hold(step, options, asking, due, held, first.queued):
            if first.queued is not None:
                step.shares.queue(first.queued, due)
            decision.outcome = "held"
            decision.held_until = due
            return
    else:
        best = max(options, key=_known_value)
        decision.reason = best.candidate.closed_by or ""
    if held is not None:
        holding.go_on(step, held, options[0])


def _opens(option: Option) -> int:
    return option.opens


def _known_value(option: Option) -> float:
    v = option.candidate.v
    return -inf if v is None else v


def _choose(now: Moment, decision: Decision, passed: list[Option]) -> Option:
    """Draw one of those that passed, and note with which probability each would have been."""
    step = now.step
    rules = step.plan.policy.arbitration
    chosen = arbitration.propensities(
        rules,
        [option.scale for option in passed],
        [option.known for option in passed],
        learned=any(option.model != PRIOR for option in passed),
        often=not now.personal and all(option.gates.value is not None for option in passed),
    )
    at = 0
    drawn = max(chosen) < 1.0
    if drawn:
        decision.draw = draw_of(decision.customer, decision.decision_id, step.plan.definition.digest)
        at = arbitration.pick(chosen, decision.draw)
    else:
        at = chosen.index(1.0)
    for i, (option, one) in enumerate(zip(passed, chosen, strict=True)):
        option.candidate.propensity = one
        if i != at:
            option.candidate.closed_by = "not_drawn" if drawn else "lower_value"
    return passed[at]


def draw_of(customer: str, decision_id: str, digest: str) -> float:
    """The number that a decision draws: it follows from customer, decision and definition."""
    return buckets.uniform(customer, decision_id, digest)


def _issue(step: Step, now: Moment, option: Option, decision: Decision, held: Held | None) -> str:
    """Issue the trigger, or note the ghost of one, or say why not: warm_up, session_over, stale, too_large or
    quiet_hours (a delayed one would fall into them)."""
    p = step.p
    action = option.plan.action
    signal = option.signal
    t = now.t
    if signal.historical:
        return "warm_up"
    if action.expires_after_ms is None:
        if not in_session(step.facts):
            return "session_over"
        expires = sessions.end_of(step, p)
    else:
        expires = option.since + action.expires_after_ms
    parts = (p.id, signal.journey or "", signal.instance or "", action.name, signal.signal_id, str(option.step))
    trigger_id = derived_id(*parts)
    if trigger_id in step.stale_ids:
        return "stale"
    if step.now_ms is not None and expires <= step.now_ms:
        step.out.stale.append(trigger_id)
        return "stale"
    experiment = action.experiment
    arm = buckets.arm(experiment, p.id) if experiment is not None else None
    ghost = gates.held_out(step, action)
    not_before = None
    if experiment is not None and arm is not None and arm.delay_ms and not option.step:
        how, until = now.quiet(option.candidate.channel or "", action.purpose, t + arm.delay_ms)
        not_before = until if how == "hold" and until else t + arm.delay_ms
        if how == "drop" or not_before >= expires:
            # Nothing is sent, and the customer is of that arm all the same (or of the holdout): groups are compared as
            # they were assigned, or the arm would be made up of those whom it suits.
            decision.experiment, decision.arm = experiment.name, arm.name
            if ghost:
                decision.outcome = "held_out"
            return "quiet_hours"
    trigger = actions.trigger(step, option, trigger_id, t, expires, arm)
    trigger.not_before = not_before
    size = weight(trigger)
    others = sum(weight(issued.trigger) for issued in p.triggers if issued is not option.replaces)
    if size + others > TRIGGER_BYTES:
        return "too_large"
    p.room -= size + 120
    decision.trigger_id = trigger_id
    decision.experiment, decision.arm = trigger.experiment, trigger.arm
    if option.replaces is not None:
        actions.end(step, option.replaces, "cancelled", "replaced", t, replaced_by=trigger_id)
    session_end = action.expires_after_ms is None
    p.triggers.append(Issued(trigger, option.due, session_end=session_end, ghost=ghost, step=option.step))
    made = Made(not_before or t, trigger.channel, action.name, trigger_id, ghost=ghost, decided=t)
    made.external = contacts.external_id(action.external.get("campaign"), action.external.get("dispatch"))
    contacts.reserve(p, step.plan.policy, made)
    step.arm(expires)
    if len(option.gates.steps) > option.step + 1:
        before = held.triggers if held is not None and held.step else []
        holding.follow(step, option, t, [*before, trigger_id])
    if ghost:
        return "holdout"
    if option.channel is not None:
        step.shares.take(option.channel, t)
    if action.budget is not None:
        step.shares.spend(action.name, action.budget, action.cost, t)
    success.wait(step, option, trigger, t, now.values)
    step.say(trigger)
    if p.activity is not None:
        p.activity.add("issued", t)
        p.room -= SUM_BYTES
    step.view = True
    return "issued"
