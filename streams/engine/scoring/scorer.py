"""What the engine asks of a model, and the linear model, which is nothing but numbers.

Owns the arithmetic of a linear score: standardised features, log-odds, calibration. Other models are made elsewhere and
handed in; the engine knows this protocol only, so that it stays free of whatever they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isnan
from operator import mul
from typing import Final, Protocol

from streams.contracts.outputs import Model

LOWEST: Final = 1e-6
"""Scores stay within [LOWEST, 1 - LOWEST]: no log loss of a score is infinite."""
STEEPEST: Final = 30.0
"""Log-odds beyond it are cut."""


class ModelRefused(ValueError):  # noqa: N818 - an answer about data, as Refused elsewhere
    """A snapshot that must not be used; ``reason`` is one of a few words, for the metric."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Scorer(Protocol):
    """One version of one risk's model. Pure: the same values always give the same score."""

    key: str
    """name@version."""
    risk: str
    signature: str
    means: Sequence[float]
    """For each feature, what is usual."""

    def score(self, values: Sequence[float]) -> float:
        """Probability that the risk comes true. ``values``: one for each feature in order; NaN is missing."""

    def contributions(self, values: Sequence[float]) -> list[float]:
        """For each feature, by how much its value raised the log-odds against its mean."""


class LinearScorer:
    __slots__ = ("_bias", "_terms", "_weights", "key", "means", "risk", "signature")

    def __init__(self, model: Model) -> None:
        """Raises ``ModelRefused`` for numbers that make no model."""
        n = len(model.features)
        if not len(model.weights) == len(model.means) == len(model.scales) == n:
            raise ModelRefused(
                "malformed",
                f"model {model.name}@{model.version} has {n} features but {len(model.weights)} weights, "
                f"{len(model.means)} means and {len(model.scales)} scales",
            )
        numbers = (*model.weights, *model.means, *model.scales, model.intercept, model.slope, model.shift)
        if not all(-1e12 < x < 1e12 for x in numbers):
            raise ModelRefused("malformed", f"model {model.name}@{model.version} has numbers that are not finite")
        self.key = f"{model.name}@{model.version}"
        self.risk = model.name
        self.signature = model.signature
        self.means: Sequence[float] = list(model.means)
        # Standardising and calibrating are folded into the weights: what remains is one product.
        self._weights = [
            model.slope * w / s if s > 0.0 else 0.0 for w, s in zip(model.weights, model.scales, strict=True)
        ]
        usual = list(map(mul, self._weights, self.means))
        self._bias = model.slope * model.intercept + model.shift - sum(usual)
        self._terms = list(zip(self._weights, usual, strict=True))

    def score(self, values: Sequence[float]) -> float:
        # A missing value is taken for what is usual; nothing else is different from itself.
        terms = [w * x if x == x else usual for (w, usual), x in zip(self._terms, values, strict=True)]  # noqa: PLR0124
        return probability(self._bias + sum(terms))

    def contributions(self, values: Sequence[float]) -> list[float]:
        return [w * (x - m) for w, x, m in zip(self._weights, self._filled(values), self.means, strict=True)]

    def _filled(self, values: Sequence[float]) -> list[float]:
        return [m if isnan(x) else x for x, m in zip(values, self.means, strict=True)]


def probability(odds: float) -> float:
    """The logistic function, within [LOWEST, 1 - LOWEST]."""
    p = 1.0 / (1.0 + exp(-max(-STEEPEST, min(STEEPEST, odds))))
    return max(LOWEST, min(1.0 - LOWEST, p))
