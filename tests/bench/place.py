"""Where a benchmark happens: names, sizes and addresses, passed to every contender by its environment.

Owns those names and the input: touchpoints of the simulator, written once and read by all contenders.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Model
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.definitions.model import Definition
from streams.settings import KafkaSettings, Settings
from streams.tools.simulator import generate
from streams.tools.simulator.sinks import TopicSink
from streams.tools.topics import create_topics

PARTITIONS: Final = 4
SEED: Final = 7
CHUNK: Final = 500
"""Touchpoints in one call of the engine, as in the worker."""
TRANSACTION: Final = 4_000
"""Touchpoints in one transaction at most, as in the worker."""
PAYMENT: Final = Path(__file__).parent / "payment.journey.yaml"


@dataclass(frozen=True)
class Place:
    """What a contender needs to know."""

    bootstrap: str
    touchpoints: int
    run: str
    """Name of this contender's run: consumer group, application, own topics."""
    prefix: str = "bench"
    """First part of the topics' names: contenders with the same one read the same touchpoints."""

    @classmethod
    def given(cls) -> Place:
        """As the parent has passed it."""
        given = os.environ
        touchpoints = int(given["BENCH_TOUCHPOINTS"])
        return cls(given["BENCH_BOOTSTRAP"], touchpoints, given["BENCH_RUN"], given["BENCH_PREFIX"])

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "BENCH_BOOTSTRAP": self.bootstrap,
            "BENCH_TOUCHPOINTS": str(self.touchpoints),
            "BENCH_RUN": self.run,
            "BENCH_PREFIX": self.prefix,
            # What the worker reads.
            "JOURNEY_KAFKA_BOOTSTRAP": self.bootstrap,
            "JOURNEY_PREFIX": self.prefix,
            "JOURNEY_APP": self.run,
            "JOURNEY_INSTANCE": self.run,
            "JOURNEY_HTTP_PORT": "0",
            "JOURNEY_LOG_LEVEL": "WARNING",
            "JOURNEY_START_ISSUING": "beginning",
            # A partition that has come to its end must not go on to the wall clock's time, months later, and fire
            # every open deadline while the others are still measured.
            "JOURNEY_IDLE_AFTER": "1h",
        }

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(bootstrap=self.bootstrap)

    @property
    def settings(self) -> Settings:
        """As ``environment`` gives them to the worker, as far as readers need them."""
        return Settings(app=self.run, prefix=self.prefix, kafka=self.kafka)

    @property
    def admin(self) -> dict[str, str]:
        return {"bootstrap.servers": self.bootstrap}

    @property
    def topics(self) -> Topics:
        return Topics(app=self.run, prefix=self.prefix)

    def create(self) -> None:
        create_topics(self.admin, self.topics, partitions=PARTITIONS)


def models(definition: Definition) -> list[Model]:
    """A linear model of each risk, with numbers of no meaning: what scoring costs does not depend on them."""
    draw = random.Random(SEED)
    return [
        Model(
            risk.name,
            1,
            risk.signature,
            "linear",
            "logistic",
            list(risk.features),
            weights=[draw.gauss(0.0, 0.5) for _ in risk.features],
            means=[draw.random() for _ in risk.features],
            scales=[1.0 + draw.random() for _ in risk.features],
        )
        for risk in definition.risks
    ]


def write_models(place: Place, definition: Definition) -> None:
    """As a learner would have published them, so that workers score with a model from the beginning."""
    codec = OutputCodec(PackagedSchemas(), "/journey-streams/bench")
    producer = Producer(place.admin)
    for model in models(definition):
        made = codec.model(model)
        producer.produce(place.topics.models, made.value, made.key)
    producer.flush(30)


def write_input(place: Place, customers: int) -> None:
    """The touchpoints that all contenders read, as `journey simulate --to-kafka` would write them."""
    codec = OutputCodec(PackagedSchemas(), "/journey-streams/simulator")
    sink = TopicSink(place.kafka.librdkafka(), place.topics.touchpoints, codec)
    for touchpoint in generate(SEED, customers, place.touchpoints):
        sink.write(touchpoint)
    sink.flush()
