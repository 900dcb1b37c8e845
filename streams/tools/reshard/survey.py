"""How far a move to another number of partitions has come, read from topics and markers: nothing else remembers it.

Owns the stages and their order, and the refusal of a step before its turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from streams.contracts.topics import CLOSED_BYTES, Topics
from streams.settings import Settings
from streams.tools.reshard.merge import Sources
from streams.tools.topics import Found, read_topics
from streams.worker.changelog import end_offset, last_marker, read_to_end, reader
from streams.worker.marker import Marker


class ReshardError(Exception):
    """A step cannot be taken; the text says why and what to do."""


class Stage(IntEnum):
    """What has been done; each is reached by the step of its name."""

    NOTHING = 0
    PREPARE = 1
    """The new topics are there, closed, and their state awaits."""
    SWITCH = 2
    """The old idle clocks stand, the new touchpoints are open to producers."""
    DRAIN = 3
    """The old touchpoints are closed, and all of them are processed."""
    FENCE = 4
    """Every old partition's marker says that its state has moved."""
    COPY = 5
    """The new partitions have their state."""


NEXT: Final[Mapping[Stage, str]] = {
    Stage.NOTHING: "`journey reshard prepare --partitions N` makes the new topics",
    Stage.PREPARE: "`journey reshard switch` opens the new touchpoints; then point the producers there",
    Stage.SWITCH: "when no producer writes to the old touchpoints any more: `journey reshard drain`",
    Stage.DRAIN: "stop the old workers; then `journey reshard fence`",
    Stage.FENCE: "`journey reshard copy`",
    Stage.COPY: "`journey reshard verify`; then start the workers with JOURNEY_PARTITIONING={new}",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One partitioning as the brokers have it."""

    settings: Settings
    topics: Topics
    found: Mapping[str, Found]
    partitions: int
    markers: Mapping[int, Marker]
    """Those that are there."""

    @property
    def closed(self) -> bool:
        """Its touchpoints take no record."""
        topic = self.found.get(self.topics.touchpoints)
        return topic is not None and topic.configs.get("max.message.bytes") == str(CLOSED_BYTES)


@dataclass(frozen=True, slots=True)
class Survey:
    old: Side
    new: Side
    stage: Stage

    @property
    def next(self) -> str:
        return NEXT[self.stage].format(new=self.new.topics.partitioning)

    def require(self, least: Stage, step: str) -> None:
        """Raises ``ReshardError`` where ``step`` comes before its turn."""
        if self.stage < least:
            raise ReshardError(f"`{step}` is not next: {self.next}.")


def survey(settings: Settings) -> Survey:
    """Raises ``ReshardError`` where the settings name no deployment that can be moved."""
    old = _side(settings)
    if not old.partitions:
        raise ReshardError(f"there is no topic {old.topics.touchpoints} at {settings.kafka.bootstrap}")
    if any(marker.awaits for marker in old.markers.values()):
        raise ReshardError(
            f"{old.topics.state} awaits its state from the partitioning before: a move is named by the one that it "
            f"leaves. Run this with JOURNEY_PARTITIONING={settings.partitioning - 1}."
        )
    missing = sorted(set(range(old.partitions)) - set(old.markers))
    if missing:
        raise ReshardError(
            f"partitions {missing} of {old.topics.touchpoints} have no state yet: start a worker first, or if nothing "
            "was ever processed, make the topics anew"
        )
    new = _side(replace(settings, partitioning=settings.partitioning + 1))
    return Survey(old, new, _stage(old, new))


def _side(settings: Settings) -> Side:
    topics = Topics(settings.app, settings.prefix, settings.partitioning)
    found = read_topics(settings.kafka.librdkafka(), [spec.name for spec in topics.specs()])
    touchpoints, state = found.get(topics.touchpoints), found.get(topics.state)
    number = touchpoints.partitions if touchpoints is not None else 0
    markers = {}
    for partition in range(state.partitions if state is not None else 0):
        marker = last_marker(settings, topics.state, partition, lambda: False)
        if marker is not None:
            markers[partition] = marker
    return Side(settings, topics, found, number, markers)


def _stage(old: Side, new: Side) -> Stage:
    awaiting = {number for number, marker in new.markers.items() if marker.awaits}
    if not new.partitions or set(new.markers) != set(range(new.partitions)):
        return Stage.NOTHING
    if not awaiting:
        return Stage.COPY
    if all(marker.moved_to for marker in old.markers.values()):
        return Stage.FENCE
    if new.closed:
        return Stage.PREPARE
    if old.closed and not any(unread(old).values()):
        return Stage.DRAIN
    return Stage.SWITCH


def unread(side: Side) -> dict[int, int]:
    """Partition -> touchpoints that are in the log and not processed. Control records are none, so they are read."""
    found = {}
    consumer = reader(side.settings)
    try:
        for partition, marker in side.markers.items():
            topic, count = side.topics.touchpoints, 0
            _, end = end_offset(consumer, TopicPartition(topic, partition))

            def each(_key: bytes, _value: bytes | None, _offset: int) -> None:
                nonlocal count
                count += 1

            if marker.next < end:
                read_to_end(consumer, topic, partition, each, start=marker.next)
            found[partition] = count
    finally:
        consumer.close()
    return found


def ends(side: Side) -> dict[int, int]:
    """Where each partition of the touchpoints ends now."""
    consumer: Consumer = reader(side.settings)
    try:
        return {
            number: end_offset(consumer, TopicPartition(side.topics.touchpoints, number))[1]
            for number in range(side.partitions)
        }
    finally:
        consumer.close()


def held(side: Side) -> bool:
    """All idle clocks stand still."""
    return all(record.importing for record in Sources.of(side.markers).records.values())
