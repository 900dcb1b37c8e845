"""Scores: when one is made, what it knows, its band, and the signal on the edge of a band.

Owns the order inside one score: who is scored at all, features, model (or prior, or rule), snapshot, expected value,
band. A score at s knows nothing that happened after s, and there is at most one of a risk and customer at one instant.
"""

from __future__ import annotations

from array import array
from math import log1p, nan
from typing import Final

from streams.contracts.outputs import Signal
from streams.engine import facts
from streams.engine.deadlines import as_ms
from streams.engine.plan import selects
from streams.engine.scoring import labels
from streams.engine.scoring.features import LARGEST, Moment
from streams.engine.scoring.plan import RiskPlan
from streams.engine.scoring.scorer import LOWEST, Scorer
from streams.engine.scoring.state import RiskState, Snapshot
from streams.engine.scoring.value import expected_value
from streams.engine.scoring.words import strongest, words
from streams.engine.step import Step

KIND: Final = "churn_risk"
UNDECIDED: Final = 0.5
"""What a rule that cannot be evaluated is taken for."""


def fire(step: Step, plan: RiskPlan, state: RiskState) -> None:
    """The instant of the customer has come, and all until then has been heard."""
    due = step.t
    state.due = 0
    if not _active(step, plan, due):
        # A customer who comes back is given the next instant by that touchpoint.
        _sleep(step)
        leave(step, plan, state, "inactive", due=due)
        return
    state.due = plan.slot(step.p.id, due + 1)
    if due > state.at:
        _score(step, plan, state, due, due=due)


def skip(step: Step, state: RiskState) -> None:
    """No score is made: the log has ended."""
    state.due = 0
    _sleep(step)


def _sleep(step: Step) -> None:
    if step.p.activity is not None:
        step.p.activity.unscheduled = True


def hear(step: Step, signals: list[Signal]) -> bool:
    """Score after signals that ask for it; True if anything of the scores has changed."""
    asked: dict[str, RiskPlan] = {}
    for signal in signals:
        for plan, when in step.plan.scoring.scored_on.get(signal.kind, ()):
            if plan.name not in asked and selects(when, signal):
                asked[plan.name] = plan
    p = step.p
    if not asked or p.activity is None or step.draining:
        return False
    # Disordered touchpoints may have told what is later than this step: the score is of then.
    t = max(step.t, p.activity.moved)
    before = step.dirty
    step.dirty = 0
    step.facts.t = t
    for plan in sorted(asked.values(), key=lambda plan: plan.order):
        state = p.risks.get(plan.name)
        if state is None or t <= state.at or (state.at and t - state.at < plan.risk.apart_ms):
            continue
        if _active(step, plan, t):
            _score(step, plan, state, t)
    step.facts.t = step.t
    made = step.dirty != 0
    step.dirty = step.dirty or before
    return made


def _active(step: Step, plan: RiskPlan, t: int) -> bool:
    last = step.p.session_last
    return last > 0 and t - last <= plan.risk.active_within_ms


def _score(step: Step, plan: RiskPlan, state: RiskState, t: int, *, due: int = -1) -> None:
    p = step.p
    until = t + plan.risk.horizon_ms
    if plan.risk.until is not None:
        date = as_ms(plan.risk.until.value(step.facts))
        if date is None or date <= t:
            leave(step, plan, state, "until", due=due)
            return
        until = min(until, date)
    moment = Moment(step.facts, step.plan)
    values = vector(plan, moment)
    scorer = step.models.get(plan.name)
    score, model = _made(step, plan, values, scorer, moment)
    step.counts.scores += 1
    step.out.scores.append((plan.name, score))
    step.counts.features_missing += moment.missing
    labels.wait(step, state, Snapshot(t, until, labels.pack(values), score, model))
    was = state.score if state.band else None
    state.at = t
    state.score = score
    state.model = model
    step.dirty |= facts.RISK
    p.expected_value = expected_value(step.plan.definition.expected_value, p, t, _staying(step))
    held = state.band
    state.band = band = plan.band(score, held)
    if band == held:
        return
    step.view = True
    if held == "" and band == plan.lowest:
        return
    figures = {"score": round(score, 6), "expected_value": round(p.expected_value, 2)}
    if was is not None:
        figures["was"] = round(was, 6)
    signal = step.find(KIND, plan.name, time=t, due=due, figures=figures)
    signal.band = band
    signal.model = model
    if scorer is not None and model == scorer.key:
        rising = was is None or score >= was
        shown = strongest(plan.names, scorer.contributions(values), rising=rising)
        signal.contributions = shown
        signal.words = words(plan.features, values, scorer.means, shown)
    else:
        prior = plan.risk.prior
        rule = None if isinstance(prior, (int, float)) else prior.text
        signal.words = [f"no model yet: {'the stated prior' if rule is None else f'by the rule {rule}'}"]


def vector(plan: RiskPlan, moment: Moment) -> array[float]:
    """The features as models see them, in single precision: what waits for its label is what was scored."""
    values = []
    for read, log in plan.readers:
        value = read(moment)
        if not -LARGEST <= value <= LARGEST:
            value = nan
        elif log:
            value = log1p(value) if value >= 0.0 else -log1p(-value)
        values.append(value)
    return array("f", values)


def _made(step: Step, plan: RiskPlan, values: array[float], scorer: Scorer | None, moment: Moment) -> tuple[float, str]:
    """(score, what made it)."""
    if scorer is not None:
        score = scorer.score(values)
        if 0.0 <= score <= 1.0:
            return score, scorer.key
        step.counts.scores_unusable += 1
    prior = plan.risk.prior
    if isinstance(prior, (int, float)):
        return float(prior), "prior"
    value = prior.value(step.facts)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:  # noqa: PLR0124 - NaN
        return max(LOWEST, min(1.0 - LOWEST, float(value))), "rule"
    moment.missing += 1
    return UNDECIDED, "rule"


def _staying(step: Step) -> float:
    name = step.plan.scoring.staying
    state = step.p.risks.get(name) if name is not None else None
    return 1.0 - state.score if state is not None and state.at else 1.0


def leave(step: Step, plan: RiskPlan, state: RiskState, reason: str, *, due: int = -1) -> None:
    """The customer is not scored any more: the band is left, which is told unless it was the lowest."""
    held = state.band
    if not held:
        return
    state.band = ""
    step.view = True
    step.dirty |= facts.RISK
    if held != plan.lowest:
        step.find(KIND, plan.name, due=due, reason=reason, figures={"was": round(state.score, 6)})


def adopt(step: Step, old: dict[str, RiskPlan], new: dict[str, RiskPlan]) -> bool:
    """Fit the risks of a profile to another definition; True if anything changed.

    A risk of the same name keeps its next score and its band while that exists. What waits for a label falls away
    where labels, horizon or features have become others. A risk that is gone leaves its band.
    """
    p = step.p
    changed = False
    for name in list(p.risks):
        state = p.risks[name]
        was, now = old[name], new.get(name)
        if now is not None and now.risk.signature != was.risk.signature:
            changed = changed or bool(state.waiting)
            labels.censor(step, state)
            state.told_from = state.told_until = 0
        if now is None or all(state.band != band for band, _, _ in now.bands):
            changed = changed or bool(state.band) or now is None
            leave(step, was, state, "definition")
        if now is None:
            labels.censor(step, state)
            del p.risks[name]
    if not new:
        p.activity = None
        return True
    if p.risks.keys() != new.keys():
        # The next touchpoint that counts gives those that are new their first instant.
        _sleep(step)
        changed = True
    elif list(p.risks) != list(new):
        p.risks = {name: p.risks[name] for name in new}
        changed = True
    return changed
