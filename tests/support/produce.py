"""Touchpoints into a topic, the way a producer app would write them, and output topics read back."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Example
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Risk

PARTITIONS: Final = 4
READ_S: Final = 30.0
_codec = OutputCodec(PackagedSchemas(), "/tests")
_reader = OutputReader(PackagedSchemas())
_silent = logging.getLogger("tests.silent")
_S = TypeVar("_S", bound=msgspec.Struct)


def now_ms() -> int:
    return int(time.time() * 1000)


def happened(event_id: str, name: str, customer: str = "c1", at: int | None = None, **fields: Any) -> Touchpoint:
    return Touchpoint(
        event_id=event_id,
        type=name,
        occurred_at=now_ms() if at is None else at,
        customer_id=customer,
        channel="web",
        **fields,
    )


def produce(
    bootstrap: str,
    topics: Topics,
    touchpoints: Iterable[Touchpoint],
    marks: Sequence[tuple[str, bytes]] = (),
    **config: Any,
) -> None:
    """In their order, acknowledged when this returns. ``marks``: headers beside those of each."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True, **config},
        logger=_silent,
    )
    for touchpoint in touchpoints:
        record = _codec.touchpoint(touchpoint)
        producer.produce(topics.touchpoints, record.value, record.key, headers=[*record.headers, *marks])
        producer.poll(0)
    assert producer.flush(READ_S) == 0


def produce_in_transactions(
    bootstrap: str, topics: Topics, transactions: Sequence[tuple[Sequence[Touchpoint], bool]]
) -> None:
    """Each transaction is committed (True) or aborted."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "transactional.id": f"{topics.prefix}-source",
        },
        logger=_silent,
    )
    producer.init_transactions(READ_S)
    for touchpoints, committed in transactions:
        producer.begin_transaction()
        for touchpoint in touchpoints:
            record = _codec.touchpoint(touchpoint)
            producer.produce(topics.touchpoints, record.value, record.key, headers=record.headers)
        producer.flush(READ_S)
        if committed:
            producer.commit_transaction(READ_S)
        else:
            producer.abort_transaction(READ_S)


def produce_bytes(bootstrap: str, topic: str, values: Iterable[bytes | None], partition: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap}, logger=_silent)
    for value in values:
        producer.produce(topic, value, b"k", partition)
    assert producer.flush(READ_S) == 0


def write(bootstrap: str, topic: str, pairs: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """Keys and values into partition 0."""
    producer = Producer({"bootstrap.servers": bootstrap}, logger=_silent)
    for key, value in pairs:
        producer.produce(topic, value, key, 0)
    assert producer.flush(READ_S) == 0


def labels(risk: Risk, number: int, seed: int = 1) -> list[tuple[bytes | None, bytes | None]]:
    """Examples of definition 1 as a worker writes them: who has ordered stays."""
    draw = random.Random(seed)
    found = []
    for n in range(number):
        values = {name: draw.random() * 3 for name in risk.features}
        label = draw.random() < (0.8 if values["orders"] < 1 else 0.2)
        example = Example(
            f"{seed}-{n}", f"c{n % 50}", risk.name, risk.signature, n, n + 20_000, label, values, definition=1
        )
        made = _codec.example(example)
        found.append((made.key, made.value))
    return found


def records(
    bootstrap: str,
    topic: str,
    isolation: str = "read_committed",
    partitions: int = PARTITIONS,
    within: float = READ_S,
) -> list[Any]:
    """Every message of a topic up to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
        },
        logger=_silent,
    )
    found = []
    limit = time.monotonic() + within
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
        ended: set[int] = set()
        while len(ended) < partitions:
            assert time.monotonic() < limit, f"{topic} was not read to its end in {within} s"
            for message in consumer.consume(1000, 0.5):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
    finally:
        consumer.close()
    return found


def read(bootstrap: str, topic: str, struct: type[_S]) -> list[_S]:
    """The outputs of a topic as structs."""
    return [
        _reader.read(struct, message.value()) for message in records(bootstrap, topic) if message.value() is not None
    ]
