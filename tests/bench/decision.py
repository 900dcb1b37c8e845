"""(n) What one decision costs: 20 actions under a contact policy, of which all but a few pass every gate.

Owns the definition. Each touchpoint brings about one signal that all actions select. The same touchpoints under a
definition without actions are taken off. Before the start of issuing what remains is the decision alone: gates,
weighing, choice and record; afterwards the trigger, its contact and the customer's view are added. With risks in the
definition, and so in what is taken off, P is that of the customer for one action, and for all.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Final

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.plan import served
from streams.engine.engine import Engine
from streams.engine.scoring.features import STANDARD
from tests.bench.meter import tell
from tests.support.policies import contextual

ACTIONS: Final = 20
CUSTOMERS: Final = 400
ROUNDS: Final = 5
NINE: Final = (
    "days_since_touchpoint", "days_since_order", "tenure_days", "orders", "touchpoints", "lifetime_value",
    "average_order_value", "view_30d", "order_30d",
)  # fmt: skip
T0: Final = 1_767_600_000_000
"""2026-01-05, 08:00 UTC: nobody sleeps, so that nothing is held."""

BASE: Final = """
version: 1
time: {timezone: Europe/London}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages: {cart: {on: Product Added}}
    friction: [{name: failed, count: {event: Payment Failed, at_least: 1, within: 1s}}]
"""
POLICY: Final = """
contact_policy:
  quiet_hours: {channels: [email, push, sms, call], from: "21:00", to: "07:00", then: hold}
  limits:
    - {channel: email, at_most: 1, per: day}
    - {channel: email, at_most: 2, per: 7d}
    - {at_most: 3, per: 7d}
  holdout: {purpose: marketing, share: 0.05, salt: winter-2026}
"""


RISK: Final = """
risks:
  churn:
    without: Order Completed
    horizon: 30d
    scored: {active_within: 1d}
    features: [FEATURES]
"""


def definition(actions: int, *, policy: bool = True, features: Sequence[str] = ()) -> Definition:
    text = BASE + (POLICY if policy else "")
    if features:
        text += RISK.replace("FEATURES", ", ".join(features))
    if actions:
        text += "actions:\n"
    for n in range(actions):
        text += f"""
  action_{n}:
    purpose: marketing
    when: {{signal: friction}}
    channel: [push, email]
    value: "{10 + n % 4}.0 + average_order_value"
    eligible: "lifetime_value < {1000 + n}"
    rollout: {0.9 if n % 10 == 0 else 1}
    cost: 0.1
    expires_after: 1d
    content: {{key: k, with: {{items: cart.items}}}}
"""
    return load_texts([("bench.journey.yaml", text)], 1)


def history(customers: int) -> tuple[list[Touchpoint], list[Touchpoint]]:
    """(who they are and what they have spent, one failed payment of each)."""
    known = [
        Touchpoint(
            f"i{n}", "identify", T0 + n, customer_id=f"c{n}", traits={"email": f"{n}@x.example"},
            consent={"email": True}, time_zone="Europe/London",
        )
        for n in range(customers)
    ]  # fmt: skip
    known += [
        Touchpoint(f"o{n}", "Order Completed", T0 + 1_000 + n, customer_id=f"c{n}", value=1.0 + n / 100)
        for n in range(customers)
    ]
    failed = [Touchpoint(f"f{n}", "Payment Failed", T0 + 60_000 + n, customer_id=f"c{n}") for n in range(customers)]
    return known, failed


def seconds(
    found: Definition, models: Sequence[ActionModel], customers: int, *, issuing: bool = False
) -> tuple[float, int, int]:
    """(CPU seconds of the failed payments, decisions, of them drawn)."""
    engine = Engine(found, start_issuing_at=None if issuing else 2 * T0)
    for model in models:
        engine.adopt_model(model)
    known, failed = history(customers)
    engine.process(known, None)
    began = time.process_time()
    out = engine.process(failed, None)
    return time.process_time() - began, len(out.decisions), sum(d.draw is not None for d in out.decisions)


def models(found: Definition) -> list[ActionModel]:
    """Little is known of all of them: the most that can be weighed."""
    return [
        ActionModel(f"{name}@1", name, signature, 2.0 + n % 5, 30.0)
        for n, (name, signature) in enumerate(served(found))
    ]


def by_customer(found: Definition, actions: int) -> list[ActionModel]:
    """The same, of which this many look at the customer."""
    made = models(found)[1:]  # the first is the risk's
    return [contextual(found, a, 2.0 + n % 5, 30.0) for n, a in enumerate(found.actions[:actions])] + made[actions:]


def measure(customers: int, rounds: int) -> dict[str, float]:
    full, without = definition(ACTIONS), definition(0, policy=False)
    one = definition(1)
    costs: dict[str, list[float]] = {"drawn_us": [], "by_priority_us": [], "one_action_us": [], "issued_us": []}
    looking = {
        "contextual_us": (NINE, 1), "all_contextual_us": (NINE, ACTIONS),
        "standard_contextual_us": (STANDARD, 1), "all_standard_contextual_us": (STANDARD, ACTIONS),
    }  # fmt: skip
    costs |= {name: [] for name in looking}
    risky = {
        features: (definition(ACTIONS, features=features), definition(0, policy=False, features=features))
        for features in (NINE, STANDARD)
    }
    decisions = drawn = 0
    for _ in range(rounds):
        bare, _, _ = seconds(without, (), customers)
        spent, decisions, drawn = seconds(full, models(full), customers)
        costs["drawn_us"].append((spent - bare) / customers * 1e6)
        spent, _, _ = seconds(full, (), customers)
        costs["by_priority_us"].append((spent - bare) / customers * 1e6)
        spent, _, _ = seconds(one, (), customers)
        costs["one_action_us"].append((spent - bare) / customers * 1e6)
        spent, _, _ = seconds(full, models(full), customers, issuing=True)
        costs["issued_us"].append((spent - bare) / customers * 1e6)
        for name, (features, actions) in looking.items():
            with_risk, without_actions = risky[features]
            bare, _, _ = seconds(without_actions, (), customers)
            spent, _, _ = seconds(with_risk, by_customer(with_risk, actions), customers)
            costs[name].append((spent - bare) / customers * 1e6)
    return {"actions": ACTIONS, "decisions": decisions, "drawn": drawn} | {k: median(v) for k, v in costs.items()}


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    tell(measure(CUSTOMERS // 4 if quick else CUSTOMERS, 2 if quick else ROUNDS))
