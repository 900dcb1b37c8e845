"""Figures of service: contacts and their reasons, resolution, first-contact resolution, containment, waiting.

Owns what a contact and a case are and the windows of the two rates (reference: first-contact resolution is resolved
and no contact on the same topic in 7 d; containment is self-service started and no assisted contact in 24 h).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.definitions.model import DAY_MS
from streams.tools.report.frame import NONE, PREVIOUS, WHOLE, Frame, Splits
from streams.tools.report.history import History
from streams.tools.report.journeys import CONTACT, CONTAINED, OFFLINE, is_assisted
from streams.tools.report.records import Touch
from streams.tools.report.statistics import Durations, Rate

SAME_TOPIC_MS: Final = 7 * DAY_MS
CONTAINED_MS: Final = DAY_MS
SELF_SERVICE: Final = frozenset({"Help Searched", "Article Viewed", CONTAINED})
RESOLVED: Final = "Case Resolved"
REOPENED: Final = "Case Reopened"
CALLBACK: Final = "Callback Requested"
TRANSFERRED: Final = "Transferred"
MOST_REASONS: Final = 500


@dataclass(slots=True)
class Contact:
    """A contact with the company, at its start."""

    touch: Touch
    case: str
    topic: str
    """Stated; else the case, so that a contact without a topic repeats only itself."""
    contained: bool


@dataclass(slots=True)
class ServiceCell:
    contacts: int = 0
    offline: int = 0
    transfers: int = 0
    reopened: int = 0
    first: int = 0
    first_resolved: int = 0
    episodes: int = 0
    contained: int = 0
    cases: Counter[str] = field(default_factory=Counter)
    """agent-assisted, self-service -> cases."""
    resolved: Counter[str] = field(default_factory=Counter)
    to_resolution: Durations = field(default_factory=Durations)
    wait: Durations = field(default_factory=Durations)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(stage held just before, topic) -> contacts."""


class ServiceSlice(msgspec.Struct):
    by: str
    value: str
    contacts: int
    online: Rate
    """Of contacts; the others are offline."""
    resolution: Rate
    """Cases resolved of all."""
    resolution_by: dict[str, Rate]
    """agent-assisted, self-service."""
    reopened: int
    first_contact: Rate
    containment: Rate
    transfers: int
    median_to_resolution_s: float | None
    median_wait_s: float | None


class ServiceFigures(msgspec.Struct):
    whole: ServiceSlice
    previous: ServiceSlice | None
    splits: list[ServiceSlice]
    reasons: list[tuple[str, str, int]]
    """Stage held just before the contact (journey/stage), topic, contacts."""


class ServiceCounts:
    def __init__(self) -> None:
        self.splits: Splits[ServiceCell] = Splits(ServiceCell)

    def add(self, history: History, frame: Frame) -> None:
        if not any(touch.case_id or touch.type in SELF_SERVICE or touch.type == CONTACT for touch in history.touches):
            return
        contacts = contacts_of(history)
        self._contacts(history, frame, contacts)
        self._cases(history, frame)
        self._episodes(history, frame, contacts)
        for touch in history.touches:
            if touch.type in (TRANSFERRED, REOPENED) or touch.wait_ms is not None:
                for cell in self.splits.at(frame.splits(history, touch.time, touch=touch)):
                    cell.transfers += touch.type == TRANSFERRED
                    cell.reopened += touch.type == REOPENED
                    if touch.wait_ms is not None and touch.type == "Answered":
                        cell.wait.add(touch.wait_ms / 1000)

    def _contacts(self, history: History, frame: Frame, contacts: list[Contact]) -> None:
        solved = resolutions(history)
        topics: dict[str, list[int]] = {}
        for contact in contacts:
            topics.setdefault(contact.topic, []).append(contact.touch.time)
        passed: Counter[str] = Counter()
        for contact in contacts:
            time = contact.touch.time
            splits = frame.splits(history, time, touch=contact.touch)
            if splits and splits[0] == WHOLE:
                splits.append(("topic", contact.touch.topic or NONE))
            times, n = topics[contact.topic], passed[contact.topic]
            passed[contact.topic] += 1
            repeated = n > 0 and time - times[n - 1] <= SAME_TOPIC_MS
            again = n + 1 < len(times) and times[n + 1] - time <= SAME_TOPIC_MS
            judged = not repeated and time + SAME_TOPIC_MS <= frame.known_until
            resolved = any(time <= at <= time + SAME_TOPIC_MS for at in solved.get(contact.case, ()))
            stages = [f"{p.journey}/{p.stage_at(time - 1)}" for p in history.open_at(time - 1)] or [NONE]
            for cell in self.splits.at(splits):
                cell.contacts += 1
                cell.offline += contact.touch.channel in OFFLINE
                for stage in stages:
                    reason = (stage, contact.touch.topic or NONE)
                    if reason in cell.reasons or len(cell.reasons) < MOST_REASONS:
                        cell.reasons[reason] += 1
                if judged:
                    cell.first += 1
                    cell.first_resolved += resolved and not again

    def _cases(self, history: History, frame: Frame) -> None:
        cases: dict[str, list[Touch]] = {}
        for touch in history.touches:
            if touch.case_id is not None or touch.type in (CONTACT, RESOLVED):
                cases.setdefault(case_of(touch), []).append(touch)
        for touches in cases.values():
            kind = "agent-assisted" if is_assisted(touches) else "self-service"
            solved = [touch.time for touch in touches if touch.type == RESOLVED]
            splits = frame.splits(history, touches[0].time, touch=touches[0])
            topic = next((touch.topic for touch in touches if touch.topic), None)
            if splits and splits[0] == WHOLE:
                splits.append(("topic", topic or NONE))
            for cell in self.splits.at(splits):
                cell.cases[kind] += 1
                if solved:
                    cell.resolved[kind] += 1
                    cell.to_resolution.add((solved[0] - touches[0].time) / 1000)

    def _episodes(self, history: History, frame: Frame, contacts: list[Contact]) -> None:
        """Self-service begins with its first touchpoint for a day."""
        assisted = [contact.touch.time for contact in contacts if not contact.contained]
        assisted += [touch.time for touch in history.touches if touch.type == CALLBACK]
        assisted.sort()
        last = None
        for touch in history.touches:
            if touch.type not in SELF_SERVICE:
                continue
            begins = last is None or touch.time - last > CONTAINED_MS
            last = touch.time
            if not begins or touch.time + CONTAINED_MS > frame.known_until:
                continue
            until = touch.time + CONTAINED_MS
            contained = bisect_right(assisted, until) == bisect_right(assisted, touch.time)
            for cell in self.splits.at(frame.splits(history, touch.time, touch=touch)):
                cell.episodes += 1
                cell.contained += contained

    def figures(self, frame: Frame) -> ServiceFigures:
        splits = self.splits
        previous = splits.previous
        if previous is None and frame.length is not None:
            previous = ServiceCell()
        return ServiceFigures(
            _slice(*WHOLE, splits.whole),
            _slice(*PREVIOUS, previous) if previous is not None else None,
            [_slice(by, value, cell) for by in splits.names for value, cell in splits.by(by).items()],
            [(stage, topic, n) for (stage, topic), n in splits.whole.reasons.most_common()],
        )


def case_of(touch: Touch) -> str:
    return touch.case_id or touch.contact_id or touch.event_id


def contacts_of(history: History) -> list[Contact]:
    """In order of time; one with the same ``contact_id`` counts once."""
    contained = {touch.contact_id for touch in history.touches if touch.type == CONTAINED and touch.contact_id}
    seen: set[str] = set()
    found = []
    for touch in history.touches:
        if touch.type != CONTACT or (touch.contact_id is not None and touch.contact_id in seen):
            continue
        if touch.contact_id is not None:
            seen.add(touch.contact_id)
        case = case_of(touch)
        found.append(Contact(touch, case, touch.topic or case, touch.contact_id in contained))
    return found


def resolutions(history: History) -> dict[str, list[int]]:
    """Case -> times at which it was resolved."""
    found: dict[str, list[int]] = {}
    for touch in history.touches:
        if touch.type == RESOLVED:
            found.setdefault(case_of(touch), []).append(touch.time)
    return found


def _slice(by: str, value: str, cell: ServiceCell) -> ServiceSlice:
    return ServiceSlice(
        by=by,
        value=value,
        contacts=cell.contacts,
        online=Rate(cell.contacts - cell.offline, cell.contacts),
        resolution=Rate(cell.resolved.total(), cell.cases.total()),
        resolution_by={kind: Rate(cell.resolved[kind], n) for kind, n in sorted(cell.cases.items())},
        reopened=cell.reopened,
        first_contact=Rate(cell.first_resolved, cell.first),
        containment=Rate(cell.contained, cell.episodes),
        transfers=cell.transfers,
        median_to_resolution_s=cell.to_resolution.median,
        median_wait_s=cell.wait.median,
    )
