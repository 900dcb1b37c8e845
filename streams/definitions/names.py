"""The words that definitions may use without declaring them, and those that this version refuses.

Owns the list of standard event names (Segment's e-commerce, B2B and e-mail specifications, the service and page names
of ``docs/contracts``), the touchpoint fields that a rule may compare, journey types and the keys not enforced yet.
"""

from __future__ import annotations

from typing import Final

from streams.contracts.touchpoint import FROM_THE_LOG, Touchpoint


def _lines(text: str) -> frozenset[str]:
    return frozenset(name.strip() for line in text.strip().splitlines() for name in line.split(","))


STANDARD_EVENTS: Final = _lines(
    """
    identify, page, screen, group, alias
    Products Searched, Product List Viewed, Product List Filtered, Promotion Viewed, Promotion Clicked, Product Clicked
    Product Viewed, Product Added, Product Removed, Cart Viewed, Cart Shared, Product Shared
    Checkout Started, Checkout Step Viewed, Checkout Step Completed, Payment Info Entered, Payment Failed
    Order Completed, Order Updated, Order Refunded, Order Cancelled, Order Packed, Order Shipped, Order Delivered
    Coupon Entered, Coupon Applied, Coupon Denied, Coupon Removed, Product Reviewed, Review Submitted
    Product Added to Wishlist, Product Removed from Wishlist, Wishlist Product Added to Cart
    Email Delivered, Email Opened, Email Link Clicked, Email Bounced, Email Marked as Spam, Unsubscribed
    Push Notification Received, Push Notification Tapped, Application Installed, Application Opened
    Signed Up, Signed In, Signed Out, Account Created, Account Deleted, Trial Started, Trial Ended, Invite Sent
    Email Verified, Verification Resent, Profile Completed, Onboarding Completed
    Subscription Started, Subscription Renewed, Subscription Cancelled, Plan Viewed, Cancellation Page Viewed
    Renewal Notice Sent, Renewal Started
    Contact Started, Queued, Answered, Transferred, Held, Message Sent, Agent Replied, Contact Ended
    Case Resolved, Case Reopened, Callback Requested, Callback Made, Help Searched, Article Viewed, Bot Contained
    Survey Sent, Survey Answered
    Element Clicked, Page Reacted, Page Scrolled, Text Selected, Cursor Moved, Web Vital Measured, Error Shown
    """
)

FIELDS: Final = frozenset(Touchpoint.__struct_fields__) - {
    # Different for every touchpoint, or no single value: telling instances apart by them makes no sense.
    *("event_id", "occurred_at", "sent_at", "retried", *FROM_THE_LOG),
    *("properties", "traits", "consent", "comment", "type"),
}
"""Touchpoint fields by which instances and windows may be told apart; any other name is a property's."""
NOT_COMPARABLE: Final = frozenset(Touchpoint.__struct_fields__) - FIELDS

JOURNEY_TYPES: Final = ("onboarding", "purchase", "use", "support", "renewal", "relationship")
VISIBLE: Final = ("on_stage", "backstage", "behind_the_scenes")
SURVEYS: Final = ("nps", "csat", "ces")
SATISFACTION: Final = ("detractor", "promoter", "fall", "recovery")

# Known to the plan of this software, enforced by none of its parts so far: refused, so that nobody relies on them.
NOT_YET_TOP: Final = frozenset({"webhooks", "identity"})
NOT_YET_ACTION: Final = frozenset({"webhook"})
NOT_YET_JOURNEY: Final = frozenset({"holdout", "contact_policy", "rollout", "cost"})
