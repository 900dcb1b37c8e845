"""One simulated customer: who they are, how they are known at the moment, and how they say what they do.

Owns identity (anonymous until the log-in), the making of touchpoints and the random stream of the customer. What they
do is in ``shop``, ``clicks``, ``desk``, ``club`` and ``reactions``, as generators that yield the pause (ms) until they
go on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from math import log
from typing import Any, NamedTuple

from streams.contracts.touchpoint import COMPANY, Scalar, Touchpoint
from streams.tools.simulator import catalogue
from streams.tools.simulator.pace import Habits, Pace
from streams.tools.simulator.truth import Book, Ledger

Steps = Generator[int, None, None]
"""What somebody does: each item is the pause in ms before the next step."""


class World:
    """What all customers share: the moment, the tables, what has been said and the book of truth."""

    __slots__ = ("book", "habits", "joined", "now", "pace", "said", "spawn")

    def __init__(
        self,
        now: int,
        pace: Pace,
        habits: Habits,
        book: Book | None,
        spawn: Callable[[Steps], None],
        joined: Callable[[Customer], None],
    ) -> None:
        self.now = now
        self.pace = pace
        self.habits = habits
        self.book = book
        self.spawn = spawn
        """Begins something that goes on beside everything else."""
        self.joined = joined
        """Is told when a customer has been identified for the first time."""
        self.said: list[Touchpoint] = []


class Visitor:
    """The ids under which touchpoints are sent, and the ledger of the profile that they make."""

    __slots__ = ("anonymous_id", "customer_id", "key", "ledger")

    def __init__(self, customer_id: str | None, anonymous_id: str | None, book: Book | None) -> None:
        profile = customer_id or anonymous_id or ""
        self.customer_id = customer_id
        self.anonymous_id = anonymous_id
        self.key = profile.encode()
        self.ledger: Ledger | None = None if book is None else book.ledger(profile)


class Contact(NamedTuple):
    time: int
    topic: str
    channel: str


class Customer:
    """State of one customer. The random stream is their own, so that nobody's life depends on another's."""

    __slots__ = (
        "anonymous_visits",
        "away",
        "bursts",
        "cart",
        "channel",
        "club_member",
        "contacts",
        "decided",
        "email",
        "helped",
        "identified",
        "known",
        "last_search",
        "name",
        "numbered",
        "parcel",
        "phone",
        "place",
        "prefers_app",
        "prefix",
        "push_token",
        "recorded",
        "renewal_due_at",
        "rng",
        "searched_at",
        "session",
        "staff",
        "trouble",
        "visitor",
        "visits",
        "withdrawn",
        "world",
    )

    def __init__(self, world: World, seed: int, index: int, run: str) -> None:
        self.world = world
        self.rng = rng = random.Random((seed << 40) ^ index)  # noqa: S311 - a simulation must be repeatable
        self.name = f"c-{index:06d}"
        self.prefix = f"{run}{index}-"
        self.numbered = 0
        self.known = Visitor(self.name, None, world.book)
        self.visitor = self.known
        self.channel = "web"
        self.session: str | None = None
        habits = world.habits
        self.place = rng.choice(catalogue.PLACES)
        self.staff = rng.random() < habits.staff
        self.email = rng.random() < habits.email
        self.phone = rng.random() < habits.phone
        self.prefers_app = rng.random() < habits.app_fans
        self.push_token = self.prefers_app or rng.random() < habits.push_token
        self.club_member = rng.random() < habits.club_member
        self.renewal_due_at: int | None = None
        self.identified = False
        self.away = False
        """Between two visits: the only pause that a reminder may cut short."""
        self.visits = 0
        self.anonymous_visits = 0
        self.cart: dict[str, tuple[catalogue.Product, int]] = {}
        self.parcel = False
        self.trouble: str | None = None
        self.helped = False
        self.decided = False
        """Came back to buy what was left behind."""
        self.recorded = False
        self.bursts: set[str] = set()
        """Click bursts of this visit."""
        self.last_search = ""
        self.searched_at: int | None = None
        self.contacts: list[Contact] = []
        self.withdrawn: set[str] = set()

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pause(self, mean_ms: int, most_ms: int) -> int:
        """An exponential pause, at least 1 ms and at most ``most_ms``."""
        return min(int(-log(1.0 - self.rng.random()) * mean_ms) + 1, most_ms)

    def about(self, mean_ms: int) -> int:
        """Evenly between half and one and a half of it."""
        return int(mean_ms * (0.5 + self.rng.random())) + 1

    def hit(self, name: str, journey: str, t: Touchpoint | None, time: int | None = None, instance: str = "") -> None:
        """Enters a friction that the customer has just suffered in the book of truth."""
        ledger = self.visitor.ledger
        if ledger is not None:
            ledger.stuck(name, journey, self.world.now if time is None else time, t, instance)

    def say(self, kind: str, properties: dict[str, Any] | None = None, **fields: Any) -> Touchpoint:
        """Something the customer does now, under the ids and over the channel of the moment."""
        visitor, world = self.visitor, self.world
        self.numbered += 1
        t = Touchpoint(
            event_id=f"{self.prefix}{self.numbered}",
            type=kind,
            occurred_at=world.now,
            key=visitor.key,
            customer_id=visitor.customer_id,
            anonymous_id=visitor.anonymous_id,
            channel=self.channel,
            session_id=self.session,
            properties=properties,
            **fields,
        )
        world.said.append(t)
        if visitor.ledger is not None:
            visitor.ledger.enter(t)
        return t

    def told(
        self,
        kind: str,
        actor: str | None = COMPANY,
        properties: dict[str, Any] | None = None,
        *,
        channel: str | None = None,
        **fields: Any,
    ) -> Touchpoint:
        """Something outside a visit, by whoever, that concerns the known customer."""
        world, known = self.world, self.known
        self.numbered += 1
        t = Touchpoint(
            event_id=f"{self.prefix}{self.numbered}",
            type=kind,
            occurred_at=world.now,
            key=known.key,
            customer_id=known.customer_id,
            actor=actor,
            channel=channel,
            properties=properties,
            **fields,
        )
        world.said.append(t)
        if known.ledger is not None:
            known.ledger.enter(t)
        return t

    def arrive_unknown(self) -> None:
        self.anonymous_visits += 1
        self.visitor = Visitor(None, f"a-{self.name[2:]}-{self.anonymous_visits}", self.world.book)
        self.cart = {}

    def _renewal_due_at(self) -> int:
        """The day by which the membership must be renewed: some time after the notice (``club.renew``) will come."""
        pace = self.world.pace
        return self.world.now + pace.renewal_by_ms + pace.renewal_notice_ms + self.about(pace.renewal_notice_ms)

    def identify(self) -> None:
        """The customer says who they are; the profile changes, for identities are not joined."""
        left_behind = list(self.cart.values()) if self.visitor is not self.known else []
        self.visitor = self.known
        if not self.identified:
            self.identified = True
            traits: dict[str, Scalar] = {}
            if self.email:
                traits["email"] = f"{self.name}@example.com"
            if self.phone:
                traits["phone"] = f"+44 20 7946 {int(self.name[2:]) % 10_000:04d}"
            if self.push_token:
                traits["push_token"] = f"token-{self.name}"
            if self.staff:
                traits["staff"] = True
            if self.club_member:
                self.renewal_due_at = self._renewal_due_at()
                traits["renewal_due_at"] = self.renewal_due_at
                if self.known.ledger is not None:
                    self.known.ledger.renewal_due_at = self.renewal_due_at
            consent: dict[str, bool | None] = {
                channel: self.chance(self.world.habits.consents) for channel in ("email", "push", "sms")
            }
            self.say("identify", traits=traits, consent=consent, time_zone=self.place[0], locale=self.place[1])
            self.world.joined(self)
        else:
            self.say("Logged In")
        for product, quantity in left_behind:  # the shop takes the anonymous cart over
            self.say("Product Added", added(product, quantity), source="cart merge")


def added(product: catalogue.Product, quantity: int) -> dict[str, Any]:
    return {
        "product_id": product.id,
        "category": product.category,
        "price": product.price,
        "quantity": quantity,
    }
