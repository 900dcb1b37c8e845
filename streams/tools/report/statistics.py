"""Rates, means and differences with their 95 % intervals; the test of a division into groups.

Owns every formula of a report that is more than a quotient. z = 1.96 throughout (reference: delta method for uplift;
Wilson 1927 for one rate, Newcombe 1998 method 10 for a difference of two). Durations
are kept as counts by logarithmic bins (the idea of DDSketch: Masson, Rim and Lee 2019), so medians need constant room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, exp, log, sqrt
from typing import Final

import msgspec

Z: Final = 1.96
SUSPICIOUS: Final = 0.001
"""A division into groups that is less probable than this is taken for a fault and not for chance."""
FEW: Final = 5
"""Fewer successes or failures in a group than this: a normal interval says little."""


class Interval(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float

    @property
    def says(self) -> str:
        """up, down, or unclear where 0 lies inside."""
        return "up" if self.low > 0 else "down" if self.high < 0 else "unclear"


class Rate(msgspec.Struct, frozen=True):
    """``count`` of ``of``."""

    count: int
    of: int

    @property
    def share(self) -> float | None:
        return self.count / self.of if self.of else None


def wilson(count: int, of: int, z: float = Z) -> Interval | None:
    """Interval of one rate (Wilson's score); None of nothing."""
    if of == 0:
        return None
    p = count / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    low = 0.0 if count == 0 else max(0.0, middle - half)
    high = 1.0 if count == of else min(1.0, middle + half)
    return Interval(p, low, high)


def rate_difference(one: Rate, other: Rate, z: float = Z) -> Interval | None:
    """one - other by Newcombe's method 10, which holds for small groups and rates near 0 or 1."""
    a, b = wilson(one.count, one.of, z), wilson(other.count, other.of, z)
    if a is None or b is None:
        return None
    d = a.estimate - b.estimate
    low = d - sqrt((a.estimate - a.low) ** 2 + (b.high - b.estimate) ** 2)
    high = d + sqrt((a.high - a.estimate) ** 2 + (b.estimate - b.low) ** 2)
    return Interval(d, low, high)


def stratified_difference(strata: Iterable[tuple[Rate, Rate]]) -> Interval | None:
    """Mean over strata of (with - without), weighted by the number with: the difference for those concerned.

    A stratum without anybody on one side tells nothing and is left out. The variance of a rate is taken with one
    success and one failure added (Agresti and Caffo 2000), so that a small stratum is not taken for a certain one.
    """
    used = [(a, b) for a, b in strata if a.of and b.of]
    total = sum(a.of for a, _ in used)
    if not total:
        return None
    d = var = 0.0
    for a, b in used:
        w = a.of / total
        d += w * (a.count / a.of - b.count / b.of)
        var += w * w * (_variance(a) + _variance(b))
    half = Z * sqrt(var)
    return Interval(d, max(-1.0, d - half), min(1.0, d + half))


def _variance(rate: Rate) -> float:
    n = rate.of + 2
    p = (rate.count + 1) / n
    return p * (1 - p) / n


class Moments(msgspec.Struct):
    """Mean and variance of numbers that pass (Welford 1962)."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared deviations from the mean."""

    def add(self, x: float) -> None:
        self.n += 1
        before = x - self.mean
        self.mean += before / self.n
        self.squares += before * (x - self.mean)

    @property
    def variance(self) -> float:
        """Of the sample (n - 1)."""
        return self.squares / (self.n - 1) if self.n > 1 else 0.0

    def interval(self) -> Interval | None:
        """Of the mean; None with fewer than two numbers."""
        if self.n < 2:
            return None
        half = Z * sqrt(self.variance / self.n)
        return Interval(self.mean, self.mean - half, self.mean + half)


def moments_of(rate: Rate) -> Moments:
    """Those of ``count`` ones among ``of``: a rate is the mean of zeros and ones."""
    if not rate.of:
        return Moments()
    p = rate.count / rate.of
    return Moments(rate.of, p, rate.of * p * (1 - p))


def difference(treated: Moments, control: Moments) -> Interval | None:
    """treated - control; None with fewer than two numbers on a side."""
    if treated.n < 2 or control.n < 2:
        return None
    d = treated.mean - control.mean
    half = Z * sqrt(treated.variance / treated.n + control.variance / control.n)
    return Interval(d, d - half, d + half)


def relative_uplift(treated: Moments, control: Moments) -> Interval | None:
    """treated / control - 1 by the delta method; None where the control's mean is not above 0.

    Var(a/b) ~ Var(a)/b^2 + a^2 Var(b)/b^4 for independent means a and b.
    """
    if treated.n < 2 or control.n < 2 or control.mean <= 0:
        return None
    a, b = treated.mean, control.mean
    var = treated.variance / treated.n / b**2 + a**2 * control.variance / control.n / b**4
    half = Z * sqrt(var)
    return Interval(a / b - 1, a / b - 1 - half, a / b - 1 + half)


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> float | None:
    """Probability of a division at least so far from ``shares`` (Pearson's chi-squared); None where it says nothing.

    ``shares`` need not add up to 1. Groups of share 0 are left out.
    """
    from scipy.special import chdtrc  # noqa: PLC0415 - slow to import, needed at the end

    pairs = [(n, share) for n, share in zip(counts, shares, strict=True) if share > 0]
    n, whole = sum(c for c, _ in pairs), sum(share for _, share in pairs)
    if len(pairs) < 2 or n == 0:
        return None
    statistic = sum((c - n * share / whole) ** 2 / (n * share / whole) for c, share in pairs)
    return float(chdtrc(len(pairs) - 1, statistic))


_GROWTH: Final = log(1.02)


class Durations(msgspec.Struct):
    """Durations (or other positive amounts): exact mean, quantiles to within 1 %."""

    n: int = 0
    total: float = 0.0
    bins: Counter[int] = msgspec.field(default_factory=Counter)
    """Number of the bin (1.02^(i-1), 1.02^i] -> durations; ``ZERO``: not above 0."""

    def add(self, x: float) -> None:
        self.n += 1
        self.total += x
        self.bins[ceil(log(x) / _GROWTH) if x > 0 else _ZERO] += 1

    @property
    def mean(self) -> float | None:
        return self.total / self.n if self.n else None

    def quantile(self, q: float) -> float | None:
        """The smallest duration that at least the share ``q`` does not exceed."""
        need = max(1, ceil(q * self.n))
        for number in sorted(self.bins):
            need -= self.bins[number]
            if need <= 0:
                return 0.0 if number == _ZERO else 2 * exp(number * _GROWTH) / (1 + exp(_GROWTH))
        return None

    @property
    def median(self) -> float | None:
        return self.quantile(0.5)


_ZERO: Final = -(1 << 40)


def ratio(a: float, b: float) -> float | None:
    """a / b; None of nothing."""
    return a / b if b else None


def effective_size(weights: Iterable[float]) -> float:
    """Kish's: (sum w)^2 / sum w^2."""
    total = squares = 0.0
    for w in weights:
        total += w
        squares += w * w
    return total * total / squares if squares else 0.0
