"""Segments: entered and left, looked at only when a fact that their condition reads has moved."""

from __future__ import annotations

from streams.engine import facts
from streams.engine.step import Step


def observe(step: Step) -> None:
    p = step.p
    dirty = step.dirty | (facts.ALWAYS if step.counting else 0)
    for segment in step.plan.segments_of(dirty):
        if not segment.reads & dirty:
            continue  # it reads segments, and none has changed so far
        name = segment.name
        now = segment.holds(step.facts)
        if now == (name in p.segments):
            continue
        if now:
            p.segments.append(name)
            p.room -= 2 + len(name)
            p.segments.sort()
            step.find("segment_entered", name)
        else:
            p.segments.remove(name)
            step.find("segment_left", name)
        step.view = True
        dirty |= facts.SEGMENTS
