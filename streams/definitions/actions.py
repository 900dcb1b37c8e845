"""Actions: what is to be done about which signals, and through which channel.

Owns reading actions. Their ``when`` is read in ``matching.py``, their content in ``content.py``, how they are tried out
and bounded in ``experiments.py``.
"""

from __future__ import annotations

from typing import Final

from streams.definitions.cel import CelExpression
from streams.definitions.content import read_content, read_external
from streams.definitions.draft import Draft
from streams.definitions.experiments import (
    read_budget,
    read_channel_names,
    read_experiment,
    read_guardrails,
    read_holdout,
    read_share,
    read_steps,
)
from streams.definitions.matching import read_whens
from streams.definitions.model import Action, When
from streams.definitions.names import NOT_YET_ACTION
from streams.definitions.policy import DAY_MS, LONGEST_MS, PURPOSES, Purpose
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_duration, read_name, read_number, spoken_ms

HIGHEST_VALUE: Final = 1e9
HIGHEST_FACTOR: Final = 1e6
CHANNEL_ORDERS: Final = ("stated", "preferred")
DEFAULT_ATTRIBUTION_MS: Final = 7 * DAY_MS
ELSEWHERE: Final = {
    "arms": "write it under `experiment:`",
    "quiet_hours": "write it under `contact_policy:` at the top, with `channels` or `purpose`",
    "limits": "write it under `contact_policy:` at the top: {action: NAME, at_most: 1, per: 7d}",
    "propensity": "it is learned; where learning begins is `arbitration: {prior: ...}` at the top",
    "not_before": "an arm of an `experiment`, or one of the `steps`, comes later: `after`",
    "priority": "it is made of `value`, `cost`, `weight` and `lever`",
    "levers": "write `lever`, a number; for a purpose or a journey `arbitration: {weights: ...}` at the top",
    "contact_policy": "it stands at the top and is for all actions",
}
"""Keys that are looked for at an action -> where what they mean is said."""


def read_actions(table: Table, draft: Draft) -> None:
    node = table.take("actions")
    if node is None:
        return
    for key, value in Table(node, draft.report, "'actions'").entries():
        name = read_name(key, draft.report, "an action")
        if name is not None and draft.claim("action", name, key):
            action = _action(name, value, draft)
            if action is not None:
                draft.actions[name] = action


def _action(name: str, node: Node, draft: Draft) -> Action | None:
    table = Table(node, draft.report, f"action {name!r}", NOT_YET_ACTION, ELSEWHERE)
    purpose: Purpose = "marketing" if table.choice("purpose", PURPOSES) == "marketing" else "service"
    when = read_whens(
        table.need("when", "the signals that it answers, for example {signal: abandonment}"), draft, "'when'"
    )
    channels = read_channel_names(table, draft)
    order = table.choice("channel_order", CHANNEL_ORDERS)
    value = _value(table.take("value"), draft)
    cost = table.number("cost", 0.0, HIGHEST_VALUE)
    gates = {
        key: draft.expression(table.take(key), "action", "bool", repr(key))
        for key in ("eligible", "applicable", "suitable")
    }
    weight = _factor(table.take("weight"), draft, "'weight'")
    lever = _constant(table.take("lever"), draft, "'lever'")
    cancel_on = draft.refs(table.take("cancel_on"), "'cancel_on'")
    expires = _expiry(table, draft)
    content_key, content = read_content(table.take("content"), draft)
    external = read_external(table.take("external"), draft)
    paused = table.boolean("paused", False)
    rollout = read_share(table.take("rollout"), draft, "'rollout'")
    holdout = read_holdout(table.take("holdout"), f"holdout/{name}", purpose, draft)
    experiment = read_experiment(table.take("experiment"), name, expires, draft)
    steps = read_steps(table.take("steps"), expires, draft)
    budget = read_budget(table.take("budget"), cost if "cost" in table else 0.0, draft)
    attribution = table.duration("attribution", lowest_ms=1_000)
    draft.remember(attribution, table.key_place("attribution"))
    if attribution is not None and attribution > LONGEST_MS:
        message = f"'attribution' is {spoken_ms(attribution)}: contacts are kept for {spoken_ms(LONGEST_MS)} at most"
        draft.report.fault(table.key_place("attribution"), message)
    guardrails = read_guardrails(table.take("guardrails"), draft)
    table.finish()
    _check_session(table, when, channels, draft)
    _check_worth(table, value, cost, draft)
    draft.action_tables[name] = table
    return Action(
        name=name,
        when=when,
        channels=channels,
        expires_after_ms=expires,
        purpose=purpose,
        value=value,
        eligible=gates["eligible"],
        cancel_on=cancel_on,
        content_key=content_key,
        content=content,
        external=external,
        paused=paused,
        applicable=gates["applicable"],
        suitable=gates["suitable"],
        cost=cost or 0.0,
        weight=weight,
        lever=lever,
        rollout=1.0 if rollout is None else rollout,
        holdout=holdout,
        experiment=experiment,
        steps=steps,
        budget=budget,
        attribution_ms=attribution or DEFAULT_ATTRIBUTION_MS,
        guardrails=guardrails,
        preferred_first=order == "preferred",
    )


def _value(node: Node | None, draft: Draft) -> float | CelExpression:
    if node is None:
        return 0.0
    if isinstance(node.scalar, int | float) and not isinstance(node.scalar, bool):
        return read_number(node, draft.report, "'value'", 0.0, HIGHEST_VALUE) or 0.0
    return draft.expression(node, "action", "double", "'value'") or 0.0


def _factor(node: Node | None, draft: Draft, what: str) -> float | CelExpression:
    """A number above 0, or CEL with one."""
    if node is None or (isinstance(node.scalar, int | float) and not isinstance(node.scalar, bool)):
        return _constant(node, draft, what)
    return draft.expression(node, "action", "double", what) or 1.0


def _constant(node: Node | None, draft: Draft, what: str) -> float:
    if node is None:
        return 1.0
    number = read_number(node, draft.report, what, 0.0, HIGHEST_FACTOR)
    if number == 0.0:
        draft.report.fault(node, f"{what} is 0: the action would always be the last", "to stop it: `paused: true`")
    return number or 1.0


def _check_worth(table: Table, value: float | CelExpression, cost: float | None, draft: Draft) -> None:
    """An action whose value is constant and below its cost is never chosen."""
    if not cost or not isinstance(value, float | int) or value >= cost:
        return
    place = table.key_place("cost")
    if "value" in table and value == 0.0 and (node := table.take("value")) is not None and node.scalar != 0:
        return  # a value with a fault of its own
    what = f"it is worth {value:g}" if "value" in table else "it has no `value`"
    draft.report.fault(place, f"{table.what} is never chosen: it costs {cost:g}, and {what}", "raise its `value`")


def _expiry(table: Table, draft: Draft) -> int | None:
    node = table.need("expires_after", "for example 24h, or session_end")
    if node is None or node.text == "session_end":
        return None
    ms = read_duration(node, draft.report, "'expires_after'", lowest_ms=1_000)
    draft.remember(ms, node)
    return ms


def _check_session(table: Table, whens: tuple[When, ...], channels: tuple[str, ...], draft: Draft) -> None:
    """Warns where the session that a channel or an expiry needs is most likely over when the signal comes."""
    known = [draft.channels[name] for name in channels if name in draft.channels]
    session_end = (node := table.take("expires_after")) is not None and node.text == "session_end"
    in_session = bool(known) and all(channel.in_session for channel in known)
    if not (session_end or in_session) or not whens:
        return
    gap = draft.time.session_gap_ms
    for when in whens:
        rules = [
            rule
            for journey in draft.journeys.values()
            for rule in journey.abandonment
            if when.signal == "abandonment"
            and (not when.journey or journey.name in when.journey)
            and (not when.stage or rule.stage in when.stage)
        ]
        if not rules or any(rule.after_ms is None or rule.after_ms < gap or rule.from_entry for rule in rules):
            return
    key = "expires_after" if session_end else "channel"
    draft.report.warn(
        table.key_place(key),
        f"{table.what} needs an open session, which has mostly ended when these deadlines fire",
        "choose another channel and a duration, or a deadline shorter than 'session_gap'",
    )
