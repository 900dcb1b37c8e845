"""Brings a backup into a cluster where the deployment's topics are not, or are empty.

Owns what must change on the way: markers name the new ids of the topics that they continue, touchpoints keep the times
at which they were first taken. Everything else is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from confluent_kafka import TopicPartition
from msgspec import structs

from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.backup import archive
from streams.tools.backup.archive import BackupError, Manifest
from streams.tools.backup.places import Placer
from streams.tools.backup.save import check_stopped
from streams.tools.replay.log import LogRecord
from streams.tools.topics import make_topics, read_topics, set_config
from streams.worker import marker as markers
from streams.worker.changelog import end_offset, reader
from streams.worker.opening import topic_id

STAMPS: Final = "message.timestamp.type"

Told = Callable[[str], None]


def restore(settings: Settings, topics: Topics, folder: Path, told: Told, *, replication: int) -> Manifest:
    """Raises ``BackupError``. A restore that was interrupted is begun anew: delete the topics that it has made."""
    manifest = archive.opened(folder)
    made_by = Topics(manifest.app, manifest.prefix, manifest.partitioning)
    if made_by != topics:
        raise BackupError(
            f"{folder} is of the deployment with app {manifest.app}, prefix {manifest.prefix} and partitioning "
            f"{manifest.partitioning}: its names are in its records. Restore it with JOURNEY_APP={manifest.app}, "
            f"JOURNEY_PREFIX={manifest.prefix} and JOURNEY_PARTITIONING={manifest.partitioning}."
        )
    _check_empty(settings, manifest)
    config = settings.kafka.librdkafka()
    make_topics(
        config,
        {
            # Their times are those at which they were first taken; a broker would put its own.
            name: (len(topic.partitions), topic.configs | ({STAMPS: "CreateTime"} if STAMPS in topic.configs else {}))
            for name, topic in manifest.topics.items()
        },
        replication=replication,
    )
    # State, journal, and what refers to them know these by their offsets.
    placed = {topics.touchpoints, topics.examples, topics.dead_letters, topics.definitions}
    continues = {topics.state: topics.touchpoints, topics.learner_state: topics.examples}
    placer = Placer(settings)
    for name, topic in manifest.topics.items():
        for number, file in enumerate(topic.partitions):
            records: Iterable[LogRecord] = archive.read(folder / file.file)
            if name in placed:
                placer.place(name, number, records, file.end)
            elif name in continues:
                placer.append(name, number, _continued(records, topic_id(config, continues[name])))
            else:
                placer.append(name, number, records)
        told(f"{name}: {sum(file.records for file in topic.partitions)} records")
    for name, topic in manifest.topics.items():
        if STAMPS in topic.configs:
            set_config(config, name, {STAMPS: topic.configs[STAMPS]})
    _check_places(settings, manifest, placed)
    return manifest


def _continued(records: Iterable[LogRecord], input_id: str) -> Iterator[LogRecord]:
    """Markers name the input topic by its id, and it has another one now."""
    for record in records:
        if record.key == markers.KEY and record.value is not None:
            made = structs.replace(markers.decode(record.value), topic_id=input_id)
            yield record._replace(value=markers.encode(made))
        else:
            yield record


def _check_empty(settings: Settings, manifest: Manifest) -> None:
    found = read_topics(settings.kafka.librdkafka(), list(manifest.topics))
    if found:  # without topics no worker runs, and a young cluster has no groups to ask for
        check_stopped(settings)
    consumer = reader(settings)
    try:
        for name, topic in found.items():
            if topic.partitions != len(manifest.topics[name].partitions):
                raise BackupError(
                    f"{name} is there with {topic.partitions} partitions, the backup has "
                    f"{len(manifest.topics[name].partitions)}: delete it"
                )
            for number in range(topic.partitions):
                if end_offset(consumer, _place(name, number))[1]:
                    raise BackupError(f"{name} is there and is not empty: a backup goes into topics that are not there")
    finally:
        consumer.close()
    stamped = [name for name in found if STAMPS in manifest.topics[name].configs]
    for name in stamped:
        set_config(settings.kafka.librdkafka(), name, {STAMPS: "CreateTime"})


def _check_places(settings: Settings, manifest: Manifest, placed: set[str]) -> None:
    consumer = reader(settings)
    try:
        for name in placed & set(manifest.topics):
            for number, file in enumerate(manifest.topics[name].partitions):
                end = end_offset(consumer, _place(name, number))[1]
                if end != file.end:
                    raise BackupError(f"{name} {number} ends at {end}, not at {file.end}: somebody else writes to it")
    finally:
        consumer.close()


def _place(name: str, number: int) -> TopicPartition:
    return TopicPartition(name, number)
