"""Segments: entered and left, looked at only when a fact that their condition reads has moved."""

from __future__ import annotations

from streams.engine import facts
from streams.engine.step import Step


def observe(step: Step) -> None:
    p = step.p
    dirty = step.dirty | (facts.ALWAYS if step.counting else 0)
    if not step.plan.segment_reads & dirty:
        return
    for plan in step.plan.segments:
        if not plan.reads & dirty:
            continue
        name = plan.segment.name
        now = plan.segment.where.test(step.facts)
        if now == (name in p.segments):
            continue
        if now:
            p.segments.append(name)
            p.segments.sort()
            step.find("segment_entered", name)
        else:
            p.segments.remove(name)
            step.find("segment_left", name)
        step.view = True
        dirty |= facts.SEGMENTS
