"""What the engine learns from the standard events themselves: cart, orders, searches, traits, consent, contacts.

Owns one handler for each event name that it understands. Every handler gives the same result in whatever order the
touchpoints of a customer arrive within the lateness: the newest by event time wins, sums are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from streams.contracts.touchpoint import Touchpoint
from streams.engine import facts
from streams.engine.memory import set_last, settle
from streams.engine.state import CART, CHANNEL, CONTACT, CONTACTS, TRAITS, Contact, Profile

CONTACT_KEY: Final = "contact\x1f"
"""Before a contact's id among what is settled: it has ended, and its start may still arrive."""
LARGEST: Final = 1e12
"""Amounts and quantities beyond it are taken for faults of the producer."""
MOST_MICRO: Final = 9 * 10**18
TEXT: Final = 256
"""Characters kept of a text."""


def _text(value: object) -> str | None:
    return value[:TEXT] if isinstance(value, str) and value else None


def _number(value: object, default: float) -> float:
    """The value as a number that can be added up and stored, the default where it is none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST:
        return float(value)
    return default


def _product(properties: dict[str, Any]) -> str:
    for name in ("product_id", "sku", "name"):
        found = properties.get(name)
        if found is not None and found != "":
            return str(found)[:64]
    return ""


def _change_cart(p: Profile, tp: Touchpoint, t: int, sign: float, settled: int) -> None:
    properties = tp.properties or {}
    if t <= p.cart_cleared:
        return
    product = _product(properties)
    line = p.cart.get(product)
    if line is None:
        if len(p.cart) >= CART:
            return
        line = p.cart[product] = [0.0, -1, []]
    price = properties.get("price")
    if sign > 0 and price is not None and t >= line[1]:
        line[0] = _number(price, 0.0)
        line[1] = t
    changes = line[2]
    changes.append([t, sign * _number(properties.get("quantity"), 1.0)])
    if len(changes) > 1:
        changes.sort(key=_first)
        # Nothing that could clear the cart before this time can still come: one sum is enough.
        while len(changes) > 1 and (changes[1][0] < settled or len(changes) > 50):
            changes[1][1] += changes[0][1]
            del changes[0]
        if len(changes) == 1 and changes[0][1] == 0.0:
            del p.cart[product]


def _first(change: list[Any]) -> int:
    when: int = change[0]
    return when


def _added(p: Profile, tp: Touchpoint, t: int, settled: int) -> int:
    _change_cart(p, tp, t, 1.0, settled)
    return facts.CART


def _removed(p: Profile, tp: Touchpoint, t: int, settled: int) -> int:
    _change_cart(p, tp, t, -1.0, settled)
    return facts.CART


def clear_cart(p: Profile, t: int) -> None:
    if t <= p.cart_cleared:
        return
    p.cart_cleared = t
    for product in list(p.cart):
        line = p.cart[product]
        line[2] = [change for change in line[2] if change[0] > t]
        if not line[2]:
            del p.cart[product]


def _cleared(p: Profile, _tp: Touchpoint, t: int, _settled: int) -> int:
    clear_cart(p, t)
    return facts.CART


def money(tp: Touchpoint) -> int:
    """Millionths of the currency: ``value``, else the property total or revenue."""
    value = _number(tp.value, 0.0)
    if tp.value is None:
        properties = tp.properties or {}
        value = _number(properties.get("total"), _number(properties.get("revenue"), 0.0))
    return round(value * 1e6)


def _add_value(p: Profile, micro: int) -> None:
    """Within what can be stored."""
    p.value_micro = max(-MOST_MICRO, min(MOST_MICRO, p.value_micro + micro))


def _ordered(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    p.orders += 1
    _add_value(p, money(tp))
    p.last_order = max(p.last_order, t)
    clear_cart(p, t)
    return facts.CART | facts.ORDERS


def _refunded(p: Profile, tp: Touchpoint, _t: int, _settled: int) -> int:
    _add_value(p, -abs(money(tp)))
    return facts.ORDERS


def _searched(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    query = _text((tp.properties or {}).get("query"))
    if query is None:
        return 0
    set_last(p, "search", query, t)
    return facts.LAST


def _viewed(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    properties = tp.properties or {}
    product = _product(properties)
    if product:
        set_last(p, "product", product, t)
    category = _text(properties.get("category"))
    if category is not None:
        set_last(p, "category", category, t)
    return facts.LAST


def _listed(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    category = _text((tp.properties or {}).get("category"))
    if category is None:
        return 0
    set_last(p, "category", category, t)
    return facts.LAST


def _page(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    properties = tp.properties or {}
    path = _text(properties.get("path")) or _text(properties.get("url")) or _text(properties.get("name"))
    if path is None:
        return 0
    set_last(p, "path", path, t)
    return facts.LAST


def contact_of(tp: Touchpoint) -> tuple[str | None, str | None]:
    """(contact, or the case where that is not given; case), as they are kept."""
    contact, case = tp.contact_id, tp.case_id
    contact = contact[:CONTACT] if contact else None
    case = case[:CONTACT] if case else None
    return contact or case, case


def _contact_started(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    p.contacts_total += 1
    if tp.topic is not None:
        set_last(p, "topic", tp.topic[:TEXT], t)
    contact, case = contact_of(tp)
    if contact is not None and t >= max(p.settled.get(CONTACT_KEY + key, 0) for key in (contact, case or contact)):
        held = p.contacts.get(contact)
        if held is None or t >= held.since:
            channel = tp.channel[:CHANNEL] if tp.channel is not None else None
            topic = tp.topic[:TEXT] if tp.topic is not None else None
            p.contacts[contact] = Contact(contact, channel, topic, t, case)
            p.room -= 100 + 4 * (2 * len(contact) + len(case or "") + len(channel or "") + len(topic or ""))
        if len(p.contacts) > CONTACTS:
            del p.contacts[next(iter(p.contacts))]
    return facts.CONTACTS | facts.LAST


def _contact_ended(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    contact, _ = contact_of(tp)
    # One that began anew after this end, and was heard of before it, stays open.
    for key in [k for k, c in p.contacts.items() if (contact is None or k == contact) and c.since <= t]:
        del p.contacts[key]
    if contact is not None:
        settle(p, CONTACT_KEY + contact, t)
    return facts.CONTACTS


def _case_resolved(p: Profile, tp: Touchpoint, t: int, _settled: int) -> int:
    contact, case = contact_of(tp)
    for ended in dict.fromkeys((contact, case)):  # not a set: the order of one differs between processes
        if ended is not None:
            settle(p, CONTACT_KEY + ended, t)
    for key, held in list(p.contacts.items()):
        if (key == contact or (case is not None and held.case_id == case)) and held.since <= t:
            del p.contacts[key]
    return facts.CONTACTS


Handler = Callable[[Profile, Touchpoint, int, int], int]
"""(profile, touchpoint, event time, time before which all is settled) -> groups of facts that changed."""

HANDLED: Final[dict[str, Handler]] = {
    "Product Added": _added,
    "Product Removed": _removed,
    "Cart Cleared": _cleared,
    "Order Completed": _ordered,
    "Order Refunded": _refunded,
    "Products Searched": _searched,
    "Help Searched": _searched,
    "Product Viewed": _viewed,
    "Product List Viewed": _listed,
    "page": _page,
    "screen": _page,
    "Page Viewed": _page,
    "Contact Started": _contact_started,
    "Contact Ended": _contact_ended,
    "Case Resolved": _case_resolved,
}

CONTACT_EVENTS: Final = frozenset({"Contact Started", "Contact Ended", "Case Resolved"})
"""Kept from agents too: they tell which of an agent's touchpoints happen together with the customer."""


def set_traits(p: Profile, traits: dict[str, Any], t: int) -> int:
    """Last by event time wins; None removes (and is remembered, so that an older value does not come back)."""
    changed = 0
    for name, value in traits.items():
        held = p.traits.get(name)
        if held is None:
            if len(p.traits) >= TRAITS:
                continue
            p.traits[name] = [value[:TEXT] if isinstance(value, str) else value, t]
            p.room -= 30 + 4 * (len(name) + (min(len(value), TEXT) if isinstance(value, str) else 0))
            changed = facts.TRAITS
        elif t >= held[1]:
            if isinstance(value, str):
                value = value[:TEXT]  # noqa: PLW2901 - what is kept of it
                p.room -= 10 + 4 * len(value)
            held[0] = value
            held[1] = t
            changed = facts.TRAITS
    return changed


def set_consent(p: Profile, consent: dict[str, bool | None], t: int) -> int:
    changed = 0
    for channel, allowed in consent.items():
        held = p.consent.get(channel)
        if held is None:
            if len(p.consent) >= TRAITS or len(channel) > CHANNEL:
                continue
            p.consent[channel] = [allowed, t]
            p.room -= 20 + 4 * len(channel)
            changed = facts.CONSENT
        elif t >= held[1]:
            held[0] = allowed
            held[1] = t
            changed = facts.CONSENT
    return changed
