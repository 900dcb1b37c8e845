"""Applying one touchpoint: what it tells about the customer, then the rules in their order, then what follows.

Owns that order: facts, withdrawals of open triggers, counts and sequences, stages and goals, absences, segments; at the
end the signals found are published, and decided on together, when all of the state has moved.
"""

from __future__ import annotations

from streams.contracts.outputs import LastTouchpoint
from streams.contracts.touchpoint import AGENT, CUSTOMER, Touchpoint
from streams.engine import actions, contents, deadlines, facts, friction, journeys, segments
from streams.engine.decisions import choice, contacts, holding, success
from streams.engine.decisions.plan import pauses
from streams.engine.memory import set_last
from streams.engine.plan import selects
from streams.engine.routes import Route
from streams.engine.scoring import activity, labels, scores
from streams.engine.state import CHANNEL, TRAIL, Profile
from streams.engine.step import Step, instance_key
from streams.engine.views import view


def learn(step: Step, route: Route) -> None:
    """What the touchpoint itself tells about the customer."""
    p = step.p
    tp = step.tp
    t = step.t
    if route.handler is not None:
        # Behind the customer's own newest, unless somebody's clock is ahead of time.
        settled = min(p.last_seen - step.plan.time.allowed_lateness_ms, step.watermark)
        bits = route.handler(p, tp, t, settled)
        step.dirty |= bits
        if bits & facts.CONTACTS:
            step.view = True
            turned = route.event == "Contact Started" and step.facts.event_actor == CUSTOMER
            if turned and step.p.dealings is not None:
                success.complained(step)
    if tp.locale is not None:
        set_last(p, "locale", tp.locale[:32], t)
        step.dirty |= facts.PLACE
    if tp.time_zone is not None and step.plan.policy.zone_name_of(tp.time_zone):
        set_last(p, "time_zone", tp.time_zone[:64], t)
        step.dirty |= facts.PLACE
    if tp.intent is not None:
        set_last(p, "intent", tp.intent[: contents.TEXT], t)
        step.dirty |= facts.LAST
    if tp.traits is not None and contents.set_traits(p, tp.traits, t):
        step.dirty |= facts.TRAITS
        deadlines.follow_dates(step)
    consent = tp.consent
    if tp.outcome == "unsubscribed" and (channel := actions.channel_told(step)) is not None:
        consent = {channel: None, **(consent or {})}
    if consent is not None and contents.set_consent(p, consent, t):
        step.dirty |= facts.CONSENT
        actions.withdraw_unconsented(step)


def run_rules(step: Step, route: Route) -> None:
    p = step.p
    if route.has_goals or step.goals:
        step.goals.clear()
        journeys.find_goals(step, route)
    if p.dealings is not None:
        if step.goals and p.dealings.waiting:
            success.reached(step)
        if p.dealings.held and (step.goals or route.cancels or route.journeys):
            holding.withdraw(step, route, progress(step, route))
    if p.triggers:
        actions.withdraw(step, route, progress(step, route))
    if route.counts or route.sequences or route.presets:
        friction.observe(step, route)
    if route.journeys:
        journeys.apply(step, route)
    if step.dirty & step.plan.leave_reads and p.open:
        journeys.leave_where_due(step)
    if route.ended_absences or route.started_absences:
        friction.answer(step, route)
    if step.counting and step.plan.watches_touchpoints and p.open:
        friction.watch_touchpoints(step)


def run_unnamed(step: Step) -> None:
    """What open instances do although no rule names the event: facts have moved, touchpoints are counted, or time."""
    if step.dirty & step.plan.leave_reads:
        journeys.leave_where_due(step)
    if step.counting and step.plan.watches_touchpoints:
        friction.watch_touchpoints(step)


def regroup(step: Step) -> None:
    """Segments, and the stages that are left because of them or of how the customer feels."""
    segments.observe(step)
    if step.dirty & step.plan.leave_reads & (facts.SATISFACTION | facts.SEGMENTS) and step.p.open:
        journeys.leave_where_due(step)
        segments.observe(step)


def progress(step: Step, route: Route) -> set[str]:
    """Instances in which this touchpoint enters a higher stage."""
    progressed = set()
    hint = step.tp.journey
    for jr in route.journeys:
        if hint is not None and journeys.elsewhere(step, hint, jr.journey):
            continue
        by = jr.journey.instance_by
        key = "" if by is None else journeys.field(step, by)
        if key is None:
            continue
        ik = instance_key(jr.journey.name, key)
        inst = step.p.open.get(ik)
        held = jr.journey.stages.get(inst.stage) if inst is not None else None
        for stage, where in jr.entries:
            if step.holds(where):
                if held is None or stage.rank > held.rank:
                    progressed.add(ik)
                break
    return progressed


def conclude(step: Step, *, scored: bool = True) -> None:
    """Publish what the step has found, decide on it, score if that is asked for, and show the customer's view if it
    changed. What a score brings about asks for no further one."""
    p = step.p
    if step.found:
        if step.plan.risks and scored:
            _conclude_scored(step)
        else:
            _publish(step)
        if step.wanting:
            choice.decide(step, step.wanting)
            step.wanting.clear()
    if step.view:
        step.out.customers[p.id] = view(p, step.t, step.trail(), step.plan.scoring.first)
        step.view = False


def _publish(step: Step) -> None:
    for signal, due in step.found:
        step.out.signals.append(signal)
        if signal.kind in step.plan.by_kind:
            step.wanting.append((signal, due))
        if signal.kind == "satisfaction" and signal.name == "detractor" and step.p.dealings is not None:
            success.complained(step)
        if signal.kind in step.plan.policy.pausing:
            for key, until in pauses(step.plan.policy, signal, selects):
                contacts.pause(step.p, key, until)
    step.found.clear()


def _conclude_scored(step: Step) -> None:
    asking = []
    scored_on = step.plan.scoring.scored_on
    for signal, _ in step.found:
        activity.hear(step, signal)
        if signal.kind in scored_on:
            asking.append(signal)
    _publish(step)
    if not asking or not scores.hear(step, asking):
        return
    if step.p.open and step.dirty & step.plan.leave_reads:
        journeys.leave_where_due(step)
    segments.observe(step)
    for signal, _ in step.found:
        activity.hear(step, signal)
    _publish(step)


def forget(step: Step) -> None:
    """What is still open ends with the profile; nothing is decided any more."""
    p = step.p
    for ik, inst in list(p.open.items()):
        journeys.close(step, step.plan.journeys[inst.journey], ik, inst, "forgotten", step.t, due=step.t)
    step.out.signals += [signal for signal, _ in step.found]
    step.found.clear()
    for issued in list(p.triggers):
        actions.expire(step, issued, step.t)
    for risk in p.risks.values():
        labels.censor(step, risk)
    success.censor(step)
    step.out.counts.evicted += 1
    step.out.customers[p.id] = None


def together(p: Profile, tp: Touchpoint) -> bool:
    """An agent's touchpoint in a contact of this customer that is open."""
    contact, case = contents.contact_of(tp)
    if contact is not None and contact in p.contacts:
        return True
    return case is not None and any(case in (k, c.case_id) for k, c in p.contacts.items())


def moves(tp: Touchpoint, route: Route, actor: str) -> bool:
    """Though it does not count, it changes more than the trail."""
    return route.named or (actor == AGENT and route.event in contents.CONTACT_EVENTS) or tells(tp)


def tells(tp: Touchpoint) -> bool:
    """It says something about the customer or a trigger, whoever sent it."""
    return (
        tp.outcome is not None
        or tp.traits is not None
        or tp.consent is not None
        or tp.sentiment is not None
        or tp.emotion is not None
        or tp.score is not None
    )


def append_trail(p: Profile, tp: Touchpoint, t: int, event: str, actor: str) -> None:
    trail = p.trail
    channel = tp.channel
    if channel is not None and len(channel) > 16:
        channel = channel[:CHANNEL]
        p.room -= 4 * len(channel)
    if len(actor) > CHANNEL:
        actor = actor[:CHANNEL]
    step = LastTouchpoint(event, t, channel, tp.event_id, actor)
    if not trail or t >= trail[-1].occurred_at:
        trail.append(step)
    else:
        i = len(trail)
        while i and trail[i - 1].occurred_at > t:
            i -= 1
        trail.insert(i, step)
    if len(trail) > TRAIL:
        del trail[0]
