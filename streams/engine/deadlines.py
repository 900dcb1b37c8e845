"""Abandonment: one deadline for each instance, of the highest tier reached; what arms it and what its passing says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from streams.engine.facts import cart_lines
from streams.engine.plan import SEPARATOR
from streams.engine.routes import JourneyPlan, TierPlan
from streams.engine.state import Instance
from streams.engine.step import Step, instance_key

LATEST_MS = 253_402_300_799_000
"""End of the year 9999."""


Why = Literal["heard", "entered", "fell"]
"""A touchpoint of the journey was heard, one entered a higher stage, or the instance fell to a lower stage."""


def arm(step: Step, journey: JourneyPlan, inst: Instance, t: int, why: Why) -> None:
    """(Re-)arm the deadline after a touchpoint at ``t``: of the tier in force at the instance's stage."""
    stage = journey.stages.get(inst.stage)
    tier = stage.tier if stage is not None else None
    if tier is None:
        inst.due = 0
        inst.tier = ""
        return
    spec = tier.spec
    if spec.after_ms is not None and not spec.from_entry:
        # Disordered touchpoints of the instance must not pull the deadline back, late progress neither.
        due = max(t, inst.last) + spec.after_ms
        if due <= inst.fired and inst.tier == spec.stage:
            due = 0  # late progress without a deadline of its own: that silence has been told
    elif spec.after_ms is not None:
        if inst.tier == spec.stage and why != "fell":
            return
        # A stage that was skipped is entered with the higher one.
        due = (t if why == "fell" else inst.entered.get(spec.stage, t)) + spec.after_ms
    else:
        due = _before(step, tier, inst, t)
        if due <= inst.fired and (why != "entered" or inst.tier == spec.stage):
            due = 0
    if due == inst.due and inst.tier == spec.stage:
        return
    inst.due = due
    inst.tier = spec.stage
    if due:
        step.arm(due)


def follow_dates(step: Step) -> None:
    """A date that a deadline counts back from may have moved."""
    for inst in step.p.open.values():
        journey = step.plan.journeys.get(inst.journey)
        if journey is None:
            continue
        stage = journey.stages.get(inst.stage)
        if stage is not None and stage.tier is not None and stage.tier.spec.before is not None:
            arm(step, journey, inst, step.t, "heard")


def _before(step: Step, tier: TierPlan, inst: Instance, t: int) -> int:
    spec = tier.spec
    assert spec.before is not None  # noqa: S101 - for the checker
    date = as_ms(spec.before.value(step.facts))
    if date is None:
        return 0
    return max(date - spec.by_ms, inst.entered.get(spec.stage, t))


def as_ms(value: object) -> int | None:
    """A date as ms since 1970: a number is taken as ms, a text as ISO 8601 (UTC where it names no zone)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return int(value) if 0 < value <= LATEST_MS else None
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            return None
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return round(parsed.timestamp() * 1000)
    return None


def fire(step: Step, journey: JourneyPlan, inst: Instance) -> None:
    """The deadline has passed in silence."""
    due = inst.due
    tier = inst.tier
    inst.due = 0
    inst.fired = max(inst.fired, due)
    plan = journey.stages.get(tier)
    spec = plan.tier.spec if plan is not None and plan.tier is not None else None
    if spec is None or spec.stage != tier:
        return
    if inst.since_silence < spec.min_events:
        return
    p = step.p
    lines = cart_lines(p)
    if spec.once_per == "cart contents":
        contents = [[product, n] for product, n, _ in lines]
        held = f"{journey.name}/{tier}{SEPARATOR}{instance_key(journey.name, inst.key)}"
        if p.once.get(held) == contents:
            return
        p.once[held] = contents
        p.room -= 4 * len(held) + sum(20 + 4 * len(product) for product, _, _ in lines)
    critical = plan is not None and plan.stage.critical
    figures = {
        "touchpoints": float(inst.touchpoints),
        "silent_seconds": (due - inst.last) / 1000,
        "open_seconds": (due - inst.opened) / 1000,
    }
    if lines:
        figures["cart_value"] = sum(n * price for _, n, price in lines)
    step.find(
        "abandonment",
        tier,
        due=due,
        journey=journey.name,
        instance=inst.key,
        stage=tier,
        severity=spec.severity or ("high" if critical else "medium"),
        evidence=[inst.last_event],
        figures=figures,
    )
