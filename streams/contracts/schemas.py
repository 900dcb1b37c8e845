"""The Avro schemas that come with the package, and where a codec asks for schemas.

Owns the list of contracts, the loading of the ``.avsc`` files and resolution without any registry. Parsed forms carry
no logical types: the engine counts in integer milliseconds, and turning each into a datetime costs more than the rest.
"""

from __future__ import annotations

import json
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


DEEPEST: Final = 32
"""Levels of types in types of a writer's schema, with every name followed. The packaged ones have up to seven."""
LARGEST_BYTES: Final = 1 << 20
"""Of the text of a writer's schema. The packaged ones have up to 13 KB."""
_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})


def unsafe(schema: Any) -> str | None:
    """Why a writer's schema could make reading endless or deep whatever the record's size; None if it cannot.

    A compiled reader recurses without a bound through types within types, and visits what takes no bytes without ever
    coming to the end of the record: items of an array, or fields that double with each record around them. Where every
    field and item takes a byte, the record's size bounds the work. Raises what fastavro raises for what is no schema.
    """
    try:
        _measure(compiled(schema), "", {})
    except _Unsafe as found:
        return str(found)
    return None


class _Unsafe(Exception):  # noqa: N818 - an answer, not a fault
    """The schema must not be used; the text says why."""


def _measure(node: Any, path: str, named: dict[str, tuple[bool, int] | None]) -> tuple[bool, int]:
    """(whether it may take no bytes, levels) of a schema whose names are full. ``named``: of the types so far, None
    while one is being measured."""
    if isinstance(node, list):
        return False, _deeper(path, [_measure(branch, path, named)[1] for branch in node])
    if isinstance(node, str):
        if node not in named:
            return node == "null", 1
        known = named[node]
        if known is None:
            raise _Unsafe(f"{path or node} contains itself")
        return known
    kind = node["type"]
    if kind == "array":
        empty, depth = _measure(node["items"], path, named)
        if empty:
            raise _Unsafe(f"the items of {path} take no bytes")
        return False, _deeper(path, [depth])
    if kind == "map":
        return False, _deeper(path, [_measure(node["values"], path, named)[1]])
    if kind not in _NAMED:
        return _measure(kind, path, named)
    named[node["name"]] = None
    depths = []
    for field in node.get("fields", ()) if kind in ("record", "error") else ():
        inner = f"{path}.{field['name']}".lstrip(".")
        empty, depth = _measure(field["type"], inner, named)
        if empty:
            raise _Unsafe(f"{inner} takes no bytes")
        depths.append(depth)
    takes_none = node["size"] == 0 if kind == "fixed" else not depths and kind != "enum"
    named[node["name"]] = found = takes_none, _deeper(path, depths)
    return found


def _deeper(path: str, depths: list[int]) -> int:
    depth = 1 + max(depths, default=0)
    if depth > DEEPEST:
        raise _Unsafe(f"{path} is nested deeper than {DEEPEST} levels")
    return depth


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: v if k == "default" else _plain(v) for k, v in node.items() if k not in ("doc", "logicalType")}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node
