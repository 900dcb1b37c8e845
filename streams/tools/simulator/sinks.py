"""Where simulated touchpoints go: a file of JSON lines, or the touchpoint topic.

Owns the two forms and nothing of the simulation. A file is the same bytes each time, gzip included.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self, cast

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from streams.contracts.output_codec import OutputCodec
from streams.contracts.touchpoint import FROM_THE_LOG, Touchpoint
from streams.tools.simulator.truth import Fact

FIELDS: Final = tuple(name for name in Touchpoint.__struct_fields__ if name not in FROM_THE_LOG)
_read: Final = attrgetter(*FIELDS)
_encode: Final = msgspec.json.Encoder().encode


def line(t: Touchpoint) -> bytes:
    """One touchpoint as a JSON object: what is set of the contract's fields, and ``recorded_at``."""
    content: dict[str, Any] = {name: value for name, value in zip(FIELDS, _read(t), strict=True) if value is not None}
    if t.record_time is not None:
        content["recorded_at"] = t.record_time
    return _encode(content)


class Sink(Protocol):
    """Takes touchpoints and garbage in the order of the log."""

    def write(self, t: Touchpoint) -> None: ...

    def garbage(self, record: bytes) -> None: ...

    def flush(self) -> None: ...


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; compressed if its name ends in .gz, then with neither time stamp nor name inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as compressed:
                yield cast("IO[bytes]", compressed)
        else:
            yield raw


class JsonLines:
    """A file of touchpoints, one JSON object a line, plain or .gz; the truth goes into another one."""

    def __init__(self, path: Path) -> None:
        self._open = ExitStack()
        self._file = self._open.enter_context(opened(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def write(self, t: Touchpoint) -> None:
        self._file.write(line(t) + b"\n")

    def garbage(self, record: bytes) -> None:
        self._file.write(record + b"\n")

    def flush(self) -> None:
        self._file.flush()


def write_truth(path: Path, facts: Iterable[Fact]) -> int:
    """Writes facts as JSON lines; returns how many."""
    written = 0
    with opened(path) as file:
        for fact in facts:
            file.write(_encode(fact) + b"\n")
            written += 1
    return written


class DeliveryError(Exception):
    """Touchpoints that the brokers did not take."""


class TopicSink:
    """Writes to the touchpoint topic with the partitioner of the contract (murmur2, as Java's producers).

    Idempotent, so that a retry neither repeats nor reorders. The first refusal by the brokers is raised at the next
    write or flush.
    """

    def __init__(self, config: dict[str, Any], topic: str, codec: OutputCodec) -> None:
        self._producer = Producer(
            config
            | {
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "compression.type": "lz4",
            }
        )
        self._topic = topic
        self._codec = codec
        self._refused: str | None = None
        try:
            known = self._producer.list_topics(topic, timeout=15).topics[topic]
        except KafkaException as error:
            raise DeliveryError(f"{config.get('bootstrap.servers')}: {error.args[0].str()}") from error
        if known.error is not None:
            raise DeliveryError(f"{topic}: {known.error.str()}; `journey topics create` makes it")

    def write(self, t: Touchpoint) -> None:
        record = self._codec.touchpoint(t)
        self._produce(record.key, record.value, record.headers)

    def garbage(self, record: bytes) -> None:
        self._produce(b"garbage", record, [])

    def _produce(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=headers, on_delivery=self._delivered)
                break
            except BufferError:  # the queue is full: the broker sets the pace
                self._producer.poll(0.1)
                self._check()
        self._producer.poll(0)
        self._check()

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None and self._refused is None:
            self._refused = error.str()

    def _check(self) -> None:
        if self._refused is not None:
            raise DeliveryError(f"{self._topic}: {self._refused}")

    def flush(self) -> None:
        left = self._producer.flush(30)
        self._check()
        if left:
            raise DeliveryError(f"{self._topic}: {left} touchpoints are not confirmed after 30 s")
