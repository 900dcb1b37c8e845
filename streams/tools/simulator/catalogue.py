"""What the simulated shop sells and what its customers write about: plain tables."""

from __future__ import annotations

from typing import Final, NamedTuple


class Product(NamedTuple):
    id: str
    category: str
    price: float


CATEGORIES: Final = ("audio", "bags", "garden", "kitchen", "lamps", "toys")
PRODUCTS: Final = tuple(
    Product(f"p-{n}", CATEGORIES[n % len(CATEGORIES)], round(4.95 + (n * 37 % 120) * 1.5, 2)) for n in range(1, 181)
)
SEARCHES: Final = ("headphones", "rucksack", "hose", "kettle", "desk lamp", "wooden train", "gift", "sale")
COUPONS: Final = ("WELCOME10", "SPRING", "FRIENDS", "FREESHIP")
CAMPAIGNS: Final = (None, None, None, "spring-2026", "newsletter", "search-ads")
TOPICS: Final = ("delivery", "payment", "return", "account", "product")
INTENTS: Final = {
    "delivery": "track a parcel",
    "payment": "pay",
    "return": "return an item",
    "account": "change my details",
    "product": "ask before buying",
}
PAYMENT_FAULTS: Final = ("card_declined", "timeout", "3ds_failed")
BUTTONS: Final = ("#add", "#size", "#filter", "#menu", "#pay", "#details", "#next-image", "#wishlist")
PLACES: Final = (
    ("Europe/London", "en-GB"),
    ("Europe/London", "en-GB"),
    ("Europe/Berlin", "de-DE"),
    ("Europe/Paris", "fr-FR"),
    ("America/New_York", "en-US"),
)
STORES: Final = ("London Soho", "Leeds", "Berlin Mitte", "Lyon")
AGENTS: Final = tuple(f"agent-{n}" for n in range(1, 25))
TEAMS: Final = ("first line", "second line", "payments", "warehouse")
GLAD_WORDS: Final = ("happy", "delighted", "relieved")
SAD_WORDS: Final = ("angry", "frustrated", "confused")
