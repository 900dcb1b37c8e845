"""Which of the candidates that passed all gates: priority = P x C x V x L (Pega), drawn by Thompson sampling.

Owns the probabilities with which candidates are chosen. They are computed first and the choice is drawn from them with
one number, so the logged propensity is the probability of the choice, exactly, and a decision can be computed again
from its record.

Thompson sampling chooses each candidate with the probability that it is the best one. What is known of a candidate's
success is a Beta posterior; its value times that success is taken as a bell of the same mean and standard deviation
with a bounded support (the density of Beta(2, 2)), so that the probability of being the largest is one sum over a grid
of nothing but additions and multiplications: equal on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, inf, sqrt
from operator import mul
from typing import TYPE_CHECKING, Final

from streams.definitions.policy import Arbitration

if TYPE_CHECKING:
    from streams.engine.decisions.context import Context

CELLS: Final = 8
"""Of the grid between the largest lower end and the largest upper end of all candidates."""
_LEAST: Final = 1e-300
"""Values nearer to each other are one: numbers that small have no digits left to divide."""
_HALF: Final = sqrt(5.0)
"""Half the support of Beta(2, 2) in standard deviations."""


@dataclass(slots=True)
class ActionModel:
    """A snapshot of what has been learned of one action's success: of everyone, and by features if that says more."""

    key: str
    """name@version."""
    risk: str
    """``action.<name>``: what a model is called by, as with risks."""
    signature: str
    positives: float
    negatives: float
    paused: bool = False
    """A guardrail is broken."""
    means: Sequence[float] = ()
    context: Context | None = None
    """Where looking at the customer says more than that."""

    def score(self, values: Sequence[float]) -> float:  # noqa: ARG002 - Scorer's
        """Share of successes, smoothed."""
        return (0.5 + self.positives) / (1.0 + self.positives + self.negatives)

    def contributions(self, values: Sequence[float]) -> list[float]:  # noqa: ARG002 - Scorer's
        return []


class Posterior:
    """What is known of a success: successes and failures, the prior included."""

    __slots__ = ("half", "mean", "negatives", "positives")

    def __init__(self, positives: float, negatives: float) -> None:
        total = positives + negatives
        self.positives = positives
        self.negatives = negatives
        self.mean = mean = positives / total
        self.half = _HALF * sqrt(mean * (1.0 - mean) / (total + 1.0))
        """Half of the support of the bell that it is weighed as."""


def posterior(rules: Arbitration, positives: float, negatives: float) -> Posterior:
    """(0.5 + positives) / (1 + positives + negatives) with the default prior (Pega's smoothing of a new action)."""
    return Posterior(rules.prior_positives + positives, rules.prior_negatives + negatives)


def propensities(
    rules: Arbitration, scales: Sequence[float], posteriors: Sequence[Posterior], *, learned: bool, often: bool = False
) -> list[float]:
    """Probability of choosing each candidate; they add up to 1. ``scales``: C x V x L.

    ``learned``: of one candidate at least something is known. Otherwise, as with ``greedy``, the one with the highest
    priority is taken (the first of several). ``often``: the same numbers are weighed for many customers.
    """
    n = len(scales)
    if n == 1:
        return [1.0]
    drawn: Sequence[float] | None = None
    if learned and rules.sampling == "thompson":
        drawn = _cached(tuple(scales), tuple(posteriors)) if often else best_probabilities(scales, posteriors)
    if drawn is not None:
        chosen = list(drawn)
    else:
        means = [scale * one.mean for scale, one in zip(scales, posteriors, strict=True)]
        first = means.index(max(means))
        chosen = [0.0] * n
        chosen[first] = 1.0
    if rules.explore > 0.0:
        floor = rules.explore / n
        keep = 1.0 - rules.explore
        chosen = [floor + keep * one for one in chosen]
    return chosen


@lru_cache(maxsize=1024)
def _cached(scales: tuple[float, ...], posteriors: tuple[Posterior, ...]) -> tuple[float, ...] | None:
    """Where values are plain numbers the same weighing comes again and again, until a model changes."""
    found = best_probabilities(scales, posteriors)
    return None if found is None else tuple(found)


def best_probabilities(scales: Sequence[float], posteriors: Sequence[Posterior]) -> list[float] | None:
    """For each candidate the probability that it is the largest; None where nothing is uncertain."""
    ends: list[tuple[float, float]] = []
    low = high = -inf
    for scale, one in zip(scales, posteriors, strict=True):
        mean, half = one.mean * scale, one.half * scale
        lower, upper = mean - half, mean + half
        ends.append((lower, upper))
        low = max(low, lower)
        high = max(high, upper)
    if not _LEAST < high - low < inf:
        return None
    cell = (high - low) / CELLS
    chance = [1.0] * CELLS  # that all of them are lower than the middle of the cell
    gains: list[list[float]] = []
    for lower, upper in ends:
        if upper <= low:
            gains.append([])
            continue
        width = upper - lower
        u = (low - lower) / width
        by = cell / width
        before = u * u * (3.0 - 2.0 * u) if u > 0.0 else 0.0
        own = []
        for k in range(CELLS):
            u += by
            if u < 1.0:
                upto = u * u * (3.0 - 2.0 * u)
                middle = 0.5 * (before + upto)
                chance[k] *= middle
                own.append((upto - before) / middle)
                before = upto
            else:
                middle = 0.5 * (before + 1.0)
                chance[k] *= middle
                own.append((1.0 - before) / middle)
                break
        gains.append(own)
    found = [fsum(map(mul, own, chance)) for own in gains]
    total = fsum(found)
    return [one / total for one in found]


def pick(probabilities: Sequence[float], draw: float) -> int:
    """Which candidate a number in [0, 1) chooses."""
    upto = 0.0
    last = 0
    for i, one in enumerate(probabilities):
        if one > 0.0:
            upto += one
            last = i
            if draw < upto:
                return i
    return last
