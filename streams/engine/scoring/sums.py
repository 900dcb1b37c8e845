"""Sums that decay, and visits: how a touchpoint is added to what the features are read from.

Decay is forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009): each touchpoint adds 2^((t - landmark) /
half-life) to a sum, and a reader divides by the same power of its own time. So an update is one addition whatever the
order of arrival, and nothing has to be aged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streams.engine.scoring.state import Activity

DAY_MS: Final = 86_400_000
HALF_LIVES_DAYS: Final = (7, 30, 90)
_PERIOD_MS: Final = 630 * DAY_MS
"""The least common multiple of the half-lives: moving the landmark by it scales by exact powers of two."""
_FARTHEST_MS: Final = 4 * _PERIOD_MS
"""The landmark is moved before a weight leaves the range of a double (2^1023)."""
_PER_MS: Final = tuple(1.0 / (days * DAY_MS) for days in HALF_LIVES_DAYS)
_K7, _K30, _K90 = _PER_MS
RUNS: Final = 64
"""Visits of the recent past that a disordered touchpoint can still join."""


def add(a: Activity, name: str, t: int, n: float = 1.0) -> None:
    """Add ``n`` at time ``t`` to a sum."""
    landmark = a.landmark
    x = t - landmark
    if not -_FARTHEST_MS < x < _FARTHEST_MS or not landmark:
        x = _land(a, t)
    held = a.sums.get(name)
    if held is None:
        a.sums[name] = [n * 2.0 ** (x * _K7), n * 2.0 ** (x * _K30), n * 2.0 ** (x * _K90)]
        return
    held[0] += n * 2.0 ** (x * _K7)
    held[1] += n * 2.0 ** (x * _K30)
    held[2] += n * 2.0 ** (x * _K90)


def _land(a: Activity, t: int) -> int:
    """Set or move the landmark for an addition at ``t``; how far ``t`` is from it then."""
    landmark = t // _PERIOD_MS * _PERIOD_MS or 1
    if not a.landmark:
        a.landmark = landmark
    elif t > a.landmark:
        x = landmark - a.landmark
        down = 2.0 ** -(x * _K7), 2.0 ** -(x * _K30), 2.0 ** -(x * _K90)
        for held in a.sums.values():
            for i in range(3):
                held[i] *= down[i]
        a.landmark = landmark
    return t - a.landmark


def visit(a: Activity, t: int, gap_ms: int, keep_ms: int) -> None:
    """A touchpoint at ``t`` belongs to a visit or begins one; none of the touchpoints of a visit is more than
    ``gap_ms`` after the one before. ``keep_ms``: how much older than the newest one it may be."""
    runs = a.runs
    if runs and t >= runs[-2]:
        if t <= runs[-1]:
            return
        if t - runs[-1] <= gap_ms:
            runs[-1] = t
            return
    elif runs:
        _visit_before(a, t, gap_ms)
        return
    runs += (t, t)
    a.visits += 1
    add(a, "visit", t)
    while len(runs) > 2 and (runs[1] < t - keep_ms - gap_ms or len(runs) > 2 * RUNS):
        del runs[:2]


def _visit_before(a: Activity, t: int, gap_ms: int) -> None:
    """A disordered one: it may begin a visit, begin one earlier, prolong one, or join two."""
    runs = a.runs
    right = next(i for i in range(0, len(runs), 2) if runs[i] > t)
    joins_left = right > 0 and t - runs[right - 1] <= gap_ms
    joins_right = runs[right] - t <= gap_ms
    if joins_left and joins_right and t > runs[right - 1]:
        a.visits -= 1
        add(a, "visit", runs[right], -1.0)
        del runs[right - 1 : right + 1]
    elif joins_left:
        runs[right - 1] = max(runs[right - 1], t)
    elif joins_right:
        add(a, "visit", runs[right], -1.0)
        add(a, "visit", t)
        runs[right] = t
    elif right > 0 or 2 * a.visits == len(runs):
        runs[right:right] = (t, t)
        a.visits += 1
        add(a, "visit", t)
    # Otherwise it is older than the visits that are kept: it belongs to one that has been counted.


def decay(a: Activity, t: int) -> tuple[float, float, float]:
    """By what the sums are multiplied to be read at ``t``, for each half-life."""
    x = max(0, t - a.landmark)
    return 2.0 ** -(x * _K7), 2.0 ** -(x * _K30), 2.0 ** -(x * _K90)
