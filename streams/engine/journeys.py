"""Journeys, instances and stages: entering, rising, leaving, goals, and the effort it took.

Owns the rules of "Details of journeys": stages only rise, a touchpoint belongs through a stage, the goal or a fact of
``leave_when``, an instance ends with its goal, its time or the limit of open ones.
"""

from __future__ import annotations

from typing import Final

from streams.engine import deadlines, facts
from streams.engine.memory import settle
from streams.engine.plan import SEPARATOR
from streams.engine.routes import JourneyPlan, JourneyRoute, Route, StagePlan
from streams.engine.state import CHANNEL, CHANNELS, INSTANCES, PENDING, Instance, Profile
from streams.engine.step import Step, instance_key

CONTACT_STARTED: Final = "Contact Started"


def field(step: Step, name: str) -> str | None:
    """Value of a touchpoint field, else of a property, as text."""
    tp = step.tp
    value = getattr(tp, name, None)
    if value is None and tp.properties is not None:
        value = tp.properties.get(name)
    return None if value is None or value == "" else str(value)[:128]


def elsewhere(step: Step, hint: str, journey: JourneyPlan) -> bool:
    """The touchpoint says (its field ``journey``) that it belongs to another journey."""
    return hint != journey.name and hint in step.plan.journeys


def find_goals(step: Step, route: Route) -> None:
    """Note whose goal this touchpoint is, before anything else of it is applied."""
    hint = step.tp.journey
    for jr in route.journeys:
        if hint is not None and elsewhere(step, hint, jr.journey):
            continue
        for where in jr.goals:
            if step.holds(where):
                by = jr.journey.instance_by
                key = "" if by is None else field(step, by)
                if key is not None:
                    step.goals.append(instance_key(jr.journey.name, key))
                break


def apply(step: Step, route: Route) -> None:
    """Move the journeys that this touchpoint belongs to."""
    hint = step.tp.journey
    for jr in route.journeys:
        journey = jr.journey
        if hint is not None and elsewhere(step, hint, journey):
            continue
        stage = None
        for candidate, where in jr.entries:
            if where is None or where(step.facts):
                stage = candidate
                break
        goal = bool(jr.goals) and any(step.holds(where) for where in jr.goals)
        if stage is None and not goal and not jr.belongs:
            continue
        if journey.instance_by is None:
            _touch(step, journey, journey.name, "", stage, goal=goal)
            continue
        key = field(step, journey.instance_by)
        if key is None:
            _without_key(step, jr, stage, goal=goal)
        else:
            _touch(step, journey, instance_key(journey.name, key), key, stage, goal=goal)


def _touch(step: Step, journey: JourneyPlan, ik: str, key: str, stage: StagePlan | None, *, goal: bool) -> None:
    p = step.p
    inst = p.open.get(ik)
    risen = False
    if inst is None:
        if stage is not None and not goal:
            if step.t < p.settled.get(ik, 0):
                step.counts.late += 1
                return
            inst = _open(step, journey, ik, key)
            risen = _join_pending(step, journey, inst)
        elif goal:
            reach_goal(step, journey, ik, key, None)
            return
        else:
            return
    inst.touched = p.arrivals
    late = inst.fired > 0 and step.t <= inst.fired
    if late:
        step.counts.late += 1
    if not goal and stage is not None and stage.name != inst.stage:
        risen = enter(step, journey, inst, stage, step.t, step.event_id) or risen
    # What the company does by itself is neither effort nor activity, unless it enters a stage.
    if step.counting or risen:
        _belong(step, inst, step.t, step.event_id, step.tp.channel, contact=step.facts.event_type == CONTACT_STARTED)
    if goal:
        reach_goal(step, journey, ik, key, inst)
    elif risen or (step.counting and not late):
        deadlines.arm(step, journey, inst, step.t, "entered" if risen else "heard")


def _belong(step: Step, inst: Instance, t: int, event_id: str, channel: str | None, *, contact: bool) -> None:
    """Count a touchpoint of the instance: effort, silence, age."""
    if inst.last and t - inst.last > step.plan.time.session_gap_ms:
        inst.since_silence = 0
    if t >= inst.last:
        inst.last = t
        inst.last_event = event_id
    inst.touchpoints += 1
    inst.since_silence += 1
    if channel is not None and channel[:CHANNEL] not in inst.channels and len(inst.channels) < CHANNELS:
        inst.channels.append(channel[:CHANNEL])
        step.p.room -= 4 * CHANNEL
    if contact:
        inst.contacts += 1


def _open(step: Step, journey: JourneyPlan, ik: str, key: str) -> Instance:
    p = step.p
    if len(p.open) >= INSTANCES:
        mine = [(i.touched, k) for k, i in p.open.items() if i.journey == journey.name]
        if len(mine) >= INSTANCES:
            _, oldest = min(mine)
            close(step, journey, oldest, p.open[oldest], "limit", step.t)
    inst = p.open[ik] = Instance(journey.name, key, step.t, "")
    p.room -= 600 + 8 * len(ik)
    if journey.within_ms:
        step.arm(step.t + journey.within_ms)
    return inst


def _without_key(step: Step, jr: JourneyRoute, stage: StagePlan | None, *, goal: bool) -> None:
    """It may join the instance that opens next within the session gap."""
    journey = jr.journey
    if goal:
        reach_goal(step, journey, "", None, None)
        return
    if stage is None:
        return
    waiting = step.p.pending.setdefault(journey.name, [])
    contact = step.facts.event_type == CONTACT_STARTED
    channel = step.tp.channel[:CHANNEL] if step.tp.channel is not None else None
    waiting.append([step.t, stage.name, step.event_id, channel, contact])
    waiting.sort(key=lambda w: w[0])
    oldest = step.t - step.plan.time.session_gap_ms
    while waiting and (waiting[0][0] < oldest or len(waiting) > PENDING):
        del waiting[0]
        step.counts.unassigned += 1


def _join_pending(step: Step, journey: JourneyPlan, inst: Instance) -> bool:
    """True if a touchpoint that has waited entered a stage."""
    waiting = step.p.pending.pop(journey.name, None)
    if not waiting:
        return False
    risen = False
    gap = step.plan.time.session_gap_ms
    for t, stage_name, event_id, channel, contact in waiting:
        stage = journey.stages.get(stage_name)
        if stage is None or abs(step.t - t) > gap:
            step.counts.unassigned += 1
            continue
        inst.opened = min(inst.opened, t)
        _belong(step, inst, t, event_id, channel, contact=contact)
        risen = enter(step, journey, inst, stage, t, event_id) or risen
    if journey.within_ms:
        step.arm(inst.opened + journey.within_ms)
    return risen


def enter(step: Step, journey: JourneyPlan, inst: Instance, stage: StagePlan, t: int, event_id: str) -> bool:
    """Rise to ``stage``; a stage that is not higher changes nothing. True if it was entered."""
    held = journey.stages.get(inst.stage)
    if held is not None and stage.rank <= held.rank:
        return False
    if held is not None:
        left = inst.entered.get(held.name, t)
        step.find(
            "stage_left",
            held.name,
            time=t,
            event_id=event_id,
            journey=journey.name,
            instance=inst.key,
            stage=held.name,
            reason="advanced",
            figures={"seconds": max(0, t - left) / 1000},
        )
    inst.stage = stage.name
    inst.entered[stage.name] = t
    step.find(
        "stage_entered",
        stage.name,
        time=t,
        event_id=event_id,
        journey=journey.name,
        instance=inst.key,
        stage=stage.name,
    )
    if inst.stalled:
        inst.stalled.clear()
    for rule in stage.stalled:
        longer = rule.stalled.longer_than_ms
        due = t + longer if longer is not None else 0
        inst.stalled[rule.friction.name] = [due, step.p.own_touchpoints, t]
        if due:
            step.arm(due)
    step.view = True
    step.dirty |= facts.STAGES
    return True


def reach_goal(step: Step, journey: JourneyPlan, ik: str, key: str | None, inst: Instance | None) -> None:
    """The goal, with or without an open instance; only with one is it a conversion."""
    p = step.p
    n = p.goals[journey.name] = p.goals.get(journey.name, 0) + 1
    figures: dict[str, float] = {"nth": float(n), "conversion": 0.0}
    stage = None
    if inst is not None:
        stage = inst.stage
        figures = {
            "nth": float(n),
            "conversion": 1.0,
            "touchpoints": float(inst.touchpoints),
            "channels": float(len(inst.channels)),
            "contacts": float(inst.contacts),
            "seconds": max(0, step.t - inst.opened) / 1000,
        }
        close(step, journey, ik, inst, "goal", step.t)
    if key is not None and p.once:
        for name in [n for n in p.once if n.endswith(SEPARATOR + ik)]:
            del p.once[name]
    step.find("goal_reached", journey.name, journey=journey.name, instance=key, stage=stage, figures=figures)
    for name, nth in journey.milestones:
        if n == nth:
            step.find("milestone", name, journey=journey.name, instance=key, figures={"nth": float(n)})


def close(step: Step, journey: JourneyPlan, ik: str, inst: Instance, reason: str, t: int, *, due: int = -1) -> None:
    """End an instance; its absences fall away, its windows stay until their length has passed."""
    p = step.p
    step.find(
        "stage_left",
        inst.stage,
        time=t,
        due=due,
        journey=journey.name,
        instance=inst.key,
        stage=inst.stage,
        reason=reason,
        figures={
            "seconds": max(0, t - inst.entered.get(inst.stage, t)) / 1000,
            "touchpoints": float(inst.touchpoints),
        },
    )
    del p.open[ik]
    if p.absences:
        for rule in journey.rules.values():
            absence = instance_key(rule.key, inst.key)
            if absence in p.absences and p.absences[absence][3]:
                del p.absences[absence]
                settle(p, absence, t)
    if reason not in {"limit", "definition"}:
        settle(p, ik, max(t, inst.fired + 1))
    step.view = True
    step.dirty |= facts.STAGES


def leave_where_due(step: Step) -> None:
    """Fall back where a ``leave_when`` has become true."""
    dirty = step.dirty
    for journey in step.plan.journeys.values():
        for _, _, reads in journey.leaves:
            if reads & dirty:
                break
        else:
            continue
        for ik, inst in list(step.p.open.items()):
            if inst.journey == journey.name:
                _leave(step, journey, ik, inst, dirty)


def _leave(step: Step, journey: JourneyPlan, ik: str, inst: Instance, dirty: int) -> None:
    held = journey.stages.get(inst.stage)
    if held is None:
        return
    for stage, condition, reads in journey.leaves:
        if not reads & dirty or stage.rank > held.rank or stage.name not in inst.entered:
            continue
        if not condition(step.facts):
            continue
        below = [s for s in journey.stages.values() if s.rank < stage.rank and s.name in inst.entered]
        if not below:
            close(step, journey, ik, inst, "leave_when", step.t)
            return
        step.find(
            "stage_left",
            held.name,
            journey=journey.name,
            instance=inst.key,
            stage=held.name,
            reason="leave_when",
            figures={"seconds": max(0, step.t - inst.entered.get(held.name, step.t)) / 1000},
        )
        for s in journey.stages.values():
            if s.rank >= stage.rank:
                inst.entered.pop(s.name, None)
        inst.stage = below[-1].name
        inst.stalled.clear()
        step.view = True
        step.dirty |= facts.STAGES
        deadlines.arm(step, journey, inst, step.t, "fell")
        return


def newest(p: Profile) -> Instance | None:
    """The instance touched last."""
    best: Instance | None = None
    for inst in p.open.values():
        if best is None or inst.touched >= best.touched:
            best = inst
    return best
