"""How the customer feels: sentiment, emotion words and surveys; detractor, promoter, fall and recovery.

Owns the classes (NPS: promoters 9-10, passives 7-8, detractors 0-6) and the comparison of the last three sentiments
with the three before.
"""

from __future__ import annotations

from streams.contracts.touchpoint import Touchpoint
from streams.engine import facts
from streams.engine.journeys import newest
from streams.engine.memory import set_last
from streams.engine.state import SENTIMENTS, Profile
from streams.engine.step import Step

DETRACTOR, PASSIVE, PROMOTER = -1, 0, 1
SURVEY = 64
"""Characters kept of a survey's kind."""


def nps_class(score: float) -> int:
    return PROMOTER if score >= 9 else DETRACTOR if score <= 6 else PASSIVE


def observe(step: Step, tp: Touchpoint) -> None:
    """Read the feelings of one touchpoint; the caller has seen that there are some."""
    p = step.p
    if tp.emotion:
        set_last(p, "emotion", tp.emotion[:64], step.t)
    sentiment = tp.sentiment
    if sentiment is None and tp.emotion:
        sentiment = step.plan.words.get(tp.emotion.lower())
    lower = higher = False
    if tp.score is not None and tp.survey:
        lower, higher = _survey(step, p, tp.survey.lower()[:SURVEY], tp.score)
    before = _fell_by(p)
    if sentiment is not None:
        p.sentiments.append([step.t, max(-1.0, min(1.0, sentiment))])
        p.sentiments.sort(key=lambda s: s[0])
        del p.sentiments[:-SENTIMENTS]
        after = _fell_by(p)
        fall = step.plan.fall
        lower = lower or (after >= fall > before)
        higher = higher or (after <= -fall < before)
    if lower and not p.fallen:
        p.fallen = True
        _say(step, "fall", "high")
    elif higher and p.fallen:
        p.fallen = False
        _say(step, "recovery", "low")
    step.dirty |= facts.SATISFACTION


def _fell_by(p: Profile) -> float:
    """Mean of the three sentiments before the last three, less the mean of the last three; 0 with fewer than six."""
    if len(p.sentiments) < SENTIMENTS:
        return 0.0
    values = [s[1] for s in p.sentiments]
    return round((values[0] + values[1] + values[2] - values[3] - values[4] - values[5]) / 3, 9)


def _survey(step: Step, p: Profile, kind: str, score: float) -> tuple[bool, bool]:
    """(class fell, class rose); only NPS has classes."""
    held = p.surveys.get(kind)
    if held is not None and step.t < held[1]:
        return False, False
    if held is None and len(p.surveys) >= 8:
        return False, False
    p.surveys[kind] = [score, float(step.t)]
    p.room -= 30 + 4 * len(kind)
    if kind != "nps":
        return False, False
    now = nps_class(score)
    if now == DETRACTOR:
        _say(step, "detractor", "high")
    elif now == PROMOTER:
        _say(step, "promoter", "low")
    if held is None:
        return False, False
    was = nps_class(held[0])
    return now < was, now > was


def _say(step: Step, name: str, severity: str) -> None:
    p = step.p
    tp = step.tp
    inst = None
    if tp.journey is not None:
        inst = next((i for i in p.open.values() if i.journey == tp.journey), None)
    if inst is None and tp.case_id is not None:
        inst = next((i for i in p.open.values() if i.key == tp.case_id), None)
    if inst is None:
        inst = newest(p)
    figures: dict[str, float] = {}
    if tp.score is not None:
        figures["score"] = tp.score
    if p.sentiments:
        figures["mood"] = round(facts.mood(p), 6)
    step.find(
        "satisfaction",
        name,
        journey=inst.journey if inst is not None else tp.journey,
        instance=inst.key if inst is not None else None,
        stage=inst.stage if inst is not None else None,
        severity=severity,
        figures=figures,
    )
