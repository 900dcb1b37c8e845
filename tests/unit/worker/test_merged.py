"""Several workers' metrics as one: nothing goes back, whoever dies, and what was taken is accounted for."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from streams.worker.batch import Tally
from streams.worker.front import Front
from streams.worker.health import HealthServer
from streams.worker.merged import Merged, answer, understood
from streams.worker.metrics import Metrics

Series = tuple[str, tuple[tuple[str, str], ...]]
WORKERS = 3


def scraped(merged: Merged) -> dict[Series, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in merged.collect()
        for sample in family.samples
    }


def total(found: dict[Series, float], name: str) -> float:
    return sum(value for (called, _), value in found.items() if called == name)


def rising(series: Series) -> bool:
    return series[0].endswith(("_total", "_bucket", "_sum", "_count")) and series[0].startswith("journey_")


steps = st.lists(
    st.tuples(st.sampled_from(["take", "settle", "ask", "die", "start"]), st.integers(0, WORKERS - 1)), max_size=60
)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_whoever_dies_nothing_goes_back_and_all_is_accounted_for(steps: list[tuple[str, int]]) -> None:
    merged = Merged(WORKERS)
    alive: dict[int, tuple[int, Metrics, int]] = {}
    pid = 0
    before: dict[Series, float] = {}
    told: Counter[int] = Counter()  # what each worker's processes had taken when they were last asked
    now: Counter[int] = Counter()
    for what, number in steps:
        if what == "start" and number not in alive:
            pid += 1
            alive[number] = pid, Metrics(), 0
            merged.started(number, pid)
        elif what == "die" and number in alive:
            merged.ended(number)
            del alive[number]
            told[number] += now.pop(number, 0)
        elif number in alive:
            its_pid, metrics, waiting = alive[number]
            if what == "take":
                metrics.taken("topic", 5)
                alive[number] = its_pid, metrics, waiting + 5
            elif what == "settle" and waiting:
                metrics.settled(Tally(consumed=waiting, counts=Counter(processed=waiting)), 0.0)
                alive[number] = its_pid, metrics, 0
            elif what == "ask":
                said = understood(answer(metrics.registry, None, None))
                said.pid = its_pid
                merged.heard(number, said)
                now[number] = int(metrics.consumed.labels("topic")._value.get())
                said.pid = its_pid + 1_000  # of somebody else's process: not taken
                said.metrics = []
                merged.heard(number, said)
        found = scraped(merged)
        assert total(found, "journey_events_consumed_total") == (
            total(found, "journey_events_processed_total") + total(found, "journey_events_in_flight")
        )
        for worker in range(WORKERS):
            consumed = found.get(("journey_events_consumed_total", (("topic", "topic"), ("worker", str(worker)))), 0)
            assert consumed == told[worker] + now[worker]
        for series, value in before.items():
            if rising(series):
                assert found[series] >= value, series
        before = found
        for worker in set(range(WORKERS)) - set(alive):
            assert found.get(("journey_ready", (("worker", str(worker)),)), 0) == 0
            assert ("journey_assigned_partitions", (("worker", str(worker)),)) not in found


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front("127.0.0.1", 0, 2)
    made.start()
    yield made
    made.stop()


def test_one_port_answers_for_all_workers(front: Front) -> None:
    port = front.server.port
    assert get(port, "/readyz") == (503, "worker 0: not running; worker 1: not running\n")
    assert get(port, "/livez") == (200, "ok\n")
    why: list[str | None] = ["partition 3: restoring", None]
    metrics = [Metrics(), Metrics()]
    servers = []
    for number in range(2):
        # Both in this process: each answers on the socket that its process would have inherited.
        server = HealthServer(
            "",
            0,
            metrics[number].registry,
            lambda: None,
            partial(why.__getitem__, number),
            inherited=os.dup(front.door(number)),
        )
        server.start()
        servers.append(server)
        front.started(number, os.getpid())
        metrics[number].taken("t", 1 + number)
    try:
        assert get(port, "/readyz") == (503, "worker 0: does not answer; worker 1: does not answer\n")
        front.ask()
        assert get(port, "/readyz") == (503, "worker 0: partition 3: restoring\n")
        why[0] = None
        status, text = get(port, "/metrics")
        assert get(port, "/readyz") == (200, "ok\n")
        assert status == 200
        found = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        consumed = "journey_events_consumed_total"
        assert found[consumed, (("topic", "t"), ("worker", "0"))] == 1
        assert found[consumed, (("topic", "t"), ("worker", "1"))] == 2
        assert found["journey_worker_up", (("worker", "1"),)] == 1
        assert {dict(labels)["worker"] for name, labels in found if name == "process_cpu_seconds_total"} == {
            "0", "1", "parent",
        }  # fmt: skip
        servers[1].stop()
        front.ended(1)
        assert get(port, "/readyz") == (503, "worker 1: not running\n")
        front.started(1, os.getpid())
        text = get(port, "/metrics")[1]
        assert 'journey_worker_restarts_total{worker="1"} 1.0' in text
        assert 'journey_worker_up{worker="1"} 0.0' in text
        assert f'{consumed}{{topic="t",worker="1"}} 2.0' in text
        assert 'journey_ready{worker="1"} 0.0' in text
    finally:
        servers[0].stop()
