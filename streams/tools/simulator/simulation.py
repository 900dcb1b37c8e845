"""The simulation's clockwork: whose turn it is, and what has been said until now.

Owns the queue of everybody's next steps. It is driven by time: ``events(until_ms)`` gives everything until then, so the
same code writes a year to a file at once and follows the real clock in a demo.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace
from math import log
from typing import Final

from streams.contracts.outputs import Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.tools.simulator import catalogue, club, desk, reactions, shop
from streams.tools.simulator.customer import Customer, Steps, World
from streams.tools.simulator.disturbance import Disturbance, Disturbances
from streams.tools.simulator.pace import Habits, Pace
from streams.tools.simulator.truth import Book, Fact

VISIT_TOUCHPOINTS: Final = 5.5
"""Mean of a visit with all that follows it, measured; the spread of first visits and ``customers_for`` need it."""


def iter_nothing() -> Steps:
    """No steps at all."""
    yield from ()


class Walk:
    """Somebody's steps, when the next one is due, and the number of the only queue entry that is valid for them."""

    __slots__ = ("due", "steps", "ticket")

    def __init__(self) -> None:
        self.steps: Steps = iter_nothing()
        self.due = 0
        self.ticket = 0


class Simulation:
    """Customers who live at a pace from ``start_ms`` on.

    ``arrivals_ms`` is the time over which they come for the first time; without it they come as if they had always
    been there, so that the rate is the same from the beginning. ``run`` goes in front of every event_id, so
    that a second run with the same customers repeats none. ``keep_truth`` costs about half of the speed.
    """

    def __init__(
        self,
        seed: int,
        customers: int,
        start_ms: int,
        *,
        pace: Pace | None = None,
        habits: Habits | None = None,
        disturbance: Disturbance | None = None,
        arrivals_ms: int | None = None,
        run: str = "e",
        keep_truth: bool = True,
    ) -> None:
        if customers < 1:
            raise ValueError(f"a simulation needs at least 1 customer, not {customers}")
        self.pace = pace or Pace()
        self.book = Book(self.pace) if keep_truth else None
        self.world = World(start_ms, self.pace, habits or Habits(), self.book, self._spawn, self._joined)
        self._disturbances = Disturbances(disturbance or Disturbance(), seed, self.pace.transport_ms)
        self._tickets = 0
        self._queue: list[tuple[int, int, Walk]] = []
        self._customers = customers
        self._known: dict[int, tuple[Customer, Walk]] = {}
        self._seed = seed
        self._run = run
        self._emitted = 0
        pause = self.pace.away_ms + self.pace.away_least_ms
        # Which customer comes when depends on the number alone.
        for index in range(customers):
            walk = Walk()
            walk.steps = self._first(index, walk)
            walk.ticket = index
            place = index * 7_919 % customers if customers % 7_919 else index
            share = (place + 0.5) / customers
            after = -log(1.0 - share) * pause if arrivals_ms is None else share * arrivals_ms
            self._queue.append((start_ms + int(after), index, walk))
        self._tickets = customers
        heapify(self._queue)

    @property
    def now_ms(self) -> int:
        return self.world.now

    def _first(self, index: int, walk: Walk) -> Steps:
        """A customer begins to exist with the first visit."""
        c = Customer(self.world, self._seed, index, self._run)
        self._known[index] = (c, walk)
        yield from life(c)

    def _joined(self, c: Customer) -> None:
        if c.club_member:
            self._spawn(club.renew(c))
        elif c.chance(self.world.habits.join_club):
            self._spawn(club.sign_up(c))

    def _spawn(self, steps: Steps) -> None:
        walk = Walk()
        walk.steps = steps
        self._push(walk, self.world.now)

    def _push(self, walk: Walk, at_ms: int) -> None:
        self._tickets += 1
        walk.ticket = self._tickets
        walk.due = at_ms
        heappush(self._queue, (at_ms, self._tickets, walk))

    def _steps(self, until_ms: int) -> Iterator[Touchpoint]:
        """What is said until then, in the order in which it happens."""
        queue, world, said = self._queue, self.world, self.world.said
        while queue and queue[0][0] <= until_ms:
            now, ticket, walk = queue[0]
            if walk.ticket != ticket:
                heappop(queue)
                continue
            world.now = now
            pause = next(walk.steps, None)
            # The walk may have spawned others in the meantime; none of them can be before it: its ticket is older.
            if pause is None:
                heappop(queue)
            else:
                self._tickets += 1
                walk.ticket = self._tickets
                walk.due = now + pause
                heapreplace(queue, (walk.due, walk.ticket, walk))
            if said:
                yield from said
                said.clear()

    def events(self, until_ms: int) -> Iterator[Touchpoint]:
        """Everything that reaches the log until then, in the log's order; call again with a later time to go on."""
        if not self._disturbances.any:
            for t in self._steps(until_ms - self.pace.transport_ms):
                t.offset = self._emitted
                t.record_time = t.occurred_at + self.pace.transport_ms
                self._emitted += 1
                yield t
            return
        disturbances = self._disturbances
        for t in self._steps(until_ms - self.pace.transport_ms):
            for arrived in disturbances.until(t.occurred_at + self.pace.transport_ms):
                arrived.offset = self._emitted
                self._emitted += 1
                yield arrived
            disturbances.add(t)
        for arrived in disturbances.until(until_ms):
            arrived.offset = self._emitted
            self._emitted += 1
            yield arrived

    def react(self, trigger: Trigger, at_ms: int) -> None:
        """The hook for whoever runs the loop: a trigger (issued, or its end) has become known at that moment."""
        known = self._of(trigger.customer)
        if known is None:
            return
        c, walk = known
        self.world.now = max(self.world.now, at_ms)
        if trigger.status != "issued":
            c.withdrawn.add(trigger.trigger_id)
            return
        c.withdrawn.discard(trigger.trigger_id)
        self._spawn(reactions.carry_out(c, trigger))
        if reactions.comes_back(c, trigger) and c.away and not c.decided:
            c.decided = True
            back = self.world.now + c.about(self.pace.back_after_reminder_ms)
            if back < walk.due:
                self._push(walk, back)

    def _of(self, profile: str) -> tuple[Customer, Walk] | None:
        _, _, number = profile.partition("-")
        digits = number.partition("-")[0]
        return self._known.get(int(digits)) if digits.isdigit() else None

    def facts(self, until_ms: int) -> Iterator[Fact]:
        """The truth up to that moment, by time; each fact is given once. Only for a time that ``events`` has passed."""
        if self.book is None:
            raise ValueError("this simulation was made with keep_truth=False")
        return self.book.close(until_ms)


def customers_for(rate: float, pace: Pace) -> int:
    """How many customers make about so many touchpoints a second at that pace."""
    return max(1, round(rate / 1_000 * (pace.away_ms + pace.away_least_ms) / VISIT_TOUCHPOINTS))


def life(c: Customer) -> Steps:
    """Visits with pauses between them, and what grows out of a visit. Its pauses between visits may be cut short."""
    pace, habits = c.world.pace, c.world.habits
    while True:
        if not c.decided and c.chance(habits.asks_help):
            yield from desk.ask(c, c.rng.choice(catalogue.TOPICS))
        else:
            yield from shop.visit(c)
        if c.trouble is not None and c.chance(habits.asks_after_trouble):
            topic, c.trouble = c.trouble, None
            yield c.about(pace.form_most_ms)
            yield from desk.ask(c, topic)
        c.trouble = None
        c.session = None
        c.away = True
        yield pace.away_least_ms + c.pause(pace.away_ms, 10 * pace.away_ms)
        c.away = False
