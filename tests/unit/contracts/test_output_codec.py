"""Outputs as records: keys, CloudEvents headers, bodies, and what happens to values that a contract cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.contracts import schemas
from streams.contracts.cloudevents import rfc3339
from streams.contracts.codec import TouchpointCodec
from streams.contracts.dead_letter import DeadLetter, Header, dead_letter
from streams.contracts.output_codec import OutputCodec, OutputReader, body
from streams.contracts.outputs import (
    Candidate,
    Customer,
    CustomerRisk,
    Decision,
    Example,
    JournalLine,
    LastTouchpoint,
    Model,
    OpenContact,
    OpenStage,
    OpenTrigger,
    Signal,
    Trigger,
)
from streams.contracts.record import Encoded
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import Rejection, Touchpoint

NOON = 1_767_261_600_000
STEP = LastTouchpoint("Payment Failed", NOON, "web", "e-1")
SIGNAL = Signal(
    "s-1", "c-1", "friction", "payment_failed_twice", NOON, "purchase", "", evidence=["e-1"], figures={"n": 2}
)
TRIGGER = Trigger(
    "t-1", 1, "issued", "c-1", "payment_help", "service", "email", NOON, NOON + 1,
    content={"cart": [{"product_id": "p-1", "quantity": 2}], "total": 59.9, "gift": None, "tags": ["a", 1]},
    external={"campaign_id": 4711}, consent={"email": True}, stages={"purchase": "payment"}, last_touchpoints=[STEP],
)  # fmt: skip
DECISION = Decision("d-1", "c-1", NOON, "issued", "issued", "s-1", candidates=[Candidate("payment_help", v=40.0)])
CUSTOMER = Customer(
    "c-1", NOON,
    stages=[OpenStage("purchase", "", "payment", NOON)], segments=["vip"], last_touchpoints=[STEP],
    open_contacts=[OpenContact("call-1", since=NOON)], open_triggers=[OpenTrigger("t-1", "help", "email", NOON)],
    risk_band="high", expected_value=84.5,
    risks=[CustomerRisk("churn", "high", 0.71, "churn@12", NOON), CustomerRisk("complaint", "low", 0.1, "prior", NOON)],
)  # fmt: skip
RISK = Signal(
    "s-2", "c-1", "churn_risk", "churn", NOON, figures={"score": 0.71, "was": 0.5}, band="high", model="churn@12",
    contributions={"days_since_order": 0.9, "orders": 0.1}, words=["45 days since the last order (usually 12)"],
)  # fmt: skip
EXAMPLE = Example(
    "x-1", "c-1", "churn", "9f2c11aa", NOON, NOON + 1, True, {"days_since_order": 1e300, "mood": -0.0}, 0.42, "churn@12"
)
LINEAR = Model(
    "churn", 12, "9f2c11aa", "linear", "logistic", ["days_since_order"], [0.8], [31.0], [14.2], -0.3, 0.94, 0.02,
    examples=5_000, base_rate=0.31, learned_until=NOON, evaluation={"auc": 0.76}, definition=3,
)  # fmt: skip
FOREST = Model(
    "churn", 13, "9f2c11aa", "river", "forest", ["days_since_order"], means=[31.0], body=b"\x80\x05\x00" * 100_000,
    mac=bytes(32), software="python 3.11, river 0.26.1",
)  # fmt: skip


@dataclass
class Received:
    value: bytes | None
    offset: int = 9
    timestamp: int | None = NOON
    key: bytes | None = b"source key"
    headers: Any = ()


def codec() -> OutputCodec:
    return OutputCodec(PackagedSchemas(), "/journey-streams/shop")


def cloud_events(encoded: Encoded) -> dict[str, str]:
    assert len({name for name, _ in encoded.headers}) == len(encoded.headers)
    return {name: value.decode() for name, value in encoded.headers}


def test_a_signals_record() -> None:
    encoded = codec().signal(SIGNAL)
    assert encoded.key == b"c-1"
    assert cloud_events(encoded) == {
        "ce_specversion": "1.0",
        "ce_type": "com.journey-streams.signal.friction",
        "ce_source": "/journey-streams/shop",
        "ce_id": "s-1",
        "ce_time": "2026-01-01T10:00:00.000Z",
        "content-type": "application/avro",
    }
    assert encoded.value == schemas.prefix_of(2) + body(SIGNAL)
    assert OutputReader(PackagedSchemas()).read(Signal, encoded.value) == SIGNAL


def test_each_record_of_a_trigger_is_an_event_of_its_own() -> None:
    ended = Trigger(
        "t-1", 2, "cancelled", "c-1", "payment_help", "service", "email", NOON, NOON + 1, "late", NOON + 60_000
    )
    first, last = cloud_events(codec().trigger(TRIGGER)), cloud_events(codec().trigger(ended))
    assert (first["ce_type"], first["ce_id"]) == ("com.journey-streams.trigger.issued", "t-1:1")
    assert (last["ce_type"], last["ce_id"]) == ("com.journey-streams.trigger.cancelled", "t-1:2")
    assert last["ce_time"] == "2026-01-01T10:01:00.000Z", "the time of the end"


@pytest.mark.parametrize(
    ("encode", "output", "type_"),
    [
        ("trigger", TRIGGER, "trigger.issued"),
        ("decision", DECISION, "decision.issued"),
        ("customer", CUSTOMER, "customer.updated"),
        ("signal", RISK, "signal.churn_risk"),
        ("example", EXAMPLE, "example"),
    ],
)
def test_the_rest_is_keyed_by_customer_and_read_again(encode: str, output: Any, type_: str) -> None:
    encoded = getattr(codec(), encode)(output)
    assert encoded.key == b"c-1"
    assert cloud_events(encoded)["ce_type"] == f"com.journey-streams.{type_}"
    assert OutputReader(PackagedSchemas()).read(type(output), encoded.value) == output


def test_an_example_is_told_apart_by_its_id_and_lies_at_the_time_of_its_label() -> None:
    marks = cloud_events(codec().example(EXAMPLE))
    assert (marks["ce_id"], marks["ce_time"]) == ("x-1", "2026-01-01T10:00:00.001Z")


@pytest.mark.parametrize("model", [LINEAR, FOREST], ids=["plain numbers", "signed bytes"])
def test_each_version_of_a_model_has_a_key_of_its_own(model: Model) -> None:
    encoded = codec().model(model)
    assert encoded.key == f"churn@{model.version}".encode()
    marks = cloud_events(encoded)
    assert (marks["ce_type"], marks["ce_id"]) == ("com.journey-streams.model", f"churn@{model.version}")
    assert OutputReader(PackagedSchemas()).read(Model, encoded.value or b"") == model


def test_views_of_a_customer_have_ids_that_tell_them_apart() -> None:
    other = Customer("c-1", NOON, segments=["new"])
    ids = [cloud_events(codec().customer(view))["ce_id"] for view in (CUSTOMER, CUSTOMER, other)]
    assert ids[0] == ids[1] != ids[2]


def test_a_forgotten_customer_is_a_tombstone() -> None:
    encoded = codec().customer_forgotten("Zoë")
    assert (encoded.key, encoded.value) == ("Zoë".encode(), None)
    assert cloud_events(encoded)["ce_type"] == "com.journey-streams.customer.forgotten"


def test_a_journal_line() -> None:
    line = JournalLine(41, "stale", {"triggers": ["t-1", "t-2"]})
    encoded = codec().journal(line, partition=3)
    assert encoded.key is None
    assert cloud_events(encoded)["ce_id"].startswith("3:41:")
    assert cloud_events(encoded)["ce_id"] != cloud_events(codec().journal(line, partition=4))["ce_id"]
    assert OutputReader(PackagedSchemas()).read(JournalLine, encoded.value or b"") == line


def test_a_dead_letter_keeps_everything_of_the_original() -> None:
    record = Received(b"\xff\xfe", headers=[("traceparent", b"00-1"), ("traceparent", b"00-2"), ("none", None)])
    letter = dead_letter(Rejection(9, "not_avro", "the first byte is 0xff"), record, "journey.touchpoints.v1", 3)
    encoded = codec().dead_letter(letter)
    assert encoded.key == b"source key"
    marks = cloud_events(encoded)
    assert (marks["ce_type"], marks["ce_id"]) == (
        "com.journey-streams.dead_letter.not_avro",
        "journey.touchpoints.v1:3:9",
    )
    assert marks["ce_time"] == "2026-01-01T10:00:00.000Z", "when the original came, not when it was refused"
    back = OutputReader(PackagedSchemas()).read(DeadLetter, encoded.value or b"")
    assert back == letter
    assert back.headers == [Header("traceparent", b"00-1"), Header("traceparent", b"00-2"), Header("none", None)]
    assert back.value == b"\xff\xfe"


@pytest.mark.parametrize(
    "record",
    [
        Received(b"v" * 2_000_000, headers=[("a", b"b")]),
        Received(b"v" * 1_048_576),
        Received(b"v" * 500_000, key=b"k" * 700_000),
        Received(b"v" * 500_000, headers=[("h", b"h" * 400_000)] * 4),
        Received(None, key=b"k" * 5_000_000, headers=[(f"{n}", b"") for n in range(200_000)]),
    ],
    ids=["value", "value and key", "key", "headers", "names of headers"],
)
def test_a_dead_letter_fits_into_its_topic_whatever_the_original_was(record: Received) -> None:
    letter = dead_letter(Rejection(9, "too_large", "x"), record, "t", 0)
    encoded = codec().dead_letter(letter)
    headers = sum(len(name) + len(value) for name, value in encoded.headers)
    assert len(encoded.value or b"") + len(encoded.key or b"") + headers + 500 < 1_048_588 + 65_536
    assert letter.detail.startswith("x (cut here: ")
    assert letter.value_bytes == (None if record.value is None else len(record.value))
    assert record.value is None or record.value.startswith(letter.value or b"?")


def test_a_dead_letter_of_a_record_without_time() -> None:
    letter = dead_letter(Rejection(9, "empty", "x"), Received(None, timestamp=-1, key=None), "t", 0)
    encoded = codec().dead_letter(letter)
    assert (letter.recorded_at, encoded.key) == (None, None)
    assert "ce_time" not in cloud_events(encoded)


def test_a_touchpoint_to_produce_has_the_key_that_the_worker_expects() -> None:
    known = codec().touchpoint(Touchpoint("e-1", "page", NOON, customer_id="c-1", anonymous_id="a-1"))
    visitor = codec().touchpoint(Touchpoint("e-1", "page", NOON, anonymous_id="a-1", offset=5, record_time=7))
    assert (known.key, visitor.key) == (b"c-1", b"a-1")
    [back] = TouchpointCodec(PackagedSchemas()).decode([Received(visitor.value, timestamp=None)])
    assert back == Touchpoint("e-1", "page", NOON, anonymous_id="a-1", offset=9, key=b"source key")
    assert partition_for(known.key or b"", 1) == 0


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (2**63, float(2**63)),
        (-(2**63) - 1, -float(2**63)),
        ({"a": 1}, '{"a":1}'),
        ([[1, 2]], ["[1,2]"]),
        ([{"a": {"b": 1}}], [{"a": '{"b":1}'}]),
        ((1, "a"), [1, "a"]),
        ([], []),
    ],
)
def test_what_a_map_cannot_hold_is_written_as_the_nearest_thing(given: Any, written: Any) -> None:
    trigger = Trigger("t", 1, "issued", "c", "a", "service", "email", NOON, NOON, content={"x": given})
    back = OutputReader(PackagedSchemas()).read(Trigger, codec().trigger(trigger).value or b"")
    assert back.content == {"x": written}


def test_an_output_without_a_required_field_is_a_bug_and_not_a_record() -> None:
    broken: Any = Signal("s-1", "c-1", "friction", None, NOON)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="a required field of Signal is None"):
        body(broken)


@pytest.mark.parametrize(
    "value",
    [b"", b"{}", b"\0\0\0\0\x02", schemas.prefix_of(99) + b"x", codec().decision(DECISION).value, b"\x01" + b"x" * 30],
)
def test_bytes_that_are_not_that_output_are_a_clear_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"signal|no schema has the id 99"):
        OutputReader(PackagedSchemas()).read(Signal, value)
    whole = codec().signal(SIGNAL).value or b""
    with pytest.raises(ValueError, match="1 bytes are left"):
        OutputReader(PackagedSchemas()).read(Signal, whole + b"x")


@pytest.mark.parametrize("ms", [0, 1, 999, NOON, NOON + 7, 253_402_300_799_999])
def test_times_are_rfc_3339(ms: int) -> None:
    shown = rfc3339(ms).decode()
    assert shown.endswith("Z")
    assert round((datetime.fromisoformat(shown) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000) == ms
    assert len(shown) == len("2026-01-01T10:00:00.000Z")


def test_a_time_that_no_calendar_holds_is_left_out() -> None:
    late = Signal("s", "c", "friction", "n", 253_402_300_800_000)
    assert "ce_time" not in cloud_events(codec().signal(late))
