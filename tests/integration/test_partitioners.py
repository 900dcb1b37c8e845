"""Each Python client, configured as docs/contracts.md says, puts a key where the worker expects it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from streams.contracts.routing import partition_for
from streams.contracts.topics import Topics

pytestmark = pytest.mark.integration

PARTITIONS = 4
KEYS = [f"customer-{n}".encode() for n in range(200)] + ["Zoë".encode(), b"0191d3c2-7c1e-7a52-9d53-2f0f6f1c8a10"]
EXPECTED = [partition_for(key, PARTITIONS) for key in KEYS]


def produced_by_librdkafka(bootstrap: str, topic: str, settings: dict[str, Any]) -> list[int]:
    placed: dict[bytes, int] = {}

    def delivered(error: Any, message: Any) -> None:
        assert error is None
        placed[message.key()] = message.partition()

    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    for key in KEYS:
        producer.produce(topic, key=key, value=b"x", on_delivery=delivered)
    assert producer.flush(30) == 0
    return [placed[key] for key in KEYS]


async def produced_by_aiokafka(bootstrap: str, topic: str) -> list[int]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        sent = [await producer.send(topic, key=key, value=b"x") for key in KEYS]
        return [(await one).partition for one in sent]
    finally:
        await producer.stop()


def test_confluent_kafka_with_murmur2_random(kafka: Any, topics: Topics) -> None:
    placed = produced_by_librdkafka(kafka.bootstrap, topics.touchpoints, {"partitioner": "murmur2_random"})
    assert placed == EXPECTED


def test_librdkafkas_default_is_another_one(kafka: Any, topics: Topics) -> None:
    assert produced_by_librdkafka(kafka.bootstrap, topics.touchpoints, {}) != EXPECTED


def test_aiokafka_as_it_comes(kafka: Any, topics: Topics) -> None:
    assert asyncio.run(produced_by_aiokafka(kafka.bootstrap, topics.touchpoints)) == EXPECTED
