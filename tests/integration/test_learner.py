"""Learner and workers as processes on a real broker: labels are learned, models adopted, nothing is learned twice.

The long form of the kills runs with ``make proof``.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Example, JournalLine, Model, Signal
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files
from streams.definitions.model import Definition
from streams.learner import snapshots
from streams.learner.process import chunks
from streams.learner.school import School
from streams.settings import Settings, load
from streams.worker import marker as markers
from streams.worker.definitions_topic import publish
from streams.worker.metric_catalogue import side
from streams.worker.processing import version_of
from tests.chaos.verdict import compare
from tests.conftest import Kafka
from tests.support.produce import happened, labels, now_ms, produce, read, records, write
from tests.support.workers import KEY, SESSION_S, Worker, Workers, ready, running, until

pytestmark = pytest.mark.integration

CHURN: Final = Path(__file__).parents[1] / "support" / "churn.journey.yaml"
RISK: Final = "churn"
_codec = OutputCodec(PackagedSchemas(), "/tests")
_reader = OutputReader(PackagedSchemas())


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    settings = {
        "JOURNEY_LEARNER_KEY": KEY,
        "JOURNEY_LEARNER_LINGER": "200ms",
        # Time moves with the touchpoints alone: theirs is an hour old.
        "JOURNEY_IDLE_AFTER": "10m",
    }
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[CHURN], settings=settings)


class Shop:
    """Customers in event time: those with an even number buy often, the others look and leave."""

    def __init__(self, customers: int = 60, seed: int = 5) -> None:
        self.random = random.Random(seed)
        self.customers = customers
        self.now = now_ms() - 3_600_000
        self.number = 0

    def next(self, touchpoints: int) -> list[Touchpoint]:
        found = []
        for _ in range(touchpoints):
            self.now += 50
            self.number += 1
            who = self.random.randrange(self.customers)
            bought = self.random.random() < (0.02 if who % 2 else 0.3)
            name = "Order Completed" if bought else "Product Viewed"
            found.append(happened(f"e{self.number}", name, f"c{who}", self.now))
        return found


def taught(examples: list[Example], definition: Definition) -> tuple[list[Model], School]:
    """An uninterrupted pass over the examples, in this process."""
    school = School(KEY.encode())
    school.adopt(definition)
    return [model for example in examples for model in school.learn(example)], school


def examples_of(bootstrap: str, topics: Topics) -> list[Example]:
    return [_reader.read(Example, m.value()) for m in records(bootstrap, topics.examples, partitions=1)]


def models_of(bootstrap: str, topics: Topics) -> dict[bytes, bytes]:
    return {m.key(): m.value() for m in records(bootstrap, topics.models, partitions=1)}


def versions(worker: Worker) -> list[float]:
    return [value for (name, _), value in worker.metrics().items() if name == "journey_model_version"]


def refused(worker: Worker) -> dict[str, float]:
    return {
        dict(labels)["reason"]: value
        for (name, labels), value in worker.metrics().items()
        if name == "journey_models_refused_total"
    }


def forgeries(newest: Model) -> list[tuple[bytes | None, bytes | None]]:
    """Snapshots with higher versions than any, none of which may be used."""

    def record(version: int, sign: bool = False, **changed: Any) -> tuple[bytes | None, bytes | None]:
        made = msgspec.structs.replace(newest, version=version, **changed)
        encoded = _codec.model(snapshots.signed(made, KEY.encode()) if sign else made)
        return encoded.key, encoded.value

    whole = record(9_000, sign=True)
    return [
        record(9_001, weights=[99.0 for _ in newest.weights]),
        record(9_002, mac=None),
        record(9_003, sign=True, form="riverbed"),
        (b"churn@9004", whole[1]),
        (whole[0], (whole[1] or b"")[:-40]),
        record(9_005, sign=True, signature="another definition's"),
    ]


@pytest.mark.timeout(240)
def test_labels_mature_models_are_learned_and_adopted_and_a_replay_finds_the_same(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    worker, learner = workers.start(), workers.learner()
    ready(worker, learner)
    shop = Shop()
    produce(kafka.bootstrap, topics, shop.next(3_000))
    until(lambda: worker.total("journey_events_processed_total") == 3_000, 60, "all is processed", [worker, learner])
    matured = worker.total("journey_examples_total")
    assert matured > 400
    until(lambda: learner.total("journey_examples_learned_total") == matured, 60, "all is learned", [worker, learner])
    published = models_of(kafka.bootstrap, topics)
    assert len(published) >= 4
    until(lambda: versions(worker) == [float(len(published))] * 4, 30, "the newest is adopted by all", [worker])
    assert worker.total("journey_labels_waiting") > 0
    assert worker.total("journey_churn_score_count") > matured

    newest = _reader.read(Model, published[f"{RISK}@{len(published)}".encode()])
    write(kafka.bootstrap, topics.models, forgeries(newest))
    wanted = {"tampered": 1.0, "unsigned": 1.0, "newer": 1.0, "malformed": 2.0, "other_definition": 1.0}
    until(lambda: refused(worker) == wanted, 30, "what must not be used is refused and counted", [worker])
    produce(kafka.bootstrap, topics, shop.next(600))
    until(lambda: worker.total("journey_events_processed_total") == 3_600, 30, "the worker goes on", [worker])
    assert set(versions(worker)) <= {float(version) for version in range(len(published), 100)}
    made_by = {s.model for s in read(kafka.bootstrap, topics.signals, Signal) if s.kind == "churn_risk" and s.band}
    assert {"prior", newest.name + f"@{newest.version}"} <= made_by

    worker.kill()
    lines = [line for line in read(kafka.bootstrap, topics.journal, JournalLine) if line.kind == "model"]
    least = min(version_of(line.value["model"]) for line in lines[-4:])
    again = workers.start()
    ready(again)
    until(lambda: min(versions(again), default=0) >= least, 30, "it goes on with the models of its state", [again])
    produce(kafka.bootstrap, topics, shop.next(600))
    until(lambda: again.total("journey_events_processed_total") >= 600, 30, "the restarted worker goes on", [again])
    total = len(examples_of(kafka.bootstrap, topics))
    until(lambda: learner.total("journey_examples_learned_total") == total, 60, "all is learned", [again, learner])
    assert learner.metrics()["journey_model_auc", (("model", "logistic"), ("risk", RISK))] > 0.55
    assert learner.names() == {metric.full_name: metric.kind for metric in side("worker", "learner")}
    assert (again.end(), learner.end()) == (0, 0)

    examples = examples_of(kafka.bootstrap, topics)
    assert len({e.example_id for e in examples}) == len(examples)
    assert {e.label for e in examples} == {True, False}
    made, _ = taught(examples, load_files([CHURN], 1))
    assert {k: v for k, v in models_of(kafka.bootstrap, topics).items() if int(k.rpartition(b"@")[2]) < 9_000} == {
        (e := _codec.model(model)).key: e.value for model in made
    }
    verdict, _ = compare(kafka.bootstrap, topics, JOURNEY_LEARNER_KEY=KEY)
    assert verdict.equal, str(verdict)


@dataclass(frozen=True, slots=True)
class Form:
    examples: int
    kills: int
    """Of the learner that learns, each followed by a new start under the same name,"""
    takeovers: int
    """of which so many are left to the one that stands by,"""
    zombies: int
    """and so many are only stopped for longer than a session."""
    seed: int


SHORT = Form(examples=900, kills=2, takeovers=1, zombies=0, seed=3)
LONG = Form(examples=12_000, kills=14, takeovers=3, zombies=2, seed=int(os.environ.get("JOURNEY_TEST_SEED", "7")))
FORM = LONG if os.environ.get("JOURNEY_TEST_PROOF") == "long" else SHORT


@pytest.mark.proof
@pytest.mark.timeout(1_800)
def test_whatever_happens_to_learners_the_models_are_those_of_an_uninterrupted_pass(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    settings: Settings = load(
        {"JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap, "JOURNEY_APP": topics.app, "JOURNEY_PREFIX": topics.prefix}
    )
    definition = load_files([CHURN])
    assert publish(settings, topics, definition)[:2] == (1, True)
    definition = load_files([CHURN], 1)
    draw = random.Random(FORM.seed)
    current = [workers.learner(0), workers.learner(1)]
    ready(*current)
    steps = ["kill"] * (FORM.kills - FORM.takeovers) + ["takeover"] * FORM.takeovers + ["zombie"] * FORM.zombies
    draw.shuffle(steps)
    waiting = labels(definition.risks[0], FORM.examples, FORM.seed)
    slice_ = len(waiting) // (len(steps) + 1)

    def active() -> int:
        """Which of the two learns."""
        found = [i for i, one in enumerate(current) if one.total("journey_assigned_partitions") == 1]
        return found[0] if found else -1

    def learned() -> int:
        return sum(
            markers.decode(m.value()).offset + 1 if m.key() == markers.KEY else 0
            for m in records(kafka.bootstrap, topics.learner_state, partitions=1)[-1:]
        )

    for step in steps:
        until(lambda: active() >= 0, 60, "one of them learns", current)
        write(kafka.bootstrap, topics.examples, waiting[:slice_])
        del waiting[:slice_]
        place = active()
        time.sleep(draw.uniform(0.0, 0.6))
        if step == "zombie":
            current[place].stop()
            time.sleep(SESSION_S * 1.7)
            current[place].go_on()
            continue
        current[place].kill()
        if step == "takeover":
            until(lambda place=place: active() == 1 - place, 60, "the other takes over", [current[1 - place]])  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        current[place] = workers.learner(place)
    write(kafka.bootstrap, topics.examples, waiting)
    until(lambda: learned() >= FORM.examples, 90, "all is learned", current, pause=0.5)
    assert [one.end() for one in current] == [0, 0]

    examples = examples_of(kafka.bootstrap, topics)
    assert len(examples) == FORM.examples
    made, school = taught(examples, definition)
    assert len(made) >= 8
    published = records(kafka.bootstrap, topics.models, partitions=1)
    assert [(m.key(), m.value()) for m in published] == [((e := _codec.model(m)).key, e.value) for m in made]
    state: dict[bytes, bytes] = {}
    for message in records(kafka.bootstrap, topics.learner_state, partitions=1):
        state[message.key()] = message.value()
    assert chunks.joined(state) == school.dump()

    other = {"JOURNEY_LEARNER_KEY": KEY[::-1]}
    assert "signed with another key" in workers.refused(more=other, command="learn")
    del workers.settings["JOURNEY_LEARNER_KEY"]
    assert "JOURNEY_LEARNER_KEY is not set" in workers.refused(command="learn")
    if FORM is LONG:
        anew = workers.learner(0, "--accept-loss", more=other)
        ready(anew)
        write(kafka.bootstrap, topics.examples, labels(definition.risks[0], 100, seed=1_000))
        until(lambda: learned() == FORM.examples + 100, 30, "it learns anew", [anew])
        assert anew.end() == 0
        published = records(kafka.bootstrap, topics.models, partitions=1)
        assert [int(m.key().rpartition(b"@")[2]) for m in published] == list(range(1, len(made) + 2))
        again = workers.learner(0, more=other)
        ready(again)
        assert again.end() == 0
