"""Exactly once, shown: kill -9, a zombie, brokers that restart; outputs equal a replay and an independent count.

A short form runs with all tests; ``make proof`` runs the long one: 200,000 touchpoints, 12 kills.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.contracts.topics import Topics
from tests.conftest import Kafka
from tests.integration.chaos.traffic import Traffic, expected
from tests.integration.chaos.verdict import compare, signal_counts, trigger_faults
from tests.support.produce import records
from tests.support.workers import SESSION_S, Worker, Workers, ready, running, tail

SHOP = Path(__file__).parents[2] / "support" / "shop.journey.yaml"
SETTLED_S = 90.0


@dataclass(frozen=True, slots=True)
class Form:
    touchpoints: int
    rate: float
    kills: int
    seed: int
    broker: tuple[str, ...]


SHORT = Form(touchpoints=10_000, rate=600, kills=4, seed=11, broker=("kill",))
LONG = Form(
    touchpoints=200_000,
    rate=1_400,
    kills=12,
    seed=int(os.environ.get("JOURNEY_TEST_SEED", "7")),
    broker=("restart", "kill"),
)
FORM = LONG if os.environ.get("JOURNEY_TEST_PROOF") == "long" else SHORT


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    # Small transactions: more of them are open when a kill comes.
    settings = {"JOURNEY_BATCH_CHUNK_RECORDS": "100", "JOURNEY_BATCH_TRANSACTION_RECORDS": "400"}
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=settings)


class Chaos:
    """Does what the plan says while the traffic runs; a worker that is gone is started again after a second."""

    def __init__(self, kafka: Kafka, workers: Workers, form: Form) -> None:
        self.kafka, self.workers, self.form = kafka, workers, form
        self.current: list[Worker] = []
        self.done: list[str] = []
        self.random = random.Random(form.seed)

    def plan(self) -> list[tuple[float, str]]:
        """(second, what): kills at random moments, two of them within a second, one zombie, the broker."""
        length = self.form.touchpoints / self.form.rate
        single = self.form.kills - 2
        moments = [(self.random.uniform(0.05, 0.95) * length, "kill") for _ in range(single)]
        moments.append((0.3 * length, "pair"))
        moments.append((0.45 * length, "zombie"))
        moments += [((0.7 + 0.2 * i) * length, f"broker {how}") for i, how in enumerate(self.form.broker)]
        return sorted(moments)

    def run(self, traffic: threading.Thread) -> None:
        began = time.monotonic()
        for second, what in self.plan():
            while time.monotonic() - began < second and traffic.is_alive():
                self.revive()
                time.sleep(0.05)
            self.do(what)
        while traffic.is_alive():
            self.revive()
            time.sleep(0.1)

    def do(self, what: str) -> None:
        self.done.append(what)
        if what == "kill":
            while not (alive := [worker for worker in self.current if worker.running]):
                self.revive()
            self.random.choice(alive).kill()
        elif what == "pair":
            self.revive()
            for worker in self.current:
                worker.kill()
                time.sleep(0.4)
        elif what == "zombie":
            self.revive()
            zombie = self.random.choice(self.current)
            zombie.stop()
            until = time.monotonic() + SESSION_S * 1.7
            while time.monotonic() < until:
                self.revive(zombie)
                time.sleep(0.1)
            zombie.go_on()
        elif what == "broker restart":
            self.kafka.restart()
        else:
            self.kafka.kill()
            self.kafka.start()

    def revive(self, stopped: Worker | None = None) -> None:
        for place, worker in enumerate(self.current):
            if worker is not stopped and not worker.running:
                self.current[place] = self.workers.start(worker.index)


@pytest.mark.integration
@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_outputs_are_those_of_a_replay_and_of_the_oracle_whatever_dies(
    kafka: Kafka, topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    chaos = Chaos(kafka, workers, FORM)
    chaos.current = [workers.start(0), workers.start(1)]
    ready(*chaos.current)
    traffic = Traffic(kafka.bootstrap, topics, FORM.touchpoints, max(20, FORM.touchpoints // 100), FORM.rate, FORM.seed)
    thread = threading.Thread(target=traffic.run, daemon=True)
    thread.start()
    try:
        chaos.run(thread)
    finally:
        traffic.stopped.set()
        thread.join()
    assert not traffic.failed, traffic.failed[:3]
    wanted = expected(traffic.produced)

    # Silence decides the last deadlines: the idle clock of every partition, after whatever was killed last.
    limit = time.monotonic() + SETTLED_S
    while (found := signal_counts(kafka.bootstrap, topics)) != wanted and time.monotonic() < limit:
        chaos.revive()
        time.sleep(1.0)
    statuses = {worker.index: worker.end() for worker in chaos.current}
    assert set(statuses.values()) == {0}, statuses

    verdict, late = compare(kafka.bootstrap, topics)
    triggers = trigger_faults(kafka.bootstrap, topics)
    hidden = sum(
        len(records(kafka.bootstrap, topic, "read_uncommitted")) - len(records(kafka.bootstrap, topic))
        for topic in (topics.signals, topics.state)
    )
    fenced = sum(worker.said("was taken over by another producer") for worker in workers.started)
    summary = (
        f"{FORM.touchpoints} touchpoints, seed {FORM.seed}: {', '.join(chaos.done)}; {len(workers.started)} worker "
        f"processes, {fenced} of them fenced, {hidden} records of aborted transactions hidden from readers; "
        f"the slowest touchpoint took {traffic.longest_delay_ms} ms to its place in the log, {late} were late\n"
        f"{dict(found)}\n{triggers}\n{verdict}"
    )
    (tmp_path / "proof.txt").write_text(summary)
    print("\n" + summary)  # noqa: T201 - `make proof` shows it
    assert verdict.equal, str(verdict)
    log = "\n".join(tail(worker, 8) for worker in workers.started)
    differences = {k: (found[k], wanted[k]) for k in found | wanted if found[k] != wanted[k]}
    assert found == wanted, f"{differences}, {late} touchpoints late\n{log}"
    assert (triggers.issued_twice, triggers.broken_revisions) == (0, 0)
    assert triggers.issued > 0
    assert chaos.done.count("kill") + 2 * chaos.done.count("pair") == FORM.kills
