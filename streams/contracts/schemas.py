"""The Avro schemas that come with the package, and where a codec asks for schemas.

Owns the list of contracts, the loading of the ``.avsc`` files and resolution without any registry. Parsed forms carry
no logical types: the engine counts in integer milliseconds, and turning each into a datetime costs more than the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args
from uuid import UUID

from fastavro import parse_schema
from fastavro.schema import to_parsing_canonical_form

Contract = Literal[
    "touchpoint", "signal", "trigger", "decision", "customer", "journal", "dead_letter", "example", "model"
]  # fmt: skip
CONTRACTS: Final[tuple[Contract, ...]] = get_args(Contract)

MAGIC: Final = 0
"""First byte of the Confluent wire format; a 4-byte schema id (big endian) and the Avro body follow."""
MAGIC_GUID: Final = 1
"""First byte where a 16-byte schema GUID stands instead of the id."""

PACKAGED_IDS: Final[dict[Contract, int]] = {
    "touchpoint": 1,
    "signal": 2,
    "trigger": 3,
    "decision": 4,
    "customer": 5,
    "journal": 6,
    "dead_letter": 7,
    "example": 8,
    "model": 9,
}
"""Schema ids without a registry. They are part of the data in such topics: never change one."""


class RegistryUnavailable(Exception):  # noqa: N818 - a state of the world that passes, not a fault of the caller
    """The registry did not answer, so nothing can be said about a schema. Not a reason to reject: try again later."""


class SchemaSource(Protocol):
    """Where a codec learns its own ids and other writers' schemas."""

    def prefix(self, contract: Contract) -> bytes:
        """The bytes before an Avro body that this process writes for a contract."""

    def writer(self, reference: int | UUID) -> dict[str, Any] | None:
        """The schema with that id or GUID; None if there is none. Raises ``RegistryUnavailable`` if it is not known."""


def _directory() -> Path:
    packaged = Path(__file__).parent / "avro"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "avro"


@cache
def text(contract: Contract) -> str:
    """The contents of the ``.avsc`` file."""
    return (_directory() / f"{contract}.avsc").read_text(encoding="utf-8")


@cache
def parsed(contract: Contract) -> Any:
    """The schema as fastavro reads with it, times as integers."""
    return compiled(json.loads(text(contract)))


def compiled(schema: Any) -> Any:
    """A schema prepared for fastavro, without documentation and logical types."""
    return parse_schema(_plain(schema), named_schemas={})


@cache
def canonical(contract: Contract) -> str:
    return canonical_form(json.loads(text(contract)))


def canonical_form(schema: Any) -> str:
    """Avro's parsing canonical form: equal for two schemas exactly if they write the same bytes."""
    return str(to_parsing_canonical_form(_plain(schema)))


def prefix_of(schema_id: int) -> bytes:
    return bytes((MAGIC,)) + schema_id.to_bytes(4, "big")


class PackagedSchemas:
    """No registry: each contract has one fixed id, and only these are known."""

    def prefix(self, contract: Contract) -> bytes:
        return prefix_of(PACKAGED_IDS[contract])

    def writer(self, reference: int | UUID) -> dict[str, Any] | None:
        for contract, schema_id in PACKAGED_IDS.items():
            if schema_id == reference:
                found: dict[str, Any] = json.loads(text(contract))
                return found
        return None


def unsafe(schema: Any) -> str | None:
    """Why a writer's schema could make reading endless or deep whatever the record's size; None if it cannot.

    A compiled reader recurses without a bound through a type that contains itself, and loops without a bound over
    items that take no bytes.
    """
    for path, node, inside in _walk(schema, "", ()):
        if isinstance(node, str) and node in inside:
            return f"{path or node} contains itself"
        if isinstance(node, dict) and node.get("type") == "array" and _takes_nothing(node.get("items")):
            return f"the items of {path} take no bytes"
    return None


def _takes_nothing(schema: Any) -> bool:
    if isinstance(schema, dict):
        kind = schema.get("type")
        if kind == "record":
            return all(_takes_nothing(f.get("type")) for f in schema.get("fields", ()))
        return (kind == "fixed" and schema.get("size") == 0) or (kind is not None and _takes_nothing(kind))
    return bool(schema == "null")


def _walk(node: Any, path: str, inside: tuple[str, ...]) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    yield path, node, inside
    if isinstance(node, list):
        for branch in node:
            yield from _walk(branch, path, inside)
    elif isinstance(node, dict):
        name = node.get("name")
        if isinstance(name, str) and node.get("type") in ("record", "error"):
            inside = (*inside, name, name.rpartition(".")[2], f"{node.get('namespace', '')}.{name}")
        for field in node.get("fields", ()):
            yield from _walk(field.get("type"), f"{path}.{field.get('name')}".lstrip("."), inside)
        for key in ("items", "values", "type"):
            if isinstance(node.get(key), (dict, list)) or (key != "type" and key in node):
                yield from _walk(node[key], path, inside)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: v if k == "default" else _plain(v) for k, v in node.items() if k not in ("doc", "logicalType")}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node
