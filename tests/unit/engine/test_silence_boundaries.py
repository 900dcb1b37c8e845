"""Silence: the idle clock, the marks of an import, the end of a replay."""

from __future__ import annotations

from tests.support.engines import T0, D, M, Run, touchpoint

CART = """
time: {allowed_lateness: 30s}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages:
      browsing: {on: Product Viewed}
      cart: {on: Product Added}
    abandonment:
      cart: {after: 20m}
      browsing: {after: 30m}
actions:
  reminder:
    when: {signal: abandonment, journey: purchase}
    channel: agent
    cancel_on: [Chat Opened]
    expires_after: 2h
"""
TICK = {"customer": "somebody else"}
"""Moves the watermark and nothing of c."""


def silence(run: Run, name: str = "cart") -> list[int]:
    return [s.time - T0 for s in run.signals if s.kind == "abandonment" and s.name == name]


def test_idle_clock_moves_the_watermark_exactly_as_far_as_told() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"))
    due = run.engine.next_due_ms
    assert due is not None
    run.until(due - T0)
    assert run.engine.watermark == due
    assert silence(run) == [20 * M]


def test_import_marks_are_heard_and_change_nothing_else() -> None:
    run = Run(CART)
    run.hear(touchpoint(5 * D, "journey.import_started", "anyone"))
    started = run.engine.importing
    run.restart()
    kept = run.engine.importing
    run.hear(touchpoint(6 * D, "journey.import_ended", "anyone"))
    assert (started, kept, run.engine.importing) == (True, True, False)
    assert run.engine.watermark is None
    assert run.engine.profiles == 0
    assert run.totals["processed"] == 2
    assert run.engine.event_names_unused == {}


def test_replay_ends_at_the_last_watermark_until_it_drains() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added"), touchpoint(1 * M, "page", **TICK))
    assert silence(run) == []
    run.drain()
    assert silence(run) == [20 * M]


def test_drain_until_a_time_leaves_later_deadlines_open() -> None:
    run = Run(CART)
    run.hear(touchpoint(0, "Product Added", "a"), touchpoint(5 * M, "Product Added", "b"))
    run._take(run.engine.drain(T0 + 21 * M))
    assert [s.customer for s in run.signals if s.kind == "abandonment"] == ["a"]


def test_drain_decides_a_deadline_that_lies_behind_an_anniversary() -> None:
    run = Run(CART + "milestones: [{name: year, anniversary_of: first_seen}]\n")
    run.hear(touchpoint(0, "page"), touchpoint(365 * D - 5 * M, "Product Added"))
    run.drain()
    assert silence(run) == [365 * D + 15 * M]
