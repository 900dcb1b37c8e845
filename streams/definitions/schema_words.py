"""The words that the JSON Schema of definitions is made of: maps, texts, numbers, durations, CEL.

Owns their form; what a definition may say is in ``schema.py`` and ``schema_policy.py``.
"""

from __future__ import annotations

from typing import Any, Final

NAME: Final = "^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"
DURATION: Final = r"^([0-9]{1,12}(\.[0-9]{1,6})?(ms|[smhdw]))+$"


def mapping(description: str, keys: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "description": description, "properties": keys}
    if required:
        out["required"] = list(required)
    return {**out, "additionalProperties": False, **more}


def text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description, **more}


def choice(description: str, values: Any) -> dict[str, Any]:
    return {"enum": list(values), "description": description}


def number(description: str, lowest: float, highest: float) -> dict[str, Any]:
    return {"type": "number", "minimum": lowest, "maximum": highest, "description": description}


def count(description: str, lowest: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": lowest, "description": description}


def flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def cel(description: str) -> dict[str, Any]:
    return {"type": ["string", "boolean", "number"], "maxLength": 1024, "description": f"CEL: {description}"}


def duration(description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": DURATION, "description": f"{description}; units ms, s, m, h, d, w"}


def some(item: dict[str, Any]) -> dict[str, Any]:
    """One of them or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}], "description": item["description"]}


def named(description: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"pattern": NAME},
        "additionalProperties": item,
    }
