"""Any bytes whatever give a touchpoint or a rejection, and the quick reader never says other than the complete one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import msgspec
from fastavro import schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts import schemas
from streams.contracts.codec import TouchpointCodec
from streams.contracts.dead_letter import DeadLetter, Header, dead_letter
from streams.contracts.limits import Limits
from streams.contracts.output_codec import STRUCTS, OutputCodec, OutputReader, body
from streams.contracts.outputs import Customer, Decision, JournalLine, Signal, Trigger
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import FROM_THE_LOG, REASONS, Rejection, Touchpoint

LIMITS = Limits(value_bytes=2_000, properties=4, listed=6, name_characters=64, text_characters=80)
PREFIX = schemas.prefix_of(1)
LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70)
TEXTS = st.text(max_size=8) | st.sampled_from(["é" * 40, "x" * 63, "x" * 64, "y" * 65, "y" * 80, "z" * 81])
SCALARS = st.none() | st.booleans() | LONGS | st.floats() | TEXTS
FLAT = st.dictionaries(TEXTS, SCALARS, max_size=3)
VALUES = SCALARS | st.lists(SCALARS | FLAT, max_size=4)
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["page", "Email Opened", "", "journey.import_started", "journey.x"]) | TEXTS,
    "occurred_at": st.integers(0, 2**42) | LONGS,
    "sent_at": st.integers(0, 2**42) | LONGS,
    "properties": st.dictionaries(TEXTS, VALUES, max_size=5),
    "traits": st.dictionaries(TEXTS, SCALARS, max_size=5),
    "consent": st.dictionaries(TEXTS, st.none() | st.booleans(), max_size=5),
}
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "long": LONGS,
    "double": st.floats(),
    "boolean": st.booleans(),
}


def _touchpoints() -> st.SearchStrategy[dict[str, Any]]:
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    for one in schemas.parsed("touchpoint")["fields"]:
        name, kind = one["name"], one["type"]
        inner = kind[1] if isinstance(kind, list) else kind
        strategy = BY_NAME[name] if name in BY_NAME else BY_TYPE[inner if isinstance(inner, str) else inner["type"]]
        (optional if isinstance(kind, list) else required)[name] = strategy
    # most of a real touchpoint is null
    few = st.sets(st.sampled_from(sorted(optional)), max_size=6)
    return few.flatmap(lambda names: st.fixed_dictionaries({**required, **{n: optional[n] for n in names}}))


TOUCHPOINTS = _touchpoints()
PLAIN = {"event_id": "e-1", "type": "page", "occurred_at": 1, "customer_id": "c-1"}


@dataclass
class Received:
    value: bytes | None
    offset: int = 3
    timestamp: int | None = 1_767_261_600_500
    key: bytes | None = b"c-1"
    headers: Sequence[tuple[str, bytes]] = field(default_factory=tuple)


def avro(fields: dict[str, Any]) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schemas.parsed("touchpoint"), fields)
    return PREFIX + out.getvalue()


def same_either_way(value: bytes, *, allow_json: bool = False) -> Touchpoint | Rejection:
    """Decode it as the first record of a schema (the complete way) and as a later one (the quick way first)."""
    record = Received(value)
    fresh = TouchpointCodec(PackagedSchemas(), limits=LIMITS, allow_json=allow_json)
    used = TouchpointCodec(PackagedSchemas(), limits=LIMITS, allow_json=allow_json)
    used.decode([Received(avro(PLAIN))])
    [slow] = fresh.decode([record])
    [quick] = used.decode([record])
    assert quick == slow
    assert type(quick) is type(slow)
    if isinstance(quick, Touchpoint):
        assert msgspec.msgpack.encode(quick) == msgspec.msgpack.encode(slow), "also -0.0, and int against float"
        assert quick.event_id
        assert quick.customer_id or quick.anonymous_id
        assert 0 <= quick.occurred_at <= 253_402_300_799_999
        body(quick)  # whatever came in can be written again
    else:
        assert quick.reason in REASONS
        json.dumps(quick.detail).encode()
    return quick


@settings(deadline=None, max_examples=400)
@given(TOUCHPOINTS)
def test_what_a_producer_writes_is_what_the_engine_gets(fields: dict[str, Any]) -> None:
    read = same_either_way(avro(fields))
    if isinstance(read, Touchpoint):
        given_ = {**fields, "customer_id": fields.get("customer_id") or None}
        given_["anonymous_id"] = fields.get("anonymous_id") or None
        for name in Touchpoint.__struct_fields__:
            if name not in FROM_THE_LOG | {"outcome"}:
                assert getattr(read, name) == given_.get(name), name


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\0", PREFIX, PREFIX + b"\x02a\x02b\x00"]))
def test_random_bytes(data: bytes, start: bytes) -> None:
    same_either_way(start + data)
    same_either_way(start + data, allow_json=True)


@settings(deadline=None, max_examples=400)
@given(TOUCHPOINTS, st.data())
def test_flipped_bits_and_lost_or_added_bytes(fields: dict[str, Any], data: st.DataObject) -> None:
    value = bytearray(avro(fields))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(value) - 1))
        value[place] ^= 1 << data.draw(st.integers(0, 7))
    same_either_way(bytes(value))
    cut = data.draw(st.integers(0, len(value)))
    same_either_way(bytes(value[:cut]))
    same_either_way(bytes(value[:cut]) + data.draw(st.binary(max_size=4)) + bytes(value[cut:]))


@settings(deadline=None, max_examples=50)
@given(TOUCHPOINTS)
def test_a_record_is_never_read_as_a_prefix_of_itself(fields: dict[str, Any]) -> None:
    """Every truncation is refused: no body of this schema is the beginning of another."""
    value = avro(fields)
    codec = TouchpointCodec(PackagedSchemas())
    cuts = codec.decode([Received(avro(PLAIN)), *[Received(value[:cut]) for cut in range(len(value))]])
    assert all(isinstance(cut, Rejection) for cut in cuts[1:])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = [name for name in Touchpoint.__struct_fields__ if name not in FROM_THE_LOG]


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6), TOUCHPOINTS)
def test_json_of_any_shape(garbage: dict[str, Any], fields: dict[str, Any]) -> None:
    same_either_way(json.dumps({**fields, **garbage}).encode(), allow_json=True)
    same_either_way(json.dumps(fields, ensure_ascii=False).encode(), allow_json=True)


@settings(deadline=None, max_examples=200)
@given(TOUCHPOINTS)
def test_json_says_what_avro_says(fields: dict[str, Any]) -> None:
    numbers = [v for v in json.loads(json.dumps(list(_leaves(fields)))) if isinstance(v, float)]
    if not all(math.isfinite(number) for number in numbers):
        return  # JSON has no such number
    from_avro = same_either_way(avro(fields))
    from_json = same_either_way(json.dumps(fields, ensure_ascii=False).encode(), allow_json=True)
    if isinstance(from_avro, Touchpoint):
        assert from_json == from_avro
    elif "too_large" not in (from_avro.reason, getattr(from_json, "reason", None)):
        assert isinstance(from_json, Rejection)
        assert from_json.reason == from_avro.reason


def _leaves(node: Any) -> Any:
    if isinstance(node, dict):
        for inner in node.values():
            yield from _leaves(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _leaves(inner)
    else:
        yield node


FINITE = st.floats(allow_nan=False)
ANY_VALUES = st.dictionaries(
    st.text(max_size=5),
    st.none()
    | st.booleans()
    | LONGS
    | FINITE
    | TEXTS
    | st.lists(LONGS | FINITE | TEXTS | st.dictionaries(TEXTS, LONGS | FINITE | TEXTS, max_size=2), max_size=3),
    max_size=3,
)


def _strategy(kind: Any) -> st.SearchStrategy[Any]:
    shown = str(kind)
    if kind is int:
        return LONGS
    if kind is float:
        return FINITE
    if kind is str:
        return TEXTS
    if shown == "dict[str, typing.Any]":
        return ANY_VALUES
    if isinstance(kind, type) and not getattr(kind, "__args__", None):
        if issubclass(kind, msgspec.Struct):
            return _structs(kind)
        return st.from_type(kind)
    if shown.startswith("list["):
        return st.lists(_strategy(kind.__args__[0]), max_size=3)
    if shown.startswith("dict["):
        return st.dictionaries(TEXTS, _strategy(kind.__args__[1]), max_size=3)
    return st.one_of(*[st.none() if inner is type(None) else _strategy(inner) for inner in kind.__args__])


def _structs(struct: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = {f.name: _strategy(f.type) for f in msgspec.structs.fields(struct)}
    if "partition" in fields:
        fields["partition"] = st.integers(0, 2**31 - 1)
    return st.builds(struct, **fields)


OUTPUTS = st.one_of(*[_structs(s) for s in (Signal, Trigger, Decision, Customer, JournalLine, DeadLetter)])


@settings(deadline=None, max_examples=300)
@given(OUTPUTS)
def test_outputs_are_written_as_fastavro_reads_them(output: msgspec.Struct) -> None:
    codec = OutputCodec(PackagedSchemas(), "/test")
    method = {JournalLine: "journal", DeadLetter: "dead_letter"}.get(type(output), type(output).__name__.lower())
    encoded = getattr(codec, method)(output)

    assert encoded.value[5:] == body(output)
    assert OutputReader(PackagedSchemas()).read(type(output), encoded.value) == output
    contract = next(name for name, struct in STRUCTS.items() if struct is type(output))
    stream = BytesIO(encoded.value[5:])
    assert schemaless_reader(stream, schemas.parsed(contract), None).keys() == {*output.__struct_fields__}
    again = getattr(OutputCodec(PackagedSchemas(), "/test"), method)(output)
    assert again == encoded, "the same output is always the same bytes"
    assert all(isinstance(name, str) and isinstance(value, bytes) for name, value in encoded.headers)


@settings(deadline=None, max_examples=100)
@given(
    st.none() | st.binary(max_size=300),
    st.none() | st.binary(max_size=20),
    st.lists(st.tuples(TEXTS, st.none() | st.binary(max_size=20)), max_size=3),
)
def test_a_dead_letter_gives_the_original_back(value: Any, key: Any, headers: Any) -> None:
    record = Received(value, key=key, headers=headers)
    [rejection] = TouchpointCodec(PackagedSchemas()).decode([record])
    if not isinstance(rejection, Rejection):
        return
    letter = dead_letter(rejection, record, "journey.touchpoints.v1", 2)
    encoded = OutputCodec(PackagedSchemas(), "/test").dead_letter(letter)
    back = OutputReader(PackagedSchemas()).read(DeadLetter, encoded.value or b"")
    assert (back.value, back.key, back.headers) == (value, key, [Header(*one) for one in headers])
    assert (back.reason, back.topic, back.partition, back.offset) == (rejection.reason, letter.topic, 2, 3)
    assert (encoded.key, back.recorded_at) == (key, record.timestamp)
