"""How good scores are, judged by labels that came later.

Owns the definitions of the figures:

- AUC: share of pairs (one that came true, one that did not) in which the former has the higher score, ties half
  (Mann and Whitney 1947; Fawcett 2006).
- Log loss: mean of -ln(probability given to what happened).
- Calibration by bin: ten bins of equal width over the score; in each the mean score against the share that came true.
- ECE, expected calibration error: mean over bins of the distance of the two, weighted by the labels in the bin (Naeini,
  Cooper and Hauskrecht 2015).
- Base rate: share of labels that came true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log, nan, sqrt
from typing import Final, NamedTuple

from streams.engine.scoring.scorer import LOWEST

BINS: Final = 10


class Bin(NamedTuple):
    labels: int
    score: float
    """Mean score of the labels in it."""
    rate: float
    """Share of them that came true."""


class Quality(NamedTuple):
    """Figures over one set of (score, label); NaN where they are not defined."""

    labels: int
    base_rate: float
    auc: float
    log_loss: float
    ece: float
    bins: tuple[Bin, ...]

    @property
    def least(self) -> float:
        """Log loss of saying the base rate of everyone: a score that knows anything is below it."""
        p = self.base_rate
        return sum(-x * log(x) for x in (p, 1.0 - p) if x > 0.0)

    def figures(self, prefix: str = "") -> dict[str, float]:
        """Those that are defined, by name."""
        named = {
            f"{prefix}labels": float(self.labels),
            f"{prefix}base_rate": self.base_rate,
            f"{prefix}auc": self.auc,
            f"{prefix}log_loss": self.log_loss,
            f"{prefix}ece": self.ece,
        }
        return {name: value for name, value in named.items() if value == value}  # noqa: PLR0124 - NaN


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Area under the ROC curve; NaN unless there are labels of both classes."""
    true = sum(1 for label in labels if label)
    false = len(labels) - true
    if not true or not false:
        return nan
    ranks = sum(rank for rank, label in zip(_ranks(scores), labels, strict=True) if label)
    return (ranks - true * (true + 1) / 2.0) / (true * false)


def _ranks(scores: Sequence[float]) -> list[float]:
    """From 1, lowest first; equal scores share the mean of theirs."""
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    i = 0
    while i < len(order):
        j = i
        while j < len(order) and scores[order[j]] == scores[order[i]]:
            j += 1
        for k in range(i, j):
            ranks[order[k]] = (i + j + 1) / 2.0
        i = j
    return ranks


def lead(ahead: Sequence[float], behind: Sequence[float], labels: Sequence[bool]) -> tuple[float, float]:
    """By how much AUC the first scores lead the second ones on the same labels, and the standard error of that.

    Source: DeLong, DeLong and Clarke-Pearson 1988, by ranks as in Sun and Xu 2014. NaN where it is not defined.
    """
    spread = []
    for wanted in (True, False):
        shares = _shares(ahead, labels, wanted), _shares(behind, labels, wanted)
        spread.append([a - b for a, b in zip(*shares, strict=True)])
    if min(map(len, spread)) < 2:
        return nan, nan
    means = [sum(x) / len(x) for x in spread]
    variance = sum(
        sum((y - mean) ** 2 for y in x) / (len(x) - 1) / len(x) for x, mean in zip(spread, means, strict=True)
    )
    return means[0], sqrt(variance)


def _shares(scores: Sequence[float], labels: Sequence[bool], wanted: bool) -> list[float]:
    """For each label of the wanted class, the share of the others that it is on the right side of."""
    mine = [score for score, label in zip(scores, labels, strict=True) if label is wanted]
    others = max(1, len(scores) - len(mine))
    all_ranks = (rank for rank, label in zip(_ranks(scores), labels, strict=True) if label is wanted)
    below = [(rank - own) / others for rank, own in zip(all_ranks, _ranks(mine), strict=True)]
    return below if wanted else [1.0 - share for share in below]


def log_loss(score: float, label: bool) -> float:
    """Of one score."""
    p = score if label else 1.0 - score
    return -log(max(LOWEST, p))


def quality(scores: Sequence[float], labels: Sequence[bool]) -> Quality:
    """All figures over ``scores`` (probabilities) and what came to pass."""
    n = len(scores)
    if not n:
        return Quality(0, nan, nan, nan, nan, ())
    counts, sums, trues = [0] * BINS, [0.0] * BINS, [0] * BINS
    loss = 0.0
    for score, label in zip(scores, labels, strict=True):
        at = min(BINS - 1, int(score * BINS))
        counts[at] += 1
        sums[at] += score
        trues[at] += label
        loss += log_loss(score, label)
    bins = tuple(_bins(counts, sums, trues))
    ece = sum(b.labels * abs(b.score - b.rate) for b in bins if b.labels) / n
    return Quality(n, sum(trues) / n, auc(scores, labels), loss / n, ece, bins)


def _bins(counts: Sequence[int], sums: Sequence[float], trues: Sequence[int]) -> Iterable[Bin]:
    for n, total, true in zip(counts, sums, trues, strict=True):
        yield Bin(n, total / n, true / n) if n else Bin(0, nan, nan)
