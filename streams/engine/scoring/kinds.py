"""What kind of touchpoint an event is, for features that count by kind.

Owns the table from standard event name to kind, and what is counted whoever reports it.
"""

from __future__ import annotations

from typing import Final

KINDS: Final[dict[str, str]] = {
    "view": "views of products and pages",
    "search": "searches",
    "cart": "changes of the cart",
    "checkout": "steps of the checkout",
    "order": "orders",
    "refund": "returns and cancelled orders",
    "contact": "contacts with the company",
    "help": "searches for help",
    "message": "messages of the company opened",
    "trouble": "failed payments, errors and refused coupons",
    "account": "visits to the account",
    "renewal": "steps of subscribing or renewing",
    "leaving": "steps towards leaving",
    "feedback": "reviews and answers",
}
"""Kind -> what it counts, in the plural."""

EVENTS: Final = {
    "view": "page, screen, Page Viewed, Product List Viewed, Product List Filtered, Promotion Viewed, "
    "Promotion Clicked, Product Clicked, Product Viewed, Product Shared, Plan Viewed",
    "search": "Products Searched",
    "cart": "Product Added, Product Removed, Cart Viewed, Cart Shared, Cart Cleared, Coupon Entered, Coupon Applied, "
    "Coupon Removed, Product Added to Wishlist, Product Removed from Wishlist, Wishlist Product Added to Cart",
    "checkout": "Checkout Started, Checkout Step Viewed, Checkout Step Completed, Payment Info Entered",
    "order": "Order Completed",
    "refund": "Order Refunded, Order Cancelled",
    "contact": "Contact Started, Message Sent, Callback Requested, Case Reopened",
    "help": "Help Searched, Article Viewed, Bot Contained",
    "message": "Email Opened, Email Link Clicked, Push Notification Tapped",
    "trouble": "Payment Failed, Coupon Denied, Error Shown",
    "account": "identify, Signed Up, Signed In, Signed Out, Account Created, Profile Completed, Onboarding Completed, "
    "Application Installed, Application Opened, Email Verified, Invite Sent",
    "renewal": "Subscription Started, Subscription Renewed, Renewal Started, Trial Started",
    "leaving": "Subscription Cancelled, Cancellation Page Viewed, Account Deleted, Unsubscribed, Email Marked as Spam",
    "feedback": "Product Reviewed, Review Submitted, Survey Answered",
}

KIND_OF: Final[dict[str, str]] = {event.strip(): kind for kind, events in EVENTS.items() for event in events.split(",")}
"""Standard event name -> kind; what has none is OTHER."""
OTHER: Final = "other"
"""Kind of any other event: it counts among all touchpoints only."""

WHOEVER: Final = frozenset({"order", "refund"})
"""Kinds counted whoever reports them; the others only where the touchpoint counts (the customer's own)."""
REPORTED: Final = "/reported"
"""Behind such a kind: the sum of those that do not count as a touchpoint of the customer."""

REACHED: Final = frozenset({"delivered", "opened"})
CLICKED: Final = frozenset({"clicked", "converted"})
DISMISSED: Final = frozenset({"dismissed", "unsubscribed"})
RESPONSES: Final[dict[str, str]] = {
    **dict.fromkeys(REACHED, "reached"),
    **dict.fromkeys(CLICKED, "clicked"),
    **dict.fromkeys(DISMISSED, "dismissed"),
}
"""Outcome of a trigger -> the sum that it adds to."""

SEVERITY_WEIGHTS: Final = {"low": 1.0, "medium": 2.0, "high": 3.0, "critical": 4.0}
"""What a friction or stalled signal adds to the friction score."""
