"""One customer's way through one instance of a journey, put together from its signals.

Owns how an instance is found again: the first ``stage_entered`` opens it, the ``stage_left`` that tells its touchpoints
closes it, ``goal_reached`` with ``conversion`` tells the effort.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.tools.report.records import Found, Touch


@dataclass(slots=True)
class Stay:
    """The time in one stage."""

    stage: str
    entered: int
    left: int | None = None
    reason: str | None = None
    """advanced, goal, expired, leave_when, limit, definition, forgotten; None: still there."""
    seconds: float | None = None
    """As the engine measured it when the stage was left."""


@dataclass(slots=True)
class Passage:
    """One instance."""

    customer: str
    journey: str
    instance: str
    opened: int
    definition: int = 0
    first: Touch | None = None
    """The touchpoint that opened it, where touchpoints are known."""
    stays: list[Stay] = field(default_factory=list)
    closed: int | None = None
    """None: still open."""
    reason: str | None = None
    converted: bool = False
    value: float | None = None
    """Of the goal's touchpoint."""
    effort: Mapping[str, float] = field(default_factory=dict)
    """touchpoints, channels, contacts, seconds: at the goal; of others only touchpoints."""
    abandoned: Counter[str] = field(default_factory=Counter)
    """Stage -> silences that were signalled."""
    friction: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Rule -> (stage, time) of its first signal."""
    frictions: Counter[str] = field(default_factory=Counter)
    """Rule -> signals."""

    @property
    def reached(self) -> dict[str, None]:
        """Stages entered, in order."""
        return dict.fromkeys(stay.stage for stay in self.stays)

    @property
    def stage(self) -> str:
        """The last one."""
        return self.stays[-1].stage if self.stays else ""

    def stage_at(self, time: int) -> str:
        """The stage held at ``time``: the last one entered by then."""
        held = self.stays[0].stage if self.stays else ""
        for stay in self.stays:
            if stay.entered <= time:
                held = stay.stage
        return held


def passages_of(signals: Sequence[Found], touches: Mapping[str, Touch]) -> tuple[list[Passage], list[Found]]:
    """All instances of one customer in the order of opening, and what belongs to none of them: friction before or after
    (a parcel that is late), and goals without an open instance. ``signals`` in the order of the engine.
    """
    is_open: dict[tuple[str, str], Passage] = {}
    ended: dict[tuple[str, str], Passage] = {}
    done: list[Passage] = []
    loose: list[Found] = []
    for signal in signals:
        if signal.journey is None:
            continue
        key = (signal.journey, signal.instance or "")
        passage = is_open.get(key)
        match signal.signal:
            case "stage_entered":
                if passage is None:
                    passage = is_open[key] = _opened(signal, key, touches)
                    done.append(passage)
                passage.stays.append(Stay(signal.name, signal.time))
            case "stage_left" if passage is not None:
                if _leave(passage, signal):
                    ended[key] = is_open.pop(key)
            case "goal_reached" if signal.figures.get("conversion"):
                passage = ended.get(key)
                if passage is not None:
                    passage.converted = True
                    passage.effort = signal.figures
                    passage.value = _value(signal, touches)
            case "goal_reached":
                loose.append(signal)
            case "abandonment":
                passage = passage or ended.get(key)
                if passage is not None:
                    passage.abandoned[signal.stage or signal.name] += 1
            case "friction" | "stalled":
                met = [passage] if passage is not None else _whichever(signal, is_open, ended)
                if not met:
                    loose.append(signal)
                for one in met:
                    one.frictions[signal.name] += 1
                    one.friction.setdefault(signal.name, (signal.stage or one.stage, signal.time))
    return done, loose


def _opened(signal: Found, key: tuple[str, str], touches: Mapping[str, Touch]) -> Passage:
    first = touches.get(signal.evidence[-1]) if signal.evidence else None
    return Passage(signal.customer, *key, signal.time, definition=signal.definition, first=first)


def _leave(passage: Passage, signal: Found) -> bool:
    """True if that was the end of the instance."""
    for stay in reversed(passage.stays):
        if stay.stage == signal.name:
            stay.left, stay.reason, stay.seconds = signal.time, signal.reason, signal.figures.get("seconds")
            break
    if "touchpoints" not in signal.figures:
        return False
    passage.closed, passage.reason = signal.time, signal.reason
    passage.effort = {"touchpoints": signal.figures["touchpoints"]}
    return True


def _value(signal: Found, touches: Mapping[str, Touch]) -> float | None:
    touch = touches.get(signal.evidence[-1]) if signal.evidence else None
    return touch.value if touch is not None else None


def _whichever(
    signal: Found, is_open: Mapping[tuple[str, str], Passage], ended: Mapping[tuple[str, str], Passage]
) -> list[Passage]:
    """Friction without an open instance of its key: of the customer (all open ones), or of one that ended before."""
    if signal.instance is None:
        return [p for p in is_open.values() if p.journey == signal.journey]
    last = ended.get((signal.journey or "", signal.instance))
    return [last] if last is not None and last.reason != "goal" else []
