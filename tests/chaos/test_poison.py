"""Records that are no touchpoint: one of a thousand, then nothing else for a minute. Each is a dead letter, once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Producer

from streams.contracts.dead_letter import DeadLetter
from streams.contracts.topics import Topics
from streams.settings import load
from streams.worker.definitions_topic import resume
from tests.chaos.form import PATIENCE, SEED
from tests.chaos.poison import LIMIT, poison
from tests.chaos.traffic import SILENT, Traffic
from tests.chaos.trial import WHOLE, Trial
from tests.conftest import Kafka
from tests.support.produce import read
from tests.support.workers import Workers, running, until

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
ALL_POISON_S: Final = 60
RATE: Final = 200
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(600 * PATIENCE)]


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=dict(LIMIT))


def letters(run: Trial) -> list[DeadLetter]:
    found = read(run.bootstrap, run.topics.dead_letters, DeadLetter)
    assert len({(letter.partition, letter.offset) for letter in found}) == len(found), "a dead letter is there twice"
    return found


def test_poison_one_of_a_thousand(kafka: Kafka, workers: Workers) -> None:
    traffic = Traffic(kafka.bootstrap, workers.topics, 60_000, 600, 1_400, SEED, poison=poison, poison_every=1000)
    run = Trial("poison, 0.1 %", kafka.bootstrap, workers.topics, workers, traffic)
    run.begin()
    run.wait(10)
    run.current[0].kill()
    run.recover()
    run.end_traffic()
    run.settle(quiet=12)
    found = letters(run)
    reasons = dict(Counter(letter.reason for letter in found))
    run.conclude(f"{traffic.poisoned} injected, {len(found)} dead letters {reasons}, one kill -9", **LIMIT)
    assert len(found) == traffic.poisoned


def test_poison_all_of_a_minute(kafka: Kafka, workers: Workers) -> None:
    """The limit pauses each partition, over a restart too; whoever runs it looks, and lets it go on, until all is
    through. What is good and stands behind comes out as if nothing had been."""
    topics = workers.topics
    traffic = Traffic(kafka.bootstrap, topics, 6_000, 60, 600, SEED)
    run = Trial("poison, 100 % for a minute", kafka.bootstrap, topics, workers, traffic)
    run.begin()
    run.end_traffic()
    producer = Producer({"bootstrap.servers": kafka.bootstrap}, logger=SILENT)
    began = time.monotonic()
    for number in range(ALL_POISON_S * RATE):
        producer.produce(topics.touchpoints, poison(number), b"k", number % WHOLE)
        if number % 20 == 0:
            producer.flush(30)
            run.wait(max(0.0, began + number / RATE - time.monotonic()))
    assert producer.flush(30) == 0
    traffic.poisoned = ALL_POISON_S * RATE

    def paused() -> set[int]:
        return {
            int(dict(labels)["partition"])
            for worker in run.current
            for (name, labels), value in worker.metrics().items()
            if name == "journey_paused" and value == 1
        }

    until(lambda: len(paused()) == WHOLE, 60 * PATIENCE, "the limit pauses every partition", run.current)
    for worker in run.current:
        worker.kill()
    run.wait(1)
    until(lambda: len(paused()) == WHOLE, 60 * PATIENCE, "they are paused after a restart", run.current)
    names = {"JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap, "JOURNEY_APP": topics.app, "JOURNEY_PREFIX": topics.prefix}
    settings = load(names)
    resumed = 0
    limit = time.monotonic() + 300 * PATIENCE
    # A partition that is paused after its last record believes in no silence: it, too, must be let go on.
    while (lag := run.lag()) is None or lag > 0 or paused():
        assert time.monotonic() < limit, f"{lag} wait, paused {paused()}\n{run.log()}"
        for partition in paused():
            resume(settings, topics, partition)
            resumed += 1
        run.wait(2)
    run.settle(quiet=12)
    found = letters(run)
    run.conclude(
        f"{traffic.poisoned} injected, {len(found)} dead letters; all {WHOLE} partitions paused, over a kill -9 too; "
        f"resumed {resumed} times",
        **LIMIT,
    )
    assert len(found) == traffic.poisoned
