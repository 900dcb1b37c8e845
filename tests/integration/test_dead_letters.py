"""``journey dead-letters`` on a real broker: found, sent again once, dropped, and always known by the first place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.dead_letter import DeadLetter, Header
from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Signal
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.settings import Settings, load
from streams.tools.dead_letters import ORIGIN, Selection, settle
from streams.worker.outcomes import Fenced
from tests.conftest import PARTITIONS
from tests.support.produce import read
from tests.support.workers import Workers, ready, running, until

pytestmark = pytest.mark.integration

CODEC = OutputCodec(PackagedSchemas(), "/test")
SHOP = Path(__file__).parents[1] / "support" / "shop.journey.yaml"


class Sent(NamedTuple):
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Deployment:
    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self.topics = topics
        self.client = {"bootstrap.servers": bootstrap}
        environment = {
            "JOURNEY_KAFKA_BOOTSTRAP": bootstrap, "JOURNEY_PREFIX": topics.prefix, "JOURNEY_APP": topics.app,
        }  # fmt: skip
        self.settings: Settings = load(environment)

    def journey(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, ["dead-letters", *arguments])

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        result = self.journey("list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def put_aside(self, *letters: DeadLetter) -> None:
        producer = Producer(self.client)
        for letter in letters:
            record = CODEC.dead_letter(letter)
            producer.produce(
                self.topics.dead_letters, record.value, record.key, letter.partition, headers=record.headers
            )
        assert producer.flush(10) == 0

    def sent(self) -> list[Sent]:
        """All touchpoints, committed ones only."""
        consumer = Consumer(
            {**self.client, "group.id": "test", "enable.partition.eof": True, "isolation.level": "read_committed"}
        )
        consumer.assign([TopicPartition(self.topics.touchpoints, number, 0) for number in range(PARTITIONS)])
        found, left = [], PARTITIONS
        while left:
            for message in consumer.consume(100, timeout=0.1):
                if (error := message.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left -= 1
                    continue
                raw: Any = message
                found.append(Sent(raw.partition(), raw.offset(), raw.key(), raw.value(), raw.headers() or []))
        consumer.close()
        return found


@pytest.fixture
def deployment(kafka: Any, topics: Topics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Deployment]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOURNEY_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("JOURNEY_PREFIX", topics.prefix)
    monkeypatch.setenv("JOURNEY_APP", topics.app)
    yield Deployment(kafka.bootstrap, topics)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    if topics.dead_letters_settled in admin.list_topics(timeout=10).topics:
        for done in admin.delete_topics([topics.dead_letters_settled]).values():
            done.result(10)


@pytest.fixture
def letter(topics: Topics) -> Callable[..., DeadLetter]:
    def make(customer: str, offset: int, reason: str = "unknown_schema", **more: Any) -> DeadLetter:
        touchpoint = CODEC.touchpoint(
            Touchpoint(f"e-{offset}", "Order Completed", 1_700_000_000_000, customer_id=customer)
        )
        headers = [Header(name, value) for name, value in touchpoint.headers]
        partition = partition_for(customer.encode(), PARTITIONS)
        content = {"key": customer.encode(), "value": touchpoint.value, "headers": headers, **more}
        return DeadLetter(reason, topics.touchpoints, partition, offset, **content)

    return make


def test_filters_of_the_list_and_all_of_one_letter(deployment: Deployment, letter: Callable[..., DeadLetter]) -> None:
    deployment.put_aside(
        letter("ada", 1), letter("ada", 2, "bad_time"), letter("bob", 3), letter("bob", 4, value=b"\xff")
    )
    assert sorted(one["source"].rpartition(":")[2] for one in deployment.listed()) == ["1", "2", "3", "4"]
    (found,) = deployment.listed("--reason", "bad_time", "--customer", "ada")
    assert found["source"].endswith(":2")
    assert found["origin"] == found["source"]
    assert len(deployment.listed("--customer", "bob")) == 2
    assert len(deployment.listed("--limit", "3")) == 3
    assert deployment.listed("--until", "2020-01-01") == []
    assert len(deployment.listed("--since", "2020-01-01")) == 4
    assert deployment.listed("--at", found["at"]) == [found]
    assert "bad_time  ada" in deployment.journey("list", "--at", found["at"]).stdout
    shown = json.loads(deployment.journey("show", deployment.listed("--customer", "bob")[1]["at"]).stdout)
    assert shown["value"] == {"base64": "/w=="}
    assert ["content-type", "application/avro"] in shown["headers"]
    deployment.put_aside(letter("bob", 5, key=b"\x1b[2Jbob"))
    assert "  \\x1b[2Jbob  " in deployment.journey("list").stdout
    assert deployment.journey("show", "0:99").exit_code == 1
    assert "expected one of" in deployment.journey("list", "--reason", "bad_times").stderr
    assert "no place" in deployment.journey("show", "99").stderr


def test_sent_again_once_as_it_was(deployment: Deployment, letter: Callable[..., DeadLetter]) -> None:
    put = [letter("ada", 1), letter("bob", 2), letter("cy", 3, "bad_time"), letter("ada", 4)]
    deployment.put_aside(*put)
    dry = deployment.journey("redrive", "--reason", "unknown_schema", "--dry-run")
    assert "3 would be redriven (3 unknown_schema). Nothing was done." in dry.stdout
    assert deployment.sent() == []
    assert "1 redriven" in deployment.journey("redrive", "--customer", "ada", "--limit", "1").stdout
    assert "2 redriven (2 unknown_schema)." in deployment.journey("redrive", "--reason", "unknown_schema").stdout
    assert "0 redriven." in deployment.journey("redrive", "--reason", "unknown_schema").stdout
    sent = deployment.sent()
    for one in (put[0], put[1], put[3]):
        origin = f"{one.topic}:{one.partition}:{one.offset}".encode()
        (found,) = [record for record in sent if (ORIGIN, origin) in record.headers]
        assert (found.key, found.value, found.partition) == (one.key, one.value, one.partition)
        assert found.headers[:-1] == [(header.key, header.value) for header in one.headers]
    assert len(sent) == 3
    assert [record.headers[-1][1] for record in sent if record.key == b"ada"] == [
        f"{one.topic}:{one.partition}:{one.offset}".encode() for one in (put[0], put[3])
    ]
    assert [one["reason"] for one in deployment.listed()] == ["bad_time"]
    assert sorted(str(one["fate"]) for one in deployment.listed("--settled")) == ["None", *["redriven"] * 3]


def test_put_aside_again_it_keeps_its_first_place(deployment: Deployment, letter: Callable[..., DeadLetter]) -> None:
    first = letter("ada", 7)
    deployment.put_aside(first)
    deployment.journey("redrive", "--every")
    (sent,) = deployment.sent()
    headers = [Header(name, value) for name, value in sent.headers]
    deployment.put_aside(letter("ada", sent.offset, "bad_time", headers=headers))
    origin = f"{first.topic}:{first.partition}:7"
    assert [one["origin"] for one in deployment.listed()] == [origin]
    assert f"first {origin}" in deployment.journey("list").stdout
    assert "1 redriven (1 bad_time)." in deployment.journey("redrive", "--every").stdout
    assert [[value for name, value in record.headers if name == ORIGIN] for record in deployment.sent()] == [
        [origin.encode()]
    ] * 2


def test_dropped_it_is_not_sent(deployment: Deployment, letter: Callable[..., DeadLetter]) -> None:
    deployment.put_aside(letter("ada", 1, "bad_time"), letter("bob", 2))
    assert "1 would be dropped" in deployment.journey("drop", "--reason", "bad_time", "--dry-run").stdout
    assert "1 dropped (1 bad_time)." in deployment.journey("drop", "--reason", "bad_time").stdout
    assert "1 redriven (1 unknown_schema)." in deployment.journey("redrive", "--every").stdout
    assert [record.key for record in deployment.sent()] == [b"bob"]
    assert {one["reason"]: one["fate"] for one in deployment.listed("--settled")} == {
        "bad_time": "dropped", "unknown_schema": "redriven",
    }  # fmt: skip


def test_all_of_them_are_meant_only_if_that_is_said(deployment: Deployment) -> None:
    for command in ("redrive", "drop"):
        assert "say which" in deployment.journey(command).stderr
        assert "exclude each other" in deployment.journey(command, "--every", "--customer", "ada").stderr


def test_what_was_cut_is_sent_whole_or_left(deployment: Deployment, letter: Callable[..., DeadLetter]) -> None:
    whole = letter("ada", 0)
    producer = Producer(deployment.client)
    producer.produce(whole.topic, b"the whole", whole.key, whole.partition, headers=[("a", b"1")])
    assert producer.flush(10) == 0
    cut = {"value": b"the", "value_bytes": 9, "headers": [], "detail": "large (cut here: value of 9 bytes)"}
    deployment.put_aside(letter("ada", 0, "too_large", **cut), letter("bob", 41, "too_large", **cut))
    result = deployment.journey("redrive", "--every")
    assert result.exit_code == 1
    assert "1 redriven (1 too_large)." in result.stdout
    assert "1 hold only a part" in result.stderr
    _, again = [record for record in deployment.sent() if record.key == b"ada"]
    assert again.value == b"the whole"
    assert again.headers == [("a", b"1"), (ORIGIN, f"{whole.topic}:{whole.partition}:0".encode())]
    assert [one["key"] for one in deployment.listed()] == ["bob"]


def test_two_at_once_send_each_letter_once(deployment: Deployment, letter: Callable[..., DeadLetter]) -> None:
    """The second begins after the first letter of the first one, which it fences: none is sent twice."""
    deployment.put_aside(*[letter("ada", number) for number in range(5)])
    settings, topics, schemas = deployment.settings, deployment.topics, PackagedSchemas()
    others = []

    def begin_another(_: Any) -> None:
        others.append(settle(settings, topics, schemas, Selection(), "redriven"))

    with pytest.raises(Fenced):
        settle(settings, topics, schemas, Selection(), "redriven", rate=1.99, told=begin_another)
    assert [other.settled for other in others] == [4]
    origins = [record.headers[-1][1] for record in deployment.sent()]
    assert len(origins) == len(set(origins)) == 5


@pytest.fixture
def workers(kafka: Any, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    (tmp_path / "logs").mkdir()
    yield from running(kafka.bootstrap, topics, tmp_path / "logs", definitions=[SHOP])


def test_a_worker_takes_what_was_sent_again_and_keeps_the_first_place(
    deployment: Deployment,
    letter: Callable[..., DeadLetter],
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What is garbage still is put aside once more, with the header that says where it began."""
    broken = letter("bob", 9, "malformed", value=b"\x00\x00\x00\x00\x01\xff")
    deployment.put_aside(letter("ada", 5), broken)
    assert "2 redriven" in deployment.journey("redrive", "--every").stdout
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    worker = workers.start()
    ready(worker)
    until(lambda: worker.total("journey_events_processed_total") == 2, 30, "both are taken", [worker])
    assert worker.end() == 0
    signals = read(workers.bootstrap, deployment.topics.signals, Signal)
    assert "goal_reached" in [signal.kind for signal in signals if signal.customer == "ada"]
    (again,) = deployment.listed()
    assert again["reason"] == "malformed"
    assert again["origin"] == f"{broken.topic}:{broken.partition}:9"
    assert list((tmp_path / "empty").iterdir()) == [], "the image has a root file system that cannot be written"
