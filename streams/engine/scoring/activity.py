"""What a touchpoint does to the features, to labels that wait, and to the times of the next scores.

Called for each touchpoint that is applied, where the definition has risks; constant in time.
"""

from __future__ import annotations

from typing import Final

from streams.contracts.outputs import Signal
from streams.definitions.channels import CHANNELS
from streams.engine.contents import money
from streams.engine.routes import Route
from streams.engine.scoring import labels, sums
from streams.engine.scoring.kinds import REPORTED, RESPONSES, SEVERITY_WEIGHTS, WHOEVER
from streams.engine.scoring.state import SUM_BYTES, Activity, RiskState
from streams.engine.state import Profile
from streams.engine.step import Step

CHANNEL_SUMS: Final = {name: f"channel/{name}" for name in CHANNELS}
RISK_BYTES: Final = 160
"""Most that a risk takes beside its name and what waits."""


def of(p: Profile) -> Activity:
    a = p.activity
    if a is None:
        a = p.activity = Activity()
        p.room -= 2 * SUM_BYTES
    return a


def observe(step: Step, route: Route) -> None:
    """A touchpoint that is applied, after the facts have taken it and before any rule."""
    p = step.p
    tp = step.tp
    t = step.t
    a = p.activity or of(p)
    held = len(a.sums) + len(a.runs)
    if t > a.moved:  # noqa: PLR1730 - a call costs more, and this is done for each touchpoint
        a.moved = t
    kind = route.kind
    if step.counting:
        sums.add(a, kind, t)
        plan = step.plan
        if plan.scoring.channels and tp.channel is not None and (channel := CHANNEL_SUMS.get(tp.channel)) is not None:
            sums.add(a, channel, t)
        runs = a.runs
        gap = plan.time.session_gap_ms
        if runs and runs[-2] <= t <= runs[-1] + gap:
            if t > runs[-1]:  # noqa: PLR1730 - as above
                runs[-1] = t
        else:
            sums.visit(a, t, gap, plan.time.allowed_lateness_ms + plan.time.permitted_skew_ms)
        if a.unscheduled:
            schedule(step, a)
    elif kind in WHOEVER:
        sums.add(a, f"{kind}{REPORTED}", t)
    if kind == "order":
        a.orders += 1
        if not a.first_order or t < a.first_order:
            a.first_order = t
        sums.add(a, "spend", t, max(0.0, money(tp) / 1e6))
    elif kind == "refund":
        a.refunds += 1
    if tp.outcome is not None and (response := RESPONSES.get(tp.outcome)) is not None:
        sums.add(a, response, t)
    p.room -= SUM_BYTES * max(0, len(a.sums) + len(a.runs) - held)
    if route.decides:
        labels.observe(step, route)


def schedule(step: Step, a: Activity) -> None:
    """Give each risk without a next score its next instant."""
    p = step.p
    a.unscheduled = False
    if p.risks.keys() != step.plan.risks.keys():
        p.risks = {name: p.risks.get(name) or RiskState() for name in step.plan.risks}
        p.room -= sum(RISK_BYTES + 4 * len(name) for name in p.risks)
    for name, plan in step.plan.risks.items():
        state = p.risks[name]
        if not state.due:
            state.due = plan.slot(p.id, a.moved)
            step.arm(state.due)


def hear(step: Step, signal: Signal) -> None:
    """A signal of the customer's: friction adds to the friction score."""
    if signal.kind in {"friction", "stalled"}:
        p = step.p
        sums.add(of(p), "friction", signal.time, SEVERITY_WEIGHTS.get(signal.severity or "", 1.0))
        p.room -= SUM_BYTES
