"""The tables of docs/contracts.md, made from what the code reads: schemas, topics, reasons, outcomes, limits.

Owns the parts of that page between its markers. ``python -m streams.contracts.reference docs/contracts.md`` writes
them again; a test fails while the page differs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from streams.contracts import schemas
from streams.contracts.limits import Limits
from streams.contracts.outcomes import OUTCOME_OF
from streams.contracts.registry import subjects
from streams.contracts.schemas import CONTRACTS, PACKAGED_IDS, Contract
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import REASONS

_PROPERTY: Final = "value of a property"


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join([row(*head), "|" + "---|" * len(head), *[row(*cells) for cells in rows]])


def _shown(type_: Any) -> str:
    """An Avro type in words."""
    if isinstance(type_, list):
        if len(type_) > 2:
            return _PROPERTY if isinstance(type_[-1], dict) else "scalar"
        return f"{_shown(type_[1])} or null"
    if isinstance(type_, dict):
        match type_["type"]:
            case "array":
                return f"list of {_shown(type_['items'])}"
            case "map":
                return f"map of {_shown(type_['values'])}"
            case "record":
                return str(type_["name"])
        return "time (ms)" if type_.get("logicalType") == "timestamp-millis" else _shown(type_["type"])
    return str(type_)


def _records(node: Any) -> list[dict[str, Any]]:
    found = []
    if isinstance(node, dict):
        if node.get("type") == "record":
            found.append(node)
        for inner in node.values():
            found += _records(inner)
    elif isinstance(node, list):
        for inner in node:
            found += _records(inner)
    return found


def _field(field: dict[str, Any]) -> tuple[str, str, str, str]:
    default = json.dumps(field["default"]) if "default" in field else "required"
    meaning, _, example = field["doc"].partition(" Example: ")
    return f"`{field['name']}`", _shown(field["type"]), default, f"{meaning} Example: `{example.rstrip('.')}`"


def fields() -> str:
    parts = []
    described: set[str] = set()
    for contract in CONTRACTS:
        for record in _records(json.loads(schemas.text(contract))):
            if record["name"] in described:
                continue
            described.add(record["name"])
            top = "namespace" in record
            source = f" (`avro/{contract}.avsc`)" if top else f" (in {contract})"
            parts.append(f"{'###' if top else '####'} {record['name']}{source}\n\n{record['doc']}")
            parts.append(table(("field", "type", "default", "meaning"), [_field(f) for f in record["fields"]]))
    return "\n\n".join(parts)


def topics() -> str:
    names = Topics()
    contract_of: dict[str, Contract] = {subject.removesuffix("-value"): c for c, subject in subjects(names).items()}
    rows = []
    for spec in names.specs():
        contract = contract_of.get(spec.name)
        record = json.loads(schemas.text(contract))["name"] if contract else "internal"
        set_ = {**spec.required, **spec.advised}
        rows.append(
            (
                f"`{spec.name}`",
                record,
                spec.key,
                "as the touchpoints" if spec.partitions == "input" else "1",
                spec.cleanup,
                ", ".join(f"`{key}={value}`" for key, value in set_.items()),
            )
        )
    return table(("topic", "value", "key", "partitions", "cleanup", "settings"), rows)


def reasons() -> str:
    return table(("reason", "meaning"), [(f"`{reason}`", meaning) for reason, meaning in REASONS.items()])


def outcomes() -> str:
    return table(("type", "outcome"), [(type_, f"`{outcome}`") for type_, outcome in OUTCOME_OF.items()])


def limits() -> str:
    limit = Limits()
    return table(
        ("bound", "default"),
        [
            ("bytes of a value", f"{limit.value_bytes:,}"),
            ("entries in each of properties, traits and consent", f"{limit.properties:,}"),
            ("values in all lists of properties together", f"{limit.listed:,}"),
            ("characters of an id, a name, a short field", f"{limit.name_characters:,}"),
            ("characters of comment, referrer, a text in properties or traits", f"{limit.text_characters:,}"),
            ("depth of properties", "a scalar, a list of scalars, or a list of flat maps"),
        ],
    )


def ids() -> str:
    return table(("contract", "id"), [(contract, str(number)) for contract, number in PACKAGED_IDS.items()])


SECTIONS: Final[dict[str, Callable[[], str]]] = {
    "topics": topics,
    "fields": fields,
    "reasons": reasons,
    "outcomes": outcomes,
    "limits": limits,
    "ids": ids,
}


def rewritten(
    page: str, sections: Mapping[str, Callable[[], str]] = SECTIONS, by: str = "streams.contracts.reference"
) -> str:
    """The page with every marked part made anew."""
    for name, make in sections.items():
        begin, end = f"<!-- {name}: made by {by} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise ValueError(f"the page must hold one part from {begin} to {end}")
        made = f"{begin}\n\n{make()}\n\n{end}"
        page = pattern.sub(lambda _match, made=made: made, page)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    return page


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
