"""Taking a partition over: fence, then read. Runs in a thread beside Faust's callbacks (semantics, rules 18 to 20)."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.worker import changelog
from streams.worker.logs import LIBRDKAFKA
from streams.worker.marker import Marker
from streams.worker.outcomes import OpenCancelled, OutcomeUnknown, Refused
from streams.worker.ports import Runtime
from streams.worker.position import Log, Start, start
from streams.worker.transactions import PartitionProducer, fault_of, raise_if_decided

REQUEST_S = 15.0


@dataclass(slots=True)
class Opened:
    producer: PartitionProducer
    start: Start
    marker: Marker | None
    """None: the state is to begin empty."""
    profiles: dict[bytes, bytes]
    topic_id: str
    profile_bytes: float = 0.0
    """Mean size of a profile with its key."""


def _take_over(runtime: Runtime, partition: int, generation: int) -> PartitionProducer:
    """Bound to the generation, checked directly before and after: a late call fences the rightful owner."""
    settings = runtime.settings
    transactional_id = f"{settings.app}-{runtime.intake.topic}-{partition}"
    producer = PartitionProducer(settings.kafka, settings.batch, transactional_id)
    if not runtime.group.holds(partition, generation):
        raise OpenCancelled(transactional_id)
    producer.init()
    if not runtime.group.holds(partition, generation):
        raise OpenCancelled(transactional_id)
    return producer


def open_anew(runtime: Runtime, partition: int, generation: int) -> Opened:
    """Producer, state and place in the log of a partition that this worker knows nothing of."""
    left = runtime.metrics.recovery_left.labels(str(partition))
    producer = _take_over(runtime, partition, generation)
    try:
        restored = changelog.restore(
            runtime.settings,
            runtime.intake.state,
            partition,
            cancelled=lambda: not runtime.group.holds(partition, generation),
            progress=lambda _done, remaining: left.set(remaining),
        )
        log = read_log(runtime, partition, marked=restored.marker is not None)
    except (KafkaException, TimeoutError, ValueError) as failure:
        raise _unread(failure, runtime.intake.state, partition) from failure
    refuse_moved(restored.marker, runtime.intake.state, partition)
    place = start(restored.marker, log, accept_loss=runtime.settings.accept_loss)
    if place.keeps == "nothing":
        return Opened(producer, place, None, {}, log.topic_id)
    profiles = restored.profiles
    size = sum(len(key) + len(value) for key, value in profiles.items())
    return Opened(producer, place, restored.marker, profiles, log.topic_id, size / max(1, len(profiles)))


def open_again(runtime: Runtime, partition: int, generation: int) -> tuple[PartitionProducer, Marker | None]:
    """A new producer for an engine that is ahead of an uncertain transaction, and the marker that settles it."""
    producer = _take_over(runtime, partition, generation)
    try:
        marker = changelog.last_marker(
            runtime.settings,
            runtime.intake.state,
            partition,
            cancelled=lambda: not runtime.group.holds(partition, generation),
        )
    except (KafkaException, TimeoutError, ValueError) as failure:
        raise _unread(failure, runtime.intake.state, partition) from failure
    return producer, marker


def refuse_moved(marker: Marker | None, topic: str, partition: int) -> None:
    """Raises ``Refused`` where the state has moved to another partitioning, or has not come yet."""
    if marker is not None and marker.moved_to:
        raise Refused(
            f"{topic} partition {partition}: its state has moved to partitioning {marker.moved_to} (journey reshard). "
            f"Set JOURNEY_PARTITIONING={marker.moved_to}."
        )
    if marker is not None and marker.awaits:
        raise Refused(
            f"{topic} partition {partition}: its state is still to be copied from partitioning {marker.awaits}. With "
            f"JOURNEY_PARTITIONING={marker.awaits}, `journey reshard status` says what comes next."
        )


def _unread(failure: Exception, topic: str, partition: int) -> Exception:
    if isinstance(failure, ValueError):
        return not_understood(failure, topic, partition)
    if isinstance(failure, KafkaException):
        raise_if_decided(fault_of(failure), f"reading the state of partition {partition}")
    return OutcomeUnknown(f"the state could not be read: {failure}")


def not_understood(failure: ValueError, topic: str, partition: int) -> Refused:
    """The state holds a record that is none of this version's."""
    return Refused(
        f"{topic} partition {partition} holds what this version cannot read: {failure}. Run the version that wrote it, "
        "or find out who else writes to that topic; with another JOURNEY_APP the state is built from the touchpoints."
    )


def read_log(runtime: Runtime, partition: int, *, marked: bool) -> Log:
    """The input partition as the brokers have it now. ``marked``: its state has a marker."""
    settings, intake = runtime.settings, runtime.intake
    topic = intake.topic
    consumer = Consumer(
        settings.kafka.librdkafka(group_id=settings.group_id, enable_auto_commit=False), logger=LIBRDKAFKA
    )
    try:
        where = TopicPartition(topic, partition)
        first, end = changelog.end_offset(consumer, where)
        committed = consumer.committed([where], timeout=REQUEST_S)[0].offset
    finally:
        consumer.close()
    # Where there is a marker nobody asks.
    journal = None if marked else intake.journal
    journalled = journal is not None and changelog.was_written(settings, journal, partition)
    return Log(
        topic,
        partition,
        topic_id(settings.kafka.librdkafka(), topic),
        first,
        end,
        committed if committed >= 0 else None,
        journalled,
        intake.noun,
        intake.command,
    )


def topic_id(config: dict[str, object], topic: str) -> str:
    """The id that the brokers gave the topic when it was made."""
    # The client must outlive the answer: without a reference it ends, and the request with it.
    admin = AdminClient(config, logger=LIBRDKAFKA)
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=REQUEST_S)
    return str(described[topic].result().topic_id)
