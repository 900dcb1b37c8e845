"""Actions: what is to be done about which signals, and through which channel.

Owns reading actions. Their ``when`` is read in ``matching.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.definitions.cel import CelExpression
from streams.definitions.draft import Draft
from streams.definitions.faults import near_or_list
from streams.definitions.matching import read_whens
from streams.definitions.model import Action, When
from streams.definitions.names import NOT_YET_ACTION
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_duration, read_name, read_number

HIGHEST_VALUE: Final = 1e9
MAX_EXTERNAL: Final = 200
"""Values in ``external`` and ``content``; they travel with every trigger."""


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
    table = Table(node, draft.report, f"action {name!r}", NOT_YET_ACTION)
    purpose = table.choice("purpose", ["service", "marketing"])
    when = read_whens(
        table.need("when", "the signals that it answers, for example {signal: abandonment}"), draft, "'when'"
    )
    channels = _channels(table, draft)
    value = _value(table.take("value"), draft)
    eligible = draft.expression(table.take("eligible"), "action", "bool", "'eligible'")
    cancel_on = draft.refs(table.take("cancel_on"), "'cancel_on'")
    expires = _expiry(table, draft)
    content_key, content = _content(table.take("content"), draft)
    external = _external(table.take("external"), draft)
    paused = table.boolean("paused", False)
    table.finish()
    _check_session(table, when, channels, draft)
    return Action(
        name=name,
        when=when,
        channels=channels,
        expires_after_ms=expires,
        purpose="marketing" if purpose == "marketing" else "service",
        value=value,
        eligible=eligible,
        cancel_on=cancel_on,
        content_key=content_key,
        content=content,
        external=external,
        paused=paused,
    )


def _channels(table: Table, draft: Draft) -> tuple[str, ...]:
    node = table.need("channel", "one channel or a list, the best first")
    out: list[str] = []
    for name, place in [] if node is None else table.choices("channel", None):
        if name not in draft.channels:
            hint = near_or_list(name, draft.channels)
            draft.report.fault(place, f"no channel is called {name!r}", f"{hint}; or define it under `channels:`")
        out.append(name)
    return tuple(out)


def _value(node: Node | None, draft: Draft) -> float | CelExpression:
    if node is None:
        return 0.0
    if isinstance(node.scalar, int | float) and not isinstance(node.scalar, bool):
        return read_number(node, draft.report, "'value'", 0.0, HIGHEST_VALUE) or 0.0
    return draft.expression(node, "action", "double", "'value'") or 0.0


def _expiry(table: Table, draft: Draft) -> int | None:
    node = table.need("expires_after", "for example 24h, or session_end")
    if node is None or node.text == "session_end":
        return None
    ms = read_duration(node, draft.report, "'expires_after'", lowest_ms=1_000)
    draft.remember(ms, node)
    return ms


def _content(node: Node | None, draft: Draft) -> tuple[str | None, Mapping[str, Any]]:
    if node is None:
        return None, {}
    table = Table(node, draft.report, "'content'")
    key = table.text("key")
    inner = table.take("with")
    table.finish()
    out: dict[str, Any] = {}
    for label, value in [] if inner is None else Table(inner, draft.report, "'with'").entries():
        name = read_name(label, draft.report, "a parameter")
        if name is None:
            continue
        if value.kind == "scalar" and isinstance(value.scalar, str):
            hint = f"""the text itself is written "'{value.text}'\""""
            out[name] = draft.expression(value, "action", "any", f"parameter {name!r}", hint)
        else:
            out[name] = _literal(value)
    return key, out


def _external(node: Node | None, draft: Draft) -> dict[str, Any]:
    if node is None:
        return {}
    if node.kind != "map":
        draft.report.fault(node, f"'external' is a map, not {node.spoken}", "for example {campaign: spring}")
        return {}
    if node.size > MAX_EXTERNAL:
        draft.report.fault(node, f"'external' has more than {MAX_EXTERNAL} values")
        return {}
    found = _literal(node)
    return found if isinstance(found, dict) else {}


def _literal(node: Node) -> Any:
    match node.kind:
        case "map":
            return {key.text: _literal(value) for key, value in node.pairs}
        case "list":
            return [_literal(item) for item in node.items]
        case _:
            return node.scalar


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
