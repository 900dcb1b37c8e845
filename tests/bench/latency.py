"""From ``produce`` of a touchpoint to its trigger in the hands of a read_committed consumer, at a steady rate.

The worker is `journey run` as it is shipped, in another process; this one is the app that produces and the system that
acts. Only triggers whose last touchpoint was produced here count: those of a timer come when the timer is due.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Trigger
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import Touchpoint
from streams.tools.simulator import generate
from tests.bench.meter import cpu_of, tell
from tests.bench.place import PARTITIONS, SEED, Place

WARM_S: Final = 5.0
BEAT_S: Final = 0.005
CUSTOMERS: Final = 20_000
PROBE: Final = 100


def percentile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def with_probes(touchpoints: Iterator[Touchpoint], most: int) -> Iterator[Touchpoint]:
    """The simulator's, and every hundredth one a payment that fails for the second time: a trigger at once."""
    for n, touchpoint in enumerate(islice(touchpoints, most)):
        if n % PROBE in (0, 1):
            yield Touchpoint(
                event_id=f"probe-{n}",
                type="Payment Failed",
                occurred_at=0,
                customer_id=f"probe-{n // PROBE}",
                channel="web",
            )
        else:
            yield touchpoint


class Listener(threading.Thread):
    """Reads triggers and notes when each was in hand."""

    def __init__(self, place: Place) -> None:
        super().__init__(daemon=True)
        self._consumer = Consumer(
            {
                **place.admin,
                "group.id": f"{place.run}-listener",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )
        topic = place.topics.triggers
        self._consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in range(PARTITIONS)])
        self.heard: list[tuple[float, bytes]] = []
        self.stopping = False

    def run(self) -> None:
        while not self.stopping:
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.heard.append((time.perf_counter(), message.value()))
        self._consumer.close()


def main(worker: int, rate: int, seconds: float) -> None:
    place = Place.given()
    codec = OutputCodec(PackagedSchemas(), "/journey-streams/simulator")
    touchpoints = list(with_probes(generate(SEED, CUSTOMERS, int(rate * seconds)), int(rate * seconds)))
    listener = Listener(place)
    listener.start()
    time.sleep(2.0)  # a consumer stands at the end only after its first answer
    producer = Producer({**place.admin, "partitioner": "murmur2_random", "compression.type": "lz4"})
    topic = place.topics.touchpoints
    produced: dict[str, tuple[float, int]] = {}
    begin = time.perf_counter()
    warm_at: tuple[float, float] | None = None
    late = 0.0
    for n, touchpoint in enumerate(touchpoints):
        ahead = begin + n / rate - time.perf_counter()
        if ahead > BEAT_S:
            producer.poll(0)
            time.sleep(ahead)
        elif warm_at is not None:
            late = max(late, -ahead)
        if warm_at is None and n > WARM_S * rate:
            warm_at = time.perf_counter(), cpu_of(worker)
        touchpoint.occurred_at = touchpoint.sent_at = int(time.time() * 1000)
        record = codec.touchpoint(touchpoint)
        produced[touchpoint.event_id] = time.perf_counter(), touchpoint.occurred_at
        producer.produce(topic, record.value, record.key, headers=record.headers)
    ended, cpu = time.perf_counter(), cpu_of(worker)
    producer.flush(30)
    time.sleep(2.0)
    listener.stopping = True
    listener.join()
    reader = OutputReader(PackagedSchemas())
    waits = []
    issued = 0
    for heard_at, value in listener.heard:
        trigger = reader.read(Trigger, value)
        if trigger.status != "issued":
            continue
        issued += 1
        causes = [produced[name] for name in trigger.reason_touchpoints if name in produced]
        at = max((at for at, occurred_at in causes if occurred_at == trigger.issued_at), default=None)
        if at is not None and at - begin > WARM_S:
            waits.append(heard_at - at)
    waits.sort()
    since, cpu_then = warm_at or (begin, float("nan"))
    tell(
        {
            "touchpoints": len(touchpoints),
            "rate": len(touchpoints) / (ended - begin),
            "triggers": issued,
            "samples": len(waits),
            "p50_ms": percentile(waits, 0.5) * 1e3,
            "p90_ms": percentile(waits, 0.9) * 1e3,
            "p99_ms": percentile(waits, 0.99) * 1e3,
            "max_ms": percentile(waits, 1.0) * 1e3,
            "worker_cores": (cpu - cpu_then) / (ended - since),
            "producer_late_ms": late * 1e3,
        }
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
