"""Reads a changelog partition to its end: profiles and marker, committed records only.

Owns where the end is. The last offset of a transactional log is a control record that no consumer is given, and
librdkafka's ``position()`` does not step over it; so the end is a partition-EOF event whose offset is at or above the
end offset taken before (which is after ``init_transactions``: nothing of an older owner can follow).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streams.settings import Settings
from streams.worker import marker as markers
from streams.worker.logs import LIBRDKAFKA
from streams.worker.marker import Marker
from streams.worker.outcomes import OpenCancelled

STUCK_AFTER_S: Final = 60.0
"""Without one record or event for so long, reading is given up and tried anew."""
TAIL: Final = 2_000
"""Records before the end in which the last marker is looked for first."""
_PASSING: Final = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)


@dataclass(slots=True)
class Restored:
    profiles: dict[bytes, bytes] = field(default_factory=dict)
    marker: Marker | None = None
    records: int = 0
    bytes: int = 0


Progress = Callable[[int, int], None]
"""Called with records read so far and those that may remain."""


def _unseen(_done: int, _left: int) -> None:
    """Nobody watches."""


def reader(settings: Settings, **more: Any) -> Consumer:
    """A consumer that joins no group, reads committed records and reports the end of a partition."""
    return Consumer(
        settings.kafka.librdkafka(
            # The client demands one, and the brokers ask whether this user may read it: the application's own, for
            # which the right is there. It is neither joined nor committed to.
            group_id=settings.group_id,
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level="read_committed",
            fetch_wait_max_ms=50,
            auto_offset_reset="error",
            **more,
        ),
        logger=LIBRDKAFKA,
    )


def end_offset(consumer: Consumer, where: TopicPartition) -> tuple[int, int]:
    """(first, end) of the log. A topic made a moment ago has no leader for some milliseconds: asked again."""
    for attempt in range(50):
        try:
            low, high = consumer.get_watermark_offsets(where, timeout=10)
        except KafkaException:
            if attempt == 49:
                raise
            time.sleep(0.2)
        else:
            return low, high
    raise AssertionError("unreachable")


def read_to_end(
    consumer: Consumer,
    topic: str,
    partition: int,
    each: Callable[[bytes, bytes | None, int], None],
    *,
    start: int = OFFSET_BEGINNING,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Progress = _unseen,
    enough: Callable[[], bool] = lambda: False,
) -> int:
    """Calls ``each(key, value, offset)`` for every committed record up to the end as it is now, or until there are
    ``enough``; returns that end."""
    _, end = end_offset(consumer, TopicPartition(topic, partition))
    consumer.assign([TopicPartition(topic, partition, start)])
    heard = time.monotonic()
    done = 0
    while True:
        if cancelled():
            raise OpenCancelled(f"reading of {topic} {partition}")
        messages = consumer.consume(5_000, 0.1)
        for message in messages:
            error = message.error()
            if error is None:
                each(message.key(), message.value(), message.offset())
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                heard = time.monotonic()
                if message.offset() >= end:
                    return end
            elif error.fatal() or not (error.retriable() or error.code() in _PASSING):
                raise KafkaException(error)
        if enough():
            return end
        if messages:
            done += len(messages)
            progress(done, max(0, end - (messages[-1].offset() or 0)))
            if messages[-1].error() is None:
                heard = time.monotonic()
        if time.monotonic() - heard > STUCK_AFTER_S:
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"{topic} {partition}: its end {end} is not reached")
            )


def was_written(settings: Settings, topic: str, partition: int) -> bool:
    """Whether anything was ever committed to it, also if retention has deleted it since.

    Offsets alone do not tell: a transaction that was aborted takes some, too.
    """
    consumer = reader(settings)
    try:
        first, end = end_offset(consumer, TopicPartition(topic, partition))
        if first > 0 or end == 0:
            return first > 0
        found = False

        def each(_key: bytes, _value: bytes | None, _offset: int) -> None:
            nonlocal found
            found = True

        read_to_end(consumer, topic, partition, each, start=0, enough=lambda: found)
    finally:
        consumer.close()
    return found


def restore(
    settings: Settings,
    topic: str,
    partition: int,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Progress = _unseen,
) -> Restored:
    """Everything that the partition's changelog holds."""
    found = Restored()
    profiles = found.profiles
    marker_value: bytes | None = None
    size = 0
    count = 0

    def each(key: bytes, value: bytes | None, _offset: int) -> None:
        nonlocal marker_value, size, count
        count += 1
        if key == markers.KEY:
            marker_value = value
        elif value is None:
            profiles.pop(key, None)
        else:
            profiles[key] = value
            size += len(value)

    consumer = reader(settings, fetch_max_bytes=64 << 20, queued_min_messages=200_000)
    try:
        read_to_end(consumer, topic, partition, each, cancelled=cancelled, progress=progress)
    finally:
        consumer.close()
    found.records, found.bytes = count, size
    found.marker = markers.decode(marker_value) if marker_value is not None else None
    return found


def last_marker(settings: Settings, topic: str, partition: int, cancelled: Callable[[], bool]) -> Marker | None:
    """The marker alone, from the tail of the log where it is; the whole log is read only if it is not there."""
    found: bytes | None = None

    def each(key: bytes, value: bytes | None, _offset: int) -> None:
        nonlocal found
        if key == markers.KEY:
            found = value

    consumer = reader(settings)
    try:
        first, end = end_offset(consumer, TopicPartition(topic, partition))
        for start in (max(first, end - TAIL), first):
            read_to_end(consumer, topic, partition, each, start=start, cancelled=cancelled)
            if found is not None or start == first:
                break
    finally:
        consumer.close()
    return markers.decode(found) if found is not None else None
