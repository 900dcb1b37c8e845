"""What is in the output topics, held against a replay of log and journal and against the oracle."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from streams.contracts.outputs import Signal, Trigger
from streams.contracts.topics import Topics
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.settings import load
from streams.tools.replay.compare import Comparison, compare_with_live
from streams.tools.replay.kafka import Reading, replay_kafka
from streams.worker.definitions_topic import published
from tests.support.produce import read


def signal_counts(bootstrap: str, topics: Topics) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for signal in read(bootstrap, topics.signals, Signal):
        of_stage = signal.kind in ("stage_entered", "stage_left", "abandonment")
        counts[signal.kind, (signal.stage if of_stage else signal.name) or ""] += 1
    return counts


def compare(bootstrap: str, topics: Topics, **more: str) -> tuple[Comparison, int]:
    """(live against replay, touchpoints that came after a deadline that they would have moved had fired)."""
    names = {"JOURNEY_KAFKA_BOOTSTRAP": bootstrap, "JOURNEY_APP": topics.app, "JOURNEY_PREFIX": topics.prefix}
    settings = load(names | more)
    known = {one.number: one.sources for one in published(settings, topics)}

    def definition(number: int) -> Definition:
        return load_texts(known[number], number)

    replayed = replay_kafka(settings, topics, definition, Reading(source=settings.source))
    return compare_with_live(settings, topics, replayed), replayed.summary.counts["late"]


@dataclass(slots=True)
class TriggerFaults:
    issued: int = 0
    ended: int = 0
    issued_twice: int = 0
    broken_revisions: int = 0


def trigger_faults(bootstrap: str, topics: Topics) -> TriggerFaults:
    """Each trigger is issued once and ends at most once, with rising revisions."""
    by_id: dict[str, list[Trigger]] = defaultdict(list)
    for trigger in read(bootstrap, topics.triggers, Trigger):
        by_id[trigger.trigger_id].append(trigger)
    found = TriggerFaults()
    for revisions in by_id.values():
        issued = [t for t in revisions if t.status == "issued"]
        found.issued += 1
        found.ended += len(revisions) - len(issued)
        found.issued_twice += len(issued) != 1
        found.broken_revisions += [t.revision for t in revisions] != list(
            range(revisions[0].revision, revisions[0].revision + len(revisions))
        )
    return found
