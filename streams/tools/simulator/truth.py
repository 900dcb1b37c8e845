"""What really happened, as the simulated customers know it: the facts that an engine's signals are compared with.

Owns ``Fact`` and the ledger that each profile's touchpoints are entered in. The ledger is a deliberately small model of
the shipped definitions: only clean, ordered time, one table of stages, no signals' ids, no windows. Frictions are not
found here: the customers that suffer them say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from streams.contracts.touchpoint import AGENT, CUSTOMER, Touchpoint
from streams.tools.simulator.pace import Pace


class Fact(msgspec.Struct, omit_defaults=True, gc=False):
    """One truth about one profile. Kinds are those of signals: abandonment, stalled, friction, goal_reached, ..."""

    kind: str
    customer: str
    name: str
    time: int
    """The due time for silences and absences, else the completing touchpoint's."""
    journey: str | None = None
    instance: str | None = None
    stage: str | None = None
    since: int | None = None
    """Abandonment: the touchpoint from which the silence counts. Stalled: entering the stage."""
    evidence: list[str] = []
    figures: dict[str, float] = {}


Matches = Callable[[Touchpoint], bool]


class StageRule(NamedTuple):
    name: str
    on: tuple[tuple[str, Matches | None], ...]
    after_ms: int | None = None
    from_entry: bool = False
    min_events: int = 1
    per_contents: bool = False
    by_ms: int | None = None
    """Counts back from the trait ``renewal_due_at`` instead."""
    stalled: str | None = None
    stalled_ms: int = 0
    stalled_touchpoints: int = 0


class JourneyRule(NamedTuple):
    name: str
    within_ms: int
    goal: tuple[str, Matches | None]
    stages: tuple[StageRule, ...]
    also: tuple[str, ...] = ()
    """Further events that belong to it and enter nothing."""
    by_case: bool = False


def _checkout_page(t: Touchpoint) -> bool:
    return t.properties is not None and t.properties.get("path") == "/checkout"


def _bad_nps(t: Touchpoint) -> bool:
    return t.survey == "nps" and t.score is not None and t.score <= 6


def _good_nps(t: Touchpoint) -> bool:
    return t.survey == "nps" and t.score is not None and t.score > 6


def rules(p: Pace) -> tuple[JourneyRule, ...]:
    """The journeys of both shipped definitions with their abandonment and stalled rules, at that pace."""
    return (
        JourneyRule(
            "purchase",
            p.purchase_within_ms,
            ("Order Completed", None),
            (
                StageRule(
                    "browsing",
                    (("Product Viewed", None), ("Product List Viewed", None), ("Products Searched", None)),
                    p.browsing_ms,
                    min_events=3,
                ),
                StageRule("cart", (("Product Added", None),), p.cart_ms, per_contents=True),
                StageRule(
                    "checkout",
                    (("Checkout Started", None), ("page", _checkout_page)),
                    p.checkout_ms,
                    stalled="undecided",
                    stalled_ms=p.undecided_ms,
                    stalled_touchpoints=15,
                ),
                StageRule("payment", (("Payment Info Entered", None),), p.payment_ms),
            ),
            also=("Product Removed",),
        ),
        JourneyRule(
            "onboarding",
            p.onboarding_within_ms,
            ("Onboarding Completed", None),
            (
                StageRule("signed_up", (("Signed Up", None),), p.signed_up_ms, from_entry=True),
                StageRule("verified", (("Email Verified", None),), p.verified_ms),
                StageRule("profile", (("Profile Completed", None),), p.profile_ms),
            ),
        ),
        JourneyRule(
            "renewal",
            p.renewal_within_ms,
            ("Subscription Renewed", None),
            (
                StageRule("noticed", (("Renewal Notice Sent", None),), by_ms=p.renewal_by_ms),
                StageRule("comparing", (("Plan Viewed", None),), p.comparing_ms),
                StageRule("renewing", (("Renewal Started", None),), p.renewing_ms),
            ),
        ),
        JourneyRule(
            "support",
            p.support_within_ms,
            ("Case Resolved", None),
            (
                StageRule(
                    "self_service",
                    (("Help Searched", None), ("Article Viewed", None)),
                    p.self_service_ms,
                    min_events=2,
                ),
                StageRule("contact", (("Contact Started", None), ("Message Sent", None)), p.contact_ms),
                StageRule("wait", (("Queued", None),), p.wait_ms),
                StageRule(
                    "assisted",
                    (("Answered", None), ("Agent Replied", None)),
                    p.assisted_ms,
                    stalled="slow_case",
                    stalled_ms=p.slow_case_ms,
                    stalled_touchpoints=20,
                ),
                StageRule("transfer", (("Transferred", None),), p.transfer_ms),
            ),
            by_case=True,
        ),
        JourneyRule(
            "follow_up",
            p.follow_up_within_ms,
            ("Survey Answered", _good_nps),
            (
                StageRule("told_us", (("Survey Answered", _bad_nps),), p.told_us_ms, from_entry=True),
                StageRule("called_back", (("Callback Made", None),), p.called_back_ms, from_entry=True),
            ),
        ),
    )


GOAL: Final = -1
BELONGS: Final = -2
CART_STAGE: Final = 1


class Book:
    """The rules by event name, and the facts that all ledgers write down."""

    def __init__(self, pace: Pace) -> None:
        self.session_gap_ms = pace.session_gap_ms
        self.facts: list[Fact] = []
        self.ledgers: list[Ledger] = []
        self.by_event: dict[str, list[tuple[JourneyRule, int, Matches | None]]] = {}
        for journey in rules(pace):
            self.by_event.setdefault(journey.goal[0], []).append((journey, GOAL, journey.goal[1]))
            for event in journey.also:
                self.by_event.setdefault(event, []).append((journey, BELONGS, None))
            for rank, stage in enumerate(journey.stages):
                for event, matches in stage.on:
                    self.by_event.setdefault(event, []).append((journey, rank, matches))

    def ledger(self, profile: str) -> Ledger:
        ledger = Ledger(self, profile)
        self.ledgers.append(ledger)
        return ledger

    def close(self, at_ms: int) -> Iterator[Fact]:
        """Every fact up to that moment, by time; silences that have lasted long enough by then included."""
        for ledger in self.ledgers:
            ledger.settle(at_ms + 1)
        self.facts.sort(key=lambda f: (f.time, f.customer, f.kind, f.name))
        known = [f for f in self.facts if f.time <= at_ms]
        self.facts = [f for f in self.facts if f.time > at_ms]
        yield from known


class Run:
    """One customer's way through one instance of a journey."""

    __slots__ = ("due", "entered", "events", "expires", "last", "rank", "since", "stall_from", "stall_since")

    def __init__(self, expires: int) -> None:
        self.expires = expires
        self.rank = -1
        self.entered: set[int] = set()
        self.since = 0
        self.due: int | None = None
        self.events = 0
        self.last = 0
        self.stall_since: int | None = None
        self.stall_from = 0


class Ledger:
    """What one profile has done, entered touchpoint by touchpoint in the order of time."""

    __slots__ = ("book", "cart", "profile", "renewal_due_at", "runs", "signalled", "touchpoints")

    def __init__(self, book: Book, profile: str) -> None:
        self.book = book
        self.profile = profile
        self.runs: dict[tuple[str, str], tuple[JourneyRule, Run]] = {}
        self.cart: dict[str, int] = {}
        self.signalled: dict[str, int] | None = None
        self.renewal_due_at: int | None = None
        self.touchpoints = 0

    def enter(self, t: Touchpoint) -> None:
        kind, now = t.type, t.occurred_at
        by_customer = t.actor is None or t.actor == CUSTOMER
        counts = by_customer or t.actor == AGENT
        self._stall_by_touchpoints(t, by_customer)
        matched = self.book.by_event.get(kind)
        if matched is None:
            return
        if kind in {"Product Added", "Product Removed"} and t.properties is not None:
            self._fill_cart(kind, now, t.properties["product_id"], t.properties["quantity"])
        for journey, rank, matches in matched:
            if matches is not None and not matches(t):
                continue
            instance = t.case_id if journey.by_case else ""
            if instance is not None:
                self._step(journey, instance, rank, t, now, counts)

    def _fill_cart(self, kind: str, now: int, product: str, quantity: int) -> None:
        # A silence that ended before now concerned the cart as it was: decide it first.
        self.settle(now)
        change = quantity if kind == "Product Added" else -quantity
        left = self.cart.get(product, 0) + change
        if left > 0:
            self.cart[product] = left
        else:
            self.cart.pop(product, None)

    def _step(self, journey: JourneyRule, instance: str, rank: int, t: Touchpoint, now: int, counts: bool) -> None:
        key = (journey.name, instance)
        found = self.runs.get(key)
        if found is not None and self._settle(key, journey, found[1], now):
            found = None
        run = None if found is None else found[1]
        if rank == GOAL:
            self._goal(journey, instance, run, t)
            return
        if run is None:
            if rank == BELONGS:
                return
            run = Run(now + journey.within_ms)
            self.runs[key] = (journey, run)
        run.events = 1 if now - run.last > self.book.session_gap_ms else run.events + 1
        run.last = now
        if rank > run.rank:
            self._enter_stage(journey, run, rank, now)
        elif rank == BELONGS and journey.name == "purchase" and run.rank == CART_STAGE and not self.cart:
            run.entered.discard(CART_STAGE)
            if not run.entered:
                del self.runs[key]
                return
            run.rank = max(run.entered)
            self._arm(journey.stages[run.rank], run, now)
        elif counts and not journey.stages[run.rank].from_entry:
            self._arm(journey.stages[run.rank], run, now)

    def _goal(self, journey: JourneyRule, instance: str, run: Run | None, t: Touchpoint) -> None:
        stage = None if run is None else journey.stages[run.rank].name
        self._note("goal_reached", journey.name, t.occurred_at, journey.name, instance if run else None, stage, t)
        self.runs.pop((journey.name, instance), None)
        if journey.name == "purchase":
            self.cart.clear()
            self.signalled = None

    def _enter_stage(self, journey: JourneyRule, run: Run, rank: int, now: int) -> None:
        stage = journey.stages[rank]
        run.rank = rank
        run.entered.add(rank)
        run.stall_since = now if stage.stalled is not None else None
        run.stall_from = self.touchpoints
        self._arm(stage, run, now)

    def _arm(self, stage: StageRule, run: Run, now: int) -> None:
        run.since = now
        if stage.by_ms is not None:
            run.due = None if self.renewal_due_at is None else self.renewal_due_at - stage.by_ms
        else:
            run.due = None if stage.after_ms is None else now + stage.after_ms

    def _stall_by_touchpoints(self, t: Touchpoint, by_customer: bool) -> None:
        if not by_customer:
            return
        self.touchpoints += 1
        for (name, instance), (journey, run) in self.runs.items():
            if run.stall_since is None:
                continue
            stage = journey.stages[run.rank]
            overdue = t.occurred_at > run.stall_since + stage.stalled_ms
            if not overdue and self.touchpoints - run.stall_from >= stage.stalled_touchpoints:
                self._note(
                    "stalled", stage.stalled or "", t.occurred_at, name, instance, stage.name, t, run.stall_since
                )
                run.stall_since = None

    def settle(self, now: int) -> None:
        """Decide everything that was due before that moment."""
        for key, (journey, run) in list(self.runs.items()):
            self._settle(key, journey, run, now)

    def _settle(self, key: tuple[str, str], journey: JourneyRule, run: Run, now: int) -> bool:
        """True if the run has ended because its time was over."""
        stage = journey.stages[run.rank]
        name, instance = key
        if run.stall_since is not None and (due := run.stall_since + stage.stalled_ms) < now:
            if due < run.expires:
                self._note("stalled", stage.stalled or "", due, name, instance, stage.name, None, run.stall_since)
            run.stall_since = None
        if run.due is not None and run.due < now:
            if run.due < run.expires:
                self._silent(stage, run, run.due, name, instance)
            run.due = None
        if run.expires < now:
            del self.runs[key]
            return True
        return False

    def _silent(self, stage: StageRule, run: Run, due: int, journey: str, instance: str) -> None:
        if run.events < stage.min_events:
            return
        if stage.per_contents:
            if self.cart == self.signalled:
                return
            self.signalled = dict(self.cart)
        self._note("abandonment", stage.name, due, journey, instance, stage.name, None, run.since)

    def _note(
        self,
        kind: str,
        name: str,
        time: int,
        journey: str,
        instance: str | None,
        stage: str | None,
        t: Touchpoint | None,
        since: int | None = None,
    ) -> None:
        evidence = [] if t is None else [t.event_id]
        self.book.facts.append(Fact(kind, self.profile, name, time, journey, instance, stage, since, evidence))

    def stuck(self, name: str, journey: str, time: int, t: Touchpoint | None, instance: str = "") -> None:
        """The customer says: that friction happened to me, then."""
        self._note("friction", name, time, journey, instance, None, t)

    def felt(self, name: str, t: Touchpoint) -> None:
        """The customer says: I am a promoter, or a detractor."""
        figures = {} if t.score is None else {"score": t.score}
        self.book.facts.append(Fact("satisfaction", self.profile, name, t.occurred_at, None, None, None, None,
                                    [t.event_id], figures))  # fmt: skip
