"""The registry of features: for each its name, unit, definition and how it is read from a profile at a time.

Owns ``FEATURES`` and the tables of what kind of touchpoint an event is. A feature is constant in time and memory for
each touchpoint, and the same (to the precision of a double) in whatever order touchpoints arrive within the lateness.
What counts is said in docs/semantics.md: the customer's own touchpoints, orders and returns whoever reports them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import expm1, isfinite, log1p, nan
from typing import TYPE_CHECKING, Final

from streams.definitions.channels import CHANNELS
from streams.engine import facts
from streams.engine.scoring import sums
from streams.engine.scoring.kinds import KINDS, OTHER, REPORTED, WHOEVER
from streams.engine.scoring.state import Activity
from streams.engine.scoring.sums import DAY_MS, HALF_LIVES_DAYS
from streams.engine.state import Profile

if TYPE_CHECKING:
    from streams.engine.plan import Plan

LARGEST: Final = 1e12
"""A value beyond it says nothing and is taken for missing."""
CONTACT_DAYS: Final = 30
"""A contact that has been open for longer was left open by mistake."""


class Moment:
    """A customer at the time of a score: what the readers read."""

    __slots__ = ("_all", "activity", "decay", "facts", "missing", "p", "plan", "sums", "t")

    def __init__(self, found: facts.Facts, plan: Plan) -> None:
        self.facts = found
        self.plan = plan
        self.p: Profile = found.p
        self.t: int = found.t
        self.activity: Activity = self.p.activity or Activity()
        self.sums: dict[str, list[float]] = self.activity.sums
        self.decay = sums.decay(self.activity, self.t)
        self.missing = 0
        """Values that could not be had and should have been."""
        self._all: list[float] | None = None

    def all(self, i: int) -> float:
        """Touchpoints that count, decayed: each is of one kind."""
        if self._all is None:
            kinds = [held for kind in _ALL_KINDS if (held := self.sums.get(kind)) is not None]
            self._all = [sum(held) for held in zip(*kinds, strict=True)] or [0.0, 0.0, 0.0]
        return self._all[i] * self.decay[i]


Reader = Callable[[Moment], float]


@dataclass(frozen=True, slots=True)
class Feature:
    name: str
    unit: str
    title: str
    """What a person reads beside the number: "days since the last order"."""
    read: Reader
    """The value at a moment in its unit; NaN where it is not defined."""
    meaning: str = ""
    """The definition, where the title does not say all of it."""
    log: bool = False
    """Models see sign(x) * log(1 + |x|): counts, amounts and times are skewed."""
    reads: int = 0
    """Groups of facts (``engine/facts.py``) that it is made of: their events are heard whoever the actor is."""


def scaled(feature: Feature, value: float) -> float:
    """As models see it; NaN where it is missing, not finite or absurd."""
    if not -LARGEST <= value <= LARGEST:
        return nan
    if not feature.log:
        return value
    return log1p(value) if value >= 0.0 else -log1p(-value)


def unscaled(feature: Feature, value: float) -> float:
    """In its unit again: the inverse of ``scaled``."""
    if not feature.log or not isfinite(value):
        return value
    bounded = max(-30.0, min(30.0, value))
    return expm1(bounded) if bounded >= 0.0 else -expm1(-bounded)


def _days_since_touchpoint(m: Moment) -> float:
    last = m.p.session_last
    return max(0, m.t - last) / DAY_MS if last else nan


def _days_since_order(m: Moment) -> float:
    return max(0, m.t - m.p.last_order) / DAY_MS if m.p.orders else nan


def _mean_gap(m: Moment) -> float:
    n = m.activity.orders - 1
    return (m.p.last_order - m.activity.first_order) / DAY_MS / n if n > 0 else nan


def _overdue(m: Moment) -> float:
    gap = _mean_gap(m)
    return _days_since_order(m) / max(gap, 1.0) if m.activity.orders > 1 else nan


def _trend(m: Moment) -> float:
    lately, usual = m.all(0), m.all(2)
    return lately * HALF_LIVES_DAYS[2] / (usual * HALF_LIVES_DAYS[0]) if usual > 0.0 else nan


def _stage_reached(m: Moment) -> float:
    highest = 0.0
    for inst in m.p.open.values():
        journey = m.plan.journeys.get(inst.journey)
        stage = journey.stages.get(inst.stage) if journey is not None else None
        if journey is not None and stage is not None:
            highest = max(highest, (stage.rank + 1) / len(journey.stages))
    return highest


def _session_frustration(m: Moment) -> float:
    return facts.frustration(m.p) if m.p.frustration and facts.in_session(m.facts) else 0.0


def _unresolved(m: Moment) -> float:
    oldest = m.t - CONTACT_DAYS * DAY_MS
    return float(sum(c.since >= oldest for c in m.p.contacts.values()))


def _mood(m: Moment) -> float:
    return facts.mood(m.p) if m.p.sentiments else nan


def _mood_change(m: Moment) -> float:
    older = m.p.sentiments[-6:-3]
    return facts.mood(m.p) - sum(s[1] for s in older) / len(older) if older else nan


def _survey(kind: str) -> Reader:
    def read(m: Moment) -> float:
        held = m.p.surveys.get(kind)
        return held[0] if held is not None else nan

    return read


def _return_share(m: Moment) -> float:
    return m.activity.refunds / m.activity.orders if m.activity.orders else nan


def _sum(name: str, i: int) -> Reader:
    def read(m: Moment) -> float:
        held = m.sums.get(name)
        return held[i] * m.decay[i] if held is not None else 0.0

    def read_reported(m: Moment) -> float:
        total = 0.0
        for part in (name, f"{name}{REPORTED}"):
            held = m.sums.get(part)
            if held is not None:
                total += held[i]
        return total * m.decay[i]

    if name == _ALL:
        return lambda m: m.all(i)
    return read_reported if name in WHOEVER else read


_ALL: Final = "all"
_ALL_KINDS: Final = (*KINDS, OTHER)

SINGLE: Final = (
    Feature("days_since_touchpoint", "days", "days since the last touchpoint", _days_since_touchpoint,
            "Of those that count.", log=True),
    Feature("days_since_order", "days", "days since the last order", _days_since_order, log=True, reads=facts.ORDERS),
    Feature("tenure_days", "days", "days since the first touchpoint",
            lambda m: max(0, m.t - m.p.first_seen) / DAY_MS, log=True),
    Feature("orders", "orders", "orders so far", lambda m: float(m.p.orders), log=True, reads=facts.ORDERS),
    Feature("touchpoints", "touchpoints", "touchpoints so far", lambda m: float(m.p.touchpoints),
            "Of those that count.", log=True),
    Feature("lifetime_value", "currency", "spent so far", lambda m: m.p.value_micro / 1e6,
            "Orders less refunds.", log=True, reads=facts.ORDERS),
    Feature("average_order_value", "currency", "spent for each order",
            lambda m: m.p.value_micro / 1e6 / m.p.orders if m.p.orders else nan,
            "Lifetime value by orders; missing without an order.", log=True, reads=facts.ORDERS),
    Feature("mean_gap_days", "days", "days between orders", _mean_gap,
            "From the first order to the last, by the number of gaps; missing with fewer than two orders.",
            log=True, reads=facts.ORDERS),
    Feature("overdue", "ratio", "times the usual gap between orders since the last one", _overdue,
            "Days since the last order by mean_gap_days, which counts for a day at least.",
            log=True, reads=facts.ORDERS),
    Feature("visits", "visits", "visits so far", lambda m: float(m.activity.visits),
            "Touchpoints that count with no pause longer than the session gap make one visit.", log=True),
    Feature("activity_trend", "ratio", "times the usual activity lately", _trend,
            "Touchpoints a day by the half-life of 7 days, by the same of 90 days; 1 is steady.", log=True),
    Feature("stage_reached", "share", "share of the stages reached in an open journey", _stage_reached,
            "The highest over all open instances, 1 is the last stage; 0 if none is open."),
    Feature("session_frustration", "score", "frustration score of the open visit", _session_frustration,
            "(rage x 3 + dead x 2 + errors x 2 + u-turns) / minutes; 0 without an open session.", log=True),
    Feature("unresolved_contacts", "contacts", "contacts without a solution", _unresolved,
            f"Started within {CONTACT_DAYS} days, neither ended nor resolved.", log=True, reads=facts.CONTACTS),
    Feature("contacts", "contacts", "contacts so far", lambda m: float(m.p.contacts_total),
            log=True, reads=facts.CONTACTS),
    Feature("mood", "sentiment", "mood (-1 to 1)", _mood, "Mean of the last three sentiments; missing without one."),
    Feature("mood_change", "sentiment", "change of mood", _mood_change,
            "Mean of the last three sentiments less that of up to three before; missing with fewer than four."),
    Feature("nps", "points", "points of ten in the last recommendation survey", _survey("nps"), "0 to 10."),
    Feature("csat", "points", "points in the last satisfaction survey", _survey("csat")),
    Feature("ces", "points", "points in the last effort survey", _survey("ces")),
    Feature("return_share", "share", "share of orders returned or cancelled", _return_share,
            "Order Refunded and Order Cancelled by Order Completed; missing without an order.", reads=facts.ORDERS),
)  # fmt: skip

DECAYED: Final[tuple[tuple[str, str, str, str, str, int], ...]] = (
    ("touchpoint", _ALL, "touchpoints", "touchpoints lately", "Touchpoints that count.", 0),
    ("visit", "visit", "visits", "visits lately", "As in visits, each at its start.", 0),
    ("spend", "spend", "currency", "spent lately", "Values of orders, returns not taken off.", facts.ORDERS),
    ("friction", "friction", "score", "friction score lately",
     "Friction and stalled signals: low 1, medium 2, high 3, critical 4.", 0),
    ("issued", "issued", "triggers", "triggers issued lately", "Triggers issued.", 0),
    ("reached", "reached", "outcomes", "triggers delivered or opened lately", "Outcomes delivered and opened.", 0),
    ("clicked", "clicked", "outcomes", "triggers clicked lately", "Outcomes clicked and converted.", 0),
    ("dismissed", "dismissed", "outcomes", "triggers dismissed lately", "Outcomes dismissed and unsubscribed.", 0),
    *((kind, kind, "touchpoints", f"{what} lately", f"Kind of touchpoint {kind}.",
       facts.ORDERS if kind in WHOEVER else 0) for kind, what in KINDS.items()),
    *((f"channel_{name}", f"channel/{name}", "touchpoints", f"touchpoints by {name} lately", f"Channel {name}.", 0)
      for name in CHANNELS),
)  # fmt: skip
"""(name without half-life, sum, unit, title, meaning, reads)."""


def _decayed() -> list[Feature]:
    return [
        Feature(
            f"{name}_{days}d",
            unit,
            f"{title} (half-life {days} days)",
            _sum(key, i),
            f"{meaning} Each counts 2^(-days since / {days}).",
            log=True,
            reads=reads,
        )
        for name, key, unit, title, meaning, reads in DECAYED
        for i, days in enumerate(HALF_LIVES_DAYS)
    ]


FEATURES: Final[dict[str, Feature]] = {f.name: f for f in (*SINGLE, *_decayed())}

STANDARD: Final[tuple[str, ...]] = (
    *("days_since_touchpoint", "days_since_order", "tenure_days", "orders", "touchpoints", "lifetime_value"),
    *("average_order_value", "mean_gap_days", "overdue", "visits", "visit_30d", "activity_trend"),
    *("touchpoint_30d", "touchpoint_90d", "order_30d", "order_90d", "spend_90d", "view_30d", "search_30d"),
    *("checkout_30d", "contact_30d", "help_30d", "trouble_30d", "leaving_30d", "return_share", "stage_reached"),
    *("friction_30d", "session_frustration", "unresolved_contacts", "mood", "mood_change", "nps", "dismissed_90d"),
)
"""What a risk uses that names no features."""
