"""What a profile keeps for its risks: sums that decay, visits, the latest scores, snapshots that wait for their label.

Owns the structs; they are part of the profile's record (``engine/state.py``): fields are appended with a default and
never reordered. Nothing here knows the engine.
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.engine.scoring import sums

SUM_BYTES: Final = 72
"""Most that one more sum, or the time of one more visit, takes in a profile's record."""


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
        sums.add(self, name, t, n)


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
