"""Short ways to write a customer's records in tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.tools.report.frame import Frame, frame_of
from streams.tools.report.records import Found, Record, Touch

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T = 1_714_521_600_000
"""2024-05-01 00:00 UTC, a Wednesday."""

SHOP = """
version: 1
journeys:
  buy:
    type: purchase
    goal: {event: Order Completed, target: 0.5}
    stages:
      look: {on: [Product Viewed]}
      cart: {on: [Product Added], critical: true}
      pay: {on: [Payment Info Entered]}
"""


def definition(text: str = SHOP) -> Definition:
    return load_texts([("test.journey.yaml", text)])


def frame(loaded: Definition | None = None, days: float = 30, **changes: Any) -> Frame:
    """From ``T`` on."""
    return frame_of(loaded or definition(), T, T + round(days * DAY), **changes)


def touch(kind: str, at: int, customer: str = "ada", **fields: Any) -> Touch:
    """``at``: ms after ``T``."""
    fields.setdefault("event_id", f"{customer}-{kind}-{at}")
    return Touch(type=kind, customer=customer, time=T + at, **fields)


def found(signal: str, at: int, name: str, customer: str = "ada", **fields: Any) -> Found:
    fields.setdefault("journey", "buy")
    fields.setdefault("instance", "")
    return Found(signal=signal, customer=customer, name=name, time=T + at, **fields)


def entered(stage: str, at: int, customer: str = "ada", **fields: Any) -> Found:
    return found("stage_entered", at, stage, customer, stage=stage, **fields)


def left(
    stage: str, at: int, reason: str, customer: str = "ada", touchpoints: int | None = None, s: float = 0, **fields: Any
) -> Found:
    """``touchpoints``: it is the end of the instance."""
    figures = {"seconds": s} | ({"touchpoints": float(touchpoints)} if touchpoints is not None else {})
    return found("stage_left", at, stage, customer, stage=stage, reason=reason, figures=figures, **fields)


def goal(at: int, customer: str = "ada", evidence: Sequence[str] = (), **figures: float) -> Found:
    given = {"conversion": 1.0, "touchpoints": 3.0, "channels": 1.0, "contacts": 0.0, "seconds": 60.0} | figures
    return found("goal_reached", at, "buy", customer, figures=given, evidence=list(evidence))


def bought(at: int, customer: str = "ada", value: float = 20.0, **fields: Any) -> list[Record]:
    """An instance that looks at ``at`` and buys a minute later."""
    first, last = f"{customer}-view-{at}", f"{customer}-order-{at}"
    return [
        touch("Product Viewed", at, customer, event_id=first, **fields),
        touch("Order Completed", at + MINUTE, customer, event_id=last, value=value, **fields),
        entered("look", at, customer, evidence=[first]),
        left("look", at + MINUTE, "goal", customer, touchpoints=2, s=60),
        goal(at + MINUTE, customer, [last], touchpoints=2),
    ]


def looked(at: int, customer: str = "ada", **fields: Any) -> list[Record]:
    """An instance that looks at ``at`` and leaves after an hour."""
    first = f"{customer}-view-{at}"
    return [
        touch("Product Viewed", at, customer, event_id=first, **fields),
        entered("look", at, customer, evidence=[first]),
        left("look", at + HOUR, "expired", customer, touchpoints=1, s=3600),
    ]


def by_customer(records: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    people: dict[str, list[Record]] = {}
    for record in records:
        people.setdefault(record.customer, []).append(record)
    return list(people.items())
