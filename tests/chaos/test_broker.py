"""The broker goes and comes: restarts in order and by kill -9, and ten minutes without it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from streams.contracts.topics import Topics
from tests.chaos.form import PATIENCE, SEED
from tests.chaos.traffic import Traffic
from tests.chaos.trial import SMALL_TRANSACTIONS, UNHURRIED, Trial
from tests.conftest import Kafka
from tests.support.workers import Workers, running

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
BOUNCES: Final = ("restart", "kill") * 5
APART_S: Final = 15.0
AWAY_S: Final = 600.0
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(1500 * PATIENCE)]


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=SMALL_TRANSACTIONS | UNHURRIED)


def trial(name: str, kafka: Kafka, workers: Workers, rate: float) -> Trial:
    traffic = Traffic(kafka.bootstrap, workers.topics, 1_000_000, 2_000, rate, SEED)
    return Trial(name, kafka.bootstrap, workers.topics, workers, traffic)


def test_broker_bounce(kafka: Kafka, workers: Workers) -> None:
    run = trial("broker bounce", kafka, workers, 500)
    run.begin()
    took = []
    for how in BOUNCES:
        run.wait(APART_S)
        if how == "restart":
            kafka.restart()
        else:
            kafka.kill()
            kafka.start()
        took.append(run.recover(60))
    run.end_traffic(early=True)
    run.settle()
    processes = len(run.workers.started)
    run.conclude(f"5 restarts and 5 kill -9, {APART_S:.0f} s after each recovery; 2 workers, {processes} processes")


def test_ten_minutes_without_a_broker(kafka: Kafka, workers: Workers) -> None:
    """Nobody starts anything by hand: whoever ended meanwhile, a supervisor starts again, as in a deployment."""
    run = trial("ten minutes without a broker", kafka, workers, 200)
    run.begin()
    run.wait(10)
    kafka.kill()
    gone = time.monotonic()
    run.wait(AWAY_S)
    away = time.monotonic() - gone
    same = [worker for worker in run.current if worker in run.workers.started[:2] and worker.running]
    kafka.start()
    run.recover(120)
    run.wait(5)
    run.end_traffic(early=True)
    run.settle()
    run.conclude(f"{away:.0f} s; of 2 worker processes {len(same)} outlived it, {len(run.workers.started)} in all")
