"""What the worker counts, and when: the metrics of the catalogue, from one tally for each transaction.

Owns the moments of counting. While it works, the worker only notes what it took and what a transaction did; a scrape,
or the next second, counts it, many small transactions in one go. Noting and counting have one lock, so a scrape sees
all of a transaction or nothing of it, and the conservation law (semantics, rule 26) holds in every answer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from streams import __version__
from streams.worker import metric_catalogue as catalogue
from streams.worker.batch import Tally
from streams.worker.metric import PREFIX, Metric

RESULTS: Final = ("processed", "duplicate", "too_late", "dead_letter", "already_applied", "abandoned")
NOTED: Final = frozenset({
    "conflicting", "skew_corrected", "skew_cut", "unassigned", "preset_fields_missing", "evicted", "shed",
    "features_missing", "scores_unusable", "snapshots_full", "labels_censored", "contacts_censored", "held_full",
    "outcomes_matched", "outcomes_ambiguous", "outcomes_unknown", "outcomes_repeated", "outcomes_early",
})  # fmt: skip


class _AtOnce(Collector):
    """A scrape's view of the metrics: copied as a whole while nothing moves."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Family]:
        metrics = self._metrics
        with metrics.lock:
            metrics.fold()
            return list(metrics.own.collect())


class Metrics:
    """Prefix ``journey_``; seconds and bytes; ``_total`` for what only rises."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.own = CollectorRegistry()
        """The metrics of the catalogue, for whoever holds the lock."""
        self.registry = CollectorRegistry()
        """What is served."""
        self._taken: dict[str, int] = {}
        self._settled: list[tuple[Tally, float]] = []
        self._abandoned = 0
        self.registry.register(_AtOnce(self))
        ProcessCollector(registry=self.registry)
        counter, gauge, histogram = self.counter, self.gauge, self.histogram
        self.consumed = counter(catalogue.CONSUMED)
        self.processed = counter(catalogue.PROCESSED)
        self.in_flight = gauge(catalogue.IN_FLIGHT)
        self.batch_seconds = histogram(catalogue.BATCH_SECONDS)
        self.batch_records = histogram(catalogue.BATCH_RECORDS)
        self.commits = counter(catalogue.COMMITS)
        self.commit_seconds = histogram(catalogue.COMMIT_SECONDS)
        self.produce_errors = counter(catalogue.PRODUCE_ERRORS)
        self.latency = histogram(catalogue.LATENCY)
        self.lag = gauge(catalogue.LAG)
        self.lag_seconds = gauge(catalogue.LAG_SECONDS)
        self.committed = gauge(catalogue.COMMITTED)
        self.log_end = gauge(catalogue.LOG_END)
        self.progress = gauge(catalogue.PROGRESS)
        self.watermark_lag = gauge(catalogue.WATERMARK_LAG)
        self.paused = gauge(catalogue.PAUSED)
        self.definition = gauge(catalogue.DEFINITION)
        self.ready = gauge(catalogue.READY)
        self.assigned = gauge(catalogue.ASSIGNED)
        self.rebalances = counter(catalogue.REBALANCES)
        self.rebalance_seconds = histogram(catalogue.REBALANCE_SECONDS)
        self.recovery_left = gauge(catalogue.RECOVERY_LEFT)
        self.recovery_seconds = histogram(catalogue.RECOVERY_SECONDS)
        self.state_entries = gauge(catalogue.STATE_ENTRIES)
        self.state_bytes = gauge(catalogue.STATE_BYTES)
        self.state_written = counter(catalogue.STATE_WRITTEN)
        self.state_records = counter(catalogue.STATE_RECORDS)
        self.loop_lag = gauge(catalogue.LOOP_LAG)
        self.registry_waits = counter(catalogue.REGISTRY_WAITS)
        self.losses = counter(catalogue.LOSSES)
        self.late = counter(catalogue.LATE)
        self.duplicates = counter(catalogue.DUPLICATES)
        self.noted = counter(catalogue.NOTED)
        self.dead_letters = counter(catalogue.DEAD_LETTERS)
        self.unused_events = gauge(catalogue.UNUSED_EVENTS)
        self.signals = counter(catalogue.SIGNALS)
        self.triggers = counter(catalogue.TRIGGERS)
        self.suppressed = counter(catalogue.SUPPRESSED)
        self.stages = counter(catalogue.STAGES)
        self.scores = histogram(catalogue.SCORES_MADE)
        self.model_version = gauge(catalogue.MODEL_VERSION)
        self.models_refused = counter(catalogue.MODELS_REFUSED)
        self.labels_waiting = gauge(catalogue.LABELS_WAITING)
        self.examples = counter(catalogue.EXAMPLES)
        build = catalogue.BUILD_INFO
        name = f"{PREFIX}{build.name.removesuffix('_info')}"
        Info(name, build.text, registry=self.own).info({"version": __version__})
        for result in RESULTS:
            self.processed.labels(result)
        for result in ("committed", "aborted", "unknown", "fenced"):
            self.commits.labels(result)

    def counter(self, metric: Metric) -> Counter:
        return Counter(f"{PREFIX}{metric.name}", metric.text, metric.labels, registry=self.own)

    def gauge(self, metric: Metric) -> Gauge:
        return Gauge(f"{PREFIX}{metric.name}", metric.text, metric.labels, registry=self.own)

    def histogram(self, metric: Metric) -> Histogram:
        name = f"{PREFIX}{metric.name}"
        return Histogram(name, metric.text, metric.labels, buckets=metric.buckets, registry=self.own)

    def taken(self, topic: str, records: int) -> None:
        """A chunk goes to the engine."""
        with self.lock:
            self._taken[topic] = self._taken.get(topic, 0) + records

    def settled(self, tally: Tally, wall_s: float) -> None:
        """A transaction is certain."""
        with self.lock:
            self._settled.append((tally, wall_s))

    def abandoned(self, tally: Tally) -> None:
        """The partition was lost: its new owner processes these again."""
        with self.lock:
            self._abandoned += tally.consumed + tally.already_applied

    def fold(self) -> None:
        """Count what has been noted since the last time: a scrape does so first, and the worker each second."""
        with self.lock:
            taken, settled, abandoned = self._taken, self._settled, self._abandoned
            self._taken, self._settled, self._abandoned = {}, [], 0
            for topic, records in taken.items():
                self.consumed.labels(topic).inc(records)
                self.in_flight.inc(records)
            if abandoned:
                self.processed.labels("abandoned").inc(abandoned)
                self.in_flight.dec(abandoned)
            if settled:
                self._transactions(settled)

    def _transactions(self, settled: Sequence[tuple[Tally, float]]) -> None:
        whole = Tally()
        for tally, wall_s in settled:
            if tally.consumed:
                self.batch_records.observe(tally.consumed)
                self.batch_seconds.observe(tally.seconds)
            for issued_at in tally.issued_for:
                self.latency.observe(max(0.0, wall_s - issued_at / 1000))
            whole.add(tally)
        self._touchpoints(whole)
        self._found(whole)
        self.state_records.inc(whole.state_records)
        self.state_written.inc(whole.state_bytes)
        self.in_flight.dec(whole.consumed + whole.already_applied)
        self.commits.labels("committed").inc(len(settled))

    def _touchpoints(self, tally: Tally) -> None:
        counts = tally.counts
        processed = self.processed
        for result, number in (
            ("processed", counts["processed"]),
            ("duplicate", counts["duplicate"]),
            ("too_late", counts["too_late"]),
            ("dead_letter", tally.dead_letters.total()),
            ("already_applied", tally.already_applied),
        ):
            if number:
                processed.labels(result).inc(number)
        for reason, number in tally.dead_letters.items():
            self.dead_letters.labels(reason).inc(number)
        if counts["late"]:
            self.late.labels("applied").inc(counts["late"])
        if counts["too_late"]:
            self.late.labels("too_late").inc(counts["too_late"])
        if counts["duplicate"]:
            self.duplicates.inc(counts["duplicate"])
        for what, number in counts.items():
            if what in NOTED and number:
                self.noted.labels(what).inc(number)

    def _found(self, tally: Tally) -> None:
        for (kind, journey), number in tally.signals.items():
            self.signals.labels(kind, journey).inc(number)
        for (journey, stage, change), number in tally.stages.items():
            self.stages.labels(journey, stage, change).inc(number)
        for (action, arm, status), number in tally.triggers.items():
            self.triggers.labels(action, arm, status).inc(number)
        for reason, number in tally.not_issued.items():
            self.suppressed.labels(reason).inc(number)
        by_risk = {risk: self.scores.labels(risk) for risk in dict(tally.scores)}
        for risk, score in tally.scores:
            by_risk[risk].observe(score)
        for (risk, label), number in tally.examples.items():
            self.examples.labels(risk, str(label).lower()).inc(number)
