"""One pipeline in the contest for a risk: its calibration, its scores on labels it had not learned, its drift.

Owns the order in which a label is used: it judges first, then it is learned from.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import Any, Final

from river import drift

from streams.definitions.model import Pipeline
from streams.learner import pipelines
from streams.learner.calibration import Calibration
from streams.learner.quality import log_loss

WORST: Final = 4.0
"""Log loss at which it is cut for the drift detectors: one absurd score is no drift."""
TOLERATED: Final = 0.02
"""Rise of the mean loss that Page-Hinkley lets pass,"""
ALARM: Final = 50.0
"""and the sum of what is beyond it at which it speaks: a rise by 0.1 after some 600 labels, no false alarm in thousands
where the loss of a label varies by 0.5."""


class Contender:
    """Champion or challenger."""

    def __init__(self, pipeline: Pipeline, window: int) -> None:
        """Raises ``ValueError`` for a model or an option that there is not."""
        self.pipeline = pipeline
        self.model = pipelines.build(pipeline)
        self.linear = pipelines.is_linear(self.model)
        self.calibration = Calibration()
        self.scores: deque[float] = deque(maxlen=window)
        """Of the newest labels, as they were before each was learned."""
        self.lead = 0
        """Checks in a row at which it was better than the champion."""
        self.drifts = {"adwin": 0, "page_hinkley": 0}
        """How often the detector on its loss has spoken."""
        self._sure = pipelines.sure(self.model)
        self._adwin = drift.ADWIN()
        self._page_hinkley = _page_hinkley()

    @property
    def name(self) -> str:
        return self.pipeline.name

    def learn(self, x: dict[str, float], label: bool) -> None:
        odds = pipelines.log_odds(self.model, x, self._sure)
        score = self.calibration.of(odds)
        self.scores.append(score)
        if self._drifted(min(WORST, log_loss(score, label))):
            self.calibration.loosen()
        self.calibration.learn(odds, label)
        self.model.learn_one(x, label)

    def resize(self, window: int) -> None:
        if self.scores.maxlen != window:
            self.scores = deque(self.scores, maxlen=window)

    def _drifted(self, loss: float) -> bool:
        # ADWIN's mean before and after tells a rise from a fall: learning something is no alarm.
        before = self._adwin.estimation
        self._adwin.update(loss / WORST)
        cut = bool(self._adwin.drift_detected) and self._adwin.estimation > before
        self.drifts["adwin"] += cut
        self._page_hinkley.update(loss)
        risen = bool(self._page_hinkley.drift_detected)
        self.drifts["page_hinkley"] += risen
        return cut or risen

    def state(self) -> dict[str, Any]:
        """Everything that later labels depend on, made of plain values and River objects."""
        return {
            "pipeline": [self.pipeline.name, self.pipeline.model, dict(self.pipeline.options)],
            "model": self.model,
            "calibration": self.calibration.state(),
            "scores": array("d", self.scores).tobytes(),
            "lead": self.lead,
            "drifts": dict(self.drifts),
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
        contender.lead = state["lead"]
        contender.drifts = dict(state["drifts"])
        contender._adwin = state["adwin"]
        contender._page_hinkley = state["page_hinkley"]
        return contender


def _page_hinkley() -> Any:
    return drift.PageHinkley(delta=TOLERATED, threshold=ALARM, mode="up")
