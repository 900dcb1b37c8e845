"""What an action says: the key of its content, its parameters, and what is passed on as it is.

Owns reading ``content`` and ``external``, whether of an action, an arm of its experiment or a later step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.definitions.draft import Draft
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_name

MAX_EXTERNAL: Final = 200
"""Values in ``external``; they travel with every trigger."""


def read_content(node: Node | None, draft: Draft) -> tuple[str | None, Mapping[str, Any]]:
    """(key, parameters): of an action, an arm or a step."""
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


def read_external(node: Node | None, draft: Draft) -> dict[str, Any]:
    """What is passed on as it is."""
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
