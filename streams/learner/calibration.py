"""Probability calibration that follows the labels: Platt's scaling, learned online.

Owns slope and shift. Source: J. Platt, "Probabilistic outputs for support vector machines" (1999); here the two
parameters follow by Newton steps with exponential forgetting and a pull towards the identity, because labels come one
by one and the world changes.
"""

from __future__ import annotations

from typing import Final

from streams.engine.scoring.scorer import probability

MEMORY: Final = 5_000.0
"""Labels after which an older one weighs 1/e."""
PULL: Final = 20.0
"""Curvature with which the parameters are held at slope 1, shift 0: about as much as 80 labels at even odds."""
FLATTEST: Final = 0.01
STEEP: Final = 10.0


class Calibration:
    """probability = sigmoid(slope * log-odds + shift)."""

    __slots__ = ("_aa", "_ab", "_bb", "shift", "slope")

    def __init__(self) -> None:
        self.slope = 1.0
        self.shift = 0.0
        self._aa = self._bb = PULL
        self._ab = 0.0

    @staticmethod
    def at(odds: float, slope: float, shift: float) -> float:
        return probability(slope * odds + shift)

    def of(self, odds: float) -> float:
        return self.at(odds, self.slope, self.shift)

    def learn(self, odds: float, label: bool) -> None:
        p = self.of(odds)
        keep = 1.0 - 1.0 / MEMORY
        curve, pull = p * (1.0 - p), PULL / MEMORY
        self._aa = keep * self._aa + curve * odds * odds + pull
        self._ab = keep * self._ab + curve * odds
        self._bb = keep * self._bb + curve + pull
        error = label - p
        a = error * odds + pull * (1.0 - self.slope)
        b = error - pull * self.shift
        scale = self._aa * self._bb - self._ab * self._ab
        self.slope = max(FLATTEST, min(STEEP, self.slope + (self._bb * a - self._ab * b) / scale))
        self.shift = max(-STEEP, min(STEEP, self.shift + (self._aa * b - self._ab * a) / scale))

    def state(self) -> list[float]:
        return [self.slope, self.shift, self._aa, self._ab, self._bb]

    @classmethod
    def of_state(cls, state: list[float]) -> Calibration:
        calibration = cls()
        calibration.slope, calibration.shift, calibration._aa, calibration._ab, calibration._bb = state
        return calibration
