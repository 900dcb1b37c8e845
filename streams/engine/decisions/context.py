"""P of one customer: what has been learned of an action's success by the features of those that it was tried on.

Owns how features become a posterior. It is Thompson sampling with a logistic regression (Chapelle and Li, "An empirical
evaluation of Thompson sampling", 2011, algorithm 3): weights are known to a normal distribution with a diagonal
precision, that of Laplace's approximation, so the log-odds of a customer are a normal number whose variance grows with
the distance from the customers that the action is known of. As the choice weighs Beta posteriors
(``arbitration.py``), success is taken as the Beta distribution of the mean and variance that a draw would have: the
mean of the logistic function of a normal number (MacKay, "The evidence framework applied to classification networks",
1992), and to first order p(1 - p) times the standard deviation of the log-odds. So a customer of a kind seldom tried is
explored as a new action would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan, pi, sqrt
from operator import mul, sub
from typing import Final, NamedTuple

from streams.contracts.outputs import Model
from streams.engine.decisions.arbitration import Posterior
from streams.engine.scoring.scorer import ModelRefused, probability

LEAST: Final = 1.0
"""Contacts that a posterior is worth at least: with fewer, success is nearly always or nearly never."""
_LARGEST: Final = 1e12
_MODERATE: Final = pi / 8.0


class Values(NamedTuple):
    """The features of a customer at a decision, in the order of the definition's first risk."""

    packed: bytes
    """As they wait for the label."""
    filled: list[float]
    """0 where one is missing,"""
    missing: list[int]
    """at these places."""


def values_of(packed: bytes, values: Sequence[float]) -> Values | None:
    """None where nothing is known of the customer: the posterior of everyone serves."""
    missing = [i for i, x in enumerate(values) if x != x]  # noqa: PLR0124 - NaN
    if len(missing) == len(values):
        return None
    filled = list(values)
    for i in missing:
        filled[i] = 0.0
    return Values(packed, filled, missing)


def named(names: Sequence[str], values: Values) -> dict[str, float]:
    """Feature -> value; those that are missing are left out."""
    found = dict(zip(names, values.filled, strict=True))
    for i in values.missing:
        del found[names[i]]
    return found


def of_names(names: Sequence[str], features: Mapping[str, float]) -> Values | None:
    """The inverse of ``named``, as a record tells it."""
    return values_of(b"", [features.get(name, nan) for name in names])


class Context:
    """The part of an action's snapshot that looks at the customer; nothing but numbers."""

    __slots__ = ("_bias", "_means", "_most", "_spread", "_spreads", "_weights", "meaning", "names")

    def __init__(self, model: Model) -> None:
        """Raises ``ModelRefused`` for numbers that make no model."""
        name = f"model {model.name}@{model.version}"
        n = len(model.features)
        if not len(model.weights) == len(model.means) == len(model.scales) == len(model.precisions) - 1 == n > 0:
            raise ModelRefused(
                "malformed",
                f"{name} has {n} features but {len(model.weights)} weights, {len(model.means)} means, "
                f"{len(model.scales)} scales and {len(model.precisions)} precisions (one more)",
            )
        numbers = (*model.weights, *model.means, *model.scales, model.intercept, model.slope, model.shift)
        if not all(-_LARGEST < x < _LARGEST for x in numbers) or not all(0.0 < q < _LARGEST for q in model.precisions):
            raise ModelRefused("malformed", f"{name} has numbers that are not finite, or precisions not above 0")
        self.names = tuple(model.features)
        self.meaning = model.context
        """Digest of what the features mean (``plan.context_of``)."""
        # Standardising and calibrating are folded into the numbers.
        slope = model.slope
        by = [1.0 / s if s > 0.0 else 0.0 for s in model.scales]
        self._bias = slope * model.intercept + model.shift
        self._means = list(model.means)
        self._weights = [slope * w * one for w, one in zip(model.weights, by, strict=True)]
        first, *others = model.precisions
        self._spread = slope * slope / first
        self._spreads = [slope * slope * one * one / q for q, one in zip(others, by, strict=True)]
        self._most = max(LEAST, model.positives + model.negatives)
        """No customer is known better than by all contacts."""

    def known(self, values: Values) -> Posterior:
        """What is known of success with this customer."""
        off = self._off(values)
        spread = self._spread + sum(map(mul, self._spreads, map(mul, off, off)))
        p = probability((self._bias + sum(map(mul, self._weights, off))) / sqrt(1.0 + _MODERATE * spread))
        n = max(LEAST, min(self._most, 1.0 / (p * (1.0 - p) * spread) - 1.0))
        return Posterior(p * n, (1.0 - p) * n)

    def contributions(self, values: Values) -> list[float]:
        """For each feature, by how much its value raised the log-odds against the mean."""
        return list(map(mul, self._weights, self._off(values)))

    def usual(self) -> Sequence[float]:
        """For each feature, its mean."""
        return self._means

    def _off(self, values: Values) -> list[float]:
        """Distances from the means; of what is missing, none."""
        off = list(map(sub, values.filled, self._means))
        for i in values.missing:
            off[i] = 0.0
        return off
