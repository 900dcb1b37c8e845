"""Customers that do not exist: seeded, repeatable, over the shipped shop and service definitions.

``generate`` makes a given number of touchpoints as fast as possible; ``Simulation`` follows a clock and reacts to
triggers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from streams.contracts.touchpoint import Touchpoint
from streams.tools.simulator.disturbance import Disturbance, Garbage
from streams.tools.simulator.pace import Habits, Pace
from streams.tools.simulator.simulation import VISIT_TOUCHPOINTS, Simulation, customers_for
from streams.tools.simulator.truth import Fact

__all__ = [
    "DEFAULT_START_MS",
    "Disturbance",
    "Fact",
    "Garbage",
    "Habits",
    "Pace",
    "Simulation",
    "arrivals_for",
    "customers_for",
    "generate",
]

DEFAULT_START_MS: Final = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


def arrivals_for(customers: int, touchpoints: int, pace: Pace) -> int:
    """Time (ms) over which first visits must be spread so that nearly all customers appear in so many touchpoints."""
    pause = pace.away_ms + pace.away_least_ms
    visits = touchpoints / customers / VISIT_TOUCHPOINTS
    # At the time S when the last one appears, a customer has had 1 + S / (2 * pause) visits in the mean; a tenth
    # earlier leaves room for chance.
    return max(pause // 8, int(0.9 * 2 * pause * (visits - 1)))


def generate(
    seed: int,
    customers: int,
    touchpoints: int,
    start_ms: int = DEFAULT_START_MS,
    *,
    pace: Pace | None = None,
    habits: Habits | None = None,
    disturbance: Disturbance | None = None,
    run: str = "e",
    truth: Callable[[Fact], object] | None = None,
) -> Iterator[Touchpoint]:
    """Exactly so many touchpoints, in the order of the log. ``truth`` gets the facts, by time, after the last one."""
    pace = pace or Pace()
    simulation = Simulation(
        seed,
        customers,
        start_ms,
        pace=pace,
        habits=habits,
        disturbance=disturbance,
        arrivals_ms=arrivals_for(customers, touchpoints, pace),
        run=run,
        keep_truth=truth is not None,
    )
    last: Touchpoint | None = None
    for last in islice(simulation.events(1 << 62), touchpoints):
        yield last
    if truth is not None and last is not None:
        for fact in simulation.facts(simulation.now_ms):
            truth(fact)
