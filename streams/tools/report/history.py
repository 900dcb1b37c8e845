"""One customer as a report sees it: touchpoints in order of time, signals and decisions as they were made.

Owns what was true of the customer at a moment: segments, last location, experiments seen, the stage of a journey.
Signals stay in the order of arrival, which is the engine's own and the only one in which instances open and close as
they did; touchpoints are sorted. What came twice counts once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from streams.tools.report.passages import Passage, passages_of
from streams.tools.report.records import Choice, Found, Intended, Life, Record, Touch

COUNTING = frozenset({"customer"})
"""Actors whose touchpoints are the customer's own activity."""


class History:
    """All records of one customer."""

    def __init__(self, customer: str, records: Sequence[Record], known_until: int | None = None) -> None:
        """``known_until``: what is later has not happened. A replay that decided every open deadline at its end tells
        what silence would come to, and nobody knows yet whether there was silence.
        """
        self.customer = customer
        self.found: list[Found] = []
        self.choices: list[Choice] = []
        self.lives: list[Life] = []
        self.intended: list[Intended] = []
        touches: dict[str, Touch] = {}
        seen: set[str] = set()
        for record in records:
            if isinstance(record, Touch):
                touches.setdefault(record.event_id, record)
                continue
            if known_until is not None and _time(record) > known_until:
                continue
            name = _identity(record)
            if name in seen:
                continue
            if name:
                seen.add(name)
            if isinstance(record, Found):
                self.found.append(record)
            elif isinstance(record, Choice):
                self.choices.append(record)
            elif isinstance(record, Intended):
                self.intended.append(record)
            else:
                self.lives.append(record)
        self.by_id = touches
        self.touches = sorted(touches.values(), key=lambda touch: touch.time)
        self.times = [touch.time for touch in self.touches]
        self._segments = self._segment_changes()
        self._seen = [
            (touch.time, touch.experiment, touch.variant or "")
            for touch in self.touches
            if touch.experiment is not None
        ]
        self._locations = [(touch.time, touch.location) for touch in self.touches if touch.location is not None]
        self.passages, self.loose = passages_of(self.found, self.by_id)

    def _segment_changes(self) -> list[tuple[int, frozenset[str]]]:
        changes: list[tuple[int, frozenset[str]]] = []
        held: frozenset[str] = frozenset()
        moves = [s for s in self.found if s.signal in ("segment_entered", "segment_left")]
        for signal in sorted(moves, key=lambda s: s.time):
            held = held | {signal.name} if signal.signal == "segment_entered" else held - {signal.name}
            changes.append((signal.time, held))
        return changes

    def passages_as_of(self, time: int) -> list[Passage]:
        """Instances as they stood at ``time``: what came later was not known then."""
        return passages_of([signal for signal in self.found if signal.time <= time], self.by_id)[0]

    def segments_at(self, time: int) -> frozenset[str]:
        """Segments that the customer was in just after ``time``."""
        place = bisect_right(self._segments, time, key=lambda change: change[0])
        return self._segments[place - 1][1] if place else frozenset()

    def location_at(self, time: int) -> str | None:
        """The last location that a touchpoint up to then named."""
        place = bisect_right(self._locations, time, key=lambda seen: seen[0])
        return self._locations[place - 1][1] if place else None

    def variants_until(self, time: int) -> dict[str, str]:
        """Experiment run elsewhere -> the variant seen last, up to ``time``."""
        return {experiment: variant for at, experiment, variant in self._seen if at <= time}

    def between(self, after: int, until: int) -> list[Touch]:
        """Touchpoints in (after, until]."""
        return self.touches[bisect_right(self.times, after) : bisect_right(self.times, until)]

    def passage_at(self, time: int, case: str | None = None) -> Passage | None:
        """The instance that a touchpoint is about: that of its case, else the newest open one, else the last one.

        A survey about a solved case comes after its instance has ended; the answer belongs to how that one went.
        """
        best: Passage | None = None
        for passage in self.passages:
            if passage.opened > time:
                continue
            if case is not None and passage.instance == case:
                return passage
            if best is None or _nearness(passage, time) >= _nearness(best, time):
                best = passage
        return best

    def open_at(self, time: int) -> list[Passage]:
        return [p for p in self.passages if p.opened <= time and (p.closed is None or time <= p.closed)]


def _identity(record: Found | Choice | Life | Intended) -> str:
    """Files may overlap, and what was said once counts once."""
    if isinstance(record, Life):
        return f"trigger {record.trigger_id} {record.status}"
    if isinstance(record, Choice):
        return f"decision {record.decision_id}"
    return f"signal {record.signal_id}" if isinstance(record, Found) and record.signal_id else ""


def _time(record: Found | Choice | Life | Intended) -> int:
    if isinstance(record, Life):
        return record.issued_at if record.ended_at is None else record.ended_at
    return record.time


def _nearness(passage: Passage, time: int) -> tuple[bool, int]:
    is_open = passage.closed is None or time <= passage.closed
    return is_open, passage.opened if is_open else passage.closed or 0
