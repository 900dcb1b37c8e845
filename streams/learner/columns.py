"""The features as the labels bring them: what is usual, what is missing, what has changed.

Owns imputation and the drift detectors on features.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import isnan, nan, sqrt
from typing import Any, Final

from river import drift

WATCHED: Final = 64
"""Features with a drift detector; those beyond it have none."""
FAR: Final = 4.0
"""Standard deviations at which a value is cut for the detectors."""
CONFIDENCE: Final = 1e-5
"""Of ADWIN: the probability of a false alarm."""
SETTLED: Final = 100
"""Values before mean and deviation are steady enough to standardise by."""
ABSURD: Final = 1e12
"""A value beyond it is taken for missing, like one that is not finite."""


class Columns:
    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.means = [0.0] * len(self.names)
        self.drifts = [0] * len(self.names)
        """For each feature, how often its detector has spoken."""
        self._counts = [0] * len(self.names)
        self._squares = [0.0] * len(self.names)
        self._detectors = [drift.ADWIN(delta=CONFIDENCE) for _ in self.names[:WATCHED]]

    def packed(self, features: Mapping[str, float]) -> bytes:
        """The values in order as 4-byte floats, NaN for one that is missing, not finite or absurd."""
        values = array("f")
        for name in self.names:
            value = features.get(name, nan)
            values.append(value if -ABSURD < value < ABSURD else nan)
        return values.tobytes()

    def learn(self, packed: bytes) -> tuple[dict[str, float], int]:
        """All features in order, missing ones at their mean so far, and how many were missing."""
        x: dict[str, float] = {}
        missing = 0
        for i, (name, value) in enumerate(zip(self.names, array("f", packed), strict=True)):
            if isnan(value):
                x[name] = self.means[i]
                missing += 1
            else:
                self._learn(i, value)
                x[name] = value
        return x, missing

    def _learn(self, i: int, value: float) -> None:
        n = self._counts[i] = self._counts[i] + 1
        off = value - self.means[i]
        self.means[i] += off / n
        squares = self._squares[i] = self._squares[i] + off * (value - self.means[i])
        if i < WATCHED and n > SETTLED and squares > 0.0:
            z = off / sqrt(squares / n)
            detector = self._detectors[i]
            detector.update((max(-FAR, min(FAR, z)) + FAR) / (2.0 * FAR))
            if detector.drift_detected:
                self.drifts[i] += 1

    def state(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "means": array("d", self.means).tobytes(),
            "counts": list(self._counts),
            "squares": array("d", self._squares).tobytes(),
            "drifts": list(self.drifts),
            "detectors": list(self._detectors),
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Columns:
        columns = cls(state["names"])
        columns.means = list(array("d", state["means"]))
        columns._counts = list(state["counts"])
        columns._squares = list(array("d", state["squares"]))
        columns.drifts = list(state["drifts"])
        columns._detectors = list(state["detectors"])
        return columns
