"""What goes wrong between a touchpoint and the log: repeats, delays, disorder, wrong clocks, and plain rubbish.

Owns the order in which touchpoints arrive (record time). Nothing here changes what happened, so the truth stays as it
is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

from streams.contracts.touchpoint import Touchpoint


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Shares are of the touchpoints (``skewed``: of the profiles), from 0 to 1; times in ms."""

    duplicates: float = 0.0
    duplicate_within_ms: int = 60_000
    late: float = 0.0
    """Arrive between ``late_least_ms`` (the definition's allowed lateness) and ``late_most_ms`` after the others."""
    late_least_ms: int = 30_000
    late_most_ms: int = 3_600_000
    shuffle_ms: int = 0
    """Each touchpoint arrives up to this much later than it could."""
    shuffle: Literal["any", "between customers"] = "any"
    """``between customers`` keeps each profile's own order."""
    skewed: float = 0.0
    """Profiles whose device has a wrong clock; their touchpoints carry ``sent_at``."""
    skew_least_ms: int = 360_000
    skew_most_ms: int = 5_400_000
    garbage: float = 0.0
    """Records that are no touchpoints, for each touchpoint; see ``Garbage``."""

    def __post_init__(self) -> None:
        for name in ("duplicates", "late", "skewed", "garbage"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        for least, most in (("late_least_ms", "late_most_ms"), ("skew_least_ms", "skew_most_ms")):
            if not 0 <= getattr(self, least) <= getattr(self, most):
                raise ValueError(f"{least} must lie between 0 and {most}")
        if self.shuffle_ms < 0 or self.duplicate_within_ms < 1:
            raise ValueError("shuffle_ms must be at least 0 and duplicate_within_ms at least 1")

    @property
    def reorders(self) -> bool:
        """Whether touchpoints must wait for others before their place in the log is known."""
        return bool(self.duplicates or self.late or self.shuffle_ms or self.skewed)


class Disturbances:
    """The touchpoints that are on their way, by the time at which they will arrive."""

    def __init__(self, disturbance: Disturbance, seed: int, transport_ms: int) -> None:
        self.of = disturbance
        self.any = disturbance.reorders
        self._transport_ms = transport_ms
        self._rng = random.Random(seed * 1_000_003 + 17)  # noqa: S311 - a simulation must be repeatable
        self._under_way: list[tuple[int, int, Touchpoint]] = []
        self._added = 0
        self._last: dict[bytes | None, int] = {}
        self._skews: dict[bytes | None, int] = {}

    def add(self, t: Touchpoint) -> None:
        of, rng = self.of, self._rng
        arrival = t.occurred_at + self._transport_ms
        if of.shuffle_ms:
            arrival += rng.randrange(of.shuffle_ms + 1)
            if of.shuffle == "between customers":
                arrival = self._last[t.key] = max(arrival, self._last.get(t.key, 0))
        if of.late and rng.random() < of.late:
            arrival += rng.randrange(of.late_least_ms, of.late_most_ms + 1)
        if of.skewed and t.actor is None:
            skew = self._skew(t.key)
            if skew:
                t.sent_at = arrival - self._transport_ms + skew
                t.occurred_at += skew
        self._send(arrival, t)
        if of.duplicates and rng.random() < of.duplicates:
            self._send(arrival + rng.randrange(of.duplicate_within_ms), copy(t))

    def _skew(self, profile: bytes | None) -> int:
        skew = self._skews.get(profile)
        if skew is None:
            of, rng = self.of, self._rng
            skew = 0
            if rng.random() < of.skewed:
                skew = rng.randrange(of.skew_least_ms, of.skew_most_ms + 1) * rng.choice((-1, 1))
            self._skews[profile] = skew
        return skew

    def _send(self, arrival: int, t: Touchpoint) -> None:
        self._added += 1
        heappush(self._under_way, (arrival, self._added, t))

    def until(self, arrival_ms: int) -> Iterator[Touchpoint]:
        """Those that arrive by then, in the order of the log."""
        under_way = self._under_way
        while under_way and under_way[0][0] <= arrival_ms:
            arrival, _, t = heappop(under_way)
            t.record_time = arrival
            yield t


class Garbage:
    """Records that no reader can take for a touchpoint; the worker must turn each into a dead letter."""

    def __init__(self, seed: int, share: float) -> None:
        self._rng = random.Random(seed * 1_000_003 + 29)  # noqa: S311 - a simulation must be repeatable
        self._share = share

    def next(self) -> bytes | None:
        """Perhaps one, to be written before the next touchpoint. Never empty and without a line break."""
        rng = self._rng
        if not self._share or rng.random() >= self._share:
            return None
        kind = rng.randrange(5)
        if kind == 0:
            return b'{"event_id": "g-1", "type": "Product Vie'
        if kind == 1:
            return b'{"type": "Product Viewed", "occurred_at": 1, "customer_id": "nobody"}'
        if kind == 2:
            return (
                b'{"event_id": "g-%d", "type": "Product Viewed", "occurred_at": -5, "customer_id": "x"}'
                % rng.randrange(99)
            )
        if kind == 3:
            return b"\x00\x7f\xff\xff\xfe" + bytes(rng.randrange(32, 127) for _ in range(24))
        return bytes(rng.choice((1, 2, 3, 200, 255)) for _ in range(rng.randrange(1, 40)))
