"""Touchpoints from bytes: what is accepted, and the reason for each thing that is not."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer

from streams.contracts import schemas
from streams.contracts.codec import TouchpointCodec
from streams.contracts.limits import Limits
from streams.contracts.outcomes import OUTCOME_OF
from streams.contracts.output_codec import OutputCodec
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import FROM_THE_LOG, IMPORT_STARTED, OUTCOMES, REASONS, Rejection, Touchpoint

REQUIRED: dict[str, Any] = {
    "event_id": "e-1",
    "type": "Product Added",
    "occurred_at": 1_767_261_600_000,
    "customer_id": "c-1",
}
PREFIX = schemas.prefix_of(1)


@dataclass
class Received:
    value: bytes | None
    offset: int = 41
    timestamp: int | None = 1_767_261_600_500
    key: bytes | None = b"c-1"
    headers: Sequence[tuple[str, bytes]] = field(default_factory=tuple)


def avro(**fields: Any) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schemas.parsed("touchpoint"), {**REQUIRED, **fields})
    return PREFIX + out.getvalue()


def as_json(**fields: Any) -> bytes:
    return json.dumps({**REQUIRED, **fields}).encode()


def decoded(*received: Received | bytes | None, **settings: Any) -> list[Touchpoint | Rejection]:
    """What the codec says at first sight, which must be what it says again once it knows the schema."""
    records = [one if isinstance(one, Received) else Received(one) for one in received]
    codec = TouchpointCodec(PackagedSchemas(), **settings)
    first = codec.decode(records)
    codec.decode([Received(avro())])
    assert codec.decode(records) == first
    assert [one.offset for one in first] == [one.offset for one in records]
    return first


def touchpoint(received: Received | bytes, **settings: Any) -> Touchpoint:
    [one] = decoded(received, **settings)
    assert isinstance(one, Touchpoint), one
    return one


def rejection(received: Received | bytes | None, **settings: Any) -> Rejection:
    [one] = decoded(received, **settings)
    assert isinstance(one, Rejection), one
    assert one.reason in REASONS
    assert one.detail
    return one


FULL: dict[str, Any] = {
    "event_id": "e-" + "1" * 80,
    "type": "Contact Ended",
    "occurred_at": 1,
    "customer_id": "Zoë-客户",
    "anonymous_id": "a-1",
    "actor": "agent",
    "sent_at": 253_402_300_799_999,
    "retried": False,
    "time_zone": "Europe/London",
    "locale": "en-GB",
    "channel": "chat",
    "location": "store-12",
    "session_id": "s-1",
    "journey": "support",
    "case_id": "case-1",
    "contact_id": "call-1",
    "topic": "billing",
    "queue": "vip",
    "team": "second line",
    "agent_id": "agent-1",
    "wait_ms": -5,
    "direction": "inbound",
    "value": -0.0,
    "currency": "GBP",
    "sentiment": -0.5,
    "emotion": "angry",
    "intent": "cancel",
    "comment": "x" * 10_000,
    "survey": "nps",
    "score": 9.0,
    "campaign": "spring",
    "dispatch": "d-1",
    "referrer": "https://example.com/" + "y" * 5_000,
    "trigger_id": "t-1",
    "outcome": "of a later version",
    "traits": {"plan": "pro", "age": 41, "height": 1.8, "staff": True, "gone": None, "": ""},
    "consent": {"email": True, "sms": False, "push": None},
    "experiment": "x",
    "variant": "b",
    "source": "pos",
    "schema_source": "segment",
    "properties": {
        "text": "é" * 100,
        "whole": -(2**63),
        "large": 2**63 - 1,
        "part": 1e308,
        "yes": True,
        "no": False,
        "none": None,
        "list": ["a", 1, 2.5, True, None, {}],
        "products": [{"product_id": "p-1", "quantity": 2, "price": 9.5, "gift": False, "note": None}],
        "nothing": [],
    },
}


def test_every_field_arrives() -> None:
    received = Received(avro(**FULL))
    expected = Touchpoint(offset=41, key=b"c-1", record_time=1_767_261_600_500, **FULL)
    assert touchpoint(received) == expected
    assert set(FULL) == set(Touchpoint.__struct_fields__) - FROM_THE_LOG


def test_every_field_arrives_in_json_too() -> None:
    record = Received(as_json(**FULL))
    assert touchpoint(record, allow_json=True) == touchpoint(Received(avro(**FULL)))


def test_the_least_touchpoint() -> None:
    assert touchpoint(avro()) == Touchpoint(**REQUIRED, offset=41, key=b"c-1", record_time=1_767_261_600_500)


def test_a_record_without_time_or_key_is_a_touchpoint() -> None:
    for timestamp in (None, -1):
        one = touchpoint(Received(avro(), timestamp=timestamp, key=None))
        assert (one.record_time, one.key) == (None, None)


def test_a_batch_keeps_its_order() -> None:
    values = [avro(event_id="e-1"), b"\xff", avro(event_id="e-2"), None, avro(event_id="e-3")]
    batch = decoded(*[Received(value, offset=n) for n, value in enumerate(values)])
    assert [getattr(one, "event_id", getattr(one, "reason", None)) for one in batch] == [
        "e-1",
        "not_avro",
        "e-2",
        "empty",
        "e-3",
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"\0", "malformed"),
        (PREFIX, "malformed"),
        (PREFIX[:4], "malformed"),
        (avro()[:-1], "malformed"),
        (avro() + b"\0", "malformed"),
        (avro() + avro(), "malformed"),
        (b"\x01" + bytes(10), "malformed"),
        (b"\x01" + bytes(16) + avro()[5:], "unknown_schema"),
        (schemas.prefix_of(99) + avro()[5:], "unknown_schema"),
        (schemas.prefix_of(2) + avro()[5:], "incompatible_schema"),
        (as_json(), "not_avro"),
        (b"\x02" + avro()[1:], "not_avro"),
        (avro(event_id=""), "no_event_id"),
        (avro(type=""), "no_type"),
        (avro(customer_id=None), "no_customer"),
        (avro(customer_id="", anonymous_id=""), "no_customer"),
        (avro(occurred_at=-1), "bad_time"),
        (avro(occurred_at=253_402_300_800_000), "bad_time"),
        (avro(occurred_at=2**63 - 1), "bad_time"),
        (avro(sent_at=-(2**63)), "bad_time"),
        (avro(value=float("nan")), "malformed"),
        (avro(score=float("inf")), "malformed"),
        (avro(properties={"x": float("nan")}), "malformed"),
        (avro(properties={"x": [{"y": float("-inf")}]}), "malformed"),
        (avro(event_id="x" * 513), "too_long"),
        (avro(type="x" * 513), "too_long"),
        (avro(comment="x" * 10_001), "too_long"),
        (avro(properties={"x" * 513: 1}), "too_long"),
        (avro(traits={"x": "y" * 10_001}), "too_long"),
        (avro(properties={"x": [{"y" * 513: 1}]}), "too_long"),
        (avro(properties={str(n): n for n in range(501)}), "too_many_properties"),
        (avro(properties={str(n): n for n in range(10_000)}), "too_many_properties"),
        (avro(traits={str(n): n for n in range(501)}), "too_many_properties"),
        (avro(consent={str(n): True for n in range(501)}), "too_many_properties"),
        (avro(properties={"x": [None] * 5_001}), "too_many_properties"),
        (avro(properties={"x": [{"y": 1, "z": 2}] * 1_667}), "too_many_properties"),
        (avro(comment="x" * 2_000_000), "too_large"),
        (avro(type="journey.import_started"), "reserved_type"),
        (avro(type="journey.anything"), "reserved_type"),
    ],
)
def test_what_is_refused_and_why(value: bytes | None, reason: str) -> None:
    assert rejection(value).reason == reason


def test_the_bounds_themselves_are_allowed() -> None:
    touchpoint(avro(occurred_at=0, sent_at=253_402_300_799_999))
    touchpoint(avro(event_id="x" * 512, comment="é" * 10_000))
    touchpoint(avro(properties={str(n): n for n in range(500)}))
    touchpoint(avro(properties={"x": [{"y": 1}] * 2_500}))


def test_limits_can_be_set() -> None:
    limits = Limits(value_bytes=200, properties=1)
    assert rejection(avro(comment="x" * 200), limits=limits).reason == "too_large"
    assert rejection(avro(traits={"a": 1, "b": 2}), limits=limits).reason == "too_many_properties"
    with pytest.raises(ValueError, match="64 characters or more"):
        Limits(name_characters=63)
    with pytest.raises(ValueError, match="1 or more"):
        Limits(value_bytes=0)


def test_bytes_that_are_no_utf_8_are_malformed_and_not_quoted() -> None:
    value = avro(comment="secret").replace(b"secret", b"\xff\xfesecr")
    refused = rejection(value)
    assert refused.reason == "malformed"
    assert "secr" not in refused.detail


@pytest.mark.parametrize("ids", [{"customer_id": ""}, {"customer_id": None}])
def test_an_empty_customer_id_is_none(ids: dict[str, Any]) -> None:
    one = touchpoint(avro(anonymous_id="a-1", **ids))
    assert (one.customer_id, one.anonymous_id) == (None, "a-1")
    assert touchpoint(avro(anonymous_id="")).anonymous_id is None


def test_a_command_needs_its_header_and_a_known_name() -> None:
    marks = [("traceparent", b"00"), ("journey_command", b"1")]
    assert touchpoint(Received(avro(type=IMPORT_STARTED), headers=marks)).type == IMPORT_STARTED
    assert rejection(Received(avro(type="journey.of_a_later_version"), headers=marks)).reason == "reserved_type"
    assert touchpoint(Received(avro(), headers=marks)).type == "Product Added", "a mark alone means nothing"


def test_the_output_codec_marks_commands() -> None:
    command = Touchpoint("e-1", IMPORT_STARTED, 5, customer_id="c-1")
    encoded = OutputCodec(PackagedSchemas(), "/test").touchpoint(command)
    assert touchpoint(Received(encoded.value, headers=encoded.headers)).type == IMPORT_STARTED


@pytest.mark.parametrize(("type_", "outcome"), OUTCOME_OF.items())
def test_names_of_message_events_tell_the_outcome(type_: str, outcome: str) -> None:
    assert outcome in OUTCOMES
    assert touchpoint(avro(type=type_)).outcome == outcome
    assert touchpoint(avro(type=type_, outcome="stated")).outcome == "stated"
    assert touchpoint(as_json(type=type_), allow_json=True).outcome == outcome


class OneGuid(PackagedSchemas):
    """As a registry that knows the touchpoint's schema by a GUID."""

    guid = uuid.UUID("89791762-2336-4186-9674-299b90a802e2")

    def writer(self, reference: int | uuid.UUID) -> dict[str, Any] | None:
        return super().writer(1 if reference == self.guid else reference)


def test_a_schema_guid_in_the_header_or_before_the_body() -> None:
    codec = TouchpointCodec(OneGuid())
    guid = b"\x01" + OneGuid.guid.bytes
    named = Received(avro()[5:], headers=[("__value_schema_id", guid)])
    led = Received(guid + avro()[5:])
    wrong = Received(avro()[5:], headers=[("__value_schema_id", guid[:-1])])
    both = codec.decode([named, led, Received(avro())])
    assert both[0] == both[1] == both[2]
    [refused] = codec.decode([wrong])
    assert isinstance(refused, Rejection)
    assert refused.reason == "malformed"


def test_other_forms_of_blocks_are_read() -> None:
    """Avro lets a writer split a map into blocks and state their size in bytes."""
    body = avro()[5:]
    entry = b"\x02a\x04\x02"  # "a": long 1
    split = b"\x02" + entry + b"\x02" + b"\x02b\x04\x04" + b"\0"
    sized = b"\x01" + bytes((len(entry) * 2,)) + entry + b"\0"
    assert body[-1:] == b"\0", "properties is the last field, and null"
    assert touchpoint(PREFIX + body[:-1] + b"\x02" + split).properties == {"a": 1, "b": 2}
    assert touchpoint(PREFIX + body[:-1] + b"\x02" + sized).properties == {"a": 1}


@pytest.mark.parametrize("count", [2**40, 2**62, -(2**62)])
def test_a_map_that_claims_to_be_huge_is_refused(count: int) -> None:
    zigzag = count << 1 ^ count >> 63
    claim = bytearray()
    while zigzag > 127:
        claim.append(zigzag & 127 | 128)
        zigzag >>= 7
    claim.append(zigzag)
    assert rejection(avro()[:-1] + b"\x02" + bytes(claim) + b"\x02a\x00").reason in ("malformed", "too_many_properties")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "bad_json"),
        (b"[]", "bad_json"),
        (b'"text"', "bad_json"),
        (b"nonsense", "bad_json"),
        (b'{"a":' * 100_000, "too_deep"),
        (as_json(x=1)[:-1] + b',"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (as_json(occurred_at="1767261600000"), "bad_json"),
        (as_json(occurred_at=None), "bad_time"),
        (as_json(occurred_at=10**30), "bad_time"),
        (as_json(wait_ms=10**30), "bad_json"),
        (as_json(retried=1), "bad_json"),
        (as_json(event_id=5), "bad_json"),
        (as_json(value=float("nan")), "bad_json"),
        (as_json()[:-1] + b',"value":1e999}', "bad_json"),
        (as_json(traits={"a": [1]}), "bad_json"),
        (as_json(consent={"email": "yes"}), "bad_json"),
        (as_json(properties={"a": 10**30}), "bad_json"),
        (as_json(properties={"a": {"b": 1}}), "too_deep"),
        (as_json(properties={"a": [[1]]}), "too_deep"),
        (as_json(properties={"a": [{"b": {"c": 1}}]}), "too_deep"),
        (as_json(properties={str(n): n for n in range(10_000)}), "too_many_properties"),
        (as_json(comment="x" * 2_000_000), "too_large"),
        (as_json(type="journey.import_started"), "reserved_type"),
        (json.dumps({"type": "x", "occurred_at": 1, "customer_id": "c"}).encode(), "no_event_id"),
        (json.dumps({"event_id": "x", "occurred_at": 1, "customer_id": "c"}).encode(), "no_type"),
        (json.dumps({"event_id": "x", "type": "x", "occurred_at": 1}).encode(), "no_customer"),
        (b'{"event_id": "\\ud800", "type": "x", "occurred_at": 1, "customer_id": "c"}', "bad_json"),
        (b'{"event_id": "\xff", "type": "x", "occurred_at": 1, "customer_id": "c"}', "bad_json"),
    ],
)
def test_what_is_refused_in_json_and_why(value: bytes, reason: str) -> None:
    assert rejection(value, allow_json=True).reason == reason


def test_json_may_be_spaced_and_carry_fields_of_a_later_version() -> None:
    spaced = b" \n" + json.dumps({**REQUIRED, "weather": "rain", "offset": 5}, indent=2).encode()
    one = touchpoint(spaced, allow_json=True)
    assert (one.event_id, one.offset) == ("e-1", 41)


def test_avro_and_json_side_by_side() -> None:
    both = decoded(avro(), as_json(), allow_json=True)
    assert both[0] == both[1]


def other_version(change: Any) -> tuple[dict[str, Any], bytes]:
    schema = json.loads(schemas.text("touchpoint"))
    change(schema["fields"])
    out = BytesIO()
    schemaless_writer(out, parse_schema(json.loads(json.dumps(schema))), {**REQUIRED, "value": 5, "plan": "pro"})
    return schema, schemas.prefix_of(50) + out.getvalue()


class Holding(PackagedSchemas):
    def __init__(self, schema: Any) -> None:
        self.schema = schema

    def writer(self, reference: int | uuid.UUID) -> dict[str, Any] | None:
        return self.schema if reference == 50 else super().writer(reference)


def drop_last(fields: list[Any]) -> None:
    del fields[20:]


def add_known_type(fields: list[Any]) -> None:
    fields.append({"name": "plan", "type": ["null", "string"], "default": None})


def add_new_type(fields: list[Any]) -> None:
    fields.append({"name": "plan", "type": ["null", "float", "string"], "default": None})


def reorder(fields: list[Any]) -> None:
    fields.reverse()


def narrow(fields: list[Any]) -> None:
    for one in fields:
        if one["name"] == "value":
            one["type"] = ["null", "int"]


def require(fields: list[Any]) -> None:
    fields[3] = {"name": "customer_id", "type": "string"}


@pytest.mark.parametrize("change", [drop_last, add_known_type, add_new_type, reorder, narrow, require])
def test_other_versions_of_the_schema_are_read(change: Any) -> None:
    schema, value = other_version(change)
    codec = TouchpointCodec(Holding(schema))
    for _ in range(2):
        [one] = codec.decode([Received(value)])
        assert isinstance(one, Touchpoint)
        assert (one.event_id, one.customer_id, one.offset) == ("e-1", "c-1", 41)
        has_value = any(f["name"] == "value" for f in schema["fields"])
        assert one.value == (5.0 if has_value else None)
        assert type(one.value) is (float if has_value else type(None))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "record"},
        {"type": "record", "name": "Touchpoint", "fields": [{"name": "event_id", "type": "string"}]},
        {"type": "record", "name": "Touchpoint", "fields": [{"name": "a", "type": ["null", "Touchpoint"]}]},
        {"type": "enum", "name": "Touchpoint", "symbols": ["A"]},
        "string",
        [],
        None.__class__,
    ],
)
def test_a_schema_that_is_no_touchpoints_is_a_rejection(schema: Any) -> None:
    [one] = TouchpointCodec(Holding(schema)).decode([Received(schemas.prefix_of(50) + b"\x02a\x02b\x02c\x02d")])
    assert isinstance(one, Rejection)
    assert one.reason == "incompatible_schema"


def test_rejections_do_not_quote_what_customers_wrote() -> None:
    for value in (
        avro(comment="secret" * 5_000),
        avro(properties={"x": "secret" * 5_000}),
        as_json(comment=["secret"]),
    ):
        for allow_json in (True, False):
            assert "secret" not in rejection(value, allow_json=allow_json).detail


def test_doubles_are_bit_exact() -> None:
    for bits in (1, 0x7FEFFFFFFFFFFFFF, 0x8000000000000000):
        number = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
        one = touchpoint(avro(value=number, properties={"x": number}))
        assert one.properties is not None
        assert msgspec.msgpack.encode([one.value, one.properties["x"]]) == msgspec.msgpack.encode([number, number])


NULLS = len(FULL) - 3


def by_hand(*fields: bytes) -> bytes:
    """A record of single bytes: the fields after occurred_at as given, the rest null."""
    return PREFIX + b"\x02e\x02t\x02" + b"".join(fields) + bytes(NULLS - len(fields))


def with_number(varint: bytes) -> bytes:
    """A record whose only property "a" is a long in that form."""
    return avro()[:-1] + b"\x02\x02\x02a\x04" + varint + b"\0"


CUSTOMER, NONE = b"\x02\x02c", b"\0"


def test_a_record_by_hand() -> None:
    assert touchpoint(by_hand(CUSTOMER)).customer_id == "c"
    assert touchpoint(by_hand(CUSTOMER, NONE, NONE, b"\x02\x04", b"\x02\x01")).retried is True


@pytest.mark.parametrize(
    "value",
    [
        avro(properties={"a": 1}) + b"\0",
        avro(properties={"a": "text"})[:-1],
        avro(source="s", schema_source="x")[:-2],
        by_hand(CUSTOMER, b"\x04\x02a"),  # a union of two has no third branch
        by_hand(CUSTOMER, b"\x03\x02a"),  # nor a negative one
        by_hand(CUSTOMER, b"\x02\x01a"),  # a text of a negative length
        by_hand(CUSTOMER, b"\x02\x80\x80\x80\x80\x10a"),  # a text of 2 GiB
        by_hand(CUSTOMER, b"\x02" + b"\xff" * 20 + b"\x01a"),  # a number without end
    ],
)
def test_a_record_by_hand_that_is_wrong(value: bytes) -> None:
    assert rejection(value).reason == "malformed"


@pytest.mark.parametrize(
    "value",
    [
        by_hand(CUSTOMER, NONE, NONE, b"\x02" + b"\xff" * 9 + b"\x01"),  # -2**63 as sent_at
        by_hand(CUSTOMER, NONE, NONE, b"\x02" + b"\xff" * 9 + b"\x7f"),  # more than 64 bits
        by_hand(CUSTOMER, NONE, NONE, b"\x02" + b"\x82" + b"\x80" * 8 + b"\x02"),
        by_hand(CUSTOMER, NONE, NONE, b"\x02\x82\x80\x00"),  # 1, in more bytes than needed
        by_hand(CUSTOMER, NONE, NONE, NONE, b"\x02\x02"),  # a boolean that is neither 0 nor 1
        with_number(b"\xff" * 1_000_000 + b"\x01"),  # one that would take hours to add up
        with_number(b"\xff" * 9 + b"\x01"),  # -2**63
        with_number(b"\xff" * 9 + b"\x03"),
        with_number(b"\x80" * 9 + b"\x02"),
        by_hand(b"\x02\x80\x00", b"\x02\x02a"),  # an empty text, in more bytes than needed
    ],
)
def test_odd_forms_of_numbers_are_judged_alike_at_first_sight_and_later(value: bytes) -> None:
    assert len(decoded(value)) == 1
