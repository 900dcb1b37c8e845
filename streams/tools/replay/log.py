"""Reads partitions of topics from their beginning to their end as it is now, committed records only.

Owns the record as this package sees it and where the end is (semantics, rule 20: the last offset may be a control
record, so the end is a partition-EOF event at or above the end offset taken before).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streams.settings import Settings
from streams.worker.changelog import end_offset, reader

STUCK_AFTER_S: Final = 60.0
"""Without a record or an event for so long, the reading fails instead of waiting for ever."""


class LogRecord(NamedTuple):
    """A record of a topic, in the shape that the codec takes."""

    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def partitions_of(settings: Settings, topic: str) -> int:
    """How many partitions a topic has; 0 if there is no such topic."""
    consumer = reader(settings)
    try:
        found = consumer.list_topics(topic, timeout=30).topics.get(topic)
        return 0 if found is None or found.error is not None else len(found.partitions)
    finally:
        consumer.close()


def first_offset(settings: Settings, topic: str, partition: int) -> int:
    """Where the log of a partition begins."""
    consumer = reader(settings)
    try:
        return end_offset(consumer, TopicPartition(topic, partition))[0]
    finally:
        consumer.close()


def read(settings: Settings, topic: str, partition: int) -> Iterator[LogRecord]:
    """All committed records of a partition, in order."""
    consumer = reader(settings)
    try:
        yield from _read(consumer, topic, partition)
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str, partition: int) -> Iterator[LogRecord]:
    _, end = end_offset(consumer, TopicPartition(topic, partition))
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    heard = time.monotonic()
    while True:
        for message in consumer.consume(2_000, 0.1):
            heard = time.monotonic()
            error: Any = message.error()
            if error is None:
                kind, at = message.timestamp()
                headers: Any = message.headers() or ()
                yield LogRecord(message.offset(), at if kind else None, message.key(), message.value(), headers)
            elif error.code() == KafkaError._PARTITION_EOF:
                if message.offset() >= end:
                    return
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
        if time.monotonic() - heard > STUCK_AFTER_S:
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"{topic} {partition}: its end {end} is not reached")
            )
