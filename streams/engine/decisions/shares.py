"""What a partition may use of what all customers share: capacity of channels and budgets of actions.

Owns the windows and periods in use. Each of n partitions holds a fixed equal share, so that a replay of one partition,
or another worker, decides as this one does. Usage is booked to the newest window seen: what is decided for an earlier
time (a deadline that fires later) is work of now.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from streams.definitions.model import Channel
from streams.definitions.policy import DAY_MS, Budget


class Used(msgspec.Struct, array_like=True):
    """Part of the partition's record."""

    capacity: dict[str, list[int]] = {}
    """Channel -> [start of the window (ms), contacts]."""
    budgets: dict[str, list[int]] = {}
    """Action -> [start of the period (ms), millionths spent]."""
    queues: dict[str, list[int]] = {}
    """Channel -> [start of the window that decisions wait for (ms), how many]."""


class Shares:
    __slots__ = ("_partition", "_partitions", "used")

    def __init__(self, partition: int = 0, partitions: int | None = None) -> None:
        """Without a number of partitions (a file) the one partition has all."""
        self._partition = partition if partitions else 0
        self._partitions = partitions or 1
        self.used = Used()

    def share(self, amount: int) -> int:
        whole, rest = divmod(amount, self._partitions)
        return whole + (self._partition < rest)

    def free_from(self, channel: Channel, t: int) -> int | None:
        """``t`` itself if the channel can take one more, else when its next window begins and those that
        wait already have had their turn, one each millisecond; None: it never can."""
        capacity = channel.capacity
        if capacity is None:
            return t
        most = self.share(capacity.at_most)
        if most == 0:
            return None
        window = t // capacity.per_ms
        held = self.used.capacity.get(channel.name)
        newest = held[0] // capacity.per_ms if held is not None else -1
        if held is None or newest < window or held[1] < most:
            return t
        start = (newest + 1) * capacity.per_ms
        queue = self.used.queues.get(channel.name)
        before = queue[1] if queue is not None and queue[0] == start else 0
        return start + min(before, capacity.per_ms - 1)

    def queue(self, channel: Channel, due: int) -> None:
        """A decision waits for the channel until ``due``: whoever comes later is decided later."""
        if channel.capacity is not None:
            start = due - due % channel.capacity.per_ms
            held = self.used.queues.get(channel.name)
            self.used.queues[channel.name] = [start, 1 + (held[1] if held is not None and held[0] == start else 0)]

    def take(self, channel: Channel, t: int) -> None:
        capacity = channel.capacity
        if capacity is None:
            return
        window = t // capacity.per_ms
        held = self.used.capacity.get(channel.name)
        if held is None or held[0] // capacity.per_ms < window:
            self.used.capacity[channel.name] = [window * capacity.per_ms, 1]
        else:
            held[1] += 1

    def affords(self, action: str, budget: Budget, cost: float, t: int) -> bool:
        held = self.used.budgets.get(action)
        spent = held[1] if held is not None and held[0] >= period_start(budget, t) else 0
        return spent + round(cost * 1e6) <= self.share(round(budget.amount * 1e6))

    def spend(self, action: str, budget: Budget, cost: float, t: int) -> None:
        start = period_start(budget, t)
        held = self.used.budgets.get(action)
        if held is None or held[0] < start:
            self.used.budgets[action] = [start, round(cost * 1e6)]
        else:
            held[1] += round(cost * 1e6)

    def give_back(self, action: str, budget: Budget, cost: float, decided: int) -> None:
        """What was not sent costs nothing, as long as its period lasts."""
        held = self.used.budgets.get(action)
        if held is not None and held[0] == period_start(budget, decided):
            held[1] = max(0, held[1] - round(cost * 1e6))

    def keep(self, channels: set[str], actions: set[str]) -> None:
        """Another definition: what it does not limit any more is forgotten."""
        self.used.capacity = {name: held for name, held in self.used.capacity.items() if name in channels}
        self.used.budgets = {name: held for name, held in self.used.budgets.items() if name in actions}
        self.used.queues = {name: held for name, held in self.used.queues.items() if name in channels}


def period_start(budget: Budget, t: int) -> int:
    """Of the calendar day, week (from Monday) or month (UTC) that ``t`` lies in."""
    day = t // DAY_MS
    if budget.per == "day":
        return day * DAY_MS
    if budget.per == "week":
        return (day - (day + 3) % 7) * DAY_MS  # 1970-01-01 was a Thursday
    first = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).replace(day=1)
    return int(first.timestamp()) * 1000
