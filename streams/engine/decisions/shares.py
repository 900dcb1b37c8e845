"""What a partition may use of what all customers share: capacity of channels and budgets of actions.

Owns the windows and periods in use, and the turns of those that wait for a full channel. Each of n partitions holds a
fixed equal share, so that a replay of one partition, or another worker, decides as this one does. Usage is booked to
the newest window seen: what is decided for an earlier time (a deadline that fires later) is work of now.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from streams.definitions.model import Channel
from streams.definitions.policy import DAY_MS, Budget


class Queue(msgspec.Struct, array_like=True):
    """Who waits for a channel has a turn in a window to come, as many in each as it takes. Windows by their start."""

    head: int
    """Window in which turns were taken last; of a queue that begins, its first one."""
    left: int
    """Turns in it that were not taken yet."""
    tail: int = -1
    """Last window that has turns."""
    booked: int = 0
    """Turns in that one."""


class Used(msgspec.Struct, array_like=True):
    """Part of the partition's record."""

    capacity: dict[str, list[int]] = {}
    """Channel -> [start of the window (ms), contacts]."""
    budgets: dict[str, list[int]] = {}
    """Action -> [start of the period (ms), millionths spent]."""
    queues: dict[str, Queue] = {}
    """Of channels that were full."""


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

    def free_from(
        self, channel: Channel, t: int, opening: Callable[[int], int | None], *, turn: bool = False
    ) -> int | None:
        """``t`` itself if the channel is open and can take one more that nobody waits for, else when the turn of who
        asks would come, one each millisecond of a window; None: it never can.

        ``opening``: its argument, or when the channel opens next (None: never). ``turn``: who asks has waited for it.
        """
        capacity = channel.capacity
        most = self.share(capacity.at_most) if capacity is not None else 0
        opens = opening(t)
        if capacity is None or opens is None:
            return opens
        if most == 0:
            return None
        per = capacity.per_ms
        held = self.used.capacity.get(channel.name)
        now = max(t // per * per, held[0] // per * per if held is not None else 0)
        used = held[1] if held is not None and held[0] >= now else 0
        queue = self.used.queues.get(channel.name)
        if opens == t and used + (0 if turn or queue is None else _promised(queue, now, most)) < most:
            return t
        window = now + per if opens == t else opens // per * per
        taken = 0
        if queue is not None and queue.tail >= window:
            window, taken = (queue.tail, queue.booked) if queue.booked < most else (queue.tail + per, 0)
        first = opening(window)
        if first is None:
            return None
        if first >= window + per:
            window, taken = first // per * per, 0
        return min(max(first, window) + taken, window + per - 1)

    def queue(self, channel: Channel, due: int) -> None:
        """A decision waits for the channel until ``due``: that turn is nobody else's."""
        if channel.capacity is None:
            return
        window = due // channel.capacity.per_ms * channel.capacity.per_ms
        held = self.used.queues.get(channel.name)
        if held is None:
            self.used.queues[channel.name] = Queue(window, 1, window, 1)
            return
        held.booked = held.booked + 1 if held.tail == window else 1
        held.tail = window
        if held.head == window:
            held.left += 1

    def turn(self, channel: Channel, due: int) -> None:
        """The turn of a decision that waited until ``due`` has come, whatever it makes of it."""
        capacity, held = channel.capacity, self.used.queues.get(channel.name)
        if capacity is None or held is None:
            return
        window = due // capacity.per_ms * capacity.per_ms
        if window > held.head:
            held.head = window
            held.left = held.booked if window == held.tail else self.share(capacity.at_most)
        held.left = max(0, held.left - 1)

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


def _promised(queue: Queue, now: int, most: int) -> int:
    """Contacts of the window ``now`` that those who wait will make."""
    if queue.head >= now:
        return queue.left if queue.head == now else 0
    if queue.left or queue.head < queue.tail < now:
        return most  # turns of an earlier window are still to be taken: a deadline is heard of late
    return (queue.booked if queue.tail == now else most) if queue.tail >= now else 0


def period_start(budget: Budget, t: int) -> int:
    """Of the calendar day, week (from Monday) or month (UTC) that ``t`` lies in."""
    day = t // DAY_MS
    if budget.per == "day":
        return day * DAY_MS
    if budget.per == "week":
        return (day - (day + 3) % 7) * DAY_MS  # 1970-01-01 was a Thursday
    first = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).replace(day=1)
    return int(first.timestamp()) * 1000
