"""Timers of a profile: which one is next, and what happens when it is due (semantics, rule 6).

Owns the order: by due time; at one instant a session ends first, then deadlines in the order of the definition, then
expiries, held decisions, milestones of time, ends of labels, scores, and forgetting. Timers live in the profile;
nothing here is stored beside it.
"""

from __future__ import annotations

from datetime import MAXYEAR, date, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from streams.definitions.model import DAY_MS
from streams.engine import actions, deadlines, friction, journeys, sessions
from streams.engine.decisions import choice, holding, success
from streams.engine.plan import SEPARATOR, Plan
from streams.engine.routes import Route
from streams.engine.scoring import labels, scores
from streams.engine.state import NEVER, Instance, Issued, Profile
from streams.engine.step import Step

SESSION, DEADLINE, INSTANCE, EXPIRY, HELD, ANNIVERSARY, LABEL, SCORE, FORGET = range(9)
"""Order at one instant."""
EPOCH: Final = date(1970, 1, 1)


class Timer(NamedTuple):
    due: int
    rank: int
    order: int
    what: str
    """session, abandonment, stalled, absence, click, instance, trigger, held, anniversary, label, success, score,
    forget."""
    key: str


def next_due(step: Step, p: Profile) -> int:
    """When the profile's first timer is due: what ``next_timer`` finds, without saying which it is."""
    plan = step.plan
    due = p.last_seen + plan.time.forget_after_ms
    for inst in p.open.values():
        if inst.due and inst.due < due:
            due = inst.due
        for watch in inst.stalled.values():
            if watch[0] and watch[0] < due:
                due = watch[0]
        journey = plan.journeys.get(inst.journey)
        if journey is not None and journey.within_ms and inst.opened + journey.within_ms < due:
            due = inst.opened + journey.within_ms
    for absence in p.absences.values():
        due = min(due, absence[0])
    if p.clicks:
        for key, preset in plan.waiting_presets.items():
            state = p.clicks.get(key)
            click_due = preset.next_due(state) if state else None
            if click_due is not None and click_due < due:
                due = click_due
    session_end = p.session_start > 0 and plan.session_timer
    for issued in p.triggers:
        if issued.session_end:
            session_end = session_end or p.session_start > 0
        elif issued.trigger.expires_at < due:
            due = issued.trigger.expires_at
    if session_end:
        due = min(due, sessions.end_of(step, p))
    for name in plan.anniversaries:
        passed = p.anniversaries.get(name)
        if passed is not None and passed[1] < due:
            due = passed[1]
    for risk in p.risks.values():
        if risk.matures and risk.matures < due:
            due = risk.matures
        if risk.due and risk.due < due:
            due = risk.due
    if p.dealings is not None and p.dealings.due < due:
        due = p.dealings.due
    return due


def next_timer(step: Step, p: Profile, only: Route | None = None, *, calendar: bool = True) -> Timer | None:
    """The profile's first timer; with ``only``, the first whose own rule names that route's event; without
    ``calendar``, the first that decides something still open: no anniversary, no score or label and no forgetting."""
    plan = step.plan
    best: Timer | None = None
    if only is None and p.session_start and (plan.session_timer or any(i.session_end for i in p.triggers)):
        best = Timer(sessions.end_of(step, p), SESSION, 0, "session", "")
    for ik, inst in p.open.items():
        if only is None or any(jr.journey.name == inst.journey for jr in only.journeys):
            best = _of_instance(plan, ik, inst, best)
    for key, absence in p.absences.items():
        rule = plan.rules.get(key.split(SEPARATOR, 1)[0])
        if rule is None:
            continue
        if only is not None and not any(r is rule for r, _ in (*only.ended_absences, *only.started_absences)):
            continue
        if best is None or absence[0] <= best.due:
            best = _earlier(best, Timer(absence[0], DEADLINE, rule.order, "absence", key))
    if only is None:
        for key, preset in plan.waiting_presets.items():
            state = p.clicks.get(key)
            click_due = preset.next_due(state) if state else None
            if click_due is not None:
                best = _earlier(best, Timer(click_due, DEADLINE, plan.rules[key].order, "click", key))
    for n, issued in enumerate(p.triggers):
        trigger = issued.trigger
        if only is None:
            if issued.session_end:
                continue
        elif trigger.action not in only.cancels and not any(
            jr.goals and jr.journey.name == trigger.journey for jr in only.journeys
        ):
            continue
        due = sessions.end_of(step, p) if issued.session_end else trigger.expires_at
        if best is None or due <= best.due:
            best = _earlier(best, Timer(due, EXPIRY, n, "trigger", trigger.trigger_id))
    if p.dealings is not None:
        for n, held in enumerate(p.dealings.held):
            if (only is None or holding.named(held, only)) and (best is None or held.due <= best.due):
                best = _earlier(best, Timer(held.due, HELD, n, "held", ""))
    if only is None and calendar:
        # Far away mostly, so they are looked at when there is something nearer to compare with.
        for name in plan.anniversaries:
            passed = p.anniversaries.get(name)
            if passed is not None and (best is None or passed[1] <= best.due):
                best = _earlier(best, Timer(passed[1], ANNIVERSARY, 0, "anniversary", name))
        for n, (name, risk) in enumerate(p.risks.items()):
            if risk.matures and (best is None or risk.matures <= best.due):
                best = _earlier(best, Timer(risk.matures, LABEL, n, "label", name))
            if risk.due and (best is None or risk.due <= best.due):
                best = _earlier(best, Timer(risk.due, SCORE, n, "score", name))
        if p.dealings is not None and p.dealings.waiting:
            due = min(waiting.until for waiting in p.dealings.waiting)
            if best is None or due <= best.due:
                best = _earlier(best, Timer(due, LABEL, len(p.risks), "success", ""))
        due = p.last_seen + plan.time.forget_after_ms
        if best is None or due < best.due:
            best = Timer(due, FORGET, 0, "forget", "")
    return best


def _earlier(best: Timer | None, timer: Timer) -> Timer:
    return timer if best is None or timer < best else best


def _of_instance(plan: Plan, ik: str, inst: Instance, best: Timer | None) -> Timer | None:
    journey = plan.journeys.get(inst.journey)
    if journey is None:
        return best
    if inst.due and (best is None or inst.due <= best.due):
        stage = journey.stages.get(inst.stage)
        order = stage.tier.order if stage is not None and stage.tier is not None else 0
        best = _earlier(best, Timer(inst.due, DEADLINE, order, "abandonment", ik))
    for name, watch in inst.stalled.items():
        rule = journey.rules.get(name)
        if watch[0] and rule is not None and (best is None or watch[0] <= best.due):
            best = _earlier(best, Timer(watch[0], DEADLINE, rule.order, "stalled", f"{ik}\x1e{name}"))
    if journey.within_ms:
        ends = inst.opened + journey.within_ms
        if best is None or ends <= best.due:
            best = _earlier(best, Timer(ends, INSTANCE, journey.order, "instance", ik))
    return best


def fire(step: Step, timer: Timer) -> None:
    """Do what the timer is for; the step has begun at its due time."""
    p = step.p
    due = timer.due
    what = timer.what
    if what == "abandonment":
        inst = p.open[timer.key]
        deadlines.fire(step, step.plan.journeys[inst.journey], inst)
    elif what == "session":
        actions.end_with_session(step, due)
        sessions.end(step)
    elif what == "trigger":
        actions.expire(step, _issued(p, timer.key), due)
    elif what == "stalled":
        ik, name = timer.key.split("\x1e")
        inst = p.open[ik]
        friction.fire_stalled(step, step.plan.journeys[inst.journey].rules[name], inst)
    elif what == "absence":
        friction.fire_absence(step, step.plan.rules[timer.key.split(SEPARATOR, 1)[0]], timer.key)
    elif what == "click":
        friction.fire_click(step, step.plan.rules[timer.key], due)
    elif what == "instance":
        inst = p.open[timer.key]
        journeys.close(step, step.plan.journeys[inst.journey], timer.key, inst, "expired", due, due=due)
    elif what == "anniversary":
        passed = p.anniversaries[timer.key]
        passed[0] += 1
        passed[1] = anniversary(p.first_seen, passed[0] + 1)
        step.find("milestone", timer.key, due=due, figures={"years": float(passed[0])})
    elif what == "label":
        if step.draining:
            labels.censor(step, p.risks[timer.key], due)
        else:
            labels.mature(step, step.plan.risks[timer.key], p.risks[timer.key])
    elif what == "held":
        choice.release(step, holding.take(p, timer.order))
    elif what == "success":
        if step.draining:
            success.censor(step, due)
        else:
            success.mature(step, due)
    elif what == "score":
        if step.draining:
            scores.skip(step, p.risks[timer.key])
        else:
            scores.fire(step, step.plan.risks[timer.key], p.risks[timer.key])


def may_score(step: Step, p: Profile, t: int) -> bool:
    """A score is due before ``t``, or a timer whose signal may ask for one."""
    if any(0 < risk.due < t for risk in p.risks.values()):
        return True
    plan = step.plan
    asking = plan.scoring.asking
    if not asking:
        return False
    dues: list[int] = []
    if "absence" in asking:
        dues += [absence[0] for absence in p.absences.values()]
    if "click" in asking and p.clicks:
        waiting = [(preset, p.clicks.get(key)) for key, preset in plan.waiting_presets.items()]
        dues += [preset.next_due(state) or 0 for preset, state in waiting if state]
    if "anniversary" in asking:
        dues += [passed[1] for passed in p.anniversaries.values()]
    if "session" in asking and plan.session_timer and p.session_start:
        dues.append(sessions.end_of(step, p))
    for inst in p.open.values():
        journey = plan.journeys[inst.journey]
        if "abandonment" in asking:
            dues.append(inst.due)
        if "stalled" in asking:
            dues += [watch[0] for watch in inst.stalled.values()]
        if "instance" in asking and journey.within_ms:
            dues.append(inst.opened + journey.within_ms)
    return any(0 < due < t for due in dues)


def _issued(p: Profile, trigger_id: str) -> Issued:
    return next(i for i in p.triggers if i.trigger.trigger_id == trigger_id)


def anniversary(first_seen: int, years: int) -> int:
    """The same day and time of day ``years`` later, UTC; 29 February counts on 1 March in other years."""
    day, ms = divmod(first_seen, DAY_MS)
    then = _same_day(day, years)
    return NEVER if then is None else then * DAY_MS + ms


@lru_cache(maxsize=1024)  # customers that are new on one day have the same anniversaries
def _same_day(day: int, years: int) -> int | None:
    """The day (counted from 1970) that many years later; None where the calendar ends."""
    start = EPOCH + timedelta(days=day)
    year = start.year + years
    if year > MAXYEAR:
        return None
    try:
        then = start.replace(year=year)
    except ValueError:
        then = date(year, 3, 1)
    return (then - EPOCH).days


EPSILON: Final = 1
"""A timer fires when the watermark is past its due time by at least this (ms): at exactly due all is in time."""
