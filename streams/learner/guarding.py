"""When a guardrail is broken while the action runs: a rate above its bound, asked anew with every contact.

Owns the correction for that. Whoever looks a thousand times sees every rate above its bound some time, so each look has
the thousandth part of the error that all may have, and so has each bound (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log, log1p
from typing import Final

from streams.definitions.policy import Guardrails

GUARDED: Final = ("unsubscribed", "dismissed", "complained", "crowded")
FEW: Final = 5
"""Fewer than this break no guardrail."""
ERROR: Final = 0.05
"""Probability that an action none of whose rates is above its bound is taken for a harmful one in as many contacts as
the window has."""


def bits(outcomes: Sequence[str]) -> int:
    """What was heard of one contact."""
    return sum(1 << n for n, name in enumerate(GUARDED) if name in outcomes)


def broken(rules: Guardrails | None, heard: Sequence[int]) -> list[str]:
    """Guardrails that are. ``heard``: ``bits`` of the newest contacts, at most ``window`` of them.

    The chance of so many hits if the rate were the bound is that of the binomial distribution, exactly.
    """
    if rules is None:
        return []
    bounds = [(n, name, bound) for n, name in enumerate(GUARDED) if (bound := getattr(rules, name)) is not None]
    found = []
    for n, name, bound in bounds:
        hits = sum(one >> n & 1 for one in heard)
        if hits >= FEW and at_least(hits, len(heard), bound) <= ERROR / (len(bounds) * rules.window):
            found.append(name)
    return found


def at_least(hits: int, n: int, rate: float) -> float:
    """Probability of so many or more among ``n`` independent ones of probability ``rate``; 1 where that is no more than
    to be expected."""
    if hits <= n * rate:
        return 1.0
    if rate <= 0.0:
        return 0.0
    ways = lgamma(n + 1) - lgamma(hits + 1) - lgamma(n - hits + 1)
    term = exp(ways + hits * log(rate) + (n - hits) * log1p(-rate))
    total = 0.0
    odds = rate / (1.0 - rate)
    for k in range(hits, n + 1):
        total += term
        if term < total * 1e-12:
            break
        term *= (n - k) / (k + 1) * odds
    return min(1.0, total)
