"""W3C trace context: what is carried, what is left alone; nothing that a header holds refuses a touchpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.codec import TouchpointCodec
from streams.contracts.output_codec import OutputCodec
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import Touchpoint
from streams.contracts.trace_context import sampled, trace_headers

RIGHT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LATER = b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes"

_codec = TouchpointCodec(PackagedSchemas())
_plain = OutputCodec(PackagedSchemas(), "/test").touchpoint(
    Touchpoint("e", "Page Viewed", 1_767_571_200_000, customer_id="c")
)


@dataclass
class Received:
    value: bytes
    headers: Any
    key: bytes = b"c"
    offset: int = 0
    timestamp: int = 1_767_571_200_000
    others: list[Any] = field(default_factory=list)


@pytest.mark.parametrize("parent", [RIGHT, RIGHT[:-2] + b"00", LATER, LATER[:55]])
def test_what_is_right_is_carried_as_it_is(parent: bytes) -> None:
    assert trace_headers([("x", b"y"), ("traceparent", parent)]) == [("traceparent", parent)]


@pytest.mark.parametrize(
    "parent",
    [
        b"", None, b"garbage", RIGHT[:-1], RIGHT + b"0", RIGHT.upper(), RIGHT + b"-more", b"ff" + RIGHT[2:],
        b"00-" + b"0" * 32 + RIGHT[35:], RIGHT[:36] + b"0" * 16 + b"-01", RIGHT.replace(b"-", b"_"), RIGHT + b"\n",
        LATER[:55] + b"x", b"00-\xff\xff" + RIGHT[5:],
    ],
)  # fmt: skip
def test_what_is_not_right_is_left_alone(parent: bytes | None) -> None:
    assert trace_headers([("traceparent", parent)]) is None


def test_two_of_them_are_none_and_names_are_case_sensitive() -> None:
    assert trace_headers([("traceparent", RIGHT), ("traceparent", RIGHT)]) is None
    assert trace_headers([("Traceparent", RIGHT)]) is None


def test_the_state_goes_with_its_parent_only_and_not_if_it_is_too_long() -> None:
    parent = ("traceparent", RIGHT)
    assert trace_headers([("tracestate", b"a=1"), parent, ("tracestate", b"b=2")]) == [
        parent, ("tracestate", b"a=1,b=2"),
    ]  # fmt: skip
    assert trace_headers([("tracestate", b"a=1")]) is None
    for state in (b"a=" + b"1" * 511, b"a=\n", "a=é".encode(), b""):
        assert trace_headers([parent, ("tracestate", state)]) == [parent]


def test_whether_it_is_recorded_is_its_last_bit() -> None:
    assert sampled([("traceparent", RIGHT)])
    assert sampled([("traceparent", LATER)])
    assert not sampled([("traceparent", RIGHT[:-2] + b"02")])


@given(
    st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "x"]), st.none() | st.binary() | st.just(RIGHT)))
)
def test_whatever_headers_hold_the_touchpoint_is_the_same(headers: list[tuple[str, bytes | None]]) -> None:
    (read,) = _codec.decode([Received(_plain.value or b"", headers)])
    assert isinstance(read, Touchpoint)
    carried, read.trace_headers = read.trace_headers, None
    assert [read] == _codec.decode([Received(_plain.value or b"", ())])
    parents = [value for name, value in headers if name == "traceparent"]
    assert (carried is not None) == (
        len(parents) == 1 and re.fullmatch(b"00-[0-9a-f-]{52}", parents[0] or b"") is not None
    )


def test_a_touchpoint_read_the_complete_way_has_it_too() -> None:
    json = TouchpointCodec(PackagedSchemas(), allow_json=True)
    value = b'{"event_id": "e", "type": "Page Viewed", "occurred_at": 1, "customer_id": "c", "trace_headers": 5}'
    (read,) = json.decode([Received(value, [("traceparent", RIGHT)])])
    assert isinstance(read, Touchpoint)
    assert read.trace_headers == [("traceparent", RIGHT)]
