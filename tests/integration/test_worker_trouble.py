"""The worker on a real broker when something around it is wrong: sizes, partitions, a registry away, a backlog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from streams.contracts import schemas
from streams.contracts.dead_letter import DeadLetter
from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Signal
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.tools.embedded import EmbeddedRegistry
from streams.tools.topics import set_config
from tests.conftest import Kafka
from tests.integration.test_worker import make_anew
from tests.support.outlet import Outlet
from tests.support.produce import happened, produce, read
from tests.support.workers import Worker, Workers, ready, running, until

pytestmark = pytest.mark.integration

SHOP = Path(__file__).parents[1] / "support" / "shop.journey.yaml"


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP])


def processed(worker: Worker) -> float:
    return worker.total("journey_events_processed_total")


def test_a_touchpoint_of_two_megabytes_is_a_dead_letter_and_its_partition_goes_on(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    worker = workers.start()
    ready(worker)
    large = happened("2", "Product Added", "me", properties={"comment": "x" * 2_000_000})
    around = [happened("1", "Product Added", "me"), large, happened("3", "Order Completed", "me")]
    # Compressed it is small, so the broker takes it into a topic whose records may have one megabyte.
    produce(kafka.bootstrap, topics, around, (), **{"message.max.bytes": 4 << 20, "compression.type": "lz4"})
    until(lambda: processed(worker) == 3, 30, "all three are taken", [worker])
    (letter,) = read(kafka.bootstrap, topics.dead_letters, DeadLetter)
    original = OutputCodec(PackagedSchemas(), "/tests").touchpoint(large).value or b""
    assert (letter.reason, letter.value_bytes, letter.offset) == ("too_large", len(original), 1)
    assert letter.value
    assert original.startswith(letter.value)
    assert "cut here" in letter.detail
    assert [s.kind for s in read(kafka.bootstrap, topics.signals, Signal)].count("goal_reached") == 1


def test_an_input_with_more_partitions_than_the_state_is_refused(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_partitions([NewPartitions(topics.touchpoints, 6)])[topics.touchpoints].result()
    until(lambda: len(admin.list_topics(timeout=10).topics[topics.touchpoints].partitions) == 6, 30, "six partitions")
    said = workers.refused()
    assert f"{topics.state}: has 4 partitions, {topics.touchpoints} has 6" in said
    assert f"JOURNEY_APP={topics.app}-2" in said


def test_an_input_that_is_made_anew_while_it_is_read_ends_the_worker(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    worker = workers.start()
    ready(worker)
    produce(kafka.bootstrap, topics, [happened(str(i), "Product Viewed", f"c{i}") for i in range(40)])
    until(lambda: processed(worker) == 40, 30, "forty touchpoints are processed", [worker])
    make_anew(kafka, topics.touchpoints)
    assert worker.process.wait(60) == 78
    assert worker.said("the offset to read next is not in the log any more")
    told = [line for line in worker.lines() if "not found in cluster metadata" in str(line.get("message"))]
    assert len(told) < 5, "what a client repeats many times a second is told now and then"
    assert "the touchpoint topic was made anew" in workers.refused()


def test_a_registry_that_goes_away_holds_up_only_what_it_must_tell(
    kafka: Kafka, topics: Topics, workers: Workers, registry: EmbeddedRegistry
) -> None:
    outlet = Outlet(registry.url)
    workers.settings["JOURNEY_REGISTRY_URL"] = outlet.url
    worker = workers.start()
    ready(worker)
    with SchemaRegistryClient({"url": registry.url}) as client:
        subject = f"{topics.touchpoints}-value"
        known = int(client.lookup_schema(subject, Schema(schemas.text("touchpoint"), "AVRO")).schema_id or 0)
        # Another producer's version, with a comment more: an id that the worker has not seen.
        other = schemas.text("touchpoint").replace('"doc":', '"note": "of another version", "doc":', 1)
        unseen = int(client.register_schema(subject, Schema(other, "AVRO")))
    assert unseen != known
    written = OutputCodec(PackagedSchemas(), "/tests")
    producer = Producer({"bootstrap.servers": kafka.bootstrap})

    def write(schema_id: int, event_id: str, name: str, partition: int, customer: str) -> None:
        made = written.touchpoint(happened(event_id, name, customer))
        body = (made.value or b"")[len(schemas.prefix_of(known)) :]
        producer.produce(topics.touchpoints, schemas.prefix_of(schema_id) + body, made.key, partition)
        assert producer.flush(30) == 0

    here, there = "c1", "c2"
    mine, other_one = (partition_of(customer) for customer in (here, there))
    assert mine != other_one
    outlet.cut()
    write(known, "1", "Product Added", mine, here)
    until(lambda: processed(worker) == 1, 30, "a known schema goes on", [worker])
    write(unseen, "2", "Order Completed", mine, here)
    until(lambda: worker.total("journey_registry_waits_total") > 0, 30, "the partition waits", [worker])
    write(known, "3", "Product Added", other_one, there)
    until(lambda: processed(worker) == 2, 30, "the other partition goes on", [worker])
    assert worker.get("/readyz")[0] == 200
    outlet.mend()
    until(lambda: processed(worker) == 3, 60, "it goes on by itself", [worker])
    outlet.cut()
    assert worker.said("waits for the schema registry")
    assert worker.said("the schema registry has answered")
    assert worker.total("journey_dead_letters_total") == 0
    kinds = {dict(labels)["kind"] for (name, labels) in worker.metrics() if name == "journey_signals_total"}
    assert "goal_reached" in kinds


def partition_of(customer: str) -> int:
    return partition_for(customer.encode(), 4)


def test_a_drain_in_the_middle_of_a_backlog_ends_what_is_open_and_nothing_is_done_twice(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    # Little may wait, so the backlog is fetched in many pieces.
    workers.settings |= {
        "JOURNEY_BATCH_CHUNK_RECORDS": "50",
        "JOURNEY_BATCH_TRANSACTION_RECORDS": "100",
        "JOURNEY_BATCH_WAITING_RECORDS": "200",
    }
    customers = 500
    names = ("Product Added", "Payment Info Entered", "Order Completed")
    touchpoints = [happened(f"{n}-{i}", name, f"c{n}") for i, name in enumerate(names * 10) for n in range(customers)]
    produce(kafka.bootstrap, topics, touchpoints)
    first = workers.start()
    until(lambda: processed(first) > 500, 60, "it is in the middle", [first], pause=0.02)
    before = first.metrics()
    assert first.end(30) == 0
    in_flight = before["journey_events_in_flight", ()]
    assert in_flight <= 4 * (100 + 50)
    assert not first.said("A transaction was still open")
    done = sum(1 for s in read(kafka.bootstrap, topics.signals, Signal) if s.kind == "goal_reached")
    assert done < customers * 10, "it was not in the middle"
    second = workers.start()

    def goals() -> list[Signal]:
        return [s for s in read(kafka.bootstrap, topics.signals, Signal) if s.kind == "goal_reached"]

    until(lambda: len(goals()) >= customers * 10, 90, "the rest is done", [second], pause=0.5)
    assert second.end(30) == 0
    assert len({s.signal_id for s in goals()}) == len(goals()) == customers * 10


def test_who_can_write_nothing_is_ended_by_the_watchdog_and_goes_on_when_it_can(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    admin = {"bootstrap.servers": kafka.bootstrap}
    workers.settings["JOURNEY_GROUP_STALLED_AFTER"] = "5s"
    worker = workers.start()
    ready(worker)
    set_config(admin, topics.signals, {"max.message.bytes": "100"})
    produce(kafka.bootstrap, topics, [happened("1", "Product Added", "me")])
    assert worker.process.wait(60) == 5
    assert worker.said("stands still at 0")
    assert worker.said("MSG_SIZE_TOO_LARGE")
    set_config(admin, topics.signals, {"max.message.bytes": "1000000"})
    again = workers.start()
    ready(again)
    until(lambda: processed(again) == 1, 60, "it is processed", [again])
    # Its silence may have been noticed already.
    found = [s.kind for s in read(kafka.bootstrap, topics.signals, Signal)]
    assert found.count("stage_entered") == 1


@pytest.mark.parametrize("key", [b"m", b"pme"], ids=["marker", "profile"])
def test_a_state_that_this_version_cannot_read_is_refused(
    kafka: Kafka, topics: Topics, workers: Workers, key: bytes
) -> None:
    worker = workers.start()
    ready(worker)
    assert worker.end() == 0
    partition = partition_of("me")
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    # Eight bytes of a due time, then a format of the future.
    producer.produce(topics.state, (1 << 62).to_bytes(8, "big") + b"\xff and more", key, partition)
    assert producer.flush(30) == 0
    # A profile is read when its customer is heard of.
    produce(kafka.bootstrap, topics, [happened("1", "Product Added", "me")])
    said = workers.refused()
    assert f"{topics.state} partition {partition} holds what this version cannot read" in said
    assert "Run the version that wrote it" in said
