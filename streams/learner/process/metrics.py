"""Metrics of the learner: those that it shares with the worker, and the quality of its models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

from streams.learner.quality import Quality
from streams.worker import metric_catalogue as catalogue
from streams.worker.batch import Tally
from streams.worker.metrics import Metrics


@dataclass(slots=True)
class LearnerTally(Tally):
    """What a transaction of the learner did."""

    learned: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    taken_back: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class LearnerMetrics(Metrics):
    """Quality is that on labels which the model had not learned yet, over the window of the definition."""

    def __init__(self) -> None:
        super().__init__()
        self.learned = self.counter(catalogue.LEARNED)
        self.examples_refused = self.counter(catalogue.EXAMPLES_REFUSED)
        self.published = self.counter(catalogue.PUBLISHED)
        self.taken_back = self.counter(catalogue.TAKEN_BACK)
        self.auc = self.gauge(catalogue.AUC)
        self.log_loss = self.gauge(catalogue.LOG_LOSS)
        self.calibration_error = self.gauge(catalogue.CALIBRATION_ERROR)
        self.base_rate = self.gauge(catalogue.BASE_RATE)
        self.drift = self.counter(catalogue.DRIFT)

    def quality(self, risk: str, model: str, found: Quality) -> None:
        """Set the gauges of one model's quality; figures that are not defined (labels of one class) are left out."""
        for gauge, value in (
            (self.auc, found.auc),
            (self.log_loss, found.log_loss),
            (self.calibration_error, found.ece),
        ):
            if isfinite(value):
                gauge.labels(risk, model).set(value)
        if isfinite(found.base_rate):
            self.base_rate.labels(risk).set(found.base_rate)

    def _transactions(self, settled: Sequence[tuple[Tally, float]]) -> None:
        super()._transactions(settled)
        for tally, _ in settled:
            assert isinstance(tally, LearnerTally)  # noqa: S101 - a learner makes no other
            for reason, number in tally.refused.items():
                self.examples_refused.labels(reason).inc(number)
                self.processed.labels("refused").inc(number)
            for counter, by_risk in (
                (self.learned, tally.learned), (self.published, tally.published), (self.taken_back, tally.taken_back),
            ):  # fmt: skip
                for risk, number in by_risk.items():
                    counter.labels(risk).inc(number)
