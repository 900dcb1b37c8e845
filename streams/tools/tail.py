"""Reads a topic of the deployment as it grows: decoded, committed records only, one customer or all.

Owns the reading and the decoding. How a record looks to people is in ``streams.tools.tail_lines``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, get_args
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.contracts.codec import TouchpointCodec
from streams.contracts.dead_letter import DeadLetter
from streams.contracts.output_codec import OutputReader
from streams.contracts.outputs import Customer, Decision, Example, JournalLine, Model, Signal, Trigger
from streams.contracts.routing import partition_for
from streams.contracts.schemas import SchemaSource
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Rejection, Touchpoint

# What librdkafka says goes to whoever configures logging, not straight to the terminal.
_log = logging.getLogger("streams.kafka.tail")
_log.addHandler(logging.NullHandler())

Stream = Literal[
    "triggers", "signals", "touchpoints", "customers", "decisions", "dead-letters", "journal", "examples", "models"
]  # fmt: skip
STREAMS: Final[tuple[Stream, ...]] = get_args(Stream)

STRUCTS: Final[dict[Stream, type[msgspec.Struct]]] = {
    "triggers": Trigger,
    "signals": Signal,
    "customers": Customer,
    "decisions": Decision,
    "dead-letters": DeadLetter,
    "journal": JournalLine,
    "examples": Example,
    "models": Model,
}
Since = Literal["beginning", "now"]
Until = Literal["end", "stopped"]
ANSWER_S: Final = 15.0


class TailError(Exception):
    """The topic could not be read; the text says why."""


class Unreadable(msgspec.Struct, frozen=True):
    """A record whose bytes are not what its topic holds."""

    reason: str


class Tombstone(msgspec.Struct, frozen=True):
    """The end of a key in a compacted topic: the profile was forgotten."""


class Read(NamedTuple):
    """One record, decoded."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    kind: str
    """``ce_type`` of the record, for example ``com.example.trigger.issued``; empty without the header."""
    value: msgspec.Struct


class _AsRecord(NamedTuple):
    """What a codec reads of a message."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def topic_of(topics: Topics, stream: Stream) -> str:
    """The topic's name."""
    return str(getattr(topics, stream.replace("-", "_")))


class Decoder:
    """Bytes of one stream -> the struct of its contract; what cannot be read is a value too."""

    def __init__(self, stream: Stream, schemas: SchemaSource) -> None:
        self._struct = STRUCTS.get(stream)
        self._reader = OutputReader(schemas)
        self._touchpoints = TouchpointCodec(schemas, allow_json=True)

    def decode(self, record: _AsRecord) -> msgspec.Struct:
        if self._struct is None:
            found: Touchpoint | Rejection = self._touchpoints.decode([record])[0]
            return Unreadable(f"{found.reason}: {found.detail}") if isinstance(found, Rejection) else found
        if record.value is None:
            return Tombstone()
        try:
            return self._reader.read(self._struct, record.value)
        except ValueError as error:
            return Unreadable(str(error))


def tail(
    config: Mapping[str, Any],
    topics: Topics,
    stream: Stream,
    schemas: SchemaSource,
    *,
    customer: str | None = None,
    since: Since = "now",
    until: Until = "stopped",
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Read]:
    """Records in the order in which the partitions bring them. Whatever is produced after the first ``next`` was
    asked for is part of it. ``until="end"`` stops where the topic ended when it was opened;
    ``stopped`` is asked several times a second and ends it too.
    """
    topic = topic_of(topics, stream)
    consumer = Consumer(
        {
            **config,
            # librdkafka wants a name; nothing is committed and no group is joined.
            "group.id": f"journey-tail-{uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": until == "end",
        },
        logger=_log,
    )
    try:
        places = _places(consumer, topic, customer, since)
        consumer.assign(places)
        yield from _records(consumer, len(places), Decoder(stream, schemas), customer, stopped)
    except KafkaException as error:
        raise TailError(f"{topic} cannot be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _places(consumer: Consumer, topic: str, customer: str | None, since: Since) -> list[TopicPartition]:
    try:
        found = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
    except KafkaException as error:
        raise TailError(f"No Kafka answers: {error.args[0].str()}") from error
    if found.error is not None:
        raise TailError(
            f"{topic} does not exist or cannot be read ({found.error.str()}). `journey topics check` helps."
        )
    numbers = sorted(found.partitions)
    if customer is not None and len(numbers) > 1:
        # A customer's records are all in one partition; so are the outputs about it.
        numbers = [partition_for(customer.encode(), len(numbers))]
    places = []
    for number in numbers:
        low, high = _ends(consumer, TopicPartition(topic, number))
        places.append(TopicPartition(topic, number, low if since == "beginning" else high))
    return places


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First offset and the one after the last; patient while a partition changes its leader."""
    until = time.monotonic() + ANSWER_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return low, high


def _records(
    consumer: Consumer, partitions: int, decoder: Decoder, customer: str | None, stopped: Callable[[], bool]
) -> Iterator[Read]:
    wanted = customer.encode() if customer is not None else None
    open_partitions = partitions
    while open_partitions and not stopped():
        for message in consumer.consume(500, timeout=0.1):
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    open_partitions -= 1
                elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED and not error.retriable():
                    # The group is only a name here: who may read the topic needs no right on any.
                    raise TailError(f"Reading stopped: {error.str()}")
                continue
            record = _as_record(message)
            if wanted is None or record.key == wanted:
                yield _read(message, record, decoder)


def _as_record(message: Message) -> _AsRecord:
    key, value = message.key(), message.value()
    headers = [(name, bytes(header or b"")) for name, header in message.headers() or ()]
    return _AsRecord(
        message.offset() or 0,
        message.timestamp()[1],
        key.encode() if isinstance(key, str) else key,
        value.encode() if isinstance(value, str) else value,
        headers,
    )


def _read(message: Message, record: _AsRecord, decoder: Decoder) -> Read:
    kind = next((value.decode("utf-8", "replace") for name, value in record.headers if name == "ce_type"), "")
    return Read(
        message.topic() or "",
        message.partition() or 0,
        record.offset,
        record.timestamp,
        record.key,
        kind,
        decoder.decode(record),
    )
