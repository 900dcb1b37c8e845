"""Clocks and order go wrong: shuffled touchpoints, some a day late, producers an hour off, one of 2099, one silence."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Producer

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Signal
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from tests.chaos.form import PATIENCE, SEED
from tests.chaos.traffic import SILENT, Traffic
from tests.chaos.trial import WHOLE, Trial
from tests.chaos.verdict import Verdict, compare, read, trigger_faults
from tests.conftest import Kafka
from tests.support.workers import Workers, running

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
LATENESS: Final = 11 * MINUTE
SHUFFLE: Final = 5 * MINUTE
ABANDONED_AFTER: Final = 6_000
SILENT_PARTITION: Final = 3
YEAR_2099: Final = 4_070_908_800_000
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(600 * PATIENCE)]


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    definition = tmp_path / "patient.journey.yaml"
    text = SHOP.read_text(encoding="utf-8")
    definition.write_text(text.replace("allowed_lateness: 2s", "allowed_lateness: 11m"), encoding="utf-8")
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[definition])


@dataclass(slots=True)
class Disorder(Traffic):
    """What each touchpoint must come to is known when it is made: a goal, once, or nothing because it is too late."""

    goals: set[str] = field(default_factory=set)
    silent: dict[str, int] = field(default_factory=dict)
    """Customer of the silent partition -> when their deadline is due."""
    kinds: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        random_ = random.Random(self.seed)
        codec = OutputCodec(PackagedSchemas(), "/chaos")
        producer = Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"}, logger=SILENT)

        def send(touchpoint: Touchpoint, kind: str) -> None:
            record = codec.touchpoint(touchpoint)
            producer.produce(self.topics.touchpoints, record.value, record.key, headers=record.headers)
            producer.poll(0)
            self.kinds[kind] += 1

        customers = [f"c{n}" for n in range(self.customers)]
        loud = [c for c in customers if partition_for(c.encode(), WHOLE) != SILENT_PARTITION]
        before = int(time.time() * 1000) - 30 * MINUTE
        for customer in (c for c in customers if c not in loud):
            send(
                Touchpoint(f"first-{customer}", "Product Added", before, customer_id=customer, channel="web"), "silent"
            )
            self.silent[customer] = before + ABANDONED_AFTER
        began = time.monotonic()
        for number in range(self.touchpoints):
            if number % 20 == 0:
                time.sleep(max(0.0, began + number / self.rate - time.monotonic()))
            now = int(time.time() * 1000)
            at = now - 2 * SHUFFLE + int(random_.uniform(-1, 1) * SHUFFLE)
            sent_at, kind = None, "shuffled"
            draw = random_.random()
            if draw < 0.005:
                at, kind = at - 23 * HOUR, "late"
            elif draw < 0.01:
                at, kind = at - 25 * HOUR, "too late"
            elif draw < 0.04:
                off = random_.choice((-HOUR, HOUR))
                at, sent_at, kind = at + off, now + off, "skewed"
            elif number == self.touchpoints // 2:
                at, kind = YEAR_2099, "2099"
            name = "Order Completed" if random_.random() < 0.4 else "Product Added"
            made = Touchpoint(
                f"{self.seed}-{number}", name, at, customer_id=random_.choice(loud), channel="web", sent_at=sent_at
            )
            send(made, kind)
            if name == "Order Completed" and kind != "too late":
                self.goals.add(made.event_id)
            if random_.random() < 0.01:
                send(made, "repeated")
        producer.flush(60)


def test_time_disorder(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    traffic = Disorder(kafka.bootstrap, topics, 60_000, 400, 1_000, SEED)
    run = Trial("time disorder", kafka.bootstrap, topics, workers, traffic)
    run.begin()
    run.wait(20)
    run.current[0].kill()
    run.recover()
    run.end_traffic()
    behind = [
        value
        for worker in run.current
        for (name, _), value in worker.metrics().items()
        if name == "journey_watermark_lag_seconds"
    ]
    assert len(behind) == WHOLE
    assert min(behind) >= LATENESS / 1000 - 1, "a touchpoint of 2099 has moved a watermark past its record's time"
    run.settle(quiet=12)

    signals = read(kafka.bootstrap, topics.signals, Signal)
    found = Counter(s.evidence[-1] for s in signals if s.kind == "goal_reached")
    missing = traffic.goals - found.keys()
    extra = found - Counter(traffic.goals)
    ends = Counter((s.customer, s.time) for s in signals if s.kind == "abandonment" and s.customer in traffic.silent)
    undecided = Counter(traffic.silent.items()) - ends
    decided_twice = ends - Counter(traffic.silent.items())
    comparison, late = compare(kafka.bootstrap, topics)
    triggers = trigger_faults(kafka.bootstrap, topics)
    verdict = Verdict(
        len(missing) + undecided.total() + comparison.lost,
        extra.total() + decided_twice.total() + comparison.duplicated + triggers.issued_twice,
        comparison.different + triggers.broken_revisions,
        late,
        f"missing {sorted(missing)[:3]}, extra {list(extra)[:3]}, undecided {list(undecided)[:3]}\n{comparison}",
    )
    kinds = ", ".join(f"{number} {kind}" for kind, number in traffic.kinds.items())
    run.report(verdict, traffic.kinds.total(), f"{kinds}; {late} after a deadline had fired")
    assert traffic.kinds["2099"] == 1
    assert len(traffic.silent) > 10
