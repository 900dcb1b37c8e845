"""Words of the command line become touchpoints, or an error that says which word."""

from __future__ import annotations

from typing import Any

import pytest

from streams.contracts.output_codec import OutputCodec
from streams.contracts.schemas import PackagedSchemas
from streams.tools.emit import EmitError, emit, made, pairs, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.5", 12.5),
        ("3", 3),
        ("true", True),
        ("null", None),
        ('"12"', "12"),
        ("[1, 2]", [1, 2]),
        ("gold", "gold"),
        ("", ""),
        ("a=b", "a=b"),
        ("{not json", "{not json"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_only_the_first_equals_sign_divides() -> None:
    assert pairs(["url=/a?b=c", "n=1", "empty="], "--property") == {"url": "/a?b=c", "n": 1, "empty": ""}
    assert pairs(None, "--property") == {}


def test_touchpoints_are_a_millisecond_apart_and_end_now() -> None:
    touchpoints = made(["A", "B", "C"], 1_000, {"customer_id": "me", "channel": "web"})
    assert [t.occurred_at for t in touchpoints] == [998, 999, 1_000]
    assert [t.type for t in touchpoints] == ["A", "B", "C"]
    assert len({t.event_id for t in touchpoints}) == 3
    assert {(t.customer_id, t.channel) for t in touchpoints} == {("me", "web")}


@pytest.mark.parametrize(
    ("types", "fields", "says"),
    [
        (["A"], {}, "--anonymous"),
        ([""], {"customer_id": "me"}, "without a name cannot be emitted"),
        (["journey.import_ended"], {"customer_id": "me"}, "cannot be emitted"),
        (["A"], {"customer_id": "me", "offset": 1}, "offset is no field"),
        (["A"], {"customer_id": "me", "event_id": "e"}, "event_id is no field"),
        (["A"], {"customer_id": "me", "curency": "EUR"}, "did you mean currency"),
        (["A"], {"customer_id": "me", "value": "much"}, "does not fit the contract"),
        (["A"], {"customer_id": "me", "value": float("nan")}, "value is not a finite number"),
        (["A"], {"customer_id": "x" * 513}, "customer_id has 513 characters, the limit is 512"),
        (["A"], {"customer_id": "me", "properties": {"a": {"b": 1}}}, "does not fit the contract"),
        (["A"], {"customer_id": "me", "properties": {"a": 1 << 64}}, "does not fit into 64 bits"),
    ],
)
def test_what_cannot_be_a_touchpoint_is_refused(types: list[str], fields: dict[str, Any], says: str) -> None:
    with pytest.raises(EmitError, match=says):
        made(types, 1_000, fields)


def test_no_broker_is_an_error_with_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.tools.emit.DELIVERY_S", 0.5)
    codec = OutputCodec(PackagedSchemas(), "/test")
    with pytest.raises(EmitError, match=r"t at 127\.0\.0\.1:1 did not take 1 of 1"):
        emit({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "t", codec, made(["A"], 1, {"customer_id": "me"}))
