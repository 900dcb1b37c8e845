"""Every feature by brute force: from the whole history of one customer, as its definition says.

Owns the oracle. It knows the touchpoints, the signals and the triggers of the customer, and nothing of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Final

from streams.contracts.outputs import Signal, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.channels import CHANNELS
from streams.engine.scoring.kinds import KIND_OF, KINDS

DAY: Final = 86_400_000
STAGES: Final = {"Product Viewed": 1, "Product Added": 2, "Payment Info Entered": 3}
WEIGHTS: Final = {"low": 1, "medium": 2, "high": 3, "critical": 4}
CLICKS: Final = {"rage_click/mixpanel": 3.0, "page_loop/conviva": 1.0}


@dataclass
class History:
    """Of one customer, until ``at``."""

    log: Sequence[Touchpoint]
    signals: Sequence[Signal]
    triggers: Sequence[Trigger]
    at: int
    gap: int

    def __post_init__(self) -> None:
        self.log = sorted(self.log, key=lambda one: one.occurred_at)
        self.own = [one for one in self.log if one.actor in {None, "customer"}]

    def times(self, *types: str) -> list[int]:
        return [one.occurred_at for one in self.log if one.type in types]

    def days_since(self, times: Sequence[int]) -> float:
        return (self.at - max(times)) / DAY if times else nan

    def decayed(self, half_life: int, weighted: Sequence[tuple[int, float]]) -> float:
        return float(sum(n * 0.5 ** ((self.at - t) / DAY / half_life) for t, n in weighted))

    def visits(self) -> list[list[int]]:
        found: list[list[int]] = []
        for one in self.own:
            if found and one.occurred_at - found[-1][-1] <= self.gap:
                found[-1].append(one.occurred_at)
            else:
                found.append([one.occurred_at])
        return found

    def value(self) -> float:
        signs = {"Order Completed": 1, "Order Refunded": -1}
        return sum(signs.get(one.type, 0) * (one.value or 0.0) for one in self.log)

    def gap_days(self) -> float:
        orders = self.times("Order Completed")
        return (orders[-1] - orders[0]) / DAY / (len(orders) - 1) if len(orders) > 1 else nan

    def stage(self) -> float:
        since = max(self.times("Order Completed"), default=-1)
        entered = [STAGES.get(one.type, 0) for one in self.log if one.occurred_at > since]
        return max(entered, default=0) / 3

    def frustration(self) -> float:
        visit = self.visits()[-1] if self.own else []
        if not visit or self.at - visit[-1] > self.gap or self.at - visit[-1] == self.gap:
            return 0.0
        found = [s for s in self.signals if s.kind == "friction" and s.name in CLICKS and s.time >= visit[0]]
        return sum(CLICKS[s.name] for s in found) / max(1.0, (visit[-1] - visit[0]) / 60_000)

    def contacts(self) -> float:
        oldest = self.at - 30 * DAY
        open_now = 0
        for contact in {one.contact_id for one in self.log}:
            started = [o.occurred_at for o in self.log if o.type == "Contact Started" and o.contact_id == contact]
            ended = [o.occurred_at for o in self.log if o.type == "Contact Ended" and o.contact_id == contact]
            open_now += bool(started) and max(started) > max([*ended, oldest - 1])
        return float(open_now)

    def sentiments(self) -> list[float]:
        return [one.sentiment for one in self.log if one.sentiment is not None]

    def mood_change(self) -> float:
        older, newer = self.sentiments()[-6:-3], self.sentiments()[-3:]
        return mean(newer) - mean(older) if older else nan

    def survey(self, kind: str) -> float:
        answers = [one.score for one in self.log if one.survey == kind and one.score is not None]
        return answers[-1] if answers else nan


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else nan


def ratio(a: float, b: float) -> float:
    return a / b if b else nan


Read = Callable[[History], float]

SINGLE: Final[dict[str, Read]] = {
    "days_since_touchpoint": lambda h: h.days_since([one.occurred_at for one in h.own]),
    "days_since_order": lambda h: h.days_since(h.times("Order Completed")),
    "tenure_days": lambda h: (h.at - h.log[0].occurred_at) / DAY,
    "orders": lambda h: float(len(h.times("Order Completed"))),
    "touchpoints": lambda h: float(len(h.own)),
    "lifetime_value": lambda h: h.value(),
    "average_order_value": lambda h: ratio(h.value(), len(h.times("Order Completed"))),
    "mean_gap_days": lambda h: h.gap_days(),
    "overdue": lambda h: h.days_since(h.times("Order Completed")) / max(h.gap_days(), 1.0),
    "visits": lambda h: float(len(h.visits())),
    "activity_trend": lambda h: ratio(
        h.decayed(7, [(one.occurred_at, 1.0) for one in h.own]) / 7,
        h.decayed(90, [(one.occurred_at, 1.0) for one in h.own]) / 90,
    ),
    "stage_reached": lambda h: h.stage(),
    "session_frustration": lambda h: h.frustration(),
    "unresolved_contacts": lambda h: h.contacts(),
    "contacts": lambda h: float(len(h.times("Contact Started"))),
    "mood": lambda h: mean(h.sentiments()[-3:]),
    "mood_change": lambda h: h.mood_change(),
    "nps": lambda h: h.survey("nps"),
    "csat": lambda h: h.survey("csat"),
    "ces": lambda h: h.survey("ces"),
    "return_share": lambda h: ratio(len(h.times("Order Refunded", "Order Cancelled")), len(h.times("Order Completed"))),
}


def _outcomes(*names: str) -> Callable[[History], list[tuple[int, float]]]:
    return lambda h: [(one.occurred_at, 1.0) for one in h.log if one.outcome in names]


def _kind(kind: str) -> Callable[[History], list[tuple[int, float]]]:
    return lambda h: [
        (one.occurred_at, 1.0)
        for one in (h.log if kind in {"order", "refund"} else h.own)
        if KIND_OF.get(one.type) == kind
    ]


def _channel(channel: str) -> Callable[[History], list[tuple[int, float]]]:
    return lambda h: [(one.occurred_at, 1.0) for one in h.own if one.channel == channel]


WEIGHTED: Final[dict[str, Callable[[History], list[tuple[int, float]]]]] = {
    "touchpoint": lambda h: [(one.occurred_at, 1.0) for one in h.own],
    "visit": lambda h: [(visit[0], 1.0) for visit in h.visits()],
    "spend": lambda h: [(one.occurred_at, one.value or 0.0) for one in h.log if one.type == "Order Completed"],
    "friction": lambda h: [
        (s.time, float(WEIGHTS[s.severity or "low"])) for s in h.signals if s.kind in {"friction", "stalled"}
    ],
    "issued": lambda h: [(t.issued_at, 1.0) for t in h.triggers if t.status == "issued"],
    "reached": _outcomes("delivered", "opened"),
    "clicked": _outcomes("clicked", "converted"),
    "dismissed": _outcomes("dismissed", "unsubscribed"),
    **{kind: _kind(kind) for kind in KINDS},
    **{f"channel_{name}": _channel(name) for name in CHANNELS},
}


def expected(h: History) -> dict[str, Any]:
    """Feature -> value, in its unit."""
    found = {name: read(h) for name, read in SINGLE.items()}
    for name, weighted in WEIGHTED.items():
        for half_life in (7, 30, 90):
            found[f"{name}_{half_life}d"] = h.decayed(half_life, weighted(h))
    return found
