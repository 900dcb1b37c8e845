"""The definitions topic: numbered definitions, and commands for partitions that do not read their own log.

Owns its records and how a number is given: under one fixed transactional id, open (which fences any other publisher),
read to the end, write. The same content makes no new number (semantics, rule 23). A worker follows the topic in a
thread; definitions are compiled there, so that no partition waits for the compiler.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from streams.contracts.topics import Topics
from streams.definitions.faults import DefinitionFaults
from streams.definitions.load import digest, load_texts
from streams.definitions.model import Definition
from streams.definitions.pauses import Sources, paused_in, with_overlay
from streams.settings import Settings
from streams.worker.changelog import read_to_end, reader
from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused
from streams.worker.transactions import Message, Outcome, PartitionProducer

log = logging.getLogger(__name__)

PARTITION: Final = 0
RESUME: Final = "resume"
ATTEMPTS: Final = 10
ASK_S: Final = 15.0

Load = Callable[[Sequence[tuple[str, str]], int], Definition]


@dataclass(frozen=True, slots=True)
class Published:
    """A definition as it stands in the topic."""

    number: int
    digest: str
    sources: tuple[tuple[str, str], ...]

    def encoded(self) -> bytes:
        content = {"number": self.number, "digest": self.digest, "sources": [list(pair) for pair in self.sources]}
        return json.dumps(content, ensure_ascii=False).encode()


def read_record(key: bytes | None, value: bytes | None) -> Published | tuple[str, int] | None:
    """A definition, or (application, partition) to resume; None for what this version does not know."""
    if key is None or value is None:
        return None
    try:
        content: Any = json.loads(value)
        if "number" in content:
            sources = tuple((str(name), str(text)) for name, text in content["sources"])
            return Published(int(content["number"]), str(content["digest"]), sources)
        if content.get("command") == RESUME:
            return str(content["app"]), int(content["partition"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        log.warning("The definitions topic holds a record that this version cannot read (key %r).", key[:80])
    return None


def published(settings: Settings, topics: Topics) -> list[Published]:
    """Every definition in the topic, by number."""
    found: dict[int, Published] = {}

    def each(key: bytes | None, value: bytes | None, _offset: int) -> None:
        record = read_record(key, value)
        if isinstance(record, Published):
            found[record.number] = record

    consumer = reader(settings)
    try:
        read_to_end(consumer, topics.definitions, PARTITION, each)
    finally:
        consumer.close()
    return [found[number] for number in sorted(found)]


class Publication(NamedTuple):
    """What became of a definition that was to be published."""

    number: int
    new: bool
    """Otherwise it is what is in force already."""
    paused: tuple[str, ...] = ()
    """Actions that stay paused by ``journey pause``."""
    dropped: tuple[str, ...] = ()
    """Actions that were paused by it and are no more."""


def publish(settings: Settings, topics: Topics, definition: Definition) -> Publication:
    """The definition has passed its checks: it could be loaded. Actions that are paused in the one in force stay so."""
    paused: frozenset[str] = frozenset()
    names = {action.name for action in definition.actions}

    def message() -> tuple[int, Message | None]:
        nonlocal paused
        known = published(settings, topics)
        paused = paused_in(known[-1].sources) if known else frozenset()
        return numbered(topics, known, with_overlay(definition.sources, paused & names))

    number, new = write(settings, message)
    return Publication(number, new, tuple(sorted(paused & names)), tuple(sorted(paused - names)))


def numbered(topics: Topics, known: Sequence[Published], sources: Sources) -> tuple[int, Message | None]:
    """The number of these sources after those that are known, and what is to be written; None if they are in force."""
    content = digest(sources)
    if known and known[-1].digest == content:
        return known[-1].number, None
    number = known[-1].number + 1 if known else 1
    value = Published(number, content, tuple(sources)).encoded()
    return number, Message(topics.definitions, PARTITION, b"%d" % number, value)


def resume(settings: Settings, topics: Topics, partition: int) -> None:
    """Tell the owner of a partition that is paused by dead letters to go on. Raises ``Refused`` if there is none."""
    consumer = reader(settings)
    try:
        found = consumer.list_topics(topics.touchpoints, timeout=ASK_S).topics[topics.touchpoints]
    finally:
        consumer.close()
    if found.error is not None:
        raise Refused(f"{topics.touchpoints}: {found.error.str()}")
    if partition not in found.partitions:
        raise Refused(f"{topics.touchpoints} has the partitions 0 to {len(found.partitions) - 1}")
    content = {"command": RESUME, "app": settings.app, "partition": partition}
    key = f"{RESUME}/{settings.app}/{partition}".encode()
    record = Message(topics.definitions, PARTITION, key, json.dumps(content).encode())
    write(settings, lambda: (partition, record))


def write(settings: Settings, decide: Callable[[], tuple[int, Message | None]]) -> tuple[int, bool]:
    """(number, whether it was written). ``decide`` reads the topic while no other publisher can write to it."""
    transactional_id = f"{settings.app}-definitions"
    for attempt in range(ATTEMPTS):
        producer = PartitionProducer(settings.kafka, settings.batch, transactional_id)
        try:
            producer.init()
            number, message = decide()
            if message is None:
                return number, False
            producer.send([message])
            if producer.finish() is Outcome.COMMITTED:
                return number, True
        except (Fenced, OutcomeUnknown) as error:
            # Another publisher, or an answer that was lost: what counts is what the topic holds when read again.
            if attempt == ATTEMPTS - 1:
                raise
            log.info("Publishing again: %s", error)
        time.sleep(0.2 * (attempt + 1))
    raise OutcomeUnknown(f"{transactional_id}: the transaction was aborted {ATTEMPTS} times")


class DefinitionsTopic:
    """What the topic holds, followed by a thread; partitions ask on the event loop."""

    def __init__(
        self, settings: Settings, topics: Topics, changed: Callable[[], None], load: Load = load_texts
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._changed = changed
        """Called in the thread after something new was read."""
        self._load = load
        self._loaded: dict[int, Definition] = {}
        self._sources: dict[int, Published] = {}
        self._resumed: dict[int, int] = {}
        self._refused: set[int] = set()
        self._stop = threading.Event()
        self.latest: Definition | None = None
        self.end = 0
        self.caught_up = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="definitions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def resumed(self, partition: int) -> int:
        return self._resumed.get(partition, -1)

    def loaded(self, number: int) -> Definition | None:
        return self._loaded.get(number)

    def never(self, number: int) -> bool:
        """The topic holds newer ones but not that one."""
        return number not in self._sources and any(known > number for known in self._sources)

    async def get(self, number: int) -> Definition:
        """Waits until that definition is there: a partition never goes back to an older one (rule 23)."""
        waited = 0.0
        while (found := self._loaded.get(number)) is None:
            if number in self._sources and number not in self._refused:
                await asyncio.get_running_loop().run_in_executor(None, self._compile, number)
                continue
            if int(waited) % 30 == 0 and waited - int(waited) < 0.1:
                log.warning("A partition needs definition %d, which this worker does not have yet.", number)
            await asyncio.sleep(0.1)
            waited += 0.1
        return found

    async def first(self) -> Definition:
        while self.latest is None:
            await asyncio.sleep(0.05)
        return self.latest

    def _compile(self, number: int) -> Definition | None:
        source = self._sources[number]
        try:
            definition = self._load(source.sources, number)
        except DefinitionFaults as faults:
            self._refused.add(number)
            log.error(
                "Definition %d is not understood by this version of the software and is not adopted:\n%s",
                number,
                faults,
            )
            return None
        except Exception:
            # Whoever may write to the topic wrote it; the one in force goes on.
            self._refused.add(number)
            log.exception("Definition %d cannot be compiled and is not adopted", number)
            return None
        self._loaded[number] = definition
        return definition

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except KafkaException as error:
                log.warning("The definitions topic cannot be read, tried again: %s", error)
                self._stop.wait(2.0)

    def _read(self) -> None:
        consumer = reader(self._settings)
        try:
            consumer.assign([TopicPartition(self._topics.definitions, PARTITION, OFFSET_BEGINNING)])
            news = False
            while not self._stop.is_set():
                message = consumer.poll(0.25)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    self._take(message.key(), message.value(), message.offset())
                    self.end = message.offset() + 1
                    news = True
                elif error.code() == KafkaError._PARTITION_EOF:
                    self.end = max(self.end, message.offset())
                    if news or not self.caught_up.is_set():
                        self._adopt_latest()
                        news = False
                    self.caught_up.set()
                elif error.fatal() or not (
                    error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
                ):
                    raise KafkaException(error)
        finally:
            consumer.close()

    def _take(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        record = read_record(key, value)
        if isinstance(record, Published):
            self._sources[record.number] = record
        elif record is not None and record[0] == self._settings.app:
            self._resumed[record[1]] = offset

    def _adopt_latest(self) -> None:
        """The newest that this version understands."""
        for number in sorted(self._sources, reverse=True):
            if self.latest is not None and number <= self.latest.number:
                break
            if number in self._refused:
                continue
            found = self._loaded.get(number) or self._compile(number)
            if found is not None:
                self.latest = found
                break
        self._changed()
