"""The Avro files: one field for each field of a struct, documented, and able to grow under FULL_TRANSITIVE."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from confluent_kafka.schema_registry import Schema

from streams.contracts import registry, schemas
from streams.contracts.dead_letter import Header
from streams.contracts.output_codec import STRUCTS, OutputReader
from streams.contracts.outputs import (
    Candidate,
    CustomerRisk,
    LastTouchpoint,
    OpenContact,
    OpenStage,
    OpenTrigger,
    Signal,
)
from streams.contracts.schemas import CONTRACTS, DEEPEST, LARGEST_BYTES, PACKAGED_IDS, Contract, PackagedSchemas, unsafe
from streams.contracts.touchpoint import FROM_THE_LOG, Touchpoint

NESTED = {
    "LastTouchpoint": LastTouchpoint,
    "Candidate": Candidate,
    "OpenStage": OpenStage,
    "OpenTrigger": OpenTrigger,
    "OpenContact": OpenContact,
    "CustomerRisk": CustomerRisk,
    "Header": Header,
}
SCALAR = ["null", "boolean", "long", "double", "string"]
VALUE = [*SCALAR, {"type": "array", "items": [*SCALAR, {"type": "map", "values": SCALAR}]}]


def schema_of(contract: Contract) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schemas.text(contract))
    return found


def records(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "record":
            yield node
        for inner in node.values():
            yield from records(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from records(inner)


def pairs() -> list[Any]:
    found = []
    for contract in CONTRACTS:
        for record in records(schema_of(contract)):
            struct = NESTED.get(record["name"], STRUCTS[contract])
            found.append(pytest.param(record, struct, id=f"{contract}-{record['name']}"))
    return found


def avro_type(kind: Any) -> Any:
    """The Avro type that a field of a struct must have."""
    shown = str(kind).replace("typing.", "")
    simple = {"str": "string", "int": "long", "float": "double", "bool": "boolean", "bytes": "bytes"}
    if isinstance(kind, type) and kind.__name__ in simple and not getattr(kind, "__args__", None):
        return simple[kind.__name__]
    match shown:
        case "list[str]":
            return {"type": "array", "items": "string"}
        case "list[float]":
            return {"type": "array", "items": "double"}
        case "dict[str, float]":
            return {"type": "map", "values": "double"}
        case "dict[str, bool]":
            return {"type": "map", "values": "boolean"}
        case "dict[str, str]":
            return {"type": "map", "values": "string"}
        case "dict[str, Any]":
            return {"type": "map", "values": VALUE}
        case "dict[str, bool | None]":
            return {"type": "map", "values": ["null", "boolean"]}
        case "dict[str, str | float | int | bool | None]":
            return {"type": "map", "values": SCALAR}
    arguments = kind.__args__
    if type(None) in arguments:
        (inner,) = (a for a in arguments if a is not type(None))
        return ["null", avro_type(inner)]
    return {"type": "array", "items": arguments[0].__name__}


def plain(type_: Any) -> Any:
    """An Avro type with nested records by name and without logical types; int is a narrow long."""
    if isinstance(type_, list):
        return [plain(inner) for inner in type_]
    if isinstance(type_, dict):
        if type_["type"] == "record":
            return type_["name"]
        if type_["type"] == "long":
            return "long"
        return {key: plain(inner) if key in ("items", "values") else inner for key, inner in type_.items()}
    return "long" if type_ == "int" else type_


@pytest.mark.parametrize(("record", "struct"), pairs())
def test_a_schema_and_its_struct_have_the_same_fields_types_and_defaults(
    record: dict[str, Any], struct: type[msgspec.Struct]
) -> None:
    fields = [f for f in msgspec.structs.fields(struct) if struct is not Touchpoint or f.name not in FROM_THE_LOG]
    assert [f["name"] for f in record["fields"]] == [f.name for f in fields], "in the same order: bodies go by position"
    for avro, field in zip(record["fields"], fields, strict=True):
        assert plain(avro["type"]) == avro_type(field.type), avro["name"]
        if field.required:
            assert "default" not in avro, avro["name"]
        elif field.default is not msgspec.NODEFAULT:
            assert avro["default"] == field.default, avro["name"]
            assert type(avro["default"]) is type(field.default), avro["name"]
        else:
            assert avro["default"] == field.default_factory(), avro["name"]


@pytest.mark.parametrize(("record", "struct"), pairs())
def test_every_field_says_what_it_means_with_an_example(record: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    assert record["doc"].endswith(".")
    for field in record["fields"]:
        meaning, example, shown = field["doc"].partition("Example: ")
        assert example, f"{field['name']} has no example"
        assert len(meaning.split()) >= 3 or meaning.strip().endswith("."), field["name"]
        assert shown.endswith("."), field["name"]
        if "timestamp-millis" in json.dumps(field["type"]) and "fields" not in json.dumps(field["type"]):
            assert "Unit: ms since 1970-01-01T00:00Z" in field["doc"], f"{field['name']} does not state its unit"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_schemas_can_grow(contract: Contract) -> None:
    text = schemas.text(contract)
    assert schema_of(contract)["namespace"] == "journey.v1"
    assert '"enum"' not in text, "an enum cannot grow under FULL_TRANSITIVE"
    for record in records(schema_of(contract)):
        for field in record["fields"]:
            if isinstance(field["type"], list):
                assert field["type"][0] == "null", f"{field['name']}: a null default needs null as the first branch"
                assert field["default"] is None, field["name"]


def test_ids_without_a_registry_never_change() -> None:
    assert PACKAGED_IDS == {
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
    packaged = PackagedSchemas()
    for contract, schema_id in PACKAGED_IDS.items():
        assert packaged.prefix(contract) == bytes((0, 0, 0, 0, schema_id))
        assert packaged.writer(schema_id) == schema_of(contract)
    assert packaged.writer(0) is None
    assert packaged.writer(uuid4()) is None


def test_the_wheel_carries_the_schemas() -> None:
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["avro"] == "streams/contracts/avro"
    assert {path.stem for path in (root / "avro").glob("*.avsc")} == set(CONTRACTS)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_packaged_schemas_are_safe_to_read_with(contract: Contract) -> None:
    assert unsafe(schema_of(contract)) is None


def holding(type_: Any, **more: str) -> dict[str, Any]:
    return {"type": "record", "name": "A", **more, "fields": [{"name": "a", "type": type_}]}


def of_fields(types: list[Any]) -> dict[str, Any]:
    fields = [{"name": f"f{n}", "type": type_} for n, type_ in enumerate(types)]
    return {"type": "record", "name": "Touchpoint", "fields": fields}


def doubled(leaf: Any, times: int = 40) -> list[Any]:
    """Records of two of the one before: a body of no bytes with 2^times fields."""
    types, held = [["null", leaf]], "N"
    for n in range(times):
        both = [{"name": "a", "type": held}, {"name": "b", "type": held}]
        types.append(["null", {"type": "record", "name": f"R{n}", "fields": both}])
        held = f"R{n}"
    return types


def chained(levels: int) -> list[Any]:
    """Each record holds the one before by its name: flat as text, deep to read."""
    types: list[Any] = [["null", {"type": "record", "name": "C0", "fields": [{"name": "a", "type": "int"}]}]]
    for n in range(1, levels):
        held = ["null", f"C{n - 1}"]
        types.append(["null", {"type": "record", "name": f"C{n}", "fields": [{"name": "a", "type": held}]}])
    return types


def nested(levels: int) -> Any:
    return {"type": "array", "items": nested(levels - 1)} if levels else "int"


@pytest.mark.parametrize(
    "schema",
    [
        holding(["null", "A"]),
        holding({"type": "map", "values": "x.A"}, namespace="x"),
        holding({"type": "record", "name": "B", "fields": [{"name": "b", "type": ["null", "A"]}]}),
        holding({"type": "array", "items": "null"}),
        holding({"type": "array", "items": {"type": "record", "name": "B", "fields": []}}),
        holding("null"),
        holding({"type": "fixed", "name": "F", "size": 0}),
        of_fields(doubled({"type": "record", "name": "N", "fields": []})),
        of_fields([["null", {"type": "record", "name": "N", "fields": []}], {"type": "array", "items": "N"}]),
        of_fields(chained(DEEPEST)),
        holding(nested(DEEPEST)),
    ],
)
def test_a_schema_that_reads_without_end_is_found(schema: dict[str, Any]) -> None:
    assert unsafe(schema) is not None


@pytest.mark.parametrize(
    "schema",
    [
        of_fields(doubled({"type": "record", "name": "N", "fields": [{"name": "a", "type": "int"}]}, 12)),
        of_fields([*chained(DEEPEST // 2 - 4), ["null", {"type": "record", "name": "Empty", "fields": []}]]),
        holding({"type": "map", "values": "null"}),
        holding(["null", {"type": "enum", "name": "E", "symbols": []}, {"type": "error", "name": "X", "fields": []}]),
    ],
)
def test_a_schema_whose_work_is_bounded_by_the_record_is_not(schema: dict[str, Any]) -> None:
    assert unsafe(schema) is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{" * 100_000, '{"a":' * 100_000, "null", "1", "", '"' + "a" * LARGEST_BYTES + '"']
)
def test_an_answer_of_a_registry_that_is_no_schema_is_one_that_reads_nothing(text: str) -> None:
    found = registry._avro(Schema(text, "AVRO"))
    assert found is not None
    assert found["fields"] == []


@pytest.mark.parametrize(
    "schema", [of_fields(["null"]), {"type": "record"}, {"type": "no such type"}, of_fields(chained(DEEPEST))]
)
def test_outputs_are_not_read_with_a_schema_that_cannot_be_used(schema: dict[str, Any]) -> None:
    class Foreign(PackagedSchemas):
        def writer(self, reference: int | UUID) -> dict[str, Any]:
            return schema

    with pytest.raises(ValueError, match="schema 7 "):
        OutputReader(Foreign()).read(Signal, b"\0\0\0\0\7" + bytes(50))
