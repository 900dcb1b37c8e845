"""What marks an action as harmful: comparisons with the holdout and with guardrails, corrected for how many there are.

Owns the correction: Holm (1979) over all comparisons of one report, each arm and each bound of every action. An
interval of 95 % lies on the wrong side by chance once in forty, and a report may have hundreds of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import erfc, inf, sqrt
from typing import Final

from streams.definitions.policy import Guardrails
from streams.tools.report.groups import BOUNDS, DISMISSED, GroupFigures
from streams.tools.report.statistics import FEW, Interval, Rate, Z, rate_difference, wilson
from streams.tools.report.units import HOLDOUT

LEVEL: Final = 0.025
"""That any one of a report's comparisons, none of which is of real harm, marks an action: the one side of 95 %."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One comparison that was made, whatever it says."""

    words: str
    chance: float
    """Probability of a difference to the bad side at least as large, if there is none (one-sided)."""
    enough: bool = True
    """False: it is one of too few to mark anything."""


def proven(comparisons: Sequence[Suspicion]) -> list[bool]:
    """Which of them are still more than chance if all are looked at together (Holm's step-down procedure)."""
    found = [False] * len(comparisons)
    for rank, n in enumerate(sorted(range(len(comparisons)), key=lambda n: comparisons[n].chance)):
        if comparisons[n].chance > LEVEL / (len(comparisons) - rank):
            break
        found[n] = comparisons[n].enough
    return found


def against_holdout(groups: Sequence[GroupFigures]) -> Iterator[Suspicion]:
    """Conversion, value and complaints of each group that is compared with the holdout."""
    control = next((group for group in groups if group.group == HOLDOUT), None)
    for group in groups:
        if control is None or group.against != HOLDOUT:
            continue
        for what, interval in (("conversion", group.uplift), ("value of a customer", group.value_uplift)):
            if interval is not None and not group.few:
                yield Suspicion(f"{group.group}: {what} is lower than in the holdout", _below(interval))
        for name, rate in group.harm.items():
            if name != DISMISSED and rate.of and control.harm[name].of:  # nobody there has a message to dismiss
                yield Suspicion(
                    f"{group.group}: {name} more often than in the holdout", higher(rate, control.harm[name])
                )


def against_bounds(rules: Guardrails, harm: Sequence[tuple[bool, ...]]) -> Iterator[Suspicion]:
    """Rates over the newest decisions, each with its bound."""
    for n, name in enumerate((*BOUNDS, "crowded")):
        bound = getattr(rules, name)
        rate = Rate(sum(one[n] for one in harm), len(harm))
        interval = wilson(rate.count, rate.of)
        if bound is None or interval is None:
            continue
        spread = sqrt(bound * (1 - bound) / rate.of)
        z = (interval.estimate - bound) / spread if spread else inf if interval.estimate > bound else 0.0
        words = (
            f"{name} after {interval.estimate:.1%} of the last {rate.of:,} (at least {interval.low:.1%} "
            f"with 95 % confidence), the guardrail is {bound:.1%}"
        )
        yield Suspicion(words, _tail(z), rate.count >= FEW)


def higher(one: Rate, other: Rate) -> float:
    """Chance that ``one`` is so much higher: at that z one end of Newcombe's interval would be 0."""
    estimate = rate_difference(one, other)
    if estimate is None or estimate.estimate <= 0:
        return 0.5
    low, high = 0.0, 40.0
    for _ in range(50):
        middle = (low + high) / 2
        at = rate_difference(one, other, middle)
        if at is not None and at.low > 0:
            low = middle
        else:
            high = middle
    return _tail(low)


def _below(interval: Interval) -> float:
    """Chance of an estimate so far below 0, from a normal interval."""
    half = (interval.high - interval.low) / 2
    if half == 0:
        return 0.0 if interval.estimate < 0 else 0.5
    return _tail(-interval.estimate / half * Z)


def _tail(z: float) -> float:
    return 0.5 * erfc(z / sqrt(2))
