"""Going over to another definition: what a profile keeps, what falls away, what ends (semantics, rule 23)."""

from __future__ import annotations

from streams.definitions.model import Stalled
from streams.engine import actions, application, deadlines, facts, journeys
from streams.engine.decisions import holding, success
from streams.engine.due import Due
from streams.engine.plan import SEPARATOR, Plan
from streams.engine.scoring import scores
from streams.engine.state import NEVER
from streams.engine.step import Step
from streams.engine.timers import anniversary


def adopt(step: Step, old: Plan, new: Plan) -> bool:
    """Fit one profile to the new definition. True if anything of it changed."""
    p = step.p
    changed = False
    for ik, inst in list(p.open.items()):
        before = old.journeys.get(inst.journey)
        now = new.journeys.get(inst.journey)
        if now is None or now.instance_by != (before.instance_by if before is not None else None):
            if before is not None:
                journeys.close(step, before, ik, inst, "definition", step.t)
            else:
                del p.open[ik]
            changed = True
            continue
        renamed = {s.stage.was: s.name for s in now.stages.values() if s.stage.was is not None}
        if any(name not in now.stages for name in inst.entered):
            changed = True
            inst.entered = {renamed.get(name, name): t for name, t in inst.entered.items()}
            inst.tier = renamed.get(inst.tier, inst.tier)
            left = inst.stage
            inst.stage = renamed.get(left, left)
            inst.entered = {name: t for name, t in inst.entered.items() if name in now.stages}
            if inst.stage not in now.stages:
                step.find(
                    "stage_left", left, time=step.t, journey=inst.journey, instance=inst.key, stage=left,
                    reason="definition",
                )  # fmt: skip
                below = [name for name in now.stages if name in inst.entered]
                if not below:
                    del p.open[ik]
                    step.view = True
                    continue
                inst.stage = below[-1]
                deadlines.arm(step, now, inst, inst.last, "fell")
            step.view = True
            step.dirty |= facts.STAGES
        tier = now.stages[inst.stage].tier
        if inst.due and (tier is None or tier.spec.stage != inst.tier):
            inst.due = 0
            inst.tier = ""
            changed = True
        for name in list(inst.stalled):
            rule = now.rules.get(name)
            kind = rule.friction.rule if rule is not None else None
            if not isinstance(kind, Stalled) or kind.stage != inst.stage:
                del inst.stalled[name]
                changed = True
    changed = _windows(step, old, new) or changed
    if p.risks or p.activity is not None:
        changed = scores.adopt(step, old.risks, new.risks) or changed
    for name in [n for n in p.anniversaries if n not in new.anniversaries]:
        del p.anniversaries[name]
        changed = True
    for name in new.anniversaries:
        if name not in p.anniversaries and p.first_seen != NEVER:
            years = 1
            while anniversary(p.first_seen, years) <= step.watermark:
                years += 1
            p.anniversaries[name] = [years - 1, anniversary(p.first_seen, years)]
            changed = True
    for name in [n for n in p.segments if n not in new.segment_names]:
        p.segments.remove(name)
        step.find("segment_left", name, time=step.t, reason="definition")
        step.view = changed = True
    for issued in list(p.triggers):
        plan = new.actions.get(issued.trigger.action)
        if plan is None or plan.action.paused:
            actions.end(step, issued, "cancelled", "definition", step.t)
            changed = True
        elif guarded(step, new, issued.trigger.action):
            actions.end(step, issued, "cancelled", "guardrail", step.t)
            changed = True
    if p.dealings is not None:
        changed = holding.adopt(p, new) or changed
        changed = success.adopt(step, old, new) or changed
    return changed or bool(step.found)


def guarded(step: Step, plan: Plan, action: str) -> bool:
    """A guardrail of the action is broken, and the definition says that it is paused then."""
    model = step.action_models.get(action)
    rules = plan.actions[action].action.guardrails
    return model is not None and model.paused and rules is not None and rules.pause


def guard(step: Step, due: Due, action: str, withdrawn: set[str]) -> None:
    """Where a guardrail has paused the action, what is open of it ends, whoever has it. ``withdrawn``: where that was
    done before."""
    if not guarded(step, step.plan, action):
        withdrawn.discard(action)
        return
    if action in withdrawn:
        return
    withdrawn.add(action)
    for p, cold in due.store.everyone(naming=action):
        step.begin(p, step.watermark or p.last_seen, "", None)
        found = [issued for issued in p.triggers if issued.trigger.action == action]
        for issued in found:
            actions.end(step, issued, "cancelled", "guardrail", step.t)
        if found:
            application.conclude(step, scored=False)
            due.recount(p)
            due.store.touched[p.id] = p
        elif cold:
            due.store.cool(p)


def _windows(step: Step, old: Plan, new: Plan) -> bool:
    """Windows survive if their parameters are unchanged; an absence keeps its due time if its rule still exists."""
    p = step.p

    def kept(key: str) -> bool:
        rule = key.split(SEPARATOR, 1)[0]
        was, now = old.rules.get(rule), new.rules.get(rule)
        return was is not None and now is not None and was.signature == now.signature

    before = len(p.windows) + len(p.absences) + len(p.clicks)
    p.windows = {key: state for key, state in p.windows.items() if kept(key)}
    p.clicks = {key: state for key, state in p.clicks.items() if kept(key)}
    p.absences = {
        key: held
        for key, held in p.absences.items()
        if key.split(SEPARATOR, 1)[0] in new.rules
        and hasattr(new.rules[key.split(SEPARATOR, 1)[0]].friction.rule, "after")
    }
    return len(p.windows) + len(p.absences) + len(p.clicks) != before
