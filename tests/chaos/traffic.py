"""Touchpoints for the failure tests, and an oracle that says what must follow from them.

The oracle shares no code with the engine: a few lines of state for each customer, over the list of what was produced.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.contracts.output_codec import OutputCodec
from streams.contracts.record import Encoded
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint

SILENT: Final = logging.getLogger("tests.silent")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
ABANDONED_AFTER_MS: Final = 6_000
FAILURES_WITHIN_MS: Final = 3_000
FAILURES: Final = 2

WEIGHTS: Final = {
    "Product Added": 8,
    "Payment Info Entered": 4,
    "Payment Failed": 5,
    "Order Completed": 2,
    "Product Viewed": 6,
}


class Happened(NamedTuple):
    """What was produced, in the order of its customer; ``at`` in ms since 1970."""

    customer: str
    name: str
    at: int


class Effect(NamedTuple):
    """A signal, known by whose it is, what it says and of when."""

    customer: str
    kind: str
    name: str
    at: int


@dataclass(slots=True)
class Traffic:
    """Produces at a rate, in each customer's order, and remembers what it has produced.

    Each touchpoint carries its producer and its number there (``event_id``). ``poison`` makes, of each so many-th
    record, one more that is no touchpoint; ``wrap`` makes of a touchpoint's bytes what is sent.
    """

    bootstrap: str
    topics: Topics
    touchpoints: int
    customers: int
    rate: float
    seed: int
    poison: Callable[[int], bytes | None] | None = None
    poison_every: int = 0
    wrap: Callable[[bytes], bytes] | None = None
    stopped: Event = field(default_factory=Event)
    produced: list[Happened] = field(default_factory=list)
    poisoned: int = 0
    failed: list[str] = field(default_factory=list)
    longest_delay_ms: int = 0
    """From happening to the place in the log. What comes later than lateness and silence allow is late to the engine,
    rightly, but not to the oracle."""

    def run(self) -> None:
        random_ = random.Random(self.seed)
        codec = OutputCodec(PackagedSchemas(), "/chaos")
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 1_800_000,
                "queue.buffering.max.messages": 2_000_000,
                # Back before the workers are, or the idle clock could overtake what waits here.
                "reconnect.backoff.max.ms": 100,
            },
            logger=SILENT,
        )
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        last: dict[str, int] = {}
        began = time.monotonic()
        for number in range(self.touchpoints):
            if self.stopped.is_set():
                break
            if number % 20 == 0:
                producer.poll(0)
                ahead = began + number / self.rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
            # Bursts of one customer make windows and stages; the rest of them fall silent.
            customer = f"c{int(random_.triangular(0, self.customers, number / self.touchpoints * self.customers))}"
            now = max(int(time.time() * 1000), last.get(customer, 0) + 1)
            last[customer] = now
            name = random_.choices(names, weights)[0]
            record = codec.touchpoint(
                Touchpoint(
                    event_id=f"{self.seed}-{number}",
                    type=name,
                    occurred_at=now,
                    customer_id=customer,
                    channel="web",
                    properties={"product_id": f"p{number % 50}", "quantity": 1, "price": 10.0},
                )
            )
            value = record.value if self.wrap is None else self.wrap(record.value or b"")
            self.produced.append(Happened(customer, name, now))
            producer.produce(
                self.topics.touchpoints,
                value,
                record.key,
                headers=[*record.headers, ("traceparent", f"00-{number + 1:032x}-{number + 1:016x}-01".encode())],
                on_delivery=partial(self._delivered, now),
            )
            if self.poison is not None and self.poison_every and number % self.poison_every == 0:
                producer.produce(self.topics.touchpoints, self.poison(self.poisoned), record.key)
                self.poisoned += 1
        producer.flush(900)

    def _produce(self, producer: Producer, value: bytes | None, record: Encoded, now: int) -> None:
        told = partial(self._delivered, now)
        while True:
            try:
                producer.produce(self.topics.touchpoints, value, record.key, headers=record.headers, on_delivery=told)
                return
            except KafkaException as error:
                # A broker that has just started may not have heard of its topics yet.
                if error.args[0].code() not in (KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
                    raise
                producer.poll(0.1)

    def _delivered(self, at: int, error: object, message: Message) -> None:
        if error is not None:
            self.failed.append(str(error))
        else:
            self.longest_delay_ms = max(self.longest_delay_ms, message.timestamp()[1] - at)


def expected(produced: Sequence[Happened]) -> Counter[Effect]:
    """Every signal that must be there, once every deadline is decided."""
    found: Counter[Effect] = Counter()
    by_customer: dict[str, list[tuple[str, int]]] = {}
    for customer, name, at in produced:
        by_customer.setdefault(customer, []).append((name, at))
    for customer, events in by_customer.items():

        def say(kind: str, name: str, at: int, customer: str = customer) -> None:
            found[Effect(customer, kind, name, at)] += 1

        stage: str | None = None
        due: int | None = None
        failures: list[int] = []
        for name, at in events:
            if due is not None and at > due:
                say("abandonment", stage or "", due)
                due = None
            if name == "Product Added":
                if stage is None:
                    stage = "cart"
                    say("stage_entered", "cart", at)
                due = at + ABANDONED_AFTER_MS
            elif name == "Payment Info Entered":
                if stage != "payment":
                    if stage == "cart":
                        say("stage_left", "cart", at)
                    stage = "payment"
                    say("stage_entered", "payment", at)
                due = at + ABANDONED_AFTER_MS
            elif name == "Order Completed":
                say("goal_reached", "purchase", at)
                if stage is not None:
                    say("stage_left", stage, at)
                stage = due = None
            elif name == "Payment Failed":
                before = [then for then in failures if then >= at - FAILURES_WITHIN_MS]
                failures = [*before, at]
                if len(before) < FAILURES <= len(failures):
                    say("friction", "payment_failed_twice", at)
        if due is not None:
            say("abandonment", stage or "", due)
    return found
