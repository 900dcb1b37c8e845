"""Labels: what came to pass after a score, and the example that it makes of the snapshot that waited.

Owns the boundaries: the label of a score at s is of (s, until], until being s + horizon or the date of the risk, if
that comes sooner. A label is decided by the touchpoint that decides it or by the time passing ``until``, never sooner.
"""

from __future__ import annotations

from array import array
from typing import Final

from streams.contracts.outputs import Example
from streams.engine.routes import Route
from streams.engine.scoring.plan import RiskPlan
from streams.engine.scoring.state import RiskState, Snapshot
from streams.engine.step import Step, derived_id

WAITING: Final = 40
"""Snapshots of one risk that wait for their labels; a score beyond is made, but teaches nothing."""

_BIG_ENDIAN: Final = array("H", [1]).tobytes() == b"\0\1"


def pack(values: array[float]) -> bytes:
    if _BIG_ENDIAN:
        values = array("f", values)
        values.byteswap()
    return values.tobytes()


def unpack(packed: bytes) -> array[float]:
    values = array("f", packed)
    if _BIG_ENDIAN:
        values.byteswap()
    return values


def wait(step: Step, state: RiskState, snapshot: Snapshot) -> None:
    """Keep what a score knew until its label is known."""
    if len(state.waiting) >= WAITING:
        step.counts.snapshots_full += 1
        return
    state.waiting.append(snapshot)
    step.p.room -= 64 + len(snapshot.values) + 4 * len(snapshot.model)
    if not state.matures or snapshot.until < state.matures:
        state.matures = snapshot.until
        step.arm(snapshot.until)


def observe(step: Step, route: Route) -> None:
    """A touchpoint of an event that decides labels: those of scores before it, up to their end."""
    t = step.t
    for plan, where in route.decides:
        state = step.p.risks.get(plan.name)
        if state is None or (plan.without and not step.counting) or not step.holds(where):
            continue
        if state.told_from < t <= state.told_until:
            step.counts.late += 1
        if not state.waiting:
            continue
        decided = [s for s in state.waiting if s.at < t <= s.until]
        if decided:
            _take(state, decided)
            for snapshot in decided:
                _tell(step, plan, snapshot, t, came_true=not plan.without)


def mature(step: Step, plan: RiskPlan, state: RiskState) -> None:
    """Time has passed the end of at least one label."""
    due = step.t
    decided = [s for s in state.waiting if s.until <= due]
    _take(state, decided)
    for snapshot in decided:
        state.told_from = snapshot.at
        state.told_until = snapshot.until
        _tell(step, plan, snapshot, snapshot.until, came_true=plan.without)


def censor(step: Step, state: RiskState, until: int | None = None) -> None:
    """Drop what waits (for labels that end by ``until``): what came to pass will not be known."""
    dropped = [s for s in state.waiting if until is None or s.until <= until]
    _take(state, dropped)
    step.counts.labels_censored += len(dropped)


def _take(state: RiskState, decided: list[Snapshot]) -> None:
    if decided:
        state.waiting = [s for s in state.waiting if s not in decided]
    state.matures = min((s.until for s in state.waiting), default=0)


def _tell(step: Step, plan: RiskPlan, snapshot: Snapshot, matured_at: int, *, came_true: bool) -> None:
    p = step.p
    start = step.start_issuing_at
    step.out.examples.append(
        Example(
            derived_id(p.id, "example", plan.name, str(snapshot.at)),
            p.id,
            plan.name,
            plan.risk.signature,
            snapshot.at,
            matured_at,
            came_true,
            {n: x for n, x in zip(plan.names, unpack(snapshot.values), strict=True) if x == x},  # noqa: PLR0124 - NaN
            snapshot.score,
            snapshot.model,
            start is not None and snapshot.at < start,
            step.plan.number,
        )
    )
