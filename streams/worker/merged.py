"""The metrics of several worker processes as one: what a worker says of itself, and the sum of what they all said.

Owns what happens to the counts of a worker that dies: its successor's are added to them, so that no counter goes back,
and what it had in flight is abandoned, so that the conservation law (semantics, rule 26) holds for the whole.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from streams.worker import metric_catalogue as catalogue

RISING: Final = frozenset({"counter", "histogram"})
PARENT: Final = "parent"
"""Value of the label ``worker`` for the parent's own process."""
_READY: Final = catalogue.READY.full_name
_IN_FLIGHT: Final = catalogue.IN_FLIGHT.full_name
_ABANDONED: Final = (catalogue.PROCESSED.full_name, (("result", "abandoned"),))

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A series' name with its labels."""


class Told(msgspec.Struct, array_like=True):
    """One metric with all its series, as the client library has it."""

    name: str
    kind: str
    text: str
    samples: list[tuple[str, dict[str, str], float]]


class Answer(msgspec.Struct):
    """What a worker says when its parent asks."""

    pid: int
    live: str | None
    """Why it is not live, in words; None: it is."""
    ready: str | None
    metrics: list[Told]


def told(registry: CollectorRegistry | Collector) -> list[Told]:
    return [
        Told(
            family.name,
            family.type,
            family.documentation,
            [(sample.name, dict(sample.labels), sample.value) for sample in family.samples],
        )
        for family in registry.collect()
    ]


def answer(registry: CollectorRegistry, live: str | None, ready: str | None) -> bytes:
    return msgspec.msgpack.encode(Answer(os.getpid(), live, ready, told(registry)))


def understood(body: bytes) -> Answer:
    """Raises ``msgspec.DecodeError`` for bytes that are no answer."""
    return msgspec.msgpack.decode(body, type=Answer)


class _Worker:
    """One place among the workers, whichever process fills it."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.metrics: list[Told] = []
        self.before: dict[Key, float] = {}
        """Counts of the processes that are gone."""

    def rest(self) -> None:
        """The process is gone: its counts stay, its gauges go."""
        for metric in self.metrics:
            if metric.kind in RISING:
                for name, labels, value in metric.samples:
                    key = name, tuple(sorted(labels.items()))
                    self.before[key] = self.before.get(key, 0.0) + value
            elif metric.name == _IN_FLIGHT:
                lost = sum(value for _, _, value in metric.samples)
                self.before[_ABANDONED] = self.before.get(_ABANDONED, 0.0) + lost
        self.pid, self.metrics = None, []


class Merged(Collector):
    """Every series of every worker, with a label ``worker`` beside its own."""

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._lock = threading.Lock()
        self._described: dict[str, tuple[str, str]] = {}
        """Metric -> type and text; and for a series of one that is gone, its metric."""
        self._metric_of: dict[str, str] = {}
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)

    def heard(self, number: int, said: Answer) -> None:
        """An answer of the process that fills that place now; another process's is not taken."""
        with self._lock:
            worker = self._workers[number]
            if worker.pid == said.pid:
                worker.metrics = said.metrics
                for metric in said.metrics:
                    self._described[metric.name] = metric.kind, metric.text
                    for name, _, _ in metric.samples:
                        self._metric_of[name] = metric.name

    def started(self, number: int, pid: int) -> None:
        with self._lock:
            self._workers[number].rest()
            self._workers[number].pid = pid

    def ended(self, number: int) -> None:
        with self._lock:
            self._workers[number].rest()

    def collect(self) -> Iterable[Family]:
        families: dict[str, Family] = {}
        with self._lock:
            for name, (kind, text) in self._described.items():
                families[name] = Family(name, text, kind)
            for number, worker in enumerate(self._workers):
                self._add(families, worker, str(number))
        for metric in told(self._own):
            family = families.setdefault(metric.name, Family(metric.name, metric.text, metric.kind))
            for name, labels, value in metric.samples:
                family.add_sample(name, labels | {"worker": PARENT}, value)
        return families.values()

    def _add(self, families: dict[str, Family], worker: _Worker, label: str) -> None:
        before = dict(worker.before)
        for metric in worker.metrics:
            family = families[metric.name]
            for name, labels, value in metric.samples:
                earlier = before.pop((name, tuple(sorted(labels.items()))), 0.0) if metric.kind in RISING else 0.0
                family.add_sample(name, labels | {"worker": label}, value + earlier)
        for (name, labels_), value in before.items():
            families[self._metric_of[name]].add_sample(name, dict(labels_) | {"worker": label}, value)
        if worker.pid is None or not worker.metrics:
            ready = families.get(_READY)
            if ready is not None:
                ready.add_sample(_READY, {"worker": label}, 0.0)
