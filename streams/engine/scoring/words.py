"""A score in words: what moved it most, with the customer's value beside what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Final

from streams.engine.scoring.features import Feature, unscaled

SHOWN: Final = 5
_AFTER: Final = frozenset({"", "share", "sentiment", "score"})
"""Units whose number reads better after the title."""


def strongest(names: Sequence[str], contributions: Sequence[float], *, rising: bool) -> dict[str, float]:
    """Feature -> by how much it moved the log-odds: the up to five that raised the score most, or lowered it."""
    sign = 1.0 if rising else -1.0
    moved = [(sign * c, -i) for i, c in enumerate(contributions) if isfinite(c) and round(sign * c, 4) > 0.0]
    return {names[-i]: sign * round(c, 4) for c, i in sorted(moved, reverse=True)[:SHOWN]}


def words(
    features: Sequence[Feature], values: Sequence[float], means: Sequence[float], shown: dict[str, float]
) -> list[str]:
    """ "45 days since the last order (usually 12)", in the order of ``shown``."""
    at = {f.name: i for i, f in enumerate(features)}
    return [_word(features[i], values[i], means[i]) for i in (at[name] for name in shown)]


def _word(feature: Feature, value: float, mean: float) -> str:
    unit = feature.unit
    own, usual = number(unscaled(feature, value), unit), number(unscaled(feature, mean), unit)
    what = f"{feature.title} {own}" if unit in _AFTER else f"{own} {feature.title}"
    return f"{what} (usually {usual})"


def number(x: float, unit: str) -> str:
    """As a person writes it."""
    if not isfinite(x):
        return "unknown"
    if unit == "share":
        return f"{100 * x:.0f} %"
    size = abs(x)
    text = f"{x:.0f}" if size >= 10 or abs(x - round(x)) < 0.005 else f"{x:.1f}" if size >= 1 else f"{x:.2f}"
    return "0" if text == "-0" else text
