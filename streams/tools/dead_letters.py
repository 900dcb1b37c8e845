"""Dead letters after the fault is mended: found by what they are, sent again, or put away.

Owns what has become of a letter. Each that is sent again or dropped leaves a note in a topic of its own
(``<prefix>.dead-letters-settled.v1``), in the same transaction as the touchpoint, under one transactional id: killed at
any moment, run again or run twice at once, a letter is sent at most once. The letters themselves stay until their
topic's retention ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, NamedTuple
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient, NewTopic

from streams.contracts.dead_letter import DeadLetter, Header
from streams.contracts.routing import partition_for
from streams.contracts.schemas import SchemaSource
from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.tail import tail
from streams.worker.transactions import Message, Outcome, PartitionProducer

ORIGIN: Final = "journey_redriven_from"
"""Header of a touchpoint sent again: ``topic:partition:offset`` of the record that was first put aside."""
TOGETHER: Final = 500
"""Most letters of a transaction."""
ANSWER_S: Final = 15.0

Fate = Literal["redriven", "dropped"]
_log = logging.getLogger("streams.kafka.dead_letters")
_log.addHandler(logging.NullHandler())


class DeadLettersError(Exception):
    """Nothing could be read or sent; the text says why. Whatever was sent before stays sent."""


class Place(NamedTuple):
    """Where a letter lies in the dead-letter topic; written ``partition:offset``."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def of(cls, text: str) -> Place:
        """ValueError if it is none."""
        partition, _, offset = text.partition(":")
        if not (partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
            raise ValueError(f"{text!r} is no place of a dead letter (partition:offset, as `list` has it)")
        return cls(int(partition), int(offset))


class Note(msgspec.Struct, frozen=True):
    """What became of a letter. ``timestamp`` (ms) is that of the letter's record: a topic made anew has other letters
    in the same places."""

    fate: Fate
    timestamp: int


@dataclass(frozen=True)
class Letter:
    place: Place
    timestamp: int
    """When it was put aside (ms)."""
    content: DeadLetter
    fate: Fate | None = None

    @property
    def origin(self) -> str:
        """``topic:partition:offset`` of the record that was first put aside, however often it was sent again."""
        for header in self.content.headers:
            if header.key == ORIGIN and header.value is not None:
                return header.value.decode("utf-8", "backslashreplace")
        return f"{self.content.topic}:{self.content.partition}:{self.content.offset}"

    @property
    def cut(self) -> bool:
        """It holds only a part of the source record."""
        return "(cut here: " in self.content.detail


@dataclass(frozen=True)
class Selection:
    """Which letters are meant; what is not given does not restrict. Times (ms) are when they were put aside."""

    reasons: frozenset[str] = frozenset()
    customer: str | None = None
    partition: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    places: frozenset[Place] = frozenset()

    @property
    def everything(self) -> bool:
        return self == Selection()

    def takes(self, letter: Letter) -> bool:
        content = letter.content
        return (
            (not self.reasons or content.reason in self.reasons)
            and (self.customer is None or content.key == self.customer.encode())
            and (self.partition is None or content.partition == self.partition)
            and (self.since_ms is None or letter.timestamp >= self.since_ms)
            and (self.until_ms is None or letter.timestamp < self.until_ms)
            and (not self.places or letter.place in self.places)
        )


@dataclass
class Tally:
    """What a pass has done: ``settled`` letters, and places of those whose source record is gone."""

    settled: int
    gone: list[Place]


def letters(
    settings: Settings,
    topics: Topics,
    schemas: SchemaSource,
    selection: Selection,
    fates: tuple[Fate | None, ...] = (None,),
) -> Iterator[Letter]:
    """Those that lie in the topic now, partition by partition in their order. Raises ``TailError``."""
    notes = _notes(settings, topics)
    for read in tail(settings.kafka.librdkafka(), topics, "dead-letters", schemas, since="beginning", until="end"):
        if not isinstance(read.value, DeadLetter):
            continue
        place = Place(read.partition, read.offset)
        note = notes.get(place)
        fate = note.fate if note is not None and note.timestamp == read.timestamp else None
        letter = Letter(place, read.timestamp, read.value, fate)
        if fate in fates and selection.takes(letter):
            yield letter


def settle(
    settings: Settings,
    topics: Topics,
    schemas: SchemaSource,
    selection: Selection,
    fate: Fate,
    *,
    most: int | None = None,
    rate: float | None = None,
    told: Callable[[Letter], None] = lambda _letter: None,
) -> Tally:
    """Send again, or drop, what nothing has become of yet; at most ``most`` letters, ``rate`` of them a second.

    Raises ``DeadLettersError``, and what transactions raise (``Fenced`` if another such command runs, ``Refused``,
    ``OutcomeUnknown``): after each of them the command can be run again.
    """
    partitions = _prepared(settings, topics)
    producer = PartitionProducer(settings.kafka, settings.batch, f"{settings.app}-dead-letters")
    # Only from here on no other command can settle a letter, so notes are read after it.
    producer.init()
    # What is put aside again while this goes on is not meant: it would never end.
    ends = _ends(settings, topics)
    found = letters(settings, topics, schemas, selection)
    chosen = islice((letter for letter in found if letter.place.offset < ends.get(letter.place.partition, 0)), most)
    tally, began = Tally(0, []), time.monotonic()
    together = TOGETHER if rate is None else max(1, min(TOGETHER, int(rate)))
    while batch := list(islice(chosen, together)):
        messages: list[Message] = []
        done: list[Letter] = []
        for letter in batch:
            if fate == "redriven":
                source = _whole(settings, letter)
                if source is None:
                    tally.gone.append(letter.place)
                    continue
                messages.append(_again(source, letter, partitions))
            note = msgspec.json.encode(Note(fate, letter.timestamp))
            messages.append(Message(topics.dead_letters_settled, 0, str(letter.place).encode(), note))
            done.append(letter)
        if not done:
            continue
        producer.send(messages)
        if producer.finish() is not Outcome.COMMITTED:
            raise DeadLettersError(f"The brokers refused the transaction: {producer.last_abort}")
        tally.settled += len(done)
        for letter in done:
            told(letter)
        if rate is not None:
            time.sleep(max(0.0, tally.settled / rate - (time.monotonic() - began)))
    return tally


def _again(source: DeadLetter, letter: Letter, partitions: int) -> Message:
    """The record as it was, where its key belongs, with the place it first had."""
    headers: list[tuple[str, Any]] = [(header.key, header.value) for header in source.headers if header.key != ORIGIN]
    headers.append((ORIGIN, letter.origin.encode()))
    partition = partition_for(source.key, partitions) if source.key else source.partition
    return Message(source.topic, partition, source.key, source.value, headers)


def _whole(settings: Settings, letter: Letter) -> DeadLetter | None:
    """The letter, or the record that it was cut from; None if that is not in its topic any more."""
    content = letter.content
    if not letter.cut:
        return content
    with _reading(settings) as consumer:
        consumer.assign([TopicPartition(content.topic, content.partition, content.offset)])
        found = next(_until_end(consumer, 1), None)
    if found is None or found.offset() != content.offset:
        return None
    key, value = found.key(), found.value()
    headers: Sequence[tuple[str, Any]] = found.headers() or ()
    return msgspec.structs.replace(
        content,
        key=key.encode() if isinstance(key, str) else key,
        value=value.encode() if isinstance(value, str) else value,
        headers=[Header(name, held) for name, held in headers],
    )


def _prepared(settings: Settings, topics: Topics) -> int:
    """Partitions of the touchpoints; makes the topic of notes if it is missing, with as many copies as the letters."""
    admin = AdminClient(settings.kafka.librdkafka(), logger=_log)
    try:
        known = admin.list_topics(timeout=ANSWER_S).topics
        for name in (topics.touchpoints, topics.dead_letters):
            if name not in known:
                raise DeadLettersError(f"{name} does not exist or may not be seen. `journey topics check` helps.")
        if topics.dead_letters_settled not in known:
            copies = len(known[topics.dead_letters].partitions[0].replicas)
            made = NewTopic(topics.dead_letters_settled, 1, copies, config={"cleanup.policy": "compact"})
            admin.create_topics([made])[topics.dead_letters_settled].result(ANSWER_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise DeadLettersError(f"{topics.dead_letters_settled} cannot be made: {error.args[0].str()}") from error
    return len(known[topics.touchpoints].partitions)


def _ends(settings: Settings, topics: Topics) -> dict[int, int]:
    """Where each partition of the letters ends now."""
    with _reading(settings) as consumer:
        numbers = consumer.list_topics(topics.dead_letters, timeout=ANSWER_S).topics[topics.dead_letters].partitions
        places = [TopicPartition(topics.dead_letters, number) for number in numbers]
        return {place.partition: consumer.get_watermark_offsets(place, timeout=ANSWER_S)[1] for place in places}


def _notes(settings: Settings, topics: Topics) -> dict[Place, Note]:
    """What has become of letters; empty while the topic of notes is not there."""
    found: dict[Place, Note] = {}
    with _reading(settings) as consumer:
        if topics.dead_letters_settled not in consumer.list_topics(timeout=ANSWER_S).topics:
            return found
        consumer.assign([TopicPartition(topics.dead_letters_settled, 0, 0)])
        for message in _until_end(consumer, TOGETHER):
            key, value = message.key(), message.value()
            try:
                place = Place.of(key.decode() if isinstance(key, bytes) else str(key))
                found[place] = msgspec.json.decode(value or b"", type=Note)
            except (ValueError, msgspec.DecodeError) as error:
                raise DeadLettersError(
                    f"{topics.dead_letters_settled} holds at offset {message.offset()} what is no note ({error}): "
                    "find out who writes to it. Until it is gone, nothing is sent, since it might be sent twice."
                ) from error
    return found


@contextmanager
def _reading(settings: Settings) -> Iterator[Consumer]:
    consumer = Consumer(
        settings.kafka.librdkafka()
        | {
            # librdkafka wants a name; nothing is committed and no group is joined.
            "group.id": f"journey-dead-letters-{uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        },
        logger=_log,
    )
    try:
        yield consumer
    except KafkaException as error:
        raise DeadLettersError(f"Kafka could not be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _until_end(consumer: Consumer, most: int) -> Iterator[KafkaMessage]:
    """Records of the one partition that is assigned."""
    while True:
        for message in consumer.consume(most, timeout=0.1):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED and not error.retriable():
                raise KafkaException(error)
