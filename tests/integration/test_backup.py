"""``journey backup`` and ``restore`` on a real broker: all topics gone and brought back, and nothing is different."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.outputs import Signal
from streams.contracts.topics import Topics
from streams.settings import load
from streams.tools.backup.archive import MANIFEST
from streams.tools.backup.places import Placer
from streams.tools.replay.log import LogRecord
from streams.tools.replay.log import read as log_read
from streams.tools.topics import delete_topics
from tests.support.produce import happened, produce, produce_bytes, produce_in_transactions, read, records
from tests.support.workers import Workers, ready, running, until

pytestmark = pytest.mark.integration

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
SILENT: Final = logging.getLogger("tests.silent")


@pytest.fixture
def workers(kafka: Any, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP])


def stood(kafka: Any, topic: str) -> list[tuple[Any, ...]]:
    """Every record with its place and its time."""
    found = sorted(records(kafka.bootstrap, topic), key=lambda m: (m.partition(), m.offset()))
    return [(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers()) for m in found]


@pytest.mark.timeout(180)
def test_all_topics_are_lost_and_come_back_from_a_backup(
    kafka: Any, topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    environment = {
        "JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "JOURNEY_PREFIX": topics.prefix,
        "JOURNEY_APP": topics.app,
        "JOURNEY_GROUP_SESSION_TIMEOUT": "6s",
        "JOURNEY_GROUP_HEARTBEAT": "1s",
    }
    folder = tmp_path / "backup"

    def journey(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), env=environment)
        assert result.exit_code == status, (result.output, result.exception)
        return result.output

    worker = workers.start()
    ready(worker)
    who = [f"c{n}" for n in range(20)]
    produce(kafka.bootstrap, topics, [happened(f"{name}/1", "Product Added", name) for name in who])
    # Holes in the log: ends of transactions, and one that was aborted.
    produce_in_transactions(
        kafka.bootstrap,
        topics,
        [
            ([happened(f"{name}/2", "Payment Failed", name) for name in who], True),
            ([happened(f"{name}/x", "Order Completed", name) for name in who], False),
            ([happened(f"{name}/3", "Payment Failed", name) for name in who], True),
        ],
    )
    produce_bytes(kafka.bootstrap, topics.touchpoints, [b"no touchpoint"], 1)
    until(lambda: worker.total("journey_events_processed_total") >= 60, 30, "all is processed", [worker])
    assert "stop them first" in journey("backup", str(folder), status=1)
    assert worker.end() == 0
    found = journey("backup", str(folder))
    assert f"{topics.touchpoints}: 61 records in 4 partitions" in found
    assert "is not empty" in journey("backup", str(folder), status=1)
    before = stood(kafka, topics.touchpoints)
    assert "is not empty: a backup goes into topics that are not there" in journey("restore", str(folder), status=1)

    delete_topics({"bootstrap.servers": kafka.bootstrap}, topics)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap}, logger=SILENT)
    until(lambda: topics.state not in admin.list_topics(timeout=10).topics, 30, "the topics are gone")
    journey("restore", str(folder))
    assert stood(kafka, topics.touchpoints) == before
    assert "All topics are as they should be." in journey("topics", "check")
    journey("replay", "--from-kafka", "--compare")

    worker = workers.start()
    ready(worker)
    produce(kafka.bootstrap, topics, [happened(f"{name}/4", "Order Completed", name) for name in who[:10]])
    until(lambda: worker.total("journey_events_processed_total") >= 10, 30, "it goes on", [worker])
    assert worker.end() == 0
    goals = [s.customer for s in read(kafka.bootstrap, topics.signals, Signal) if s.kind == "goal_reached"]
    assert sorted(goals) == sorted(who[:10])
    journey("replay", "--from-kafka", "--compare")

    # What was changed or is incomplete is no backup.
    (file,) = folder.glob(f"{topics.signals}-0.gz")
    file.write_bytes(file.read_bytes()[:-1])
    assert "is not what was written" in journey("restore", str(folder), status=1)
    (folder / MANIFEST).unlink()
    assert "is no backup, or one that was not finished" in journey("restore", str(folder), status=1)


@pytest.mark.parametrize(
    ("offsets", "end"),
    [([0, 1, 2], 3), ([0, 2, 3, 7], 8), ([5, 6, 9], 12), ([1], 2), ([0], 2), ([3, 6], 30), ([], 4), ([], 0)],
)
def test_records_get_the_offsets_that_they_had(
    kafka: Any, topics: Topics, offsets: list[int], end: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.tools.backup.places.TOGETHER", 4)  # so that a large hole takes several transactions
    settings = load({"JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap, "JOURNEY_PREFIX": topics.prefix})
    wanted = [LogRecord(n, 1_700_000_000_000 + n, b"k", b"%d" % n, [("h", b"v")]) for n in offsets]
    Placer(settings).place(topics.signals, 2, wanted, end)
    found = list(log_read(settings, topics.signals, 2))
    assert [(r.offset, r.timestamp, r.key, r.value) for r in found] == [
        (r.offset, r.timestamp, r.key, r.value) for r in wanted
    ]
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap}, logger=SILENT)
    assert last(admin, topics.signals) == end


def last(admin: AdminClient, topic: str) -> int:
    place = TopicPartition(topic, 2)
    return int(admin.list_offsets({place: OffsetSpec.latest()})[place].result().offset)
