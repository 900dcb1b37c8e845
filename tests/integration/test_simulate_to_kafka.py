"""``journey simulate --to-kafka`` on a real broker: every touchpoint arrives once, where Java's producers put it."""

from __future__ import annotations

from typing import Protocol

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.codec import TouchpointCodec
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Rejection, Touchpoint
from streams.tools.simulator import generate

PARTITIONS = 4


class Broker(Protocol):
    bootstrap: str


class Received:
    def __init__(self, offset: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        self.offset, self.key, self.value, self.headers, self.timestamp = offset, key, value, headers, 0


def read_all(bootstrap: str, topic: str) -> list[tuple[int, Received]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "isolation.level": "read_committed"})
    out: list[tuple[int, Received]] = []
    for p in range(PARTITIONS):
        _, high = consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)
        consumer.assign([TopicPartition(topic, p, 0)])
        read = 0
        while read < high:
            message = consumer.poll(30)
            assert message is not None
            assert message.error() is None
            read += 1
            headers = [(name, value) for name, value in message.headers() or []]
            out.append((p, Received(message.offset(), message.key(), message.value(), headers)))
    consumer.close()
    return out


@pytest.mark.integration
def test_a_simulation_reaches_the_topic(kafka: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEY_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("JOURNEY_APP", topics.app)
    monkeypatch.setenv("JOURNEY_PREFIX", topics.prefix)
    options = ["--customers", "50", "--touchpoints", "1000", "--seed", "6", "--garbage", "0.02"]
    result = CliRunner().invoke(app, ["simulate", "--to-kafka", *options])
    assert result.exit_code == 0, result.output
    records = read_all(kafka.bootstrap, topics.touchpoints)
    decoded = TouchpointCodec(PackagedSchemas()).decode([record for _, record in records])
    touchpoints = {d.event_id: d for d in decoded if isinstance(d, Touchpoint)}
    expected = {t.event_id: t for t in generate(6, 50, 1_000)}
    assert touchpoints.keys() == expected.keys()
    for event_id, t in touchpoints.items():
        original = expected[event_id]
        assert (t.type, t.occurred_at, t.key, t.properties) == (
            original.type,
            original.occurred_at,
            original.key,
            original.properties,
        )
    assert 5 < sum(isinstance(d, Rejection) for d in decoded) == len(records) - 1_000
    for (partition, record), d in zip(records, decoded, strict=True):
        if isinstance(d, Touchpoint):
            assert record.key is not None
            assert partition == partition_for(record.key, PARTITIONS)


@pytest.mark.integration
def test_a_topic_that_does_not_exist_is_said(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEY_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("JOURNEY_PREFIX", "nowhere")
    result = CliRunner().invoke(app, ["simulate", "--to-kafka", "--customers", "5", "--touchpoints", "20"])
    assert result.exit_code == 1
    assert "nowhere.touchpoints.v1" in result.output
