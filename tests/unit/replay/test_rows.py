"""Rows become touchpoints as the mapping says; what cannot is refused with its row and reason."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.touchpoint import REASONS, Touchpoint
from streams.tools.replay.mapping_file import read_mapping
from streams.tools.replay.rows import CsvReader, InputError, Refused

HEAD = "version: 1\ntime: {column: at}\n"
PLAIN = (
    HEAD
    + "touchpoints: [{event_id: {row: true, prefix: f-}, fields: {customer_id: {column: who}, type: {column: what}}}]"
)


def read(mapping: str, text: str) -> list[Touchpoint | Refused]:
    return list(CsvReader(io.StringIO(text, newline=""), read_mapping("m.yaml", mapping), "f.csv"))


def good(mapping: str, text: str) -> list[Touchpoint]:
    items = read(mapping, text)
    assert all(isinstance(item, Touchpoint) for item in items), items
    return [item for item in items if isinstance(item, Touchpoint)]


def fields(of: str, cells: str = "1", header: str = "x") -> Touchpoint:
    mapping = HEAD + f"touchpoints: [{{event_id: {{row: true}}, fields: {{customer_id: c, type: t, {of}}}}}]"
    return good(mapping, f"at,{header}\n2024-01-01,{cells}\n")[0]


def test_the_plain_case() -> None:
    found = good(PLAIN, "at,who,what\n1970-01-01 00:00:01,anna,page\n1970-01-01T00:00:02+00:00,ben,search\n")
    assert [(t.event_id, t.customer_id, t.type, t.occurred_at) for t in found] == [
        ("f-1", "anna", "page", 1000),
        ("f-2", "ben", "search", 2000),
    ]
    assert found[0].record_time is None
    assert found[0].key is None


@pytest.mark.parametrize(
    ("time", "cell", "expected"),
    [
        ("{column: at, format: epoch_s}", "12.5", 12_500),
        ("{column: at, format: epoch_ms}", "12500", 12_500),
        ("{column: at, zone: Europe/London}", "2024-01-15 12:00", 1_705_320_000_000),
        ("{column: at, zone: Europe/London}", "2024-07-15 12:00", 1_721_041_200_000),
        ("{column: at, zone: Europe/London}", "2024-07-15 12:00+00:00", 1_721_044_800_000),
        ('{column: at, format: "%d.%m.%Y %H:%M"}', "15.01.2024 12:00", 1_705_320_000_000),
        # Once a year an hour comes twice: the first is taken.
        ("{column: at, zone: Europe/London}", "2024-10-27 01:30", 1_729_989_000_000),
    ],
)
def test_times(time: str, cell: str, expected: int) -> None:
    mapping = PLAIN.replace("{column: at}", time)
    assert good(mapping, f"at,who,what\n{cell},a,b\n")[0].occurred_at == expected


@pytest.mark.parametrize(
    ("source", "cells", "expected"),
    [
        ("value: {column: x}", "2.5", 2.5),
        ("value: {column: x, scale: -1}", "2.5", -2.5),
        ("value: {column: x, times: y, decimals: 2}", "3,0.333", 1.0),
        ("value: {column: x}", "", None),
        ("wait_ms: {column: x, scale: 1000}", "1.25", 1250),
        ("retried: {column: x}", "Yes", True),
        ("retried: {column: x}", "0", False),
        ("case_id: {column: x, as: id}", "17850.0", "17850"),
        ("case_id: {column: x, as: id}", "17.50", "17.50"),
        ("case_id: {column: x, as: id}", "C17", "C17"),
        ("case_id: {column: x, prefix: k-}", "1", "k-1"),
        ("case_id: {columns: [x, y], join: /}", "1,2", "1/2"),
        ("topic: {column: x, values: {a: billing, b: null}}", "a", "billing"),
        ("topic: {column: x, values: {a: billing, b: null}}", "b", None),
        ("topic: {column: x, values: {a: billing}}", "z", "z"),
        ("topic: {column: x, values: {a: billing}, otherwise: none}", "z", None),
        ("channel: store", "1", "store"),
        ("sent_at: {column: x}", "1970-01-02", 86_400_000),
    ],
)
def test_cells(source: str, cells: str, expected: Any) -> None:
    header = "x,y" if "," in cells or "times" in source or "columns" in source else "x"
    made = fields(source, cells, header)
    assert getattr(made, source.partition(":")[0]) == expected


def test_maps_of_a_touchpoint() -> None:
    mapping = HEAD + (
        "touchpoints: [{event_id: {row: true}, fields: {anonymous_id: {column: x}, type: identify}, "
        "properties: {a: {column: x}, b: {column: y}, k: 1}, traits: {plan: {column: y}}, "
        "consent: {email: {column: z}}}]"
    )
    made = good(mapping, "at,x,y,z\n2024-01-01,p,,yes\n")[0]
    assert made.properties == {"a": "p", "k": 1}
    assert made.traits == {"plan": None}  # null removes a trait
    assert made.consent == {"email": True}
    assert made.customer_id is None


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("is: '2'", [2]),
        ("is_not: '2'", [1, 3, 4, 5]),
        ("in: ['1', x]", [1, 4]),
        ("not_in: ['1', x]", [2, 3, 5]),
        ("present: true", [1, 2, 3, 4]),
        ("present: false", [5]),
        ("above: 2", [3]),
        ("at_least: 2", [2, 3]),
        ("below: 2", [1]),
        ("at_most: 2", [1, 2]),
        ("starts_with: x", [4]),
        ("not_starts_with: x", [1, 2, 3, 5]),
        ("at_least: 2, below: 3", [2]),
    ],
)
def test_filters(condition: str, kept: list[int]) -> None:
    mapping = f"rows: {{column: what, {condition}}}\n" + PLAIN.replace("type: {column: what}", "type: t")
    reader = CsvReader(
        io.StringIO("at,who,what\n" + "".join(f"2024-01-01,a,{x}\n" for x in ("1", "2", "3", "x", ""))),
        read_mapping("m.yaml", mapping),
        "f.csv",
    )
    assert [t.event_id for t in reader if isinstance(t, Touchpoint)] == [f"f-{n}" for n in kept]
    assert reader.filtered == 5 - len(kept)


def test_several_touchpoints_of_a_row() -> None:
    mapping = PLAIN[:-1] + (
        ", {event_id: {row: true, prefix: g-}, fields: {customer_id: {column: who}, type: Order Completed}, "
        "when: {column: what, is: buy}}]"
    )
    found = good(mapping, "at,who,what\n2024-01-01,a,look\n2024-01-02,a,buy\n")
    assert [(t.event_id, t.type) for t in found] == [("f-1", "look"), ("f-2", "buy"), ("g-2", "Order Completed")]


@pytest.mark.parametrize(
    ("row", "reason", "says"),
    [
        ("2024-01-01,a", "malformed", "2 columns, the header has 3"),
        ("2024-01-01,a,b,c", "malformed", "4 columns"),
        ("yesterday,a,b", "bad_time", "'yesterday'"),
        ("1969-12-31,a,b", "bad_time", "before 1970"),
        ("2024-01-01,,b", "no_customer", ""),
        ("2024-01-01,a,", "no_type", ""),
        ("2024-01-01,a,journey.import_started", "reserved_type", ""),
        ("2024-01-01,a," + "x" * 600, "too_long", "600 characters"),
    ],
)
def test_rows_that_are_refused(row: str, reason: str, says: str) -> None:
    refused, after = read(PLAIN, f"at,who,what\n{row}\n2024-01-01,a,page\n")
    assert isinstance(refused, Refused)
    assert (refused.file, refused.row, refused.reason, refused.original) == ("f.csv", 1, reason, row)
    assert refused.detail.startswith("row 1: ")
    assert says in refused.detail
    assert isinstance(after, Touchpoint)
    assert after.event_id == "f-2"


@pytest.mark.parametrize("cell", ["much", "nan", "inf", "1e999"])
def test_a_number_must_be_one(cell: str) -> None:
    mapping = PLAIN.replace("type: {column: what}", "type: t, value: {column: what}")
    refused = read(mapping, f"at,who,what\n2024-01-01,a,{cell}\n")[0]
    assert isinstance(refused, Refused)
    assert refused.reason == "malformed"
    assert "column what" in refused.detail


def test_order_is_demanded_or_made() -> None:
    text = "at,who,what\n2024-01-02,a,late\n2024-01-01,a,early\n2024-01-02,b,later\n"
    with pytest.raises(InputError, match=r"row 2 is earlier .*sort: true"):
        read(PLAIN, text)
    found = good(PLAIN.replace("{column: at}", "{column: at, sort: true}"), text)
    assert [t.type for t in found] == ["early", "late", "later"]
    assert [t.event_id for t in found] == ["f-2", "f-1", "f-3"]


def test_a_file_of_other_columns_is_an_error() -> None:
    with pytest.raises(InputError, match=r"lacks the columns what .* it has at, who"):
        read(PLAIN, "at,who\n")
    with pytest.raises(InputError, match="it has none"):
        read(PLAIN, "")


def test_quoted_cells_and_a_byte_order_mark() -> None:
    found = good(PLAIN, '\ufeffat,who,what\n2024-01-01,"a, ""b""\nc",page\n')
    assert found[0].customer_id == 'a, "b"\nc'


GROUPED = (
    HEAD
    + """
touchpoints:
  - {event_id: {row: true, prefix: l-}, fields: {customer_id: {column: who}, type: line}}
  - event_id: {column: bill, prefix: b-}
    fields: {customer_id: {column: who}, type: bill}
    group: {by: [bill], within: 1m, sums: {value: {column: price, times: pieces, as: number, decimals: 2}}, counts: n}
"""
)


def bills(rows: list[tuple[str, str, str, str]]) -> list[Touchpoint]:
    text = "at,bill,who,price,pieces\n" + "".join(f"2024-01-01 10:{r[0]},{r[1]},{r[2]},{r[3]},2\n" for r in rows)
    return good(GROUPED, text)


def test_rows_of_a_group_make_one_touchpoint() -> None:
    found = bills([("00", "1", "a", "0.1"), ("00", "1", "a", "0.2"), ("05", "2", "b", "1")])
    assert [t.event_id for t in found] == ["l-1", "l-2", "b-1", "l-3", "b-2"]
    assert found[2].value == 0.6
    assert found[2].properties == {"n": 2}


def test_a_group_lies_around_another_and_over_a_minute() -> None:
    found = bills([("00", "1", "a", "1"), ("00", "2", "b", "1"), ("01", "1", "a", "1"), ("02", "3", "c", "1")])
    assert [t.event_id for t in found] == ["l-1", "l-2", "b-2", "l-3", "b-1", "l-4", "b-3"]
    assert [t.occurred_at for t in found] == sorted(t.occurred_at for t in found)


def test_a_group_that_comes_again_later_is_another_one() -> None:
    found = bills([("00", "1", "a", "1"), ("02", "2", "b", "1"), ("04", "1", "a", "1")])
    assert [t.event_id for t in found] == ["l-1", "b-1", "l-2", "b-2", "l-3", "b-1"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("123"), st.integers(1, 5)), max_size=25))
def test_groups_lose_nothing_and_keep_time(rows: list[tuple[int, str, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    found = bills([(f"{minute:02}", bill, "a", str(price)) for minute, bill, price in rows])
    lines = [t for t in found if t.type == "line"]
    sums = [t for t in found if t.type == "bill"]
    assert [t.event_id for t in lines] == [f"l-{n}" for n in range(1, len(rows) + 1)]
    assert sum(t.value or 0 for t in sums) == sum(2 * price for _, _, price in rows)
    assert [t.occurred_at for t in found] == sorted(t.occurred_at for t in found)


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet='ab1,"\n\r\t;\x00-é', max_size=80))
def test_any_rows_give_touchpoints_or_refusals(text: str) -> None:
    for item in read(PLAIN, "at,who,what\n2024-01-01,a,b\n" + text):
        assert isinstance(item, Touchpoint) or item.reason in REASONS
