"""How fast simulated customers live, how often they do what, and the durations of the shipped definitions.

Owns the one table of pauses and waits (``Pace``) and the one table of shares (``Habits``). Durations that belong to the
shipped definitions are at the end of ``Pace`` and named after their rules; a test holds them to the files. All in ms.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

NOT_SCALED: Final = frozenset(
    {"scale", "click_gap_ms", "reaction_ms", "dead_wait_ms", "loop_gap_ms", "thrash_ms", "transport_ms"}  # not scaled
)
"""What hands, pages and wires do takes as long at any time scale: the click presets' bounds are not scaled either."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Pauses are drawn around the mean and never exceed ``..._most``: no pause inside a visit looks like giving up."""

    scale: float = 1.0
    """By how much everything is faster. What a touchpoint reports as a figure (``wait_ms``) stays in the unscaled time,
    because conditions on figures are not scaled either."""

    # Inside a visit to the shop.
    think_ms: int = 14 * SECOND
    think_most_ms: int = 4 * MINUTE
    form_ms: int = 22 * SECOND
    form_most_ms: int = 70 * SECOND
    dither_ms: int = 230 * SECOND
    """One of the three pauses of someone who cannot decide at the checkout."""

    # Hands, pages, wires.
    click_gap_ms: int = 240
    reaction_ms: int = 260
    dead_wait_ms: int = 4_500
    loop_gap_ms: int = 2_200
    thrash_ms: int = 1_600
    transport_ms: int = 50
    """From the touchpoint to its record in the log."""

    # Between visits: longer than any silence that counts as giving up in the shop.
    away_ms: int = 32 * HOUR
    away_least_ms: int = 3 * HOUR
    back_after_reminder_ms: int = 25 * MINUTE
    """Longer than the windows of the shop's frictions, so that a reminder's visit starts clean."""

    # Parcels.
    pack_ms: int = 5 * HOUR
    ship_ms: int = 20 * HOUR
    ship_late_ms: int = 60 * HOUR

    # The service desk.
    read_help_ms: int = 50 * SECOND
    queue_wait_ms: int = 130 * SECOND
    patience_ms: int = 7 * MINUTE
    speak_ms: int = 45 * SECOND
    speak_most_ms: int = 8 * MINUTE
    mail_reply_ms: int = 55 * MINUTE
    come_back_ms: int = 18 * HOUR
    back_office_ms: int = 70 * HOUR
    """Work behind the scenes of a case that cannot be solved at once."""
    survey_after_ms: int = 10 * MINUTE
    survey_answer_ms: int = 9 * HOUR
    call_back_ms: int = 60 * HOUR
    next_survey_ms: int = 6 * DAY

    # The club: signing up and renewing.
    verify_ms: int = 25 * MINUTE
    fill_profile_ms: int = 6 * HOUR
    finish_ms: int = 16 * HOUR
    renewal_notice_ms: int = 20 * HOUR
    """From the notice to the day by which someone who does nothing counts as lost (``renewal_by`` before the date)."""
    renewal_decide_ms: int = 12 * HOUR

    # What downstream systems and customers do with a trigger.
    send_ms: int = 2 * SECOND
    deliver_ms: int = 6 * SECOND
    open_ms: int = 12 * MINUTE

    # The shipped definitions.
    session_gap_ms: int = 30 * MINUTE
    purchase_within_ms: int = 14 * DAY
    browsing_ms: int = 30 * MINUTE
    cart_ms: int = 30 * MINUTE
    checkout_ms: int = HOUR
    payment_ms: int = 20 * MINUTE
    undecided_ms: int = 10 * MINUTE
    not_shipped_ms: int = 48 * HOUR
    payment_failed_twice_ms: int = 10 * MINUTE
    onboarding_within_ms: int = 30 * DAY
    signed_up_ms: int = 2 * HOUR
    verified_ms: int = DAY
    profile_ms: int = 3 * DAY
    renewal_within_ms: int = 90 * DAY
    renewal_by_ms: int = 7 * DAY
    cancel_page_seen_ms: int = DAY
    verification_resent_ms: int = HOUR
    coupon_denied_ms: int = 10 * MINUTE
    comparing_ms: int = 2 * DAY
    renewing_ms: int = HOUR
    support_within_ms: int = 7 * DAY
    self_service_ms: int = 30 * MINUTE
    contact_ms: int = HOUR
    wait_ms: int = 15 * MINUTE
    assisted_ms: int = DAY
    transfer_ms: int = 30 * MINUTE
    repeat_contact_ms: int = 7 * DAY
    self_service_failed_ms: int = HOUR
    no_reply_ms: int = HOUR
    long_wait_ms: int = 5 * MINUTE
    long_wait_within_ms: int = HOUR
    passed_around_ms: int = DAY
    slow_case_ms: int = 2 * DAY
    case_reopened_ms: int = 7 * DAY
    survey_unanswered_ms: int = 3 * DAY
    follow_up_within_ms: int = 90 * DAY
    told_us_ms: int = 7 * DAY
    called_back_ms: int = 30 * DAY

    def scaled(self, scale: float) -> Pace:
        """The same life, ``scale`` times as fast; reflexes keep their time."""
        if scale <= 0:
            raise ValueError(f"the time scale must be above 0, not {scale}")
        quick = {f.name: max(1, round(getattr(self, f.name) / scale)) for f in fields(self) if f.name not in NOT_SCALED}
        return replace(self, scale=self.scale * scale, **quick)


@dataclass(frozen=True, slots=True)
class Habits:
    """Shares from 0 to 1: of the customers, the visits, or the times a choice comes up."""

    # Who they are.
    staff: float = 0.01
    email: float = 0.95
    phone: float = 0.6
    push_token: float = 0.45
    consents: float = 0.7
    app_fans: float = 0.35
    """Prefer the app; the others the web site."""
    other_channel: float = 0.2
    """Visits over the channel that the customer does not prefer."""
    store: float = 0.05
    """Visits that are to the store."""

    # A visit to the shop.
    anonymous: float = 0.3
    """Later visits that begin logged out; a first one always does."""
    log_in_early: float = 0.7
    clicks_recorded: float = 0.25
    """Visits whose clicks, scrolls and page loads are recorded."""
    join_club: float = 0.06
    club_member: float = 0.12
    remove: float = 0.08
    coupon: float = 0.15
    coupon_denied: float = 0.3
    undecided: float = 0.08
    payment_fails: float = 0.14
    payment_fails_again: float = 0.55
    gives_up_after_failure: float = 0.3
    gives_up_at_payment: float = 0.12

    # In a visit whose clicks are recorded, for each step.
    rage_click: float = 0.012
    dead_click: float = 0.014
    error_click: float = 0.01
    page_loop: float = 0.008
    thrashed_cursor: float = 0.008
    slow_page: float = 0.03

    # The service desk.
    asks_help: float = 0.09
    """Visits that are to the help pages or the desk."""
    asks_after_trouble: float = 0.25
    searches_first: float = 0.55
    help_has_case: float = 0.7
    answered_by_article: float = 0.45
    says_solved: float = 0.3
    transferred: float = 0.18
    transferred_again: float = 0.3
    solved: float = 0.75
    back_office: float = 0.08
    comes_back: float = 0.6
    other_contact_channel: float = 0.7
    reopened: float = 0.05
    surveyed: float = 0.6
    answers_survey: float = 0.5
    called_back: float = 0.5
    reviews: float = 0.15
    late_parcel: float = 0.06

    # The club.
    resends_verification: float = 0.12
    verifies: float = 0.8
    fills_profile: float = 0.75
    finishes: float = 0.8
    sees_cancellation: float = 0.15
    renews: float = 0.6

    # What becomes of a trigger.
    not_sent: float = 0.02
    bounced: float = 0.02
    opened: float = 0.6
    clicked: float = 0.5
    unsubscribes: float = 0.02
    buys_after_reminder: float = 0.6
