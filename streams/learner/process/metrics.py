"""Metrics of the learner: those that it shares with the worker, and the quality of its models."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import isfinite

from streams.learner.quality import Quality
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
        gauge, counter = self.gauge, self.counter
        self.learned = counter("examples_learned", "Labels learned from.", "risk")
        self.examples_refused = counter(
            "examples_refused",
            "Records of the examples topic that were not learned from: malformed, unknown_definition, other_definition "
            "(scored for features or labels that no risk has any more).",
            "reason",
        )
        self.published = counter("models_published", "Snapshots written to the models topic.", "risk")
        self.taken_back = counter("models_taken_back", "Old snapshots that no journal names any more.", "risk")
        self.auc = gauge(
            "model_auc",
            "Share of pairs of customers in which the one whose risk came true had the higher score; 0.5 is chance. "
            "Falls: see ModelDegraded.",
            "risk",
            "model",
        )
        self.log_loss = gauge("model_log_loss", "Mean of -ln(probability of what came true).", "risk", "model")
        self.calibration_error = gauge(
            "model_calibration_error",
            "Expected calibration error: by how much scores miss the share that came true, ten bins.",
            "risk",
            "model",
        )
        self.base_rate = gauge("model_base_rate", "Share of labels that came true.", "risk")
        self.drift = counter(
            "model_drift",
            "Changes noticed by the detectors, on the loss or on a feature. The model follows by itself; many: what a "
            "feature measures may have changed.",
            "risk",
            "on",
        )

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

    def settled(self, tally: Tally, wall_s: float) -> None:
        super().settled(tally, wall_s)
        assert isinstance(tally, LearnerTally)  # noqa: S101 - a learner makes no other
        for reason, number in tally.refused.items():
            self.examples_refused.labels(reason).inc(number)
            self.processed.labels("refused").inc(number)
        for counter, by_risk in (
            (self.learned, tally.learned), (self.published, tally.published), (self.taken_back, tally.taken_back),
        ):  # fmt: skip
            for risk, number in by_risk.items():
                counter.labels(risk).inc(number)
