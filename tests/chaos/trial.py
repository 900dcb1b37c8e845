"""A deployment under trouble: workers, traffic, what is done to them, and what it came to.

Owns the order of a trial (traffic runs while the trouble does, then all is settled and judged) and the revival of dead
workers, which in a deployment is the supervisor's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from streams.contracts.topics import Topics
from tests.chaos import results
from tests.chaos.form import FULL, PATIENCE
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import Verdict, judge
from tests.support.produce import READ_S, records
from tests.support.workers import Worker, Workers, ready, tail

SMALL_TRANSACTIONS: Final = {"JOURNEY_BATCH_CHUNK_RECORDS": "100", "JOURNEY_BATCH_TRANSACTION_RECORDS": "400"}
"""More of them are open when a kill comes."""
UNHURRIED: Final = {"JOURNEY_IDLE_AFTER": "10s"}
"""Silence is believed only when producers, too, have had time to come back from an outage."""
WHOLE: Final = 4
"""Partitions that must be owned again."""


@dataclass(slots=True)
class Trial:
    name: str
    """Of the row in the table."""
    bootstrap: str
    """For producers and readers; what workers use is theirs."""
    topics: Topics
    workers: Workers
    traffic: Traffic
    current: list[Worker] = field(default_factory=list)
    stopped: set[int] = field(default_factory=set)
    """Places of workers that are not to be started again for now."""
    own: dict[int, dict[str, str]] = field(default_factory=dict)
    """Settings of one worker, by its index."""
    done: list[str] = field(default_factory=list)
    recovered_s: float = 0.0
    _thread: threading.Thread | None = None
    _seen: dict[str, float] = field(default_factory=dict)

    def begin(self, workers: int = 2) -> None:
        self.current = [self.start(index) for index in range(workers)]
        ready(*self.current, within=90 * PATIENCE)
        self._thread = threading.Thread(target=self.traffic.run, daemon=True)
        self._thread.start()

    def start(self, index: int) -> Worker:
        return self.workers.start(index, more=self.own.get(index))

    def revive(self, but: Collection[Worker] = ()) -> None:
        for place, worker in enumerate(self.current):
            if place not in self.stopped and worker not in but and not worker.running:
                self.current[place] = self.start(worker.index)

    def wait(self, seconds: float, but: Collection[Worker] = ()) -> None:
        """Dead workers are started again meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.revive(but)
            time.sleep(0.05)

    def committed(self) -> dict[str, float]:
        """The highest committed offset of each partition that any worker has shown so far."""
        for worker in self.current:
            for (name, labels), value in worker.metrics().items() if worker.running else ():
                if name == "journey_committed_offset":
                    partition = dict(labels)["partition"]
                    self._seen[partition] = max(value, self._seen.get(partition, 0.0))
        return dict(self._seen)

    def lag(self) -> float | None:
        """Records that wait; None while a partition has no owner that is ready."""
        waiting = assigned = 0.0
        for worker in self.current:
            if not worker.running or worker.get("/readyz")[0] != 200:
                return None
            for (name, _), value in worker.metrics().items():
                waiting += value if name == "journey_consumer_lag_records" else 0
                assigned += value if name == "journey_assigned_partitions" else 0
        return waiting if assigned == WHOLE else None

    def recover(self, within: float = 60.0) -> float:
        """Seconds until all is owned, ready, and no more waits than a second's traffic brings; the longest is kept.

        While traffic flows each partition must have committed more than before, too: a worker whose broker is away
        goes on showing the lag that it saw last.
        """
        began, before = time.monotonic(), self.committed()

        def moved() -> bool:
            now = self.committed()
            return len(now) == WHOLE and all(now[partition] > before.get(partition, 0.0) for partition in now)

        flowing = self._thread is not None and self._thread.is_alive()
        while (lag := self.lag()) is None or lag > self.traffic.rate or (flowing and not moved()):
            flowing = flowing and self._thread is not None and self._thread.is_alive()
            self.revive()
            if time.monotonic() - began > within * PATIENCE:
                raise AssertionError(f"not recovered within {within * PATIENCE:.0f} s, {lag} wait\n{self.log()}")
            time.sleep(0.2)
        took = time.monotonic() - began
        self.recovered_s = max(self.recovered_s, took)
        return took

    def end_traffic(self, *, early: bool = False) -> None:
        if early:
            self.traffic.stopped.set()
        if self._thread is not None:
            while self._thread.is_alive():
                self.revive()
                self._thread.join(0.2)
        assert not self.traffic.failed, self.traffic.failed[:3]

    def settle(self, within: float = 120.0, quiet: float = 25.0) -> None:
        """Until nothing waits and silence has decided the last deadlines; then the workers end."""
        self.stopped.clear()
        self.recover(within)
        limit = time.monotonic() + within * PATIENCE
        still = time.monotonic()
        before = -1
        while time.monotonic() - still < quiet:
            self.revive()
            made = sum(record_count(self.bootstrap, topic) for topic in (self.topics.signals, self.topics.triggers))
            if made != before:
                before, still = made, time.monotonic()
            assert time.monotonic() < limit, f"not settled\n{self.log()}"
            time.sleep(1.0)
        statuses = {worker.index: worker.end(60 * PATIENCE) for worker in self.current}
        assert set(statuses.values()) == {0}, f"{statuses}\n{self.log()}"

    def hidden(self) -> int:
        """Records of aborted transactions, which readers must not see; some of them show that the test bites."""
        return sum(
            len(records(self.bootstrap, topic, "read_uncommitted", within=READ_S * PATIENCE))
            - len(records(self.bootstrap, topic, within=READ_S * PATIENCE))
            for topic in (self.topics.signals, self.topics.state)
        )

    def conclude(self, note: str = "", **settings: str) -> Verdict:
        """Judged, kept as a row, and asserted."""
        verdict = judge(self.bootstrap, self.topics, self.traffic.produced, **settings)
        self.report(verdict, len(self.traffic.produced) + self.traffic.poisoned, note)
        return verdict

    def report(self, verdict: Verdict, injected: int, note: str) -> None:
        row = results.Row(
            self.name, injected, verdict.lost, verdict.duplicated, verdict.different, round(self.recovered_s, 1), note
        )
        results.keep(row, FULL)
        assert verdict.clean, f"{row}\n{verdict.said}\n{self.log()}"

    def log(self) -> str:
        return "\n".join(tail(worker, 8) for worker in self.workers.started[-6:])

    def fenced(self) -> int:
        return sum(worker.said("was taken over by another producer") for worker in self.workers.started)


def record_count(bootstrap: str, topic: str) -> int:
    """Offsets given out in all partitions: rises with whatever is written."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - slow to import

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watermarks"})
    try:
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in range(WHOLE))
    finally:
        consumer.close()
