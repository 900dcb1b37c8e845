"""Figures of quality against their definitions, computed the slow way."""

from __future__ import annotations

import statistics
from math import isnan, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.learner.quality import BINS, auc, lead, quality

scored = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.51, 0.9, 1.0]), st.booleans()), max_size=40)


def slow_auc(pairs: list[tuple[float, bool]]) -> float:
    true = [s for s, label in pairs if label]
    false = [s for s, label in pairs if not label]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in true for b in false) / (len(true) * len(false))


@given(scored)
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[float, bool]]) -> None:
    scores, labels = [s for s, _ in pairs], [label for _, label in pairs]
    found = auc(scores, labels)
    if len(set(labels)) < 2:
        assert isnan(found)
    else:
        assert found == pytest.approx(slow_auc(pairs))


@given(scored)
def test_bins_hold_every_label_once(pairs: list[tuple[float, bool]]) -> None:
    found = quality([s for s, _ in pairs], [label for _, label in pairs])
    assert found.labels == sum(b.labels for b in found.bins) == len(pairs)
    assert sum(b.labels * b.rate for b in found.bins if b.labels) == pytest.approx(sum(label for _, label in pairs))
    for at, b in enumerate(found.bins):
        if b.labels:
            assert at / BINS - 1e-12 <= b.score <= (at + 1) / BINS + 1e-12


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=30))
def test_a_lead_is_the_difference_of_auc_with_the_error_of_delong(rows: list[tuple[int, int, bool]]) -> None:
    a, b = [float(x) for x, _, _ in rows], [float(y) for _, y, _ in rows]
    labels = [label for _, _, label in rows]
    ahead, error = lead(a, b, labels)
    true, false = [i for i, x in enumerate(labels) if x], [i for i, x in enumerate(labels) if not x]
    if min(len(true), len(false)) < 2:
        assert isnan(ahead)
        assert isnan(error)
        return
    assert ahead == pytest.approx(auc(a, labels) - auc(b, labels), abs=1e-12)

    def kernel(i: int, j: int) -> float:
        return sum(sign * (s[i] > s[j]) + sign * 0.5 * (s[i] == s[j]) for sign, s in ((1, a), (-1, b)))

    of_true = [sum(kernel(i, j) for j in false) / len(false) for i in true]
    of_false = [sum(kernel(i, j) for i in true) / len(true) for j in false]
    variance = statistics.variance(of_true) / len(true) + statistics.variance(of_false) / len(false)
    assert error == pytest.approx(sqrt(variance), abs=1e-9)


def test_figures_of_a_small_case() -> None:
    found = quality([0.2, 0.2, 0.8, 0.8], [False, True, True, True])
    assert found.base_rate == 0.75
    assert found.auc == pytest.approx(2.5 / 3)
    assert found.log_loss == pytest.approx(-(log(0.8) + log(0.2) + 2 * log(0.8)) / 4)
    assert found.ece == pytest.approx((2 * abs(0.2 - 0.5) + 2 * abs(0.8 - 1.0)) / 4)


def test_one_class_has_no_auc_and_no_labels_have_no_figures() -> None:
    assert "auc" not in quality([0.3, 0.4], [True, True]).figures()
    assert quality([], []).figures() == {"labels": 0.0}


def test_an_impossible_label_costs_much_but_not_everything() -> None:
    assert quality([0.0], [True]).log_loss == pytest.approx(-log(1e-6))
