"""The whole report: customers pass one after the other, each counted wherever it belongs.

Owns the order of the sections and the shape of the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from streams.definitions.model import Definition
from streams.tools.report.actions import ActionCounts, ActionFigures
from streams.tools.report.cohorts import CohortCounts, CohortFigures
from streams.tools.report.drivers import DriverCounts, DriverFigures, MoodCounts, MoodDrivers
from streams.tools.report.feelings import FeelingCounts, FeelingFigures
from streams.tools.report.frame import Frame
from streams.tools.report.history import History
from streams.tools.report.journeys import JourneyCounts, JourneyFigures
from streams.tools.report.offpolicy import OffPolicy, PolicyFigures
from streams.tools.report.records import Record
from streams.tools.report.service import ServiceCounts, ServiceFigures
from streams.tools.report.visits import VisitCounts, VisitFigures


class Report(msgspec.Struct):
    """Times in ms, durations in seconds, rates as {count, of}, intervals of 95 %."""

    start: int
    end: int
    previous_start: int | None
    known_until: int
    zone: str
    customers: int
    touchpoints: int
    signals: int
    visits: VisitFigures | None
    """None: no touchpoints were given."""
    journeys: list[JourneyFigures]
    drivers: list[DriverFigures]
    """One for each of the journeys."""
    mood: MoodDrivers | None
    actions: list[ActionFigures]
    feelings: FeelingFigures | None
    service: ServiceFigures | None
    cohorts: list[CohortFigures]
    policy: PolicyFigures | None
    """Of another definition, where one was named."""
    marks: list[tuple[str, str, str]]
    """Dated changes: Monday of the week, day, title."""
    notes: list[str]
    """What the reader must know to read the figures right."""


def report_of(
    definition: Definition,
    frame: Frame,
    customers: Iterable[tuple[str, Sequence[Record]]],
    *,
    journeys: Sequence[str] = (),
    policy: OffPolicy | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """``journeys``: only these; empty: all. Actions are not of one journey and always there. ``notes``: what is to be
    said of how the data were read.

    ``customers`` is gone through a second time where another ``policy`` is judged.
    """
    wanted = [journey for journey in definition.journeys if not journeys or journey.name in journeys]
    counts = {journey.name: JourneyCounts(journey) for journey in wanted}
    drivers = {journey.name: DriverCounts() for journey in wanted}
    mood = MoodCounts()
    visits = VisitCounts(definition.time.session_gap_ms, definition.time.session_cap_ms)
    actions = ActionCounts(definition)
    feelings, service, cohorts = FeelingCounts(definition.satisfaction.csat), ServiceCounts(), CohortCounts(frame.zone)
    people = touchpoints = signals = 0
    for customer, records in customers:
        history = History(customer, records, frame.known_until)
        people += 1
        touchpoints += len(history.touches)
        signals += len(history.found)
        visits.add(history, frame)
        if policy is not None:
            policy.learn(history, frame)
        for section in (actions, feelings, service, cohorts, mood):
            section.add(history, frame)
        for signal in history.loose:
            found = counts.get(signal.journey or "")
            if found is not None:
                found.add_loose(signal, history, frame)
        for passage in history.passages:
            found = counts.get(passage.journey)
            if found is not None and not frame.is_previous(passage.opened):
                found.add(passage, history, frame, frame.known_until)
                drivers[passage.journey].add(passage, history, frame)
        then = frame.previously_known_until
        if then is not None:
            for passage in history.passages_as_of(then):
                found = counts.get(passage.journey)
                if found is not None and frame.is_previous(passage.opened):
                    found.add(passage, history, frame, then)
    if policy is not None:
        for customer, records in customers:
            policy.judge(History(customer, records, frame.known_until), frame)
    told = list(notes)
    if not touchpoints:
        told.append(
            "No touchpoints were given: what needs them (visits, location, channel, value, satisfaction, service, "
            "outcomes) is missing."
        )
    return Report(
        start=frame.start,
        end=frame.end,
        previous_start=frame.start - frame.length if frame.length is not None else None,
        known_until=frame.known_until,
        zone=frame.zone,
        customers=people,
        touchpoints=touchpoints,
        signals=signals,
        visits=visits.figures() if touchpoints else None,
        journeys=[one.figures(frame) for one in counts.values()],
        drivers=[one.figures(counts[name], frame) for name, one in drivers.items()],
        mood=mood.figures() if touchpoints else None,
        actions=actions.figures(frame),
        feelings=feelings.figures(frame) if touchpoints else None,
        service=service.figures(frame) if touchpoints else None,
        cohorts=cohorts.figures() if touchpoints else [],
        policy=policy.figures() if policy is not None else None,
        marks=frame.marks(),
        notes=told,
    )
