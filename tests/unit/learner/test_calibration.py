"""Calibration finds the slope and shift that the labels were drawn with."""

from __future__ import annotations

import random
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.learner.calibration import FLATTEST, STEEP, Calibration


def learn(calibration: Calibration, slope: float, shift: float, n: int, seed: int = 1) -> None:
    draw = random.Random(seed)
    for _ in range(n):
        odds = draw.gauss(0.0, 2.0)
        calibration.learn(odds, draw.random() < 1.0 / (1.0 + exp(-slope * odds - shift)))


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.4, 0.0), (1.0, -1.0), (1.8, 0.7)])
def test_it_finds_what_is_wrong(slope: float, shift: float) -> None:
    calibration = Calibration()
    learn(calibration, slope, shift, 8_000)
    assert calibration.slope == pytest.approx(slope, rel=0.2)
    assert calibration.shift == pytest.approx(shift, abs=0.25)


def test_it_follows_when_the_world_changes() -> None:
    calibration = Calibration()
    learn(calibration, 1.0, 1.0, 4_000)
    learn(calibration, 1.0, -1.0, 30_000, seed=2)
    assert calibration.shift == pytest.approx(-1.0, abs=0.3)


@given(st.lists(st.tuples(st.floats(-30.0, 30.0), st.booleans()), max_size=200))
def test_no_labels_make_it_absurd(labels: list[tuple[float, bool]]) -> None:
    calibration = Calibration()
    for odds, label in labels:
        calibration.learn(odds, label)
        assert FLATTEST <= calibration.slope <= STEEP
        assert abs(calibration.shift) <= STEEP
        assert 0.0 < calibration.of(odds) < 1.0


def test_state_is_exact() -> None:
    calibration = Calibration()
    learn(calibration, 0.7, 0.3, 100)
    again = Calibration.of_state(calibration.state())
    learn(calibration, 0.7, 0.3, 100, seed=3)
    learn(again, 0.7, 0.3, 100, seed=3)
    assert again.state() == calibration.state()
