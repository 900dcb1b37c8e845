"""How a definition reads satisfaction: typed and immutable.

Owns ``Satisfaction`` and the formulas of CSAT, for which there is no standard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Csat = Literal["top_2_box", "mean"]
CSAT: Final = ("top_2_box", "mean")
"""Share of answers 4 and 5 of 1 to 5; mean of the answers."""


@dataclass(frozen=True, slots=True)
class Satisfaction:
    fall: float = 0.5
    words: Mapping[str, float] = field(default_factory=dict)
    """Emotion word (lower case) -> sentiment -1..1, used where a touchpoint has an emotion but no sentiment."""
    csat: Csat = "top_2_box"
