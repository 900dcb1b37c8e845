"""The state's way into the new partitions: every profile and customer view to where its key belongs, then the markers.

Owns the copy and its atomic end. Profiles go in many transactions; until the last one, which holds the markers of all
new partitions and the first lines of their journals, the new state awaits and no worker begins. Killed at any moment,
it is run again: its source is fenced, so the same records are written again.

Every record goes into the topic of beginnings too, with a type byte before its key, where a replay finds it later.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import JournalLine
from streams.contracts.routing import partition_for
from streams.contracts.schemas import SchemaSource
from streams.contracts.topics import Topics
from streams.definitions.model import Definition
from streams.engine import formats
from streams.engine.state import decode
from streams.settings import Settings
from streams.tools.replay import log
from streams.tools.replay.beginning import CUSTOMER
from streams.tools.replay.published import published_definitions
from streams.tools.reshard.merge import Sources, Waits, record_of
from streams.tools.reshard.steps import Told, commit, mover_id
from streams.tools.reshard.survey import Side, Stage, Survey, survey
from streams.worker import marker as markers
from streams.worker.changelog import restore
from streams.worker.marker import PROFILE, Marker
from streams.worker.opening import topic_id
from streams.worker.transactions import Message, PartitionProducer

TOGETHER: Final = 1_000
"""Records of a transaction, each of which is written twice."""


@dataclass(slots=True)
class Copied:
    profiles: int = 0
    size: int = 0
    """Bytes of their records."""
    customers: int = 0
    by_partition: Counter[int] = field(default_factory=Counter)
    """New partition -> profiles."""


def copy(settings: Settings, schemas: SchemaSource, told: Told) -> Copied | None:
    """None where it was done before."""
    found = survey(settings)
    found.require(Stage.FENCE, "copy")
    if found.stage >= Stage.COPY:
        told("copied already")
        return None
    old, new = found.old, found.new
    sources = Sources.of(old.markers)
    sources.check_alike()
    definition = published_definitions(settings, old.topics)(next(iter(old.markers.values())).definition)
    producer = PartitionProducer(settings.kafka, settings.batch, mover_id(settings))
    producer.init()
    done, waits = Copied(), defaultdict[int, Waits](Waits)
    for number in range(old.partitions):
        batch: list[Message] = []
        for message in _moved(old, new, number, done, waits):
            batch += (message, _beginning(new.topics, message))
            if len(batch) >= 2 * TOGETHER:
                commit(producer, batch)
                batch = []
        if batch:
            commit(producer, batch)
        told(f"partition {number} of {old.partitions}: {done.profiles} profiles so far")
    commit(producer, _ends(found, sources, definition, waits, schemas))
    told(f"{done.profiles} profiles and {done.customers} customer views in {new.partitions} partitions")
    return done


def _moved(old: Side, new: Side, number: int, done: Copied, waits: dict[int, Waits]) -> Iterator[Message]:
    """The records of one old partition, each for its new one."""
    for key, blob in restore(old.settings, old.topics.state, number).profiles.items():
        target = partition_for(key.removeprefix(PROFILE), new.partitions)
        waits[target].add(decode(blob))
        done.profiles += 1
        done.size += len(blob)
        done.by_partition[target] += 1
        yield Message(new.topics.state, target, key, blob)
    views = {}
    for record in log.read(old.settings, old.topics.customers, number):
        views[record.key or b""] = record
    for name, view in views.items():
        if view.value is not None:
            done.customers += 1
            yield Message(new.topics.customers, partition_for(name, new.partitions), name, view.value, view.headers)


def _beginning(topics: Topics, message: Message) -> Message:
    key = CUSTOMER + (message.key or b"") if message.topic == topics.customers else message.key
    return message._replace(topic=topics.beginning, key=key)


def _ends(
    found: Survey, sources: Sources, definition: Definition, waits: dict[int, Waits], schemas: SchemaSource
) -> list[Message]:
    """Markers of all new partitions and the first lines of their journals."""
    old, new = found.old, found.new
    codec = OutputCodec(schemas, new.settings.source)
    touchpoints = topic_id(new.settings.kafka.librdkafka(), new.topics.touchpoints)
    models = next(iter(old.markers.values())).models
    messages: list[Message] = []
    for number in range(new.partitions):
        record = record_of(sources, definition, number, new.partitions, waits[number])
        state_format = new.settings.state_format
        made = Marker(
            format=state_format,
            sequence=0,
            offset=-1,
            next=0,
            topic_id=touchpoints,
            definition=definition.number,
            start_issuing_at=sources.start_issuing_at,
            watermark=record.watermark,
            models=dict(models),
            engine=formats.write(record, state_format),
        )
        start: dict[str, Any] = {
            "start_issuing_at": made.start_issuing_at,
            "definition": made.definition,
            "copied_from": old.topics.partitioning,
        }
        line = codec.journal(JournalLine(after_offset=-1, kind="start", value=start), number)
        value = markers.encode(made)
        messages += (
            Message(new.topics.state, number, markers.KEY, value),
            Message(new.topics.beginning, number, markers.KEY, value),
            Message(new.topics.journal, number, line.key, line.value, line.headers),
        )
    return messages
