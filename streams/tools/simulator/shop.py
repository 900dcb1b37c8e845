"""Visits to the shop, on-line and in the store, and the parcels that follow.

Owns the table of what a customer does next in a visit, the checkout with its coupons, doubts and failing payments, and
the warehouse.
"""

from __future__ import annotations

from typing import Any, Final

from streams.tools.simulator import catalogue, clicks
from streams.tools.simulator.customer import Customer, Steps, added

NEXT: Final[dict[str, tuple[tuple[float, str], ...]]] = {
    # state: (share, what is done next)
    "arrive": ((0.4, "list"), (0.3, "search"), (0.3, "look")),
    "list": ((0.56, "look"), (0.1, "list"), (0.06, "search"), (0.28, "leave")),
    "search": ((0.56, "look"), (0.12, "search"), (0.06, "list"), (0.26, "leave")),
    "look": ((0.34, "look"), (0.1, "list"), (0.07, "search"), (0.17, "add"), (0.32, "leave")),
    "add": ((0.25, "look"), (0.25, "view_cart"), (0.27, "checkout"), (0.23, "leave")),
    "view_cart": ((0.4, "checkout"), (0.16, "look"), (0.12, "remove"), (0.32, "leave")),
    "remove": ((0.3, "look"), (0.3, "view_cart"), (0.4, "leave")),
}


def visit(c: Customer) -> Steps:
    """One visit, from the first page to the last, with or without an order."""
    habits = c.world.habits
    c.visits += 1
    if c.identified and c.chance(habits.store):
        yield from in_store(c)
        return
    app = c.prefers_app != c.chance(habits.other_channel)
    c.channel = "mobile_app" if app else "web"
    c.session = f"s-{c.prefix}{c.visits}"
    c.recorded = not app and c.chance(habits.clicks_recorded)
    c.helped = False
    c.bursts.clear()
    if not c.identified or (not c.decided and c.chance(habits.anonymous)):
        c.arrive_unknown()
        if c.recorded:
            clicks.view(c, f"/?v={c.visits}")
        if c.chance(habits.log_in_early):
            yield c.pause(c.world.pace.think_ms, c.world.pace.think_most_ms)
            c.identify()
    else:
        c.visitor = c.known
    yield from _walk(c)
    c.session = None
    c.decided = False
    c.visitor = c.known


def _walk(c: Customer) -> Steps:
    pace, rng = c.world.pace, c.rng
    doing = "view_cart" if c.decided and c.cart else "arrive"
    slow = False
    while True:
        if doing == "checkout":
            yield from checkout(c)
            return
        if doing != "arrive":
            path = _do(c, doing)
            if c.recorded:
                slow = clicks.load(c, path, may_be_slow=not slow) or slow
                yield c.pause(pace.think_ms, pace.think_most_ms)
                yield from clicks.step(c, path)
        draw = rng.random()
        for share, what in NEXT[doing]:
            doing = what
            if draw < share:
                break
            draw -= share
        if doing == "leave" and c.decided and c.cart:
            doing = "checkout"
        if doing == "leave":
            return
        if c.parcel and doing in {"add", "checkout"}:  # nobody orders again while the parcel is on its way
            doing = "look"
        elif doing == "checkout" and not c.cart:
            return
        yield c.pause(pace.think_ms, pace.think_most_ms)


def _do(c: Customer, doing: str) -> str:
    """Does it and says on which page (path)."""
    rng = c.rng
    if doing == "look":
        product = rng.choice(catalogue.PRODUCTS)
        c.say(
            "Product Viewed",
            {"product_id": product.id, "category": product.category, "price": product.price},
        )
        return f"/p/{product.id}?n={c.numbered}"
    if doing == "list":
        category = rng.choice(catalogue.CATEGORIES)
        campaign = rng.choice(catalogue.CAMPAIGNS)
        c.say("Product List Viewed", {"category": category}, campaign=campaign)
        return f"/c/{category}?n={c.numbered}"
    if doing == "search":
        c.last_search = rng.choice(catalogue.SEARCHES)
        c.say("Products Searched", {"query": c.last_search})
        return f"/search?q={c.last_search}&n={c.numbered}"
    if doing == "add":
        product = rng.choice(catalogue.PRODUCTS)
        quantity = 1 if rng.random() < 0.8 else 2
        _put(c, product, quantity)
        c.say("Product Added", added(product, quantity))
    elif doing == "remove" and c.cart:
        product, quantity = c.cart.pop(rng.choice(list(c.cart)))
        c.say("Product Removed", added(product, quantity))
    else:
        c.say("Cart Viewed")
    return f"/cart?n={c.numbered}"


def _put(c: Customer, product: catalogue.Product, quantity: int) -> None:
    had = c.cart.get(product.id)
    c.cart[product.id] = (product, quantity + (had[1] if had else 0))


def checkout(c: Customer) -> Steps:
    """From the log-in to the order, or to one of the ways of giving up before it."""
    pace, habits = c.world.pace, c.world.habits
    if c.visitor is not c.known:
        c.identify()
        yield c.pause(pace.form_ms, pace.form_most_ms)
    c.say("Checkout Started", value=_worth(c), currency="GBP")
    if c.recorded:
        clicks.view(c, "/checkout")
    yield c.pause(pace.form_ms, pace.form_most_ms)
    c.say("Checkout Step Completed", {"step": "address"})
    if c.chance(habits.coupon):
        yield from _coupon(c)
    if c.chance(habits.undecided):
        for _ in range(3):
            yield int(pace.dither_ms * (0.95 + 0.1 * c.rng.random()))
            c.say("Checkout Step Viewed", {"step": c.rng.choice(("shipping", "address", "terms"))})
        if not c.chance(0.5):
            return
    elif c.chance(0.12) and not c.decided:
        return
    yield c.pause(pace.form_ms, pace.form_most_ms)
    if not c.decided and c.chance(habits.gives_up_at_payment):
        c.say("Payment Info Entered", {"method": "card"})
        return
    yield from pay(c)


def _coupon(c: Customer) -> Steps:
    pace = c.world.pace
    code = {"coupon": c.rng.choice(catalogue.COUPONS)}
    c.say("Coupon Entered", dict(code))
    yield pace.reaction_ms
    if c.chance(c.world.habits.coupon_denied):
        t = c.say("Coupon Denied", {**code, "reason": "expired"})
        c.hit("coupon_denied", "purchase", t)
    else:
        c.say("Coupon Applied", dict(code))
    yield c.pause(pace.form_ms, pace.form_most_ms)


def pay(c: Customer) -> Steps:
    """Up to three attempts; the third one works for whoever makes it."""
    pace, habits = c.world.pace, c.world.habits
    for attempt in range(3):
        c.say("Payment Info Entered", {"method": c.rng.choice(("card", "wallet", "bank"))})
        yield c.about(pace.form_ms // 4)
        fails = (habits.payment_fails, habits.payment_fails_again, 0.0)[attempt]
        if not c.chance(fails):
            _order(c)
            return
        t = c.say("Payment Failed", {"reason": c.rng.choice(catalogue.PAYMENT_FAULTS)}, value=_worth(c), currency="GBP")
        if attempt == 1:
            c.hit("payment_failed_twice", "purchase", t)
            c.trouble = "payment"
        yield c.pause(pace.form_ms, pace.form_most_ms)
        if not c.helped and c.chance(habits.gives_up_after_failure):
            return


def _worth(c: Customer) -> float:
    return round(sum(p.price * n for p, n in c.cart.values()), 2)


def _order(c: Customer, *, shipped: bool = True) -> None:
    order_id = f"o-{c.prefix}{c.numbered}"
    products = [{"product_id": p.id, "quantity": n, "price": p.price} for p, n in c.cart.values()]
    properties: dict[str, Any] = {"order_id": order_id, "products": products}
    c.say("Order Completed", properties, value=_worth(c), currency="GBP")
    c.cart = {}
    if shipped:
        c.parcel = True
        c.world.spawn(parcel(c, order_id, c.world.now))


def parcel(c: Customer, order_id: str, ordered_at: int) -> Steps:
    """The warehouse packs and ships; sometimes too late."""
    pace = c.world.pace
    late = c.chance(c.world.habits.late_parcel)
    yield c.about(pace.pack_ms)
    c.told("Order Packed", properties={"order_id": order_id})
    if late:
        due = ordered_at + pace.not_shipped_ms
        yield due - c.world.now
        if c.known.ledger is not None:
            c.known.ledger.stuck("not_shipped", "purchase", due, None)
        c.trouble = "delivery"
        yield c.about(pace.ship_late_ms // 4)
    else:
        yield c.about(pace.ship_ms)
    c.told("Order Shipped", properties={"order_id": order_id})
    c.parcel = False
    if c.chance(c.world.habits.reviews):
        yield c.about(pace.ship_ms)
        glad = c.chance(0.2 if late else 0.8)
        c.told(
            "Review Submitted",
            None,
            {"order_id": order_id, "stars": c.rng.choice((4, 5) if glad else (1, 2))},
            channel="web",
            emotion=c.rng.choice(catalogue.GLAD_WORDS if glad else catalogue.SAD_WORDS),
            sentiment=round((0.3 + 0.6 * c.rng.random()) * (1 if glad else -1), 2),
        )


def in_store(c: Customer) -> Steps:
    """A look around and, perhaps, a purchase that is handed over at once."""
    c.channel = "store"
    c.visitor = c.known
    place = c.rng.choice(catalogue.STORES)
    for _ in range(c.rng.randrange(1, 4)):
        product = c.rng.choice(catalogue.PRODUCTS)
        c.say("Product Viewed", {"product_id": product.id, "category": product.category}, location=place)
        yield c.pause(c.world.pace.think_ms, c.world.pace.think_most_ms)
    if c.parcel or c.chance(0.5):
        return
    product = c.rng.choice(catalogue.PRODUCTS)
    _put(c, product, 1)
    c.say("Product Added", added(product, 1), location=place)
    yield c.pause(c.world.pace.form_ms, c.world.pace.form_most_ms)
    _order(c, shipped=False)
    yield c.about(c.world.pace.form_ms)
    c.told("Order Shipped", properties={"handed_over": True}, channel="store")
