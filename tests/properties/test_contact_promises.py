"""No limit, quiet hour or holdout is ever broken, whatever is asked of the engine and wherever it is restarted.

Owns an oracle of a few lines that looks at nothing but what was issued and what came back. A hundred thousand
decisions; ``JOURNEY_TEST_PROOF=long`` (``make proof``) makes a million.
"""

from __future__ import annotations

import heapq
import os
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from streams.contracts.outputs import Outputs
from streams.contracts.touchpoint import Touchpoint
from streams.engine.engine import Engine
from tests.support.engines import T0, D, H, M, define

DECISIONS: Final = 1_000_000 if os.environ.get("JOURNEY_TEST_PROOF") == "long" else 100_000
CUSTOMERS: Final = 1_000
VISITS: Final = 100
"""Of a customer in one world: there are as many worlds as are needed."""
ZONES: Final = ("Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
DEFINITION: Final = """
time: {timezone: UTC, allowed_lateness: 0s}
journeys:
  ask:
    type: support
    goal: {event: Case Resolved}
    stages: {asked: {on: [Contact Started]}}
    friction:
      - {name: lost, count: {event: Help Searched, at_least: 1, within: 1s}}
actions:
  letter: {purpose: marketing, when: {signal: friction}, channel: [email, push], value: 3, expires_after: 20h}
  offer: {purpose: marketing, when: {signal: friction}, channel: email, value: "orders + 2.0", expires_after: 2d}
  note: {purpose: marketing, when: {signal: friction}, channel: push, value: 1, expires_after: 30m}
  steps:
    purpose: marketing
    when: {signal: friction}
    channel: push
    value: 2.5
    expires_after: 3h
    steps: [{after: 2h, channel: email}, {after: 1d, channel: push}]
contact_policy:
  limits:
    - {channel: email, at_most: 1, per: day}
    - {channel: email, at_most: 2, per: 7d}
    - {at_most: 4, per: 7d}
  quiet_hours: {channels: [email, push], from: "21:00", to: "08:00", then: hold}
  holdout: {purpose: marketing, share: 0.2, salt: promises}
"""


@dataclass(slots=True)
class Contact:
    at: int
    channel: str
    trigger: str | None
    """None: somebody else's."""


@dataclass(slots=True)
class Story:
    """What the oracle knows of one customer."""

    zone: ZoneInfo
    contacts: dict[str, Contact] = field(default_factory=dict)
    outcomes: set[str] = field(default_factory=set)

    def broken(self) -> Iterator[str]:
        contacts = sorted(self.contacts.values(), key=lambda one: one.at)
        times = [one.at for one in contacts]
        for n, one in enumerate(contacts):
            if one.trigger is None:
                continue
            clock = datetime.fromtimestamp(one.at / 1000, self.zone)
            if not 8 <= clock.hour < 21:
                yield f"quiet at {clock}"
            week = contacts[bisect_right(times, one.at - 7 * D) : n + 1]
            if len(week) > 4:
                yield f"{len(week)} contacts in the week before {clock}"
            if one.channel != "email":
                continue
            emails = [other for other in week if other.channel == "email"]
            days = [datetime.fromtimestamp(other.at / 1000, self.zone).date() for other in emails]
            if len(emails) > 2 or days.count(clock.date()) > 1:
                yield f"{len(emails)} e-mails in the week before {clock}"


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.engine = Engine(define(DEFINITION))
        self.serial = count()
        self.stories = {f"c{n}": Story(ZoneInfo(ZONES[n % len(ZONES)])) for n in range(CUSTOMERS)}
        self.waiting: list[tuple[int, int, Touchpoint]] = []
        self.decided: Counter[tuple[str, str]] = Counter()
        self.treated: set[str] = set()
        self.held_out: set[str] = set()
        self.cancelled = 0

    def run(self) -> None:
        for n, (customer, story) in enumerate(self.stories.items()):
            self.push(T0 + n, customer, "identify", traits={"email": "e", "push_token": "p"},
                      consent={"email": True, "push": True}, time_zone=story.zone.key)  # fmt: skip
            at = T0
            for _ in range(VISITS):
                at += int(self.random.expovariate(1 / (5 * H))) + M
                self.push(at, customer, "Help Searched")
                if self.random.random() < 0.03:
                    self.push(at + 3 * M, customer, "Case Resolved")
                if self.random.random() < 0.02:
                    self.push(at + M, customer, "Message Sent", actor="company", channel="email")
        while self.waiting:
            # An hour together, so that batches and what comes back are as mixed as they are in life.
            until = self.waiting[0][0] + H
            batch = []
            while self.waiting and self.waiting[0][0] < until:
                batch.append(heapq.heappop(self.waiting)[2])
            self.hear(self.engine.process(batch, None), batch[-1].occurred_at)
            if self.random.random() < 0.01:
                self.restart()

    def push(self, at: int, customer: str, event: str, **fields: Any) -> None:
        number = next(self.serial)
        one = Touchpoint(event_id=f"e{number}", type=event, occurred_at=at, customer_id=customer, **fields)
        if event == "Message Sent":
            self.stories[customer].contacts[one.event_id] = Contact(at, "email", None)
        heapq.heappush(self.waiting, (at, number, one))

    def hear(self, out: Outputs, now: int) -> None:
        for decision in out.decisions:
            self.decided[decision.outcome, decision.reason] += 1
            if decision.outcome == "held_out":
                self.held_out.add(decision.customer)
        for trigger in out.triggers:
            contacts = self.stories[trigger.customer].contacts
            if trigger.status == "issued":
                self.treated.add(trigger.customer)
                at = trigger.issued_at
                contacts[trigger.trigger_id] = Contact(at, trigger.channel, trigger.trigger_id)
                # None: it was sent, and nobody tells.
                outcome = self.random.choice(("sent", "delivered", "not_sent", "bounced", "dismissed", None))
                if outcome is not None:
                    after = max(now, at) + self.random.randrange(1, 3 * H)
                    self.push(after, trigger.customer, "Outcome Told", actor="system", trigger_id=trigger.trigger_id,
                              channel=trigger.channel, outcome=outcome)  # fmt: skip
                    if outcome in ("not_sent", "bounced"):
                        # The engine hears it later: until then it counts, afterwards it may be made up for.
                        del contacts[trigger.trigger_id]
            elif trigger.status == "cancelled" and trigger.outcome is None and trigger.ended_at is not None:
                if trigger.ended_at < trigger.issued_at + M:  # faster than who sends it
                    contacts.pop(trigger.trigger_id, None)
                self.cancelled += 1

    def restart(self) -> None:
        if not hasattr(self, "log"):
            self.log: dict[bytes, bytes] = {}
        for key, blob in self.engine.changed():
            if blob is None:
                self.log.pop(key, None)
            else:
                self.log[key] = blob
        record, definition = self.engine.partition_record(), self.engine.definition
        self.engine = Engine(definition)
        self.engine.restore(self.log, record)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_promises_are_kept_in_every_decision() -> None:
    decided: Counter[tuple[str, str]] = Counter()
    seed = 0
    while decided.total() < DECISIONS:
        world = World(seed)
        world.run()
        decided += world.decided
        broken = [f"{name}: {what}" for name, story in world.stories.items() for what in story.broken()]
        assert not broken, (seed, len(broken), broken[:5])
        assert not world.treated & world.held_out
        assert world.cancelled > CUSTOMERS / 4
        assert 0.15 < len(world.held_out) / len(world.treated | world.held_out) < 0.25
        seed += 1
    for wanted in (("issued", "issued"), ("held_out", "holdout"), ("none", "contact_limit"), ("held", "quiet_hours")):
        assert decided[wanted] > DECISIONS / 200, decided
