"""A guardrail that is asked with every contact is broken by harm, and hardly ever by chance."""

from __future__ import annotations

import random
from collections import deque

import pytest

from streams.definitions.policy import Guardrails
from streams.learner.guarding import FEW, at_least, bits, broken


@pytest.mark.parametrize(
    ("hits", "n", "rate"), [(5, 31, 0.01), (7, 14, 0.1), (60, 1000, 0.05), (1, 1, 0.5), (10, 10, 0.3), (999, 1000, 0.9)]
)
def test_it_is_the_binomial_distribution(hits: int, n: int, rate: float) -> None:
    from scipy.special import bdtrc  # noqa: PLC0415 - slow to import

    assert at_least(hits, n, rate) == pytest.approx(float(bdtrc(hits - 1, n, rate)), rel=1e-9)


@pytest.mark.parametrize(("hits", "n", "rate", "chance"), [(0, 0, 0.1, 1.0), (5, 50, 0.1, 1.0), (1, 3, 0.0, 0.0)])
def test_what_is_expected_and_what_is_impossible(hits: int, n: int, rate: float, chance: float) -> None:
    assert at_least(hits, n, rate) == chance


def paused_after(rate: float, bound: float, window: int, contacts: int, draw: random.Random) -> int | None:
    rules = Guardrails(unsubscribed=bound, complained=bound, window=window)
    heard: deque[int] = deque(maxlen=window)
    for n in range(contacts):
        told = [name for name in ("unsubscribed", "complained") if draw.random() < rate]
        heard.append(bits(told))
        if told and broken(rules, heard):  # it is only broken anew by one more
            return n
    return None


def test_who_keeps_to_the_bounds_is_hardly_ever_paused_however_often_one_looks() -> None:
    draw = random.Random(4)
    paused = [paused_after(0.05, 0.05, 200, 400, draw) for _ in range(150)]
    # Twice as many contacts as the window has, so at most 10 % in the long run.
    assert sum(n is not None for n in paused) <= 15


def test_harm_is_found() -> None:
    draw = random.Random(4)
    found = [paused_after(0.2, 0.05, 200, 400, draw) for _ in range(30)]
    assert all(n is not None and n >= FEW - 1 for n in found)
