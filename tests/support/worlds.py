"""Random histories for the laws: a definition that uses every kind of rule, and touchpoints that stress it.

Owns the decoding of a list of numbers into a partition's log, so that a failing example shrinks to few touchpoints
with small numbers. Durations are short: lateness 10 s, session 10 min, too late after 1 h, forgotten after 2 d.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_texts
from streams.definitions.model import Definition, Risk
from tests.support import engines
from tests.support.engines import D, H, M, S, touchpoint
from tests.support.policies import models_of, policed
from tests.support.risks import MODEL, RISKS, scored

_MORE: Final = int(os.environ.get("JOURNEY_TEST_LAWS", "1"))
"""Times as many examples, and other ones in each run."""


def law(examples: int = 60) -> settings:
    """So many examples over the three worlds in which each law is tried, the same in each run of the suite."""
    return settings(
        max_examples=examples * _MORE if _MORE > 1 else max(8, examples * 3 // 5),
        deadline=None,
        derandomize=_MORE == 1,
        database=None,
    )


LATENESS: Final = 10 * S
FORGET: Final = 2 * D

STRESS: Final = """
version: 1
time: {allowed_lateness: 10s, session_gap: 10m, session_cap: 40m, too_late: 1h, forget_after: 2d}
events:
  basket: Product Added
  Order Shipped: {actor: company}
  Queued: {actor: company}
  Agent Replied: {actor: agent}
  Case Resolved: {actor: agent}
  Nobody Listens: {actor: company}
  Also Unheard: {actor: system}
segments:
  spender: {where: "lifetime_value >= 50.0"}
  frustrated: {where: "session.frustration > 1.0"}
  here: {where: "session.open && session.touchpoints > 2.0"}
  needy: {where: "contacts.open > 0.0"}
  staff: {where: "traits.staff == true"}
  both: {where: "'spender' in segments && touchpoints > 5.0"}
journeys:
  purchase:
    type: purchase
    goal: {event: Order Completed, within: 1d}
    stages:
      browsing: {on: [Product Viewed]}
      cart: {on: [Product Added], leave_when: "cart.items == 0"}
      checkout: {on: [{event: page, where: "properties.path == '/checkout'"}]}
      payment: {on: [Payment Info Entered], critical: true}
    abandonment:
      payment: {after: 5m, severity: high}
      cart: {after: 10m, once_per: cart contents}
      browsing: {after: 10m, min_events: 2, severity: low}
    friction:
      - {preset: rage_click/conviva, cool_down: 0s}
      - {preset: dead_click/posthog, cool_down: 0s}
      - {preset: page_loop/conviva}
      - {name: failed, count: {event: Payment Failed, at_least: 2, within: 5m}, severity: high}
      - {name: failed_once, count: {event: Payment Failed, at_least: 1, within: 30s}, cool_down: 2m}
      - {name: undecided, stalled: {stage: checkout, longer_than: 4m, or_touchpoints: 4}}
      - {name: slow_cart, stalled: {stage: cart, longer_than: 20m}}
      - {name: not_shipped, absence: {of: Order Shipped, within: 30m, after: Order Completed}, severity: high}
  support:
    type: support
    instance_by: case_id
    goal: {event: Case Resolved, within: 12h}
    stages:
      contact: {on: [Contact Started, Message Sent]}
      wait: {on: [Queued]}
      assisted: {on: [Agent Replied], critical: true}
    abandonment:
      assisted: {after: 1h}
      wait: {after: 5m, severity: high}
      contact: {after: 15m}
    friction:
      - {name: repeat, count: {event: Contact Started, at_least: 2, within: 1h, same: [topic], different: [channel]}}
      - {name: pushy, count: {event: Message Sent, at_least: 3, within: 5m}}
      - {name: helpless, sequence: {of: [Help Searched, Contact Started], within: 10m, across: customer}}
      - {name: ping_pong, sequence: {of: [Message Sent, Agent Replied, Message Sent], within: 10m}}
      - {name: no_reply, absence: {of: Agent Replied, within: 5m, after: Message Sent}, severity: high}
      - {name: slow_case, stalled: {stage: wait, longer_than: 10m}}
  membership:
    type: onboarding
    goal: {event: Onboarding Completed}
    stages:
      signed_up: {on: [Signed Up]}
      renewing: {on: [Renewal Started]}
    abandonment:
      signed_up: {after: 20m, from: entry}
      renewing: {before: {date: traits.renewal, by: 1h}}
satisfaction: {fall: 0.5, words: {angry: -1, happy: 0.8}}
milestones:
  - {name: first_order, goal: purchase, nth: 1}
  - {name: second_order, goal: purchase, nth: 2}
actions:
  reminder:
    purpose: marketing
    when: {signal: abandonment, journey: purchase, stage: [cart, payment]}
    channel: [push, email]
    value: "cart.value * 0.2"
    eligible: '!("staff" in segments)'
    cancel_on: [Order Completed, {event: Product Removed, where: "event.channel == 'store'"}]
    expires_after: 1h
    content: {key: reminder, with: {items: cart.items_list, seen: last.product}}
  browse:
    purpose: service
    when: {signal: abandonment, journey: purchase, stage: browsing}
    channel: email
    value: 0.5
    cancel_on: [Product Added]
    expires_after: 2h
  help:
    purpose: service
    when:
      - {signal: friction, journey: purchase}
      - {signal: stalled}
    channel: [chat, agent]
    value: 5
    eligible: "cart.items > 0"
    expires_after: session_end
    content: {key: help, with: {why: signal.name, count: "signal.figures.count"}}
  owner:
    purpose: service
    when: {signal: friction, journey: support}
    channel: agent
    value: "5 + contacts.total"
    cancel_on: [Agent Replied]
    expires_after: 30m
  ask_why:
    purpose: service
    when: {signal: abandonment, journey: [support, membership]}
    channel: [email, agent]
    value: 6
    expires_after: 1d
  thanks:
    purpose: marketing
    when: [{signal: milestone}, {signal: satisfaction, name: promoter}, {signal: segment_entered, name: spender}]
    channel: [email, post]
    value: 3
    expires_after: 2d
  recover:
    purpose: service
    when: [{signal: satisfaction, name: [detractor, fall]}, {signal: stage_left, journey: support}]
    channel: [call, email, store]
    value: "1 + satisfaction.mood"
    expires_after: 2h
    cancel_on: [Survey Answered]
"""

_loaded: dict[tuple[str, int, int], Definition] = {}


class Scoring:
    """Whether the laws are held to definitions with risks, with policies, or neither; ``tests/properties/conftest.py``
    does all."""

    on = False
    policies = False


def loaded(text: str = STRESS, number: int = 0, risks: tuple[Risk, ...] = RISKS) -> Definition:
    """The definition of a text; each is checked once."""
    key = (text, number, id(risks) if Scoring.on else int(Scoring.policies))
    found = _loaded.get(key)
    if found is None:
        found = load_texts([("stress.journey.yaml", text)], number)
        if Scoring.on:
            found = scored(found, *risks)
        elif Scoring.policies:
            found = policed(found)
        _loaded[key] = found
    return found


class Run(engines.Run):
    """An engine whose risk and actions have a model from the start."""

    def __init__(self, definition: Definition, **options: Any) -> None:
        super().__init__(definition, **options)
        if any(MODEL.signature == risk.signature for risk in definition.risks):
            self.adopt_model(MODEL)
        for model in models_of(definition) if Scoring.policies or Scoring.on else ():
            self.adopt_model(model)


CUSTOMERS: Final = ("a", "b", "ü")
STEPS: Final = (
    *(0, 1 * S, 400, 0, 3 * S, 30 * S, 1 * S, 1, 2 * S, 0, 5 * S, 100, 20 * S, 2 * M),
    *(5 * M, 10 * M, 10 * M + 1, 20 * M, 1 * H, 5 * H, 2 * D + H),
)
DELAYS: Final = (0, 0, 0, 0, 0, 2 * S, 10 * S, 11 * S, 6 * M, 25 * M, 2 * H)
"""How much older than the newest touchpoint one is when it arrives."""
DISORDER: Final = (0, 0, 0, 1 * S, 4 * S, 10 * S)
"""The same, never beyond the lateness."""
CASES: Final = (None, "k1", "k1", "k2")
CHANNELS: Final = ("web", "web", "store", None)
TOPICS: Final = ("bill", "bill", "parcel", None)

Kind = tuple[str, dict[str, Any]]
SHOP: Final[tuple[Kind, ...]] = (
    ("Product Viewed", {"product_id": "p1", "category": "x"}),
    ("Product Added", {"product_id": "p1", "price": 20.0}),
    ("basket", {"product_id": "p2", "price": 7.5, "quantity": 2}),
    ("Product Removed", {"product_id": "p1"}),
    ("page", {"path": "/checkout"}),
    ("page", {"path": "/help"}),
    ("Payment Info Entered", {}),
    ("Payment Failed", {}),
    ("Order Completed", {"total": 30.0}),
    ("Order Shipped", {}),
    ("Order Refunded", {"total": 10.0}),
    ("Cart Cleared", {}),
    ("identify", {"traits": {"email": "a@x.example", "push_token": "t"}, "consent": {"email": True}}),
)
DESK: Final[tuple[Kind, ...]] = (
    ("Help Searched", {"query": "q"}),
    ("Contact Started", {}),
    ("Message Sent", {}),
    ("Queued", {}),
    ("Agent Replied", {}),
    ("Contact Ended", {}),
    ("Case Resolved", {}),
    ("Message Sent", {"emotion": "angry"}),
)
SCREEN: Final[tuple[Kind, ...]] = (
    ("Element Clicked", {"x": 1, "y": 2, "target": "#b", "target_kind": "button"}),
    ("Element Clicked", {"x": 1, "y": 2, "target": "#b"}),
    ("Page Reacted", {}),
    ("Element Clicked", {"x": 9, "y": 2, "target": "#c", "target_kind": "button"}),
)
LIFE: Final[tuple[Kind, ...]] = (
    ("identify", {"traits": {"email": "a@x.example", "push_token": "t", "phone": "1"}}),
    ("identify", {"consent": {"email": True, "push": True}}),
    ("identify", {"consent": {"email": False}}),
    ("identify", {"traits": {"staff": True, "email": None}}),
    ("identify", {"traits": {"renewal": "2026-01-05T03:00:00Z"}}),
    ("identify", {"traits": {"renewal": "2026-01-06T12:00:00Z", "staff": False}}),
    ("Signed Up", {}),
    ("Renewal Started", {}),
    ("Onboarding Completed", {}),
    ("Survey Answered", {"survey": "nps", "score": 10.0}),
    ("Survey Answered", {"survey": "nps", "score": 3.0, "sentiment": -0.9}),
    ("Chat Rated", {"sentiment": 0.9}),
    ("Nobody Listens", {}),
    ("Also Unheard", {"actor": "agent"}),
)
KINDS: Final = (*SHOP, *DESK, *SCREEN, *LIFE)
MIXES: Final[tuple[tuple[Kind, ...], ...]] = (SHOP, DESK, (*SHOP[:4], *SCREEN), (*SHOP, *LIFE), (*DESK, *LIFE), KINDS)
"""Few kinds, so that they meet; or all."""
UNHEARD: Final = ("Nobody Listens", "Also Unheard")
"""No rule names them, and only the company and its systems (or agents) emit them."""

Log = list[Touchpoint]


def decode(numbers: Sequence[int], kinds: Sequence[Kind] = KINDS, delays: Sequence[int] = DELAYS) -> Log:
    """Each number is one touchpoint: customer, time since the one before, kind, delay, fields."""
    log: Log = []
    now = 0
    for i, number in enumerate(numbers):
        rest, kind = divmod(number, len(kinds))
        rest, step = divmod(rest, len(STEPS))
        rest, who = divmod(rest, len(CUSTOMERS))
        rest, delay = divmod(rest, len(delays))
        rest, case = divmod(rest, len(CASES))
        rest, channel = divmod(rest, len(CHANNELS))
        _, topic = divmod(rest, len(TOPICS))
        now += STEPS[step]
        name, fields = kinds[kind]
        log.append(
            touchpoint(
                max(0, now - delays[delay]),
                name,
                CUSTOMERS[who],
                event_id=f"e{i}",
                offset=i,
                case_id=CASES[case],
                contact_id=CASES[case],
                channel=CHANNELS[channel],
                topic=TOPICS[topic],
                **fields,
            )
        )
    return log


LARGEST: Final = len(KINDS) * len(STEPS) * len(CUSTOMERS) * len(DELAYS) * len(CASES) * len(CHANNELS) * len(TOPICS) - 1


def logs(
    most: int = 40, *, mixes: Sequence[Sequence[Kind]] = MIXES, delays: Sequence[int] = DELAYS, least: int = 1
) -> st.SearchStrategy[Log]:
    """A partition's log."""
    numbers = st.lists(st.integers(0, LARGEST), min_size=least, max_size=most)
    return st.tuples(numbers, st.sampled_from(mixes)).map(lambda found: decode(found[0], found[1], delays))


OUTCOMES: Final = ("sent", "delivered", "opened", "clicked", "bounced", "not_sent", None, None)


def carried_out(log: Log, definition: Definition, pause: int = 1) -> Log:
    """The log, with what a downstream system says of the triggers that this log alone brings about.

    It answers after ``pause`` more touchpoints; what it says depends on the trigger's id.
    """
    engine = Run(definition).engine
    out: Log = []
    waiting: list[tuple[int, Touchpoint]] = []
    for i, one in enumerate(log):
        for at, answer in [w for w in waiting if w[0] <= i]:
            waiting.remove((at, answer))
            answer.occurred_at = max(answer.occurred_at, one.occurred_at)
            out.append(answer)
            engine.process([answer], None)
        out.append(one)
        for trigger in engine.process([one], None).triggers:
            outcome = OUTCOMES[int(trigger.trigger_id[:4], 16) % len(OUTCOMES)]
            if trigger.status == "issued" and outcome is not None:
                said = Touchpoint(
                    event_id=f"o{trigger.trigger_id}",
                    type="Message Handled",
                    occurred_at=one.occurred_at,
                    customer_id=trigger.customer,
                    actor="system",
                    trigger_id=trigger.trigger_id,
                    outcome=outcome,
                )
                waiting.append((i + 1 + pause, said))
    for i, one in enumerate(out):
        one.offset = i
    return out
