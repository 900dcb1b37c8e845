"""What real workers tell while they work, are killed and come back: every scrape must add up.

Owns the conservation law (semantics, rule 26) as a scrape sees it, of one process and of several behind one port.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Message

from streams.contracts.outputs import Signal
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.worker.metric_catalogue import side
from tests.conftest import PARTITIONS, Kafka
from tests.support.collector import Collector
from tests.support.produce import happened, now_ms, produce, read, records
from tests.support.workers import Worker, Workers, ready, running, until

pytestmark = pytest.mark.integration

SHOP = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
CUSTOMERS = 400
ROUNDS = 3
TOUCHPOINTS = CUSTOMERS * ROUNDS

Labels = tuple[tuple[str, str], ...]
Scrape = dict[tuple[str, Labels], float]


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    # Small transactions, so that many scrapes fall into them.
    small = {"JOURNEY_BATCH_CHUNK_RECORDS": "5", "JOURNEY_BATCH_TRANSACTION_RECORDS": "20"}
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=small)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running_collector:
        yield running_collector


class Scrapes:
    """Scrapes a port as often as it answers, from a thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._stop = threading.Event()
        self.all: list[Scrape] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            found = self._worker.metrics()
            if found:
                self.all.append(found)
            time.sleep(0.03)

    def end(self) -> list[Scrape]:
        self._stop.set()
        self._thread.join()
        return self.all


def of(scrape: Scrape, name: str) -> dict[str, float]:
    """Worker (of one alone: "") -> sum over its series of that name."""
    found: defaultdict[str, float] = defaultdict(float)
    for (called, labels), value in scrape.items():
        if called == name:
            found[dict(labels).get("worker", "")] += value
    return found


def adds_up(scrape: Scrape) -> bool:
    """Fails if it does not; whether anything was in flight."""
    consumed = of(scrape, "journey_events_consumed_total")
    processed, in_flight = of(scrape, "journey_events_processed_total"), of(scrape, "journey_events_in_flight")
    for worker, number in consumed.items():
        assert number == processed[worker] + in_flight[worker], worker
    return any(in_flight.values())


def assert_nothing_goes_back(scrapes: list[Scrape]) -> None:
    for before, after in pairwise(scrapes):
        for (name, labels), value in before.items():
            if name.startswith("journey_") and name.endswith(("_total", "_bucket", "_sum", "_count")):
                assert after[name, labels] >= value, (name, labels)


def round_of(n: int) -> list[Touchpoint]:
    at = now_ms()
    return [happened(f"{n}-{i}", "Product Viewed" if n else "Product Added", f"c{i}", at) for i in range(CUSTOMERS)]


def test_every_scrape_adds_up_whoever_is_killed_and_one_port_tells_of_all(
    kafka: Kafka, topics: Topics, workers: Workers, collector: Collector
) -> None:
    # One process, killed in the middle.
    alone = workers.start()
    ready(alone)
    scrapes = Scrapes(alone)
    produce(kafka.bootstrap, topics, round_of(0))
    until(lambda: alone.total("journey_events_processed_total") > CUSTOMERS / 3, 30, "some are processed", [alone])
    assert alone.names() == {metric.full_name: metric.kind for metric in side("worker")}
    alone.kill()
    seen = scrapes.end()
    assert len(seen) > 5
    assert sum(map(adds_up, seen)), "no scrape fell into a transaction"
    assert_nothing_goes_back(seen)

    # Two behind one port go on; one of them is killed in the middle.
    traced = {"JOURNEY_TRACING_ENDPOINT": collector.endpoint, "JOURNEY_TRACING_SAMPLE": "1"}
    parent = workers.start(0, "--processes", "2", more={"JOURNEY_RESTART_BACKOFF": "200ms", **traced})
    ready(parent)
    scrapes = Scrapes(parent)
    for n in range(1, ROUNDS):
        produce(kafka.bootstrap, topics, round_of(n))
        if n == 1:
            children = Path(f"/proc/{parent.process.pid}/task/{parent.process.pid}/children").read_text().split()
            until(
                lambda: min(of(parent.metrics(), "journey_events_consumed_total").get(w, 0) for w in "01") > 10,
                30, "both work", [parent],
            )  # fmt: skip
            os.kill(int(children[0]), signal.SIGKILL)
            until(lambda: parent.get("/readyz")[0] == 503, 10, "the whole is not ready", [parent], pause=0.01)
    assert parent.get("/livez") == (200, "ok\n")
    until(lambda: parent.get("/readyz")[0] == 200, 60, "the dead one is back", [parent])
    until(
        lambda: set(of(parent.metrics(), "journey_consumer_lag_records").values()) == {0.0}
        and sum(of(parent.metrics(), "journey_committed_offset").values()) >= TOUCHPOINTS,
        60, "all is processed", [parent], pause=0.5,
    )  # fmt: skip
    seen = scrapes.end()
    assert len(seen) > 10
    for scrape in seen:
        adds_up(scrape)
    assert_nothing_goes_back(seen)
    last = seen[-1]
    assert parent.names() == {metric.full_name: metric.kind for metric in side("worker", "supervisor")}
    assert of(last, "journey_worker_restarts_total") == {"0": 1, "1": 0} or of(
        last, "journey_worker_restarts_total"
    ) == {"0": 0, "1": 1}
    assert set(of(last, "journey_ready").values()) == {1.0}
    shown = [dict(labels) for name, labels in last if name == "journey_state_entries"]
    assert sorted(labels["partition"] for labels in shown) == [str(n) for n in range(PARTITIONS)]
    assert {labels["worker"] for labels in shown} == {"0", "1"}
    assert sum(of(last, "journey_state_entries").values()) == CUSTOMERS
    entered = [s for s in read(kafka.bootstrap, topics.signals, Signal) if s.kind == "stage_entered"]
    assert len(entered) == CUSTOMERS

    # A trace goes through, and the transaction that issued the trigger links to it.
    context = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    failed = [happened(f"failed-{n}", "Payment Failed", "c1") for n in range(2)]
    produce(kafka.bootstrap, topics, failed[:1])
    produce(kafka.bootstrap, topics, failed[1:], [context])

    def issued() -> list[Message]:
        return [m for m in records(kafka.bootstrap, topics.triggers) if b"payment-help" in m.value()]

    until(lambda: len(issued()) == 1, 30, "a trigger is issued", [parent])
    assert [value for name, value in issued()[0].headers() if name == context[0]] == [context[1]]
    assert parent.end() == 0
    linked = [span for span in collector.spans if span.links]
    assert [span.links for span in linked] == [(("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"),)]
    assert linked[0].attributes["messaging.batch.message_count"] >= 1
    assert linked[0].resource["service.instance.id"].endswith(("-0", "-1"))
