"""A world whose effects are known: simulated customers who react to triggers with stated probabilities.

Owns the closed loop of engine, learner and customers: what the engine issues changes what the customers do, what they
do is learned, what is learned changes what the engine issues. One number seeds all of it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Final

from streams.contracts.outputs import Decision, Model, Outputs, Signal, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.engine.engine import Engine
from streams.learner.school import School
from streams.learner.snapshots import scorer_of
from tests.support.engines import T0, M

KEY: Final = b"it never leaves this process"
NOTHING: Final = "nothing"
"""What happens to a customer for whom nothing was done."""


class KnownWorld:
    """``rates``: action (or ``NOTHING``) -> probability of the goal soon after, of everyone or by customer. Times
    are ms after ``T0``."""

    def __init__(
        self, definition: Definition, rates: Mapping[str, float] | Callable[[str], Mapping[str, float]], seed: int
    ) -> None:
        self.engine = Engine(definition)
        self.random = random.Random(seed)
        self.decisions: list[Decision] = []
        self.triggers: list[Trigger] = []
        self.signals: list[Signal] = []
        self.touchpoints: list[Touchpoint] = []
        self.models: list[Model] = []
        """Published."""
        self._rates: Callable[[str], Mapping[str, float]] = rates if callable(rates) else lambda _: rates
        self._school = School(KEY)
        self._school.adopt(definition)
        self._waiting: list[tuple[int, int, Touchpoint]] = []
        self._serial = count()

    def rate(self, customer: str, done: str) -> float:
        """Probability of the goal soon after."""
        return self._rates(customer)[done]

    def live(self, touchpoints: Iterable[Touchpoint]) -> None:
        """Take these in the order of time, and what customers do because of what is decided."""
        for touchpoint in touchpoints:
            while self._waiting and self._waiting[0][0] <= touchpoint.occurred_at:
                self._hear(heapq.heappop(self._waiting)[2])
            self._hear(touchpoint)

    def end(self, t: int) -> None:
        """Nothing more is done; time passes until ``t``."""
        while self._waiting:
            self._hear(heapq.heappop(self._waiting)[2])
        self._take(self.engine.advance(T0 + t, None))

    def _hear(self, touchpoint: Touchpoint) -> None:
        self.touchpoints.append(touchpoint)
        self._take(self.engine.process([touchpoint], None))

    def _take(self, out: Outputs) -> None:
        self.signals += out.signals
        self.triggers += out.triggers
        self.decisions += out.decisions
        for decision in out.decisions:
            done = decision.chosen if decision.outcome == "issued" else None
            if self.random.random() < self.rate(decision.customer, done or NOTHING):
                self._later(decision, "Order Completed", M, value=self.random.uniform(10, 90))
        for trigger in out.triggers:
            if trigger.status == "issued":
                self._later(trigger, "Message Delivered", 1, trigger_id=trigger.trigger_id, outcome="delivered",
                            actor="system", channel=trigger.channel)  # fmt: skip
        for example in out.examples:
            for model in self._school.learn(example):
                self.models.append(model)
                self._take(self.engine.adopt_model(scorer_of(model, KEY)))

    def _later(self, about: Decision | Trigger, event: str, after: int, **fields: Any) -> None:
        at = (about.time if isinstance(about, Decision) else about.issued_at) + after
        number = next(self._serial)
        later = Touchpoint(event_id=f"w{number}", type=event, occurred_at=at, customer_id=about.customer, **fields)
        heapq.heappush(self._waiting, (at, number, later))
