"""The values behind the variables of CEL conditions, read from a profile, a touchpoint and a signal.

Owns the readers (one for each name in ``definitions/variables.py``; a test compares) and the bits that say which
group of facts a touchpoint has changed, so that a condition is evaluated only when something it reads has moved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from streams.contracts.outputs import Signal
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Time
from streams.engine.state import Profile, last

DAY: Final = 86_400_000.0
LONG_AGO: Final = 1e9

CART: Final = 1
ORDERS: Final = 2
TRAITS: Final = 4
CONSENT: Final = 8
PLACE: Final = 16
FLOW: Final = 32
"""What moves with every touchpoint that counts."""
LAST: Final = 64
STAGES: Final = 128
CONTACTS: Final = 256
SATISFACTION: Final = 512
SEGMENTS: Final = 1024
ALWAYS: Final = 2048
"""Time itself."""
RISK: Final = 4096
"""A score has been made, or is not made any more."""

_GROUPS: Final[dict[str, int]] = {
    "cart": CART,
    "traits": TRAITS,
    "consent": CONSENT,
    "locale": PLACE,
    "time_zone": PLACE,
    "customer_id": PLACE,
    "lifetime_value": ORDERS,
    "orders": ORDERS,
    "average_order_value": ORDERS,
    "days_since_order": ORDERS | ALWAYS,
    "days_since_first_seen": ALWAYS,
    "now": ALWAYS,
    "touchpoints": FLOW,
    "channel_share": FLOW,
    "session": FLOW,
    "last.channel": FLOW,
    "last": LAST,
    "stages": STAGES,
    "contacts": CONTACTS,
    "satisfaction": SATISFACTION,
    "segments": SEGMENTS,
    "risk": RISK,
    "risk_band": RISK,
    "expected_value": RISK,
}

EVENTS_OF: Final[dict[int, tuple[str, ...]]] = {
    CART: ("Product Added", "Product Removed", "Order Completed", "Cart Cleared"),
    ORDERS: ("Order Completed", "Order Refunded"),
    TRAITS: ("identify",),
    CONTACTS: ("Contact Started", "Contact Ended", "Case Resolved"),
}
"""Which events move a group of facts: what a ``leave_when`` that reads it makes part of its journey."""


def group(variable: str) -> int:
    """The bits of a variable; 0 for those of a touchpoint or a signal."""
    return _GROUPS.get(variable) or _GROUPS.get(variable.split(".", 1)[0], 0)


def groups(variables: frozenset[str]) -> int:
    bits = 0
    for variable in variables:
        bits |= group(variable)
    return bits


def quantity(line: list[Any]) -> float:
    total = 0.0
    for change in line[2]:
        total += change[1]
    return total


def cart_lines(p: Profile) -> list[tuple[str, float, float]]:
    """(product, quantity, price) of what is in the cart, by product."""
    if not p.cart:
        return []
    lines = []
    for product in sorted(p.cart):
        line = p.cart[product]
        n = quantity(line)
        if n > 0:
            lines.append((product, n, line[0]))
    return lines


def mood(p: Profile) -> float:
    newest = p.sentiments[-3:]
    return sum(s[1] for s in newest) / len(newest) if newest else 0.0


def survey(p: Profile, kind: str) -> float:
    held = p.surveys.get(kind)
    return held[0] if held is not None else -1.0


FRUSTRATION_WEIGHTS: Final = {"rage": 3.0, "dead": 2.0, "error": 2.0, "u_turn": 1.0}


def frustration(p: Profile) -> float:
    """(rage x 3 + dead x 2 + errors x 2 + u-turns) / minutes, of at least one minute (Conviva's and PostHog's kin)."""
    if not p.frustration:
        return 0.0
    score = 0.0
    for family, n in p.frustration.items():
        score += FRUSTRATION_WEIGHTS.get(family, 0.0) * n
    return score / max(1.0, (p.session_last - p.session_start) / 60_000.0)


def in_session(f: Facts) -> bool:
    """Whether a session is open now, whoever has noticed its end. A timer at its last moment comes after it."""
    p = f.p
    if not p.session_start:
        return False
    end = min(p.session_last + f.time.session_gap_ms, p.session_start + f.time.session_cap_ms)
    return f.t < end or (f.t == end and f.tp is not None)


class Facts:
    """Callable: variable name -> value. One object is reused for every evaluation of a partition."""

    __slots__ = ("event_actor", "event_type", "p", "signal", "t", "time", "tp")

    def __init__(self, time: Time) -> None:
        self.time = time
        self.p: Profile = Profile(id="")
        self.tp: Touchpoint | None = None
        self.signal: Signal | None = None
        self.t = 0
        self.event_type = ""
        self.event_actor = "customer"

    def __call__(self, name: str) -> object:
        return READERS[name](self)


def _text(field: str) -> Callable[[Facts], object]:
    def read(f: Facts) -> object:
        return getattr(f.tp, field) or ""

    return read


def _number(field: str) -> Callable[[Facts], object]:
    def read(f: Facts) -> object:
        return float(getattr(f.tp, field) or 0.0)

    return read


def _last(name: str) -> Callable[[Facts], object]:
    return lambda f: last(f.p, name)


def _signal(field: str) -> Callable[[Facts], object]:
    return lambda f: getattr(f.signal, field) or ""


def _channel_share(f: Facts) -> dict[str, float]:
    total = sum(f.p.channels.values()) or 1
    return {channel: n / total for channel, n in f.p.channels.items()}


READERS: Final[dict[str, Callable[[Facts], object]]] = {
    "event.type": lambda f: f.event_type,
    "event.actor": lambda f: f.event_actor,
    "properties": lambda f: (f.tp.properties if f.tp is not None else None) or {},
    **{f"event.{n}": _text(n) for n in ("channel", "currency", "topic", "queue", "team", "direction", "emotion",
                                        "intent", "survey", "campaign", "source")},
    **{f"event.{n}": _number(n) for n in ("value", "wait_ms", "sentiment", "score")},
    "now": lambda f: float(f.t),
    "customer_id": lambda f: f.p.customer_id or "",
    "locale": _last("locale"),
    "time_zone": _last("time_zone"),
    "traits": lambda f: {name: held[0] for name, held in f.p.traits.items() if held[0] is not None},
    "consent": lambda f: {name: held[0] for name, held in f.p.consent.items() if held[0] is not None},
    "segments": lambda f: f.p.segments,
    "lifetime_value": lambda f: f.p.value_micro / 1e6,
    "orders": lambda f: float(f.p.orders),
    "average_order_value": lambda f: f.p.value_micro / 1e6 / f.p.orders if f.p.orders else 0.0,
    "days_since_order": lambda f: (f.t - f.p.last_order) / DAY if f.p.orders else LONG_AGO,
    "days_since_first_seen": lambda f: max(0, f.t - f.p.first_seen) / DAY,
    "touchpoints": lambda f: float(f.p.touchpoints),
    "channel_share": _channel_share,
    "last.channel": lambda f: f.p.last_channel,
    **{f"last.{n}": _last(n) for n in ("search", "product", "category", "path", "intent", "topic")},
    "cart.items": lambda f: float(sum(n for _, n, _ in cart_lines(f.p))),
    "cart.value": lambda f: float(sum(n * price for _, n, price in cart_lines(f.p))),
    "cart.products": lambda f: [product for product, _, _ in cart_lines(f.p)],
    "cart.items_list": lambda f: [
        {"product_id": product, "quantity": n, "price": price} for product, n, price in cart_lines(f.p)
    ],
    "session.open": in_session,
    "session.touchpoints": lambda f: float(f.p.session_touchpoints if in_session(f) else 0),
    "session.minutes": lambda f: (f.p.session_last - f.p.session_start) / 60_000.0 if in_session(f) else 0.0,
    "session.frustration": lambda f: frustration(f.p) if in_session(f) else 0.0,
    "stages": lambda f: {i.journey: i.stage for i in f.p.open.values()},
    "contacts.open": lambda f: float(len(f.p.contacts)),
    "contacts.total": lambda f: float(f.p.contacts_total),
    "satisfaction.nps": lambda f: survey(f.p, "nps"),
    "satisfaction.csat": lambda f: survey(f.p, "csat"),
    "satisfaction.ces": lambda f: survey(f.p, "ces"),
    "satisfaction.mood": lambda f: mood(f.p),
    "satisfaction.emotion": _last("emotion"),
    "risk": lambda f: {name: risk.score for name, risk in f.p.risks.items() if risk.band},
    "risk_band": lambda f: {name: risk.band for name, risk in f.p.risks.items() if risk.band},
    "expected_value": lambda f: f.p.expected_value,
    **{f"signal.{n}": _signal(n) for n in ("kind", "name", "journey", "instance", "stage", "severity", "band")},
    "signal.words": lambda f: f.signal.words if f.signal is not None else [],
    "signal.time": lambda f: float(f.signal.time) if f.signal is not None else 0.0,
    "signal.figures": lambda f: f.signal.figures if f.signal is not None else {},
}  # fmt: skip
