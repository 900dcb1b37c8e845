"""The disk fills up: under the broker, where all state is, and under the worker, which keeps none on its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from streams.contracts.topics import Topics
from streams.tools.embedded import EmbeddedError, EmbeddedKafka
from streams.tools.topics import create_topics
from tests.chaos.disk import Disk, small_disk
from tests.chaos.form import PATIENCE, SEED
from tests.chaos.traffic import Traffic
from tests.chaos.trial import SMALL_TRANSACTIONS, UNHURRIED, WHOLE, Trial
from tests.conftest import Kafka
from tests.support.workers import running, until

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
MEGABYTES: Final = 64
FULL_FOR_S: Final = 30.0
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(600 * PATIENCE)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", MEGABYTES) as mounted:
        yield mounted


@pytest.fixture
def on_disk(disk: Disk) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(disk.path / "kafka", properties={"log.segment.bytes": str(4 << 20)})
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def test_disk_full_under_the_broker(on_disk: EmbeddedKafka, disk: Disk, tmp_path: Path) -> None:
    """The broker is started again by its supervisor for as long as it takes, as in a deployment."""
    topics = Topics(app="test", prefix="full")
    create_topics({"bootstrap.servers": on_disk.bootstrap}, topics, partitions=WHOLE)
    settings = SMALL_TRANSACTIONS | UNHURRIED
    for workers in running(on_disk.bootstrap, topics, tmp_path, definitions=[SHOP], settings=settings):
        traffic = Traffic(on_disk.bootstrap, topics, 20_000, 200, 200, SEED)
        run = Trial("disk full under the broker", on_disk.bootstrap, topics, workers, traffic)
        run.begin()
        run.wait(10)
        disk.fill()
        full = time.monotonic()
        until(lambda: not on_disk.running, 60 * PATIENCE, "the broker has noticed")
        noticed = time.monotonic() - full
        refused = 0
        run.wait(5)  # a gauge is a second behind
        before = committed(run)
        while time.monotonic() - full < FULL_FOR_S:
            if not on_disk.running:
                refused += not started(on_disk)
            run.wait(2)
        assert committed(run) <= before, "commits went on without a disk"
        # The conditions of two alerts: NotReady, and DiskAlmostFull for whoever watches the broker's disk.
        unready = sum(worker.total("journey_ready") == 0 for worker in run.current)
        assert disk.bytes_free() == 0
        disk.free()
        until(lambda: on_disk.running or started(on_disk), 60 * PATIENCE, "the broker starts again")
        run.recover(60)
        run.end_traffic()
        run.settle()
        run.conclude(
            f"{MEGABYTES} MB; the broker ended after {noticed:.1f} s and {refused} starts failed; "
            f"{unready} of 2 workers not ready meanwhile; {len(workers.started)} worker processes"
        )
        assert refused
        assert unready


def started(broker: EmbeddedKafka) -> bool:
    broker.kill()  # lets go of the folder
    try:
        broker.start()
    except (EmbeddedError, OSError):
        return False
    return True


def committed(run: Trial) -> float:
    """What workers have committed; 0 of those that do not answer."""
    return sum(worker.total("journey_committed_offset") for worker in run.current)


def test_disk_full_under_the_worker(kafka: Kafka, topics: Topics, disk: Disk) -> None:
    """Its folder, its temporary files and its log are on a disk that is full from the start of the traffic on."""
    temporary = {"TMPDIR": str(disk.path), "HOME": str(disk.path), "JOURNEY_DATA": str(disk.path / "data")}
    for workers in running(kafka.bootstrap, topics, disk.path, definitions=[SHOP], settings=temporary):
        traffic = Traffic(kafka.bootstrap, topics, 20_000, 200, 800, SEED)
        run = Trial("disk full under the worker", kafka.bootstrap, topics, workers, traffic)
        run.begin(1)
        disk.fill()
        assert disk.bytes_free() == 0
        # Something to say that cannot be written down: the broker is away.
        run.wait(5)
        kafka.kill()
        run.wait(5)
        kafka.start()
        run.end_traffic()
        run.settle()
        run.conclude("its folder, temporary files and log on a full disk, a broker's kill meanwhile: goes on")
        assert disk.bytes_free() == 0
        assert len(workers.started) == 1
