"""Nothing is lost, repeated or changed while workers are killed, stopped and started.
The short form is the one of `make test`; it has the broker killed as well.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.contracts.dead_letter import DeadLetter
from streams.contracts.topics import Topics
from tests.chaos.form import FULL, PATIENCE, SEED
from tests.chaos.poison import LIMIT, poison
from tests.chaos.traffic import Traffic
from tests.chaos.trial import SMALL_TRANSACTIONS, UNHURRIED, Trial
from tests.conftest import Kafka
from tests.support.produce import read
from tests.support.workers import SESSION_S, Workers, running

SHOP = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200 * PATIENCE)]


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=SMALL_TRANSACTIONS | LIMIT)


def trial(name: str, kafka: Kafka, workers: Workers, touchpoints: int, rate: float) -> Trial:
    topics = workers.topics
    traffic = Traffic(kafka.bootstrap, topics, touchpoints, max(20, touchpoints // 100), rate, SEED)
    return Trial(name, kafka.bootstrap, topics, workers, traffic)


def kill_one(run: Trial, random_: random.Random) -> None:
    while not (alive := [worker for worker in run.current if worker.running]):
        run.revive()
    random_.choice(alive).kill()
    run.done.append("kill")


def zombie(run: Trial, random_: random.Random) -> None:
    """Stopped until its partitions are another's, then awake again."""
    run.revive()
    sleeper = random_.choice(run.current)
    sleeper.stop()
    run.wait(SESSION_S * 1.7, but=[sleeper])
    sleeper.go_on()
    run.done.append("zombie")


def test_short_whatever_dies(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    """Four kills (two within a second), a zombie, the broker killed, and one record of a hundred is no touchpoint."""
    run = trial("whatever dies (short)", kafka, workers, 10_000, 600)
    run.traffic.poison, run.traffic.poison_every = poison, 100
    random_ = random.Random(SEED)
    run.begin()
    length = run.traffic.touchpoints / run.traffic.rate
    began = time.monotonic()
    for share, what in ((0.1, kill_one), (0.2, kill_one), (0.3, kill_one), (0.33, kill_one), (0.45, zombie)):
        run.wait(began + share * length - time.monotonic())
        what(run, random_)
    run.wait(began + 0.8 * length - time.monotonic())
    kafka.kill()
    kafka.start()
    run.end_traffic()
    run.settle(quiet=10)
    verdict = run.conclude(**LIMIT)
    letters = read(kafka.bootstrap, topics.dead_letters, DeadLetter)
    assert len({(letter.partition, letter.offset) for letter in letters}) == len(letters) == run.traffic.poisoned
    assert run.done.count("kill") == 4
    assert verdict.late < len(run.traffic.produced)


@pytest.mark.chaos
@pytest.mark.parametrize("commits", ["quick", "slow"])
def test_kill_loop(kafka: Kafka, topics: Topics, workers: Workers, commits: str) -> None:
    """Twenty kills; slow: a batch is gathered for three seconds, so that they land in the middle of one."""
    if commits == "slow":
        workers.settings |= {"JOURNEY_BATCH_LINGER": "3s", "JOURNEY_BATCH_TRANSACTION_RECORDS": "20000"}
    run = trial(f"kill -9 loop, {commits} commits", kafka, workers, 200_000 if commits == "quick" else 100_000, 1_400)
    random_ = random.Random(SEED)
    run.begin()
    length = run.traffic.touchpoints / run.traffic.rate
    began = time.monotonic()
    for moment in sorted(random_.uniform(0.03, 0.95) * length for _ in range(20)):
        run.wait(began + moment - time.monotonic())
        kill_one(run, random_)
    run.recover()
    run.end_traffic()
    run.settle()
    run.conclude(f"2 workers, 20 kills, {run.hidden()} records of aborted transactions hidden from readers")


@pytest.mark.chaos
def test_kill_burst(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    run = trial("burst of 30 kills 0.1-1 s apart", kafka, workers, 40_000, 800)
    random_ = random.Random(SEED)
    run.begin()
    run.wait(5)
    for _ in range(30):
        run.wait(random_.uniform(0.1, 1.0))
        kill_one(run, random_)
    run.recover()
    run.end_traffic()
    run.settle()
    run.conclude(f"2 workers, {len(run.workers.started)} processes, {run.hidden()} records of aborted transactions")


@pytest.mark.chaos
def test_rebalance_storm(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    """Three workers, thirty times one is ended (every second time killed) and started again 1-30 s later."""
    run = trial("rebalance storm", kafka, workers, 100_000, 500)
    run.begin(3)
    cycles: list[str] = []

    def storm(place: int) -> None:
        random_ = random.Random(SEED * 10 + place)
        for cycle in range(10):
            time.sleep(random_.uniform(1, 3))
            run.stopped.add(place)
            worker = run.current[place]
            if cycle % 2:
                worker.kill()
            else:
                worker.end(60 * PATIENCE)
            time.sleep(min(30.0, 10 ** random_.uniform(0, 1.48)))
            run.stopped.discard(place)
            run.current[place] = run.workers.start(place)
            cycles.append("")

    storms = [threading.Thread(target=storm, args=(place,), daemon=True) for place in range(3)]
    for one in storms:
        one.start()
    while any(one.is_alive() for one in storms):
        time.sleep(0.2)
    assert len(cycles) == 30
    run.recover()
    run.end_traffic(early=True)
    run.settle()
    run.conclude(f"3 workers, 30 stops and starts, {run.fenced()} fenced")


@pytest.mark.chaos
def test_zombie(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    """A stopped worker wakes up after its partitions went to another, three times, in the middle of a transaction."""
    workers.settings |= {"JOURNEY_BATCH_LINGER": "1s", **UNHURRIED}
    run = trial("SIGSTOP, awake after the partitions went", kafka, workers, 60_000, 800)
    random_ = random.Random(SEED)
    run.begin()
    for _ in range(3):
        run.wait(4)
        zombie(run, random_)
        run.recover()
    run.end_traffic()
    run.settle()
    run.conclude(f"2 workers, stopped 3 times for {SESSION_S * 1.7:.0f} s, {run.fenced()} fenced")
    assert FULL
