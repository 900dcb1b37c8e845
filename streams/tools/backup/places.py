"""Puts records into an empty partition at the offsets that they had, holes included.

Owns how a hole is made. Offsets of touchpoints, examples, dead letters and definitions are known to state and journal,
so they must not change; but a log has holes where transactions ended or were aborted and where retention has deleted.
A hole of one is the end of a committed transaction with the records before it; a larger one is an aborted transaction;
one at the beginning is filled and deleted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.settings import Settings
from streams.tools.backup.archive import BackupError
from streams.tools.replay.log import LogRecord
from streams.tools.topics import TIMEOUT_S, admin_client
from streams.worker.logs import LIBRDKAFKA

WAIT_S: Final = 60.0
TOGETHER: Final = 10_000
"""Most records that are sent before their acknowledgements are waited for."""
FILLER: Final = LogRecord(-1, None, None, b"", ())


@dataclass(frozen=True, slots=True)
class Run:
    """Records at offsets that follow each other, and how many offsets after them hold nothing."""

    records: list[LogRecord]
    hole: int


def runs(records: Iterable[LogRecord], end: int) -> Iterator[Run]:
    """``end``: where the log ends. The first run may be empty, for the hole before the first record."""
    run: list[LogRecord] = []
    at = 0
    for record in records:
        if record.offset != at:
            yield Run(run, record.offset - at)
            run = []
        elif len(run) >= TOGETHER:
            yield Run(run, 0)
            run = []
        run.append(record)
        at = record.offset + 1
    if run or end > at:
        yield Run(run, end - at)


def fillers(hole: int) -> Iterator[int]:
    """Sizes of aborted transactions that fill a hole of two or more: each takes an offset more than it has records."""
    while hole:
        number = min(hole - 1, TOGETHER)
        if hole - number - 1 == 1:
            number -= 1  # one offset alone cannot be filled
        yield number
        hole -= number + 1


class Placer:
    """Writes into partitions of topics that are empty."""

    def __init__(self, settings: Settings) -> None:
        self._admin: AdminClient = admin_client(settings.kafka.librdkafka())
        config = settings.kafka.librdkafka(
            enable_idempotence=True, message_max_bytes=16 << 20, linger_ms=5, queue_buffering_max_messages=1_000_000
        )
        self._plain = Producer(config, logger=LIBRDKAFKA)
        self._transactional = Producer(
            config | {"transactional.id": f"{settings.app}-restore", "transaction.timeout.ms": 60_000},
            logger=LIBRDKAFKA,
        )
        self._transactional.init_transactions(WAIT_S)
        self._failed: KafkaError | None = None

    def append(self, topic: str, partition: int, records: Iterable[LogRecord]) -> None:
        """One after the other, whatever their offsets were."""
        for number, record in enumerate(records, 1):
            self._send(self._plain, topic, partition, record)
            if number % TOGETHER == 0:
                self._flush(self._plain)
        self._flush(self._plain)

    def place(self, topic: str, partition: int, records: Iterable[LogRecord], end: int) -> None:
        """Each at its offset; afterwards the log ends at ``end``."""
        at = 0
        for run in runs(records, end):
            at += len(run.records)
            if run.hole == 1 and run.records:
                at += 1
                self._transaction(topic, partition, run.records, at, committed=True)
                continue
            for record in run.records:
                self._send(self._plain, topic, partition, record)
            self._flush(self._plain)
            if run.records and run.hole:
                for number in fillers(run.hole):
                    at += number + 1
                    self._transaction(topic, partition, [FILLER] * number, at, committed=False)
            elif run.hole:
                at += run.hole
                self._delete(topic, partition, run.hole)

    def _transaction(self, topic: str, partition: int, records: list[LogRecord], end: int, *, committed: bool) -> None:
        """Its end is written after the client was told: nothing may come before the log ends at ``end``."""
        producer = self._transactional
        try:
            producer.begin_transaction()
            for record in records:
                self._send(producer, topic, partition, record)
            self._flush(producer)
            if committed:
                producer.commit_transaction(WAIT_S)
            else:
                producer.abort_transaction(WAIT_S)
        except KafkaException as failure:
            raise BackupError(f"{topic} {partition} could not be written: {failure.args[0].str()}") from failure
        until = time.monotonic() + WAIT_S
        while self._end(topic, partition) < end:
            if time.monotonic() > until:
                raise BackupError(f"{topic} {partition}: a transaction did not end within {WAIT_S:.0f} s")
            time.sleep(0.005)

    def _end(self, topic: str, partition: int) -> int:
        place = TopicPartition(topic, partition)
        answers = self._admin.list_offsets({place: OffsetSpec.latest()}, request_timeout=TIMEOUT_S)
        return int(answers[place].result().offset)

    def _delete(self, topic: str, partition: int, number: int) -> None:
        """The log begins after so many offsets."""
        for _ in range(number):
            self._send(self._plain, topic, partition, FILLER)
        self._flush(self._plain)
        place = TopicPartition(topic, partition, number)
        try:
            for future in self._admin.delete_records([place], request_timeout=TIMEOUT_S).values():
                future.result()
        except KafkaException as failure:
            raise BackupError(
                f"{topic} {partition} could not be begun at {number}: {failure.args[0].str()}"
            ) from failure

    def _send(self, producer: Producer, topic: str, partition: int, record: LogRecord) -> None:
        headers: Any = list(record.headers)
        while True:
            try:
                producer.produce(
                    topic, record.value, record.key, partition, on_delivery=self._delivered, headers=headers,
                    timestamp=record.timestamp or 0,
                )  # fmt: skip
                break
            except BufferError:
                producer.poll(0.2)
        producer.poll(0)

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failed = error

    def _flush(self, producer: Producer) -> None:
        left = producer.flush(WAIT_S)
        if self._failed is not None:
            raise BackupError(f"a record was not taken: {self._failed.str()}")
        if left:
            raise BackupError(f"{left} records were not taken within {WAIT_S:.0f} s")
