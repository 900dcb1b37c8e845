"""The loyalty club: signing up step by step, and renewing a membership that runs out."""

from __future__ import annotations

from streams.contracts.touchpoint import COMPANY
from streams.tools.simulator.customer import Customer, Steps


def sign_up(c: Customer) -> Steps:
    """From Signed Up to Onboarding Completed, or as far as the patience goes."""
    pace, habits = c.world.pace, c.world.habits
    c.told("Signed Up", None, channel="web")
    if c.chance(habits.resends_verification):
        for n in range(2):
            yield c.about(pace.verify_ms // 3)
            t = c.told("Verification Resent", None, channel="web")
            if n == 1 and c.known.ledger is not None:
                c.known.ledger.stuck("verification_resent", "onboarding", c.world.now, t)
    yield c.about(pace.verify_ms)
    if not c.chance(habits.verifies):
        return
    c.told("Email Verified", None, channel="email")
    yield c.about(pace.fill_profile_ms)
    if not c.chance(habits.fills_profile):
        return
    c.told("Profile Completed", None, channel="web")
    yield c.about(pace.finish_ms)
    if c.chance(habits.finishes):
        c.told("Onboarding Completed", None, channel="web")


def renew(c: Customer) -> Steps:
    """The notice, then a look at the plans, then the renewal; or nothing, or the cancellation page."""
    pace, habits = c.world.pace, c.world.habits
    yield c.about(pace.renewal_notice_ms // 2)
    c.told("Renewal Notice Sent", COMPANY, channel="email")
    if c.chance(0.3):
        return
    yield c.about(pace.renewal_decide_ms)
    c.told("Plan Viewed", None, {"plan": "club"}, channel="web")
    yield c.about(pace.think_ms)
    if c.chance(habits.sees_cancellation):
        t = c.told("Cancellation Page Viewed", None, channel="web")
        if c.known.ledger is not None:
            c.known.ledger.stuck("cancel_page_seen", "renewal", c.world.now, t)
        yield c.about(pace.think_ms)
        if c.chance(0.5):
            c.told("Subscription Cancelled", None, channel="web")
            return
    if c.chance(0.25):
        return
    c.told("Renewal Started", None, {"plan": "club"}, channel="web")
    if c.chance(habits.renews):
        yield c.about(pace.form_ms)
        c.told("Subscription Renewed", None, {"plan": "club"}, channel="web", value=29.0, currency="GBP")
