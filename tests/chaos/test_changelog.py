"""State is read back: of a million customers, compacted, and not at all where somebody has emptied its topic."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from streams.contracts.output_codec import OutputCodec
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.tools.embedded import EmbeddedKafka
from streams.tools.topics import set_config
from tests.chaos import results
from tests.chaos.form import FULL, PATIENCE, SEED
from tests.chaos.traffic import SILENT, Traffic
from tests.chaos.trial import SMALL_TRANSACTIONS, UNHURRIED, WHOLE, Trial, record_count
from tests.chaos.verdict import judge
from tests.conftest import Kafka
from tests.integration.test_worker import make_anew
from tests.support.produce import happened, records
from tests.support.workers import Worker, Workers, ready, running, until

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
CUSTOMERS: Final = 1_000_000
SAMPLE: Final = 5_000
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(1200 * PATIENCE)]


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    # A deadline that nobody meets: what is waited for is the state.
    definition = tmp_path / "slow.journey.yaml"
    definition.write_text(SHOP.read_text(encoding="utf-8").replace("after: 6s", "after: 10d"), encoding="utf-8")
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[definition])


def test_restore_of_a_million_customers(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    """Killed at the end; another one, with nothing on its disk, reads it all and knows every customer's stage."""
    first = workers.start()
    ready(first, within=90 * PATIENCE)
    began = time.monotonic()
    send(kafka, topics, range(CUSTOMERS), "Product Added")

    def all_taken() -> bool:
        return first.total("journey_events_processed_total") >= CUSTOMERS

    until(all_taken, 600 * PATIENCE, "a million customers", [first], pause=2)
    until(lambda: entries(first) == CUSTOMERS, 60, "a million profiles", [first])
    filled = time.monotonic() - began
    first.kill()
    began = time.monotonic()
    second = workers.start(1)
    ready(second, within=180 * PATIENCE)
    # A gauge is a second behind readiness.
    until(lambda: entries(second) == CUSTOMERS, 60 * PATIENCE, "every profile is held again", [second])
    restored = time.monotonic() - began
    step = CUSTOMERS // SAMPLE
    send(kafka, topics, range(0, CUSTOMERS, step), "Payment Info Entered")
    until(lambda: second.total("journey_events_processed_total") >= SAMPLE, 60 * PATIENCE, "the sample", [second])
    assert second.end(60 * PATIENCE) == 0
    kinds = signals_told(kafka.bootstrap, topics.signals)
    wanted = Counter({"stage_entered": CUSTOMERS + SAMPLE, "stage_left": SAMPLE})
    lost, extra = (wanted - kinds).total(), (kinds - wanted).total()
    row = results.Row(
        "restore of a million customers", CUSTOMERS + SAMPLE, lost, extra, 0, round(restored, 1),
        f"filled in {filled:.0f} s; kill -9, a new worker with an empty disk is ready; {SAMPLE} go on from their stage",
    )  # fmt: skip
    results.keep(row, FULL)
    assert (lost, extra) == (0, 0), kinds


def send(kafka: Kafka, topics: Topics, customers: range, name: str) -> None:
    codec = OutputCodec(PackagedSchemas(), "/chaos")
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 2_000_000,
        },
        logger=SILENT,
    )
    for number in customers:
        record = codec.touchpoint(happened(f"{name}-{number}", name, f"customer-{number}"))
        producer.produce(topics.touchpoints, record.value, record.key)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(300) == 0


def entries(worker: Worker) -> float:
    return worker.total("journey_state_entries")


def signals_told(bootstrap: str, topic: str) -> Counter[str]:
    """Kinds of the signals, from their headers: decoding a million bodies would take longer than the restore."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "count",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        },
        logger=SILENT,
    )
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(WHOLE)])
    found: Counter[str] = Counter()
    ended: set[int] = set()
    limit = time.monotonic() + 120 * PATIENCE
    try:
        while len(ended) < WHOLE:
            assert time.monotonic() < limit, f"{topic} was not read to its end"
            for message in consumer.consume(10_000, 0.5):
                read: Any = message
                if read.error() is None:
                    found[dict(read.headers())["ce_type"].decode().rpartition(".")[2]] += 1
                elif read.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(read.partition())
    finally:
        consumer.close()
    return found


def test_changelog_compacted_then_emptied(kafka: EmbeddedKafka, topics: Topics, tmp_path: Path) -> None:
    """Compacted under a running deployment, restored after a kill of all, then made empty: that is refused."""
    admin = {"bootstrap.servers": kafka.bootstrap}
    quick = {"segment.bytes": str(1 << 20), "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
    set_config(admin, topics.state, {**quick, "delete.retention.ms": "100"})
    for workers in running(
        kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=SMALL_TRANSACTIONS | UNHURRIED
    ):
        traffic = Traffic(kafka.bootstrap, topics, 80_000, 300, 1_000, SEED)
        run = Trial("changelog compacted, then emptied", kafka.bootstrap, topics, workers, traffic)
        run.begin()
        run.wait(40)
        until(
            lambda: held(kafka, topics) < record_count(kafka.bootstrap, topics.state) / 3, 60 * PATIENCE, "compaction"
        )
        for worker in run.current:
            worker.kill()
        offsets, left = record_count(kafka.bootstrap, topics.state), held(kafka, topics)
        run.recover()
        run.end_traffic()
        run.settle()
        verdict = judge(kafka.bootstrap, topics, traffic.produced)
        make_anew(kafka, topics.state, WHOLE)
        said = workers.refused(within=90 * PATIENCE)
        assert "holds no marker" in said
        injected = len(traffic.produced)
        run.report(verdict, injected, f"restored from {left} records of {offsets} offsets; emptied: refused, exit 78")


def held(kafka: Kafka, topics: Topics) -> int:
    return len(records(kafka.bootstrap, topics.state))
