"""Definitions with contact policy, from the tests' short YAML and the typed parts: what tests of decisions share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from streams.contracts.outputs import Decision, Model
from streams.definitions.cel import compile_expression
from streams.definitions.model import Action, Channel, Definition, Expression, When
from streams.definitions.policy import (
    Arbitration,
    Arm,
    ContactPolicy,
    Experiment,
    Holdout,
    Hours,
    Limit,
    PauseMarketing,
    QuietHours,
    SequenceStep,
    Suppression,
)
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.plan import MODEL_PREFIX, context_of, signature
from streams.learner.snapshots import scorer_of
from tests.support.engines import H, M, Run, define, touchpoint

SHOP: Final = """
time: {session_gap: 30m, allowed_lateness: 0s}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages: {cart: {on: Product Added}, payment: {on: Payment Info Entered}}
    abandonment: {cart: {after: 20m}, payment: {after: 10m}}
    friction: [{name: failed, count: {event: Payment Failed, at_least: 1, within: 1s}}]
  help:
    type: support
    instance_by: case_id
    goal: Case Resolved
    stages: {asking: {on: Message Received}}
actions:
  mail: {purpose: marketing, when: {signal: friction}, channel: email, value: 10, expires_after: 1d}
"""
"""Each Payment Failed (more than a second after the last) asks for ``mail``."""


def with_policy(definition: Definition | str = SHOP, **policy: Any) -> Definition:
    found = define(definition) if isinstance(definition, str) else definition
    return replace(found, contact_policy=replace(found.contact_policy, **policy), digest=f"{found.digest}/{policy!r}")


def with_action(definition: Definition, name: str = "mail", **fields: Any) -> Definition:
    """The action with other fields."""
    actions = tuple(replace(a, **fields) if a.name == name else a for a in definition.actions)
    return replace(definition, actions=actions, digest=f"{definition.digest}/{name}{fields!r}")


def with_actions(definition: Definition, *actions: Action) -> Definition:
    return replace(definition, actions=actions, digest=f"{definition.digest}/{actions!r}")


def with_channel(definition: Definition, channel: Channel) -> Definition:
    channels = {**definition.channels, channel.name: channel}
    return replace(definition, channels=channels, digest=f"{definition.digest}/{channel!r}")


def weighed(definition: Definition, **fields: Any) -> Definition:
    return replace(definition, arbitration=Arbitration(**fields), digest=f"{definition.digest}/{fields!r}")


def customer(text: str) -> Expression:
    return compile_expression(text, "customer", "bool")


def reached(run: Run, who: str = "c", t: int = 0, **fields: Any) -> None:
    """The customer can be reached by e-mail and has agreed to it."""
    fields.setdefault("traits", {"email": f"{who}@x.example", "push_token": "t"})
    fields.setdefault("consent", {"email": True, "push": True})
    run.hear(touchpoint(t, "identify", who, event_id=f"id/{who}/{t}", **fields))


def failed(run: Run, t: int, who: str = "c", **fields: Any) -> None:
    run.hear(touchpoint(t, "Payment Failed", who, **fields))


def reasons(run: Run) -> list[str]:
    return [decision.reason for decision in run.decisions]


def quiet(start: int = 21 * 60, end: int = 8 * 60, **fields: Any) -> QuietHours:
    return QuietHours(Hours(start, end), **fields)


POLICY: Final = ContactPolicy(
    quiet_hours=(
        QuietHours(Hours(60, 4 * 60), channels=("email", "push", "agent")),
        QuietHours(Hours(5 * 60, 5 * 60 + 30), channels=("post",), then="drop"),
    ),
    limits=(
        Limit(2, days=1, channel="email"),
        Limit(3, within_ms=6 * H),
        Limit(4, within_ms=3 * H, purposes=("service", "marketing")),
        Limit(1, within_ms=30 * M, action="help", purposes=("service",)),
    ),
    holdout=Holdout(0.15, "v"),
    pauses=(
        PauseMarketing(open_contact=True),
        PauseMarketing(when=When("satisfaction", name=("detractor",)), for_ms=1 * H),
    ),
    suppression=Suppression(1, 6 * H, 2 * H, ("clicked", "dismissed")),
)
"""Short, so that random histories meet it. Nothing in it is shared by customers: these are alone in other laws."""
STEPS: Final = (SequenceStep(10 * M, ("email", "agent")), SequenceStep(20 * M, ("store",), unless=("opened",)))
ARMS: Final = (Arm("early", 0.4, content_key="now"), Arm("late", 0.4, delay_ms=5 * M, content={"tone": "calm"}))
FIELDS: Final[dict[str, dict[str, Any]]] = {
    "reminder": {"experiment": Experiment("timing", "x", ARMS), "cost": 0.5},
    "browse": {"rollout": 0.3},
    "ask_why": {"steps": STEPS},
    "thanks": {"holdout": Holdout(0.3, "own"), "lever": 2.0},
    "owner": {"steps": STEPS[:1], "weight": 0.5},
}

ALSO: Final = Action(
    "also", (When("friction", journey=("purchase",)), When("milestone")), ("agent", "store"), H, value=4
)


def policed(definition: Definition) -> Definition:
    """With the policy, experiments, sequences and holdouts, on the actions of ``worlds.STRESS``."""
    return replace(
        definition,
        contact_policy=POLICY,
        arbitration=Arbitration(explore=0.2, weights={"service": 1.5, "purchase": 0.7}),
        actions=(*(replace(a, **FIELDS.get(a.name, {})) for a in definition.actions), ALSO),
        digest=f"{definition.digest}/policed",
    )


def models_of(definition: Definition) -> list[ActionModel]:
    """For every second action; where the definition has risks, by the customer's features."""
    return [
        contextual(definition, a, 3.0 + n, 9.0, version=3)
        if definition.risks
        else ActionModel(f"{MODEL_PREFIX}{a.name}@3", MODEL_PREFIX + a.name, signature(a, definition), 3.0 + n, 9.0)
        for n, a in enumerate(definition.actions[::2])
    ]


def snapshot(
    definition: Definition, action: Action, positives: float, negatives: float, *, version: int = 1, **fields: Any
) -> Model:
    """A contextual one, not signed. Weights that are not given rise from -0.2 to 0.2."""
    names, meaning = context_of(definition)
    n = len(names)
    fields.setdefault("weights", [0.4 * i / n - 0.2 for i in range(n)])
    fields.setdefault("means", [0.5] * n)
    fields.setdefault("scales", [1.0 + i % 3 for i in range(n)])
    fields.setdefault("precisions", [20.0] * (n + 1))
    fields.setdefault("intercept", -1.0)
    fields.setdefault("context", meaning)
    return Model(
        MODEL_PREFIX + action.name, version, signature(action, definition), "contextual", "logistic_regression",
        features=list(names), positives=positives, negatives=negatives, **fields,
    )  # fmt: skip


def contextual(
    definition: Definition, action: Action, positives: float, negatives: float, **fields: Any
) -> ActionModel:
    """What the engine makes of ``snapshot``."""
    found = scorer_of(snapshot(definition, action, positives, negatives, **fields), None)
    assert isinstance(found, ActionModel)
    return found


def ready(definition: object = SHOP, who: str = "c", **options: object) -> Run:
    """An engine that knows how to reach ``who``."""
    run = Run(definition, **options)  # type: ignore[arg-type]
    reached(run, who)
    return run


def handled(run: Run, t: int, outcome: str, n: int = -1) -> None:
    """Whoever was sent the ``n``th trigger says what became of it."""
    trigger = [one for one in run.triggers if one.status == "issued"][n]
    run.hear(
        touchpoint(
            t, "Message Handled", trigger.customer, actor="system", trigger_id=trigger.trigger_id, outcome=outcome,
            event_id=f"{trigger.trigger_id}/{outcome}/{t}",
        )
    )  # fmt: skip


def closing(decision: Decision) -> list[str | None]:
    """Of each candidate, the gate that closed it."""
    return [candidate.closed_by for candidate in decision.candidates]
