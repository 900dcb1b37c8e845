"""Friction while it happens: counts, sequences, absences, stalled stages and click presets.

Owns where each rule keeps its state, when that state goes, and how a finding becomes a signal: on the edge, with a
cool-down, one severity higher in a critical stage.
"""

from __future__ import annotations

from typing import Any, Final

from streams.contracts.outputs import SEVERITIES
from streams.engine import facts
from streams.engine.detectors.windows import count_add, distinct_add, sequence_add
from streams.engine.journeys import field
from streams.engine.memory import settle
from streams.engine.plan import SEPARATOR
from streams.engine.routes import Route, RulePlan
from streams.engine.state import WINDOWS, Instance
from streams.engine.step import Step, instance_key

HIGHER: Final = dict(zip(SEVERITIES, (*SEVERITIES[1:], SEVERITIES[-1]), strict=True))


def observe(step: Step, route: Route) -> None:
    """Counts, sequences and click presets: before the journeys move, so that the end of a pattern may be a goal."""
    for rule, where in route.counts:
        if step.holds(where):
            _count(step, rule)
    done: RulePlan | None = None
    for rule, k, where in route.sequences:
        if rule is not done and step.holds(where) and _sequence(step, rule, k):
            done = rule
    if route.presets and step.counting and 0 < step.p.session_start <= step.t:
        _click(step, route)


def answer(step: Step, route: Route) -> None:
    """Absences: after the journeys have moved, so that the touchpoint that ends an instance may start one."""
    p = step.p
    for rule, where in route.ended_absences:
        if not step.holds(where):
            continue
        for key in _absence_keys(step, rule):
            held = p.absences.get(key)
            if held is not None and step.t >= held[2]:
                del p.absences[key]
            settle(p, key, step.t)
    for rule, where in route.started_absences:
        if not step.holds(where):
            continue
        own = _key(step, rule)
        if own is None:
            continue
        waiting = p.absences.get(own)
        if step.t >= p.settled.get(own, 0) and (waiting is None or step.t < waiting[2]):
            due = step.t + rule.absence.within_ms
            value = _instance_of(step, rule)
            owned = value is not None and instance_key(rule.journey.name, value) in p.open
            p.absences[own] = [due, step.event_id, step.t, owned]
            _bound(step, p.absences, own)
            step.arm(due)


def _absence_keys(step: Step, rule: RulePlan) -> list[str]:
    """An answer without the instance's field answers whatever is open of that rule."""
    key = _key(step, rule)
    if key is not None:
        return [key]
    return [k for k in step.p.absences if k.startswith(rule.key + SEPARATOR)]


def _instance_of(step: Step, rule: RulePlan) -> str | None:
    """Value of the rule's instance for this touchpoint; "" where the journey has one; None where it is not given."""
    by = rule.journey.instance_by
    if by is None:
        return ""
    return field(step, by)


def _key(step: Step, rule: RulePlan) -> str | None:
    if rule.per_customer:
        return rule.key
    value = _instance_of(step, rule)
    if value is None:
        step.counts.unassigned += 1
        return None
    return instance_key(rule.key, value)


def _count(step: Step, rule: RulePlan) -> None:
    spec = rule.count
    key = _key(step, rule)
    if key is None:
        return
    for name in spec.same:
        value = field(step, name)
        if value is None:
            return
        key += SEPARATOR + value
    windows = step.p.windows
    state = windows.get(key)
    if state is None:
        state = windows[key] = []
        _bound(step, windows, key)
    horizon = step.plan.time.allowed_lateness_ms
    if spec.different:
        values = [field(step, name) for name in spec.different]
        if None in values:
            return
        value = SEPARATOR.join(v or "" for v in values)
        step.p.room -= 4 * len(value)
        rose = distinct_add(state, step.t, step.event_id, value, spec.within_ms, spec.at_least, horizon)
    else:
        rose = count_add(state, step.t, step.event_id, spec.within_ms, spec.at_least, horizon)
    if rose is not None:
        raise_friction(step, rule, _instance_of(step, rule), rose, {"count": float(len(rose))})


def _sequence(step: Step, rule: RulePlan, k: int) -> bool:
    """True if the touchpoint completed a sequence (and is used up)."""
    spec = rule.sequence
    key = _key(step, rule)
    if key is None:
        return False
    windows = step.p.windows
    state = windows.get(key)
    if state is None:
        state = windows[key] = []
        _bound(step, windows, key)
    matched = sequence_add(
        state, step.t, k, step.event_id, len(spec.of), spec.within_ms, step.plan.time.allowed_lateness_ms
    )
    if matched is None:
        return False
    raise_friction(step, rule, _instance_of(step, rule), matched, {"steps": float(len(matched))})
    return True


def _click(step: Step, route: Route) -> None:
    p = step.p
    properties = step.tp.properties or {}
    event = route.event
    for rule, preset in route.presets:
        if preset.missing(event, properties):
            step.counts.preset_fields_missing += 1
            continue
        state = p.clicks.get(rule.key)
        if state is None:
            state = p.clicks[rule.key] = []
        finding = preset.observe(state, event, step.t, step.event_id, properties)
        if finding is not None:
            _found_click(step, rule, preset.family, finding.evidence, finding.figures)
        due = preset.next_due(state)
        if due is not None:
            step.arm(due)


def fire_click(step: Step, rule: RulePlan, due: int) -> None:
    """The silence that a dead click waits for has passed."""
    preset = step.plan.presets[rule.key]
    state = step.p.clicks.get(rule.key)
    if state is None:
        return
    finding = preset.fire(state, due)
    if finding is not None:
        step.cause = finding.evidence[0]
        _found_click(step, rule, preset.family, finding.evidence, finding.figures, due=due)


def _found_click(
    step: Step, rule: RulePlan, family: str, evidence: list[str], figures: dict[str, float], *, due: int = -1
) -> None:
    p = step.p
    p.frustration[family] = p.frustration.get(family, 0) + 1
    step.dirty |= facts.FLOW
    figures = {**figures, "frustration_score": round(facts.frustration(p), 3)}
    instance = "" if rule.journey.instance_by is None else None
    raise_friction(step, rule, instance, evidence, figures, due=due)


def raise_friction(
    step: Step,
    rule: RulePlan,
    instance: str | None,
    evidence: list[str],
    figures: dict[str, float],
    *,
    due: int = -1,
    kind: str = "friction",
) -> None:
    p = step.p
    friction = rule.friction
    when = due if due >= 0 else step.t
    if friction.cool_down_ms:
        cooling = instance_key(rule.key, instance or "")
        until = p.cooling.get(cooling)
        if until is not None and when < until:
            return
        p.cooling[cooling] = when + friction.cool_down_ms
        _bound(step, p.cooling, cooling)
    inst = p.open.get(instance_key(rule.journey.name, instance)) if instance is not None else None
    stage = rule.journey.stages.get(inst.stage) if inst is not None else None
    severity: str = friction.severity
    if stage is not None and stage.stage.critical:
        severity = HIGHER[severity]
    step.find(
        kind,
        friction.name,
        due=due,
        journey=rule.journey.name,
        instance=instance,
        stage=stage.name if stage is not None else None,
        severity=severity,
        evidence=evidence,
        figures=figures,
    )


def fire_absence(step: Step, rule: RulePlan, key: str) -> None:
    due, event_id, since, _ = step.p.absences.pop(key)
    settle(step.p, key, due + 1)
    instance = key[len(rule.key) + 1 :] if not rule.per_customer else ""
    inst = step.p.open.get(instance_key(rule.journey.name, instance))
    if inst is not None:
        inst.fired = max(inst.fired, due)
    raise_friction(step, rule, instance, [event_id], {"waited_seconds": (due - since) / 1000}, due=due)


def fire_stalled(step: Step, rule: RulePlan, inst: Instance) -> None:
    """Longer in the stage than the rule allows: once an entry, active or not."""
    due, _, since = inst.stalled.pop(rule.friction.name)
    inst.fired = max(inst.fired, due)
    figures = {"seconds": (due - since) / 1000}
    raise_friction(step, rule, inst.key, [inst.last_event], figures, due=due, kind="stalled")


def watch_touchpoints(step: Step) -> None:
    """Stalled rules that count the customer's touchpoints since the stage was entered."""
    p = step.p
    for inst in p.open.values():
        if not inst.stalled:
            continue
        rules = step.plan.journeys[inst.journey].rules
        for name, (_, since_count, since) in list(inst.stalled.items()):
            limit = rules[name].stalled.or_touchpoints
            n = p.own_touchpoints - since_count
            if limit is not None and n >= limit:
                del inst.stalled[name]
                figures = {"touchpoints": float(n), "seconds": (step.t - since) / 1000}
                raise_friction(step, rules[name], inst.key, [step.event_id], figures, kind="stalled")


def _bound(step: Step, kept: dict[str, Any], added: str) -> None:
    step.p.room -= 20 + 4 * len(added)
    if len(kept) > WINDOWS:
        del kept[next(iter(kept))]
        step.counts.shed += 1


def tidy(step: Step) -> None:
    """Drop windows whose length has passed, and cool-downs that are over: at the start of each session."""
    p = step.p
    if p.windows:
        _tidy_windows(step)
    if p.cooling:
        for key in [k for k, until in p.cooling.items() if until < step.watermark]:
            del p.cooling[key]
    if p.settled:
        too_late = step.watermark - step.plan.time.too_late_ms
        for key in [k for k, before in p.settled.items() if before <= too_late]:
            del p.settled[key]
    if p.pending:
        _tidy_pending(step)
    if p.contacts:
        for contact in [k for k, c in p.contacts.items() if c.since + 30 * 86_400_000 < step.watermark]:
            del p.contacts[contact]


def _tidy_windows(step: Step) -> None:
    windows = step.p.windows
    rules = step.plan.rules
    for key in list(windows):
        state = windows[key]
        rule = rules.get(key.split(SEPARATOR, 1)[0])
        if rule is None or not state:
            del windows[key]
            continue
        within = getattr(rule.friction.rule, "within_ms", 0)
        if state[-1][0] + within + step.plan.time.allowed_lateness_ms < step.watermark:
            del windows[key]


def _tidy_pending(step: Step) -> None:
    pending = step.p.pending
    gap = step.plan.time.session_gap_ms
    for name in list(pending):
        waiting = pending[name]
        fresh = [w for w in waiting if w[0] + gap >= step.t]
        step.counts.unassigned += len(waiting) - len(fresh)
        if fresh:
            pending[name] = fresh
        else:
            del pending[name]
