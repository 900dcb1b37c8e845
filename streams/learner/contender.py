"""One pipeline in the contest for a risk: what it has learned, its calibration, how it is judged, its drift.

Owns how a label is judged: by what the pipeline knew when the score was made, not by what it has learned since. The
labels of one customer overlap (who comes back decides all scores that wait), so a pipeline that is asked when they are
learned has seen half of the answer, and the one that learns by heart looks best. Copies taken a few times within a
horizon answer instead; a score is judged by the newest that knew no label later than it.
"""

from __future__ import annotations

from array import array
from collections import deque
from math import isnan, nan
from typing import Any, Final

from river import drift

from streams.definitions.model import Pipeline
from streams.learner import frozen, pipelines
from streams.learner.calibration import Calibration
from streams.learner.quality import Quality, lead, log_loss, quality

COPIES: Final = 4
"""Within one horizon: what a pipeline is judged by is at most a quarter of a horizon older than the score."""
CHANCE: Final = 2.0
"""Standard errors within which a lead may be chance."""
WORST: Final = 4.0
"""Log loss at which it is cut for the drift detectors: one absurd score is no drift."""
CONFIDENCE: Final = 1e-5
"""Of ADWIN: the probability of a false alarm."""
TOLERATED: Final = 0.02
"""Rise of the mean loss that Page-Hinkley lets pass,"""
ALARM: Final = 50.0
"""and the sum of what is beyond it at which it speaks: a rise by 0.1 after some 600 labels."""


class Copy:
    """A pipeline as it was."""

    __slots__ = ("body", "learned", "model", "shift", "slope", "until")

    def __init__(self, body: bytes, until: int, learned: int, slope: float, shift: float) -> None:
        self.body = body
        self.model = frozen.thaw(body)
        self.until = until
        """It has learned the labels until then (ms),"""
        self.learned = learned
        """so many."""
        self.slope = slope
        self.shift = shift


class Contender:
    """Champion or challenger."""

    def __init__(self, pipeline: Pipeline, window: int) -> None:
        """Raises ``ValueError`` for a model or an option that there is not."""
        self.pipeline = pipeline
        self.model = pipelines.build(pipeline)
        self.linear = pipelines.is_linear(self.model)
        self.calibration = Calibration()
        self.scores: deque[float] = deque(maxlen=window)
        """Of the newest labels that could be judged."""
        self.labels: deque[bool] = deque(maxlen=window)
        self.lead = 0
        """Checks in a row at which it was better than the champion."""
        self.drifts = {"adwin": 0, "page_hinkley": 0}
        """How often the detector on its loss has spoken."""
        self.copies: list[Copy] = []
        """Oldest first."""
        self.learned = 0
        """Labels."""
        self._sure = pipelines.sure(self.model)
        self._adwin = drift.ADWIN(delta=CONFIDENCE)
        self._page_hinkley = drift.PageHinkley(delta=TOLERATED, threshold=ALARM, mode="up")

    @property
    def name(self) -> str:
        return self.pipeline.name

    def odds(self, x: dict[str, float]) -> float:
        """Log-odds by all that it has learned, before calibration."""
        return pipelines.log_odds(self.model, x, self._sure)

    def learn(self, x: dict[str, float], label: bool, scored_at: int) -> float:
        """Judge by a label, then learn from it. The score that was judged; NaN where none was."""
        score = self.judge(x, scored_at)
        if not isnan(score):
            self.scores.append(score)
            self.labels.append(label)
            self._watch(min(WORST, log_loss(score, label)))
        self.calibration.learn(self.odds(x), label)
        self.model.learn_one(x, label)
        self.learned += 1
        return score

    def judge(self, x: dict[str, float], scored_at: int) -> float:
        """Score by the copy of then; NaN if there is none so old."""
        for copy in reversed(self.copies):
            if copy.until <= scored_at:
                return Calibration.at(pipelines.log_odds(copy.model, x, self._sure), copy.slope, copy.shift)
        return nan

    def keep(self, until: int, horizon_ms: int) -> None:
        """Take a copy as of now, when labels until then are learned, and drop those that no score needs.

        Also whenever it has learned twice as many labels as the last one: at first it changes fast.
        """
        if self.copies:
            last = self.copies[-1]
            if until - last.until < horizon_ms / COPIES and self.learned < 2 * last.learned:
                return
        body = frozen.freeze(self.model)
        self.copies.append(Copy(body, until, self.learned, self.calibration.slope, self.calibration.shift))
        while len(self.copies) > 1 and self.copies[1].until <= until - horizon_ms:
            del self.copies[0]

    def quality(self) -> Quality:
        return quality(list(self.scores), list(self.labels))

    def leads(self, champion: Contender, margin: float) -> bool:
        """Its AUC is higher by the margin, and by more than chance, on the labels that both were judged by."""
        n = min(len(self.scores), len(champion.scores))
        ahead, error = lead(list(self.scores)[-n:], list(champion.scores)[-n:], list(self.labels)[-n:])
        return ahead >= max(margin, CHANCE * error)

    def resize(self, window: int) -> None:
        if self.scores.maxlen != window:
            self.scores = deque(self.scores, maxlen=window)
            self.labels = deque(self.labels, maxlen=window)

    def _watch(self, loss: float) -> None:
        # ADWIN's mean before and after tells a rise from a fall: learning something is no alarm.
        before = self._adwin.estimation
        self._adwin.update(loss / WORST)
        self.drifts["adwin"] += bool(self._adwin.drift_detected) and self._adwin.estimation > before
        self._page_hinkley.update(loss)
        self.drifts["page_hinkley"] += bool(self._page_hinkley.drift_detected)

    def state(self) -> dict[str, Any]:
        """Everything that later labels depend on, made of plain values and River objects."""
        return {
            "pipeline": [self.pipeline.name, self.pipeline.model, dict(self.pipeline.options)],
            "model": self.model,
            "calibration": self.calibration.state(),
            "scores": array("d", self.scores).tobytes(),
            "labels": bytes(self.labels),
            "lead": self.lead,
            "learned": self.learned,
            "drifts": dict(self.drifts),
            "copies": [[c.body, c.until, c.learned, c.slope, c.shift] for c in self.copies],
            "adwin": self._adwin,
            "page_hinkley": self._page_hinkley,
        }

    @classmethod
    def of_state(cls, state: dict[str, Any], window: int) -> Contender:
        name, model, options = state["pipeline"]
        contender = cls(Pipeline(name, model, options), window)
        contender.model = state["model"]
        contender.calibration = Calibration.of_state(state["calibration"])
        contender.scores.extend(array("d", state["scores"]))
        contender.labels.extend(map(bool, state["labels"]))
        contender.lead = state["lead"]
        contender.learned = state["learned"]
        contender.drifts = dict(state["drifts"])
        contender.copies = [Copy(*copy) for copy in state["copies"]]
        contender._adwin = state["adwin"]
        contender._page_hinkley = state["page_hinkley"]
        return contender
