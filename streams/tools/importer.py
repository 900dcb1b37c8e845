"""Writes files into the touchpoint topic as history: in time order, at a rate, between two marks on each partition.

Owns when an import is refused (semantics, rule 8) and the marks, between which the workers' idle clock stands still.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.contracts.output_codec import OutputCodec
from streams.contracts.record import Encoded
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas, SchemaSource
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import IMPORT_ENDED, IMPORT_STARTED, Touchpoint
from streams.settings import KafkaSettings, Settings
from streams.tools.replay import log
from streams.tools.replay.rows import Refused
from streams.worker.changelog import last_marker

SOURCE: Final = "/journey-streams/import"
PACE_EVERY: Final = 50
"""Touchpoints between two looks at the clock where a rate is set."""
FLUSH_S: Final = 60.0


class ImportRefused(ValueError):  # noqa: N818 - a refusal is an answer
    """The import would come too late or cannot be written; says which partition, which time, and what to do."""


@dataclass(slots=True)
class ImportReport:
    written: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Reason -> rows that are no touchpoints; the rest went in."""
    first: int | None = None
    last: int | None = None
    by_partition: Counter[int] = field(default_factory=Counter)


def check_watermarks(settings: Settings, topics: Topics, partitions: int, first_ms: int) -> None:
    """Refuse where a worker's watermark is already later than the first touchpoint: all before it would be late."""
    too_far = []
    for partition in range(partitions):
        marker = last_marker(settings, topics.state, partition, lambda: False)
        if marker is not None and marker.watermark is not None and marker.watermark > first_ms:
            too_far.append(f"partition {partition} has come to {_iso(marker.watermark)}")
    if too_far:
        raise ImportRefused(
            f"the first touchpoint is of {_iso(first_ms)}, but time in {topics.touchpoints} is later: "
            f"{'; '.join(too_far)}. History can only be imported before newer touchpoints have been processed: "
            "import into topics of their own (another JOURNEY_PREFIX), or leave out what is older"
        )


def import_touchpoints(
    settings: Settings,
    topics: Topics,
    items: Iterable[Touchpoint | Refused],
    *,
    rate: float | None = None,
    schemas: SchemaSource | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Write ``items`` in their order; each partition gets the marks before the first and after the last of all.

    ``rate``: touchpoints a second; None: as fast as the brokers take them. The closing marks are written whatever
    happens in between, so that the idle clock does not stand still for ever; only a killed process leaves it so, and
    then ``end_import`` mends it.
    """
    partitions = _partitions(settings, topics)
    report = ImportReport()
    remaining = _good(items, report)
    first = next(remaining, None)
    if first is None:
        return report
    check_watermarks(settings, topics, partitions, first.occurred_at)
    writer = _Writer(settings.kafka, topics.touchpoints, OutputCodec(schemas or PackagedSchemas(), SOURCE))
    writer.mark(IMPORT_STARTED, partitions, first.occurred_at)
    writer.flush()
    report.first = report.last = first.occurred_at
    try:
        began = time.monotonic()
        for touchpoint in chain((first,), remaining):
            encoded = writer.codec.touchpoint(touchpoint)
            partition = partition_for(encoded.key or b"", partitions)
            writer.send(encoded, partition)
            report.written += 1
            report.by_partition[partition] += 1
            report.last = max(report.last, touchpoint.occurred_at)
            if rate is not None and report.written % PACE_EVERY == 0:
                ahead = report.written / rate - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)
            if progress is not None and report.written % 500 == 0:
                progress(report.written)
        writer.flush()
    finally:
        writer.mark(IMPORT_ENDED, partitions, report.last)
        writer.flush()
    return report


def end_import(settings: Settings, topics: Topics) -> int:
    """Write the closing mark to each partition, for an import that was killed; returns their number."""
    partitions = _partitions(settings, topics)
    writer = _Writer(settings.kafka, topics.touchpoints, OutputCodec(PackagedSchemas(), SOURCE))
    writer.mark(IMPORT_ENDED, partitions, 0)
    writer.flush()
    return partitions


def hold_clocks(settings: Settings, topics: Topics, schemas: SchemaSource) -> None:
    """Write the opening mark to each partition: silence there means nothing any more, until ``end_import``."""
    writer = _Writer(settings.kafka, topics.touchpoints, OutputCodec(schemas, SOURCE))
    writer.mark(IMPORT_STARTED, _partitions(settings, topics), 0)
    writer.flush()


def _partitions(settings: Settings, topics: Topics) -> int:
    found = log.partitions_of(settings, topics.touchpoints)
    if not found:
        raise ImportRefused(
            f"there is no topic {topics.touchpoints} at {settings.kafka.bootstrap}: journey topics create"
        )
    return found


def _good(items: Iterable[Touchpoint | Refused], report: ImportReport) -> Iterator[Touchpoint]:
    for item in items:
        if isinstance(item, Refused):
            report.refused[item.reason] += 1
        else:
            yield item


class _Writer:
    """An idempotent producer that remembers its first failure."""

    def __init__(self, kafka: KafkaSettings, topic: str, codec: OutputCodec) -> None:
        self.codec = codec
        self._topic = topic
        self._failed: KafkaError | None = None
        self._producer = Producer(
            kafka.librdkafka(
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=20,
                message_max_bytes=16 << 20,
                partitioner="murmur2_random",
            )
        )

    def mark(self, type_: str, partitions: int, at: int) -> None:
        """A command to each partition. It names no customer: the profile id only has to be there."""
        run = uuid.uuid4().hex
        for partition in range(partitions):
            command = Touchpoint(f"{type_}-{run}-{partition}", type_, at, customer_id=f"{type_}-{partition}")
            self.send(self.codec.touchpoint(command), partition)

    def send(self, record: Encoded, partition: int) -> None:
        headers: Any = record.headers
        while True:
            try:
                self._producer.produce(
                    self._topic, record.value, record.key, partition, on_delivery=self._delivered, headers=headers
                )
                break
            except BufferError:
                self._producer.poll(0.2)  # the queue is full: the brokers take what there is first
        self._producer.poll(0)
        self._raise()

    def flush(self) -> None:
        left = self._producer.flush(FLUSH_S)
        self._raise()
        if left:
            raise ImportRefused(f"{left} records were not taken by the brokers within {FLUSH_S:.0f} s")

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None and self._failed is None:
            self._failed = error

    def _raise(self) -> None:
        if self._failed is not None:
            error, self._failed = self._failed, None
            raise KafkaException(error)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
