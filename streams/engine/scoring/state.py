"""What a profile keeps for its risks: sums that decay, visits, the latest scores, snapshots that wait for their label.

Owns the structs; they are part of the profile's record (``engine/state.py``): fields are appended with a default and
never reordered. Nothing here knows the engine.

Decay is forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009): each touchpoint adds 2^((t - landmark) /
half-life) to a sum, and a reader divides by the same power of its own time. So an update is one addition whatever the
order of arrival, and nothing has to be aged.
"""

from __future__ import annotations

from typing import Final

import msgspec

DAY_MS: Final = 86_400_000
HALF_LIVES_DAYS: Final = (7, 30, 90)
_PERIOD_MS: Final = 630 * DAY_MS
"""The least common multiple of the half-lives: moving the landmark by it scales by exact powers of two."""
_FARTHEST_MS: Final = 4 * _PERIOD_MS
"""The landmark is moved before a weight leaves the range of a double (2^1023)."""
_PER_MS: Final = tuple(1.0 / (days * DAY_MS) for days in HALF_LIVES_DAYS)
_K7, _K30, _K90 = _PER_MS
SUM_BYTES: Final = 72
"""Most that one more sum, or the time of one more visit, takes in a profile's record."""
RUNS: Final = 64
"""Visits of the recent past that a disordered touchpoint can still join."""


class Activity(msgspec.Struct, array_like=True, gc=False):
    """What the features need beyond what the profile keeps anyway."""

    landmark: int = 0
    """Of the sums (ms); 0: there is none yet."""
    sums: dict[str, list[float]] = {}
    """Kind of touchpoint, ``channel/<name>``, ``friction``, ``issued`` ... -> a decaying sum for each half-life. The
    names are the project's own, so that there are some tens of them at most."""
    moved: int = 0
    """Newest event time of all that moved a feature: no score is made before it."""
    first_order: int = 0
    orders: int = 0
    """Since features are kept; the profile's own count may be older."""
    refunds: int = 0
    visits: int = 0
    runs: list[int] = []
    """Start, end, start, end ... of the newest visits, oldest first."""
    unscheduled: bool = True
    """Some risk may have no next score: the next touchpoint that counts looks."""

    def add(self, name: str, t: int, n: float = 1.0) -> None:
        """Add ``n`` at time ``t`` to a sum."""
        x = t - self.landmark
        if not -_FARTHEST_MS < x < _FARTHEST_MS or not self.landmark:
            x = self._land(t)
        held = self.sums.get(name)
        if held is None:
            self.sums[name] = [n * 2.0 ** (x * _K7), n * 2.0 ** (x * _K30), n * 2.0 ** (x * _K90)]
            return
        held[0] += n * 2.0 ** (x * _K7)
        held[1] += n * 2.0 ** (x * _K30)
        held[2] += n * 2.0 ** (x * _K90)

    def decay(self, t: int) -> tuple[float, float, float]:
        """By what the sums are multiplied to be read at ``t``, for each half-life."""
        x = max(0, t - self.landmark)
        return 2.0 ** -(x * _K7), 2.0 ** -(x * _K30), 2.0 ** -(x * _K90)

    def _land(self, t: int) -> int:
        """Set or move the landmark for an addition at ``t``; how far ``t`` is from it then."""
        landmark = t // _PERIOD_MS * _PERIOD_MS or 1
        if not self.landmark:
            self.landmark = landmark
        elif t > self.landmark:
            x = landmark - self.landmark
            down = 2.0 ** -(x * _K7), 2.0 ** -(x * _K30), 2.0 ** -(x * _K90)
            for held in self.sums.values():
                for i in range(3):
                    held[i] *= down[i]
            self.landmark = landmark
        return t - self.landmark

    def visit(self, t: int, gap_ms: int, keep_ms: int) -> None:
        """A touchpoint at ``t`` belongs to a visit or begins one; none of the touchpoints of a visit is more than
        ``gap_ms`` after the one before. ``keep_ms``: how much older than the newest one it may be."""
        runs = self.runs
        if runs and t >= runs[-2]:
            if t <= runs[-1]:
                return
            if t - runs[-1] <= gap_ms:
                runs[-1] = t
                return
        elif runs:
            self._visit_before(t, gap_ms)
            return
        runs += (t, t)
        self.visits += 1
        self.add("visit", t)
        while len(runs) > 2 and (runs[1] < t - keep_ms - gap_ms or len(runs) > 2 * RUNS):
            del runs[:2]

    def _visit_before(self, t: int, gap_ms: int) -> None:
        """A disordered one: it may begin a visit, begin one earlier, prolong one, or join two."""
        runs = self.runs
        right = next(i for i in range(0, len(runs), 2) if runs[i] > t)
        joins_left = right > 0 and t - runs[right - 1] <= gap_ms
        joins_right = runs[right] - t <= gap_ms
        if joins_left and joins_right and t > runs[right - 1]:
            self.visits -= 1
            self.add("visit", runs[right], -1.0)
            del runs[right - 1 : right + 1]
        elif joins_left:
            runs[right - 1] = max(runs[right - 1], t)
        elif joins_right:
            self.add("visit", runs[right], -1.0)
            self.add("visit", t)
            runs[right] = t
        elif right > 0 or 2 * self.visits == len(runs):
            runs[right:right] = (t, t)
            self.visits += 1
            self.add("visit", t)
        # Otherwise it is older than the visits that are kept: it belongs to one that has been counted.


class Snapshot(msgspec.Struct, array_like=True, gc=False):
    """Features as of a score, waiting for what comes to pass."""

    at: int
    until: int
    """The label is of (at, until]."""
    values: bytes
    """float32, little-endian, in the order of the risk's features."""
    score: float
    model: str


class RiskState(msgspec.Struct, array_like=True, gc=False):
    """One risk of one customer."""

    due: int = 0
    """Next score by the clock; 0: none."""
    at: int = 0
    """When the latest score was made; 0: never."""
    score: float = 0.0
    band: str = ""
    """Empty: not scored, or not any more."""
    model: str = ""
    matures: int = 0
    """Earliest end among what waits; 0: nothing waits."""
    waiting: list[Snapshot] = []
    told_from: int = 0
    """The newest label that its horizon decided is of (told_from, told_until]."""
    told_until: int = 0
