"""What is in the output topics, held against a replay of log and journal and against the oracle."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

from streams.contracts.output_codec import OutputReader
from streams.contracts.outputs import Signal, Trigger
from streams.contracts.registry import RegistryOptions, RegistrySchemas, subjects
from streams.contracts.schemas import PACKAGED_IDS, PackagedSchemas, prefix_of
from streams.contracts.topics import Topics
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.settings import load
from streams.tools.replay.compare import Comparison, compare_with_live
from streams.tools.replay.kafka import Reading, replay_kafka
from streams.worker.definitions_topic import published
from tests.chaos.form import PATIENCE
from tests.chaos.traffic import Effect, Happened, expected
from tests.support.produce import READ_S, records

_S = TypeVar("_S", Signal, Trigger)
_PREFIX: Final = {Signal: prefix_of(PACKAGED_IDS["signal"]), Trigger: prefix_of(PACKAGED_IDS["trigger"])}
_reader: Final = OutputReader(PackagedSchemas())


def read(bootstrap: str, topic: str, struct: type[_S]) -> list[_S]:
    """With or without a registry: what is there was written by this version."""
    found = records(bootstrap, topic, within=READ_S * PATIENCE)
    return [_reader.read(struct, _PREFIX[struct] + message.value()[5:]) for message in found]


def effects(signals: Sequence[Signal]) -> Counter[Effect]:
    found: Counter[Effect] = Counter()
    for signal in signals:
        of_stage = signal.kind in ("stage_entered", "stage_left", "abandonment")
        name = (signal.stage if of_stage else signal.name) or ""
        found[Effect(signal.customer, signal.kind, name, signal.time)] += 1
    return found


def out_of_order(signals: Sequence[Signal]) -> int:
    """Goals of a customer that stand behind a later one of theirs."""
    last: dict[str, int] = {}
    wrong = 0
    for signal in signals:
        if signal.kind == "goal_reached":
            wrong += signal.time < last.get(signal.customer, 0)
            last[signal.customer] = signal.time
    return wrong


def compare(bootstrap: str, topics: Topics, **more: str) -> tuple[Comparison, int]:
    """(live against replay, touchpoints that came after a deadline that they would have moved had fired)."""
    names = {"JOURNEY_KAFKA_BOOTSTRAP": bootstrap, "JOURNEY_APP": topics.app, "JOURNEY_PREFIX": topics.prefix}
    settings = load(names | more)
    known = {one.number: one.sources for one in published(settings, topics)}

    def definition(number: int) -> Definition:
        return load_texts(known[number], number)

    with ExitStack() as stack:
        reading = Reading(source=settings.source)
        if settings.registry.url:
            options = RegistryOptions(settings.registry.url)
            schemas = RegistrySchemas(options, subjects(topics), mode="lookup")
            stack.callback(schemas.close)
            reading = Reading(settings.source, schemas)
        replayed = replay_kafka(settings, topics, definition, reading)
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


@dataclass(slots=True)
class Verdict:
    """``lost`` and ``duplicated``: signals of the oracle, records of the replay, triggers; ``different``: records with
    other bytes or in another place, goals of a customer out of order, revisions that do not rise."""

    lost: int
    duplicated: int
    different: int
    late: int
    said: str

    @property
    def clean(self) -> bool:
        return (self.lost, self.duplicated, self.different) == (0, 0, 0)


def judge(bootstrap: str, topics: Topics, produced: Sequence[Happened], **more: str) -> Verdict:
    """Of a deployment whose workers have ended; ``more`` are settings of theirs that a replay must know."""
    signals = read(bootstrap, topics.signals, Signal)
    wanted, found = expected(produced), effects(signals)
    missing, extra = wanted - found, found - wanted
    comparison, late = compare(bootstrap, topics, **more)
    triggers = trigger_faults(bootstrap, topics)
    disorder = out_of_order(signals)
    return Verdict(
        missing.total() + comparison.lost,
        extra.total() + comparison.duplicated + triggers.issued_twice,
        comparison.different + disorder + triggers.broken_revisions,
        late,
        f"{len(signals)} signals, missing {list(missing.items())[:3]}, extra {list(extra.items())[:3]}, "
        f"{disorder} goals out of order, {late} touchpoints late\n{triggers}\n{comparison}",
    )
