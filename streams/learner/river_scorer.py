"""What scores with a River classifier.

Owns the score and the contributions of models that are more than numbers. Only ``snapshots.scorer_of`` comes here, and
only after the signature was found right.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any

from streams.contracts.outputs import Model
from streams.engine.scoring.scorer import ModelRefused, probability
from streams.learner import frozen, pipelines


def scorer_of_body(model: Model, body: bytes) -> RiverScorer:
    """Raises ``ModelRefused`` for a body that is no model."""
    try:
        pipeline = frozen.thaw(body)
    except frozen.Unreadable as error:
        raise ModelRefused(error.reason, f"model {model.name}@{model.version}: {error}") from error
    return RiverScorer(model, pipeline)


class RiverScorer:
    """Any River classifier. A contribution is what is lost when the feature takes its mean (occlusion)."""

    __slots__ = ("_features", "_pipeline", "_shift", "_slope", "_sure", "key", "means", "risk", "signature")

    def __init__(self, model: Model, pipeline: Any) -> None:
        """Raises ``ModelRefused`` for numbers that make no model."""
        name = f"model {model.name}@{model.version}"
        numbers = (*model.means, model.slope, model.shift)
        if len(model.means) != len(model.features) or not all(map(isfinite, numbers)):
            raise ModelRefused("malformed", f"{name} has {len(model.features)} features and {len(model.means)} means")
        self.key = f"{model.name}@{model.version}"
        self.risk = model.name
        self.signature = model.signature
        self.means: Sequence[float] = list(model.means)
        self._features = list(model.features)
        self._pipeline = pipeline
        self._slope = model.slope
        self._shift = model.shift
        self._sure = pipelines.sure(pipeline)
        try:
            self._odds(dict(zip(self._features, self.means, strict=True)))
        except Exception as error:  # whatever it is, it does not score
            raise ModelRefused("malformed", f"{name} does not score: {type(error).__name__}: {error}") from error

    def score(self, values: Sequence[float]) -> float:
        return probability(self._odds(self._filled(values)))

    def contributions(self, values: Sequence[float]) -> list[float]:
        x = self._filled(values)
        odds = self._odds(x)
        found = []
        for name, mean in zip(self._features, self.means, strict=True):
            value = x[name]
            x[name] = mean
            found.append(odds - self._odds(x))
            x[name] = value
        return found

    def _odds(self, x: dict[str, float]) -> float:
        return self._slope * pipelines.log_odds(self._pipeline, x, self._sure) + self._shift

    def _filled(self, values: Sequence[float]) -> dict[str, float]:
        return {
            name: mean if isnan(value) else value
            for name, value, mean in zip(self._features, values, self.means, strict=True)
        }
