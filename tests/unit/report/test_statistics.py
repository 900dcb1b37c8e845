"""Formulas of the report against scipy and brute force."""

from __future__ import annotations

import math
import random

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from streams.tools.report.statistics import (
    Durations,
    Interval,
    Moments,
    Rate,
    difference,
    effective_size,
    moments_of,
    rate_difference,
    relative_uplift,
    sample_ratio,
    stratified_difference,
    wilson,
)

rates = st.integers(1, 400).flatmap(lambda n: st.builds(Rate, st.integers(0, n), st.just(n)))


@given(rates)
def test_wilson_is_scipys(rate: Rate) -> None:
    found = wilson(rate.count, rate.of)
    assert found is not None
    level = 2 * scipy.stats.norm.cdf(1.96) - 1
    expected = scipy.stats.binomtest(rate.count, rate.of).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_newcombes_own_example() -> None:
    """Newcombe 1998, table II, (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    found = rate_difference(Rate(56, 70), Rate(48, 80))
    assert found is not None
    assert found.estimate == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(rates, rates)
def test_a_difference_of_rates_contains_its_estimate_and_turns_round(a: Rate, b: Rate) -> None:
    one, other = rate_difference(a, b), rate_difference(b, a)
    assert one is not None
    assert other is not None
    assert -1 - 1e-9 <= one.low <= one.estimate <= one.high <= 1 + 1e-9
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_moments_are_those_of_the_list(values: list[float]) -> None:
    moments = Moments()
    for value in values:
        moments.add(value)
    assert moments.mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    mean = sum(values) / len(values)
    expected = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    assert moments.variance == pytest.approx(expected, rel=1e-6, abs=1e-4)


@given(rates)
def test_a_rate_is_a_mean_of_zeros_and_ones(rate: Rate) -> None:
    listed = Moments()
    for n in range(rate.of):
        listed.add(float(n < rate.count))
    made = moments_of(rate)
    assert made.n == listed.n
    assert made.mean == pytest.approx(listed.mean)
    assert made.squares == pytest.approx(listed.squares, abs=1e-9)


def test_the_difference_of_means_is_welchs_with_z() -> None:
    rng = random.Random(3)
    a = [rng.gauss(10, 3) for _ in range(300)]
    b = [rng.gauss(9, 5) for _ in range(200)]
    found = difference(of(a), of(b))
    assert found is not None
    welch = scipy.stats.ttest_ind(a, b, equal_var=False)
    se = (sum(a) / 300 - sum(b) / 200) / welch.statistic
    assert found.estimate == pytest.approx(sum(a) / 300 - sum(b) / 200)
    assert found.high - found.estimate == pytest.approx(1.96 * se)


def of(values: list[float]) -> Moments:
    moments = Moments()
    for value in values:
        moments.add(value)
    return moments


def test_relative_uplift_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(11)
    inside = 0
    for _ in range(400):
        treated = Rate(sum(rng.random() < 0.24 for _ in range(800)), 800)
        control = Rate(sum(rng.random() < 0.2 for _ in range(800)), 800)
        found = relative_uplift(moments_of(treated), moments_of(control))
        assert found is not None
        inside += found.low <= 0.2 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_relative_uplift_needs_something_to_relate_to() -> None:
    assert relative_uplift(moments_of(Rate(3, 10)), moments_of(Rate(0, 10))) is None
    assert relative_uplift(moments_of(Rate(3, 10)), Moments()) is None


def test_stratified_difference_covers_the_truth_though_the_mix_differs() -> None:
    """With half as many conversions in each stratum, and the concerned mostly where conversion is high."""
    rng = random.Random(5)
    inside = 0
    for _ in range(400):
        strata = []
        for base, with_it, without in ((0.6, 120, 80), (0.1, 40, 400)):
            a = Rate(sum(rng.random() < base / 2 for _ in range(with_it)), with_it)
            b = Rate(sum(rng.random() < base for _ in range(without)), without)
            strata.append((a, b))
        found = stratified_difference(strata)
        assert found is not None
        truth = -(0.3 * 120 + 0.05 * 40) / 160
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 400 <= 0.99


def test_a_stratum_with_one_side_tells_nothing() -> None:
    assert stratified_difference([(Rate(1, 2), Rate(0, 0))]) is None
    both = stratified_difference([(Rate(1, 2), Rate(0, 0)), (Rate(5, 10), Rate(2, 10))])
    assert both is not None
    assert both.estimate == pytest.approx(0.3)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=5).filter(any), st.randoms(use_true_random=False))
def test_sample_ratio_is_scipys_chi_squared(counts: list[int], rng: random.Random) -> None:
    shares = [rng.uniform(0.05, 1) for _ in counts]
    n, whole = sum(counts), sum(shares)
    expected = scipy.stats.chisquare(counts, [n * share / whole for share in shares]).pvalue
    assert sample_ratio(counts, shares) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_sample_ratio_of_nothing() -> None:
    assert sample_ratio([0, 0], [0.5, 0.5]) is None
    assert sample_ratio([5, 3], [1.0, 0.0]) is None


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_within_a_hundredth(values: list[float], q: float) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    expected = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    assert durations.quantile(q) == pytest.approx(expected, rel=0.0101)
    assert durations.mean == pytest.approx(sum(values) / len(values))


def test_effective_size() -> None:
    assert effective_size([1.0] * 7) == pytest.approx(7)
    assert effective_size([1.0, 0.0, 0.0]) == pytest.approx(1)
    assert effective_size([]) == 0


@pytest.mark.parametrize(("low", "high", "says"), [(0.1, 0.3, "up"), (-0.3, -0.1, "down"), (-0.1, 0.1, "unclear")])
def test_what_an_interval_says(low: float, high: float, says: str) -> None:
    assert Interval(0.0, low, high).says == says
