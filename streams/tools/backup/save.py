"""Writes the topics of a deployment that stands still into a folder.

Owns what a backup holds (every topic of the deployment, with the settings that it was made with) and when it can be
made: without workers and learners, so that state, journal and outputs are of one moment. Producers may go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from confluent_kafka import TopicPartition

from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.backup import archive
from streams.tools.backup.archive import BackupError, Manifest, PartitionFile, TopicFiles
from streams.tools.groups import members_that_stay
from streams.tools.replay import log
from streams.tools.topics import read_topics
from streams.worker.changelog import end_offset, reader

Told = Callable[[str], None]


def save(settings: Settings, topics: Topics, folder: Path, told: Told) -> Manifest:
    """Raises ``BackupError``; a folder that was begun has no manifest."""
    check_stopped(settings)
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty: a backup gets a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    found = read_topics(settings.kafka.librdkafka(), [spec.name for spec in topics.specs()])
    if topics.state not in found:
        raise BackupError(
            f"there is no {topics.state} at {settings.kafka.bootstrap}: nothing of this deployment is here"
        )
    kept = {}
    for spec in topics.specs():
        topic = found.get(spec.name)
        if topic is None:
            continue
        names = {*spec.configs(), "min.insync.replicas", "retention.ms", "max.message.bytes"}
        configs = {name: value for name, value in topic.configs.items() if name in names}
        files = [_partition(settings, spec.name, number, folder) for number in range(topic.partitions)]
        kept[spec.name] = TopicFiles(configs, files)
        told(f"{spec.name}: {sum(file.records for file in files)} records in {topic.partitions} partitions")
    check_stopped(settings)
    manifest = Manifest(
        made_at=int(time.time() * 1000),
        app=topics.app,
        prefix=topics.prefix,
        partitioning=topics.partitioning,
        topics=kept,
    )
    archive.seal(folder, manifest)
    return manifest


def _partition(settings: Settings, topic: str, number: int, folder: Path) -> PartitionFile:
    consumer = reader(settings)
    try:
        first, end = end_offset(consumer, TopicPartition(topic, number))
    finally:
        consumer.close()
    name = archive.file_of(topic, number)
    # Producers may go on meanwhile: what comes after the end as it was then belongs to nobody's state yet.
    records = takewhile(lambda record: record.offset < end, log.read(settings, topic, number))
    count, digest = archive.write(folder / name, records)
    return PartitionFile(name, first, end, count, digest)


def check_stopped(settings: Settings) -> None:
    """Raises ``BackupError`` while a worker or a learner of the deployment is in its group."""
    learner = replace(settings, partitioning=1).group_id + "-learner"
    for group, who in ((settings.group_id, "workers"), (learner, "learners")):
        if found := members_that_stay(settings, group):
            raise BackupError(
                f"{found} {who} are in the group {group}: stop them first, so that state, journal and outputs are of "
                "one moment"
            )
