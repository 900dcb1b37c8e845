"""Lost, duplicated, different and misordered records are told apart, and each is found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.tools.replay.compare import Bytes, TopicComparison, compare_records


def record(name: str, body: str = "x", source: str = "s") -> Bytes:
    return b"k", body.encode(), (("ce_id", name.encode()), ("ce_source", source.encode()))


A, B, C = record("a"), record("b"), record("c")


def compared(live: Sequence[Bytes], replayed: Sequence[Bytes]) -> TopicComparison:
    report = TopicComparison("t")
    compare_records(report, 3, live, replayed)
    return report


@pytest.mark.parametrize(
    ("live", "replayed", "what"),
    [
        ([A, B, C], [A, B, C], {}),
        ([A, C], [A, B, C], {"lost": 1}),
        ([], [A, B], {"lost": 2}),
        ([A, B, B, C], [A, B, C], {"duplicated": 1}),
        ([A, B], [A], {"unexpected": 1}),
        ([A, record("b", "y")], [A, B], {"different": 1}),
        ([A, record("b", source="z")], [A, B], {"different": 1}),
        ([B, A], [A, B], {"misordered": 2}),
        ([A, A, record("b", "y")], [A, B, C], {"duplicated": 1, "different": 1, "lost": 1}),
        ([B, record("b", "y")], [B], {"duplicated": 1}),
    ],
)
def test_each_fault_is_counted_as_what_it_is(live: list[Bytes], replayed: list[Bytes], what: dict[str, int]) -> None:
    report = compared(live, replayed)
    names = ("lost", "duplicated", "unexpected", "different", "misordered")
    assert {name: n for name in names if (n := getattr(report, name))} == what
    assert report.equal is not bool(what)
    assert (report.live, report.replayed) == (len(live), len(replayed))


def test_an_example_names_partition_and_id_and_no_customer() -> None:
    assert compared([A], [A, B]).examples == ["lost: partition 3, id b"]


_records = st.lists(st.builds(record, st.sampled_from("abc"), st.sampled_from("xy")), max_size=6)


@settings(max_examples=100, deadline=None)
@given(_records, _records)
def test_equal_means_equal(live: list[Bytes], replayed: list[Bytes]) -> None:
    assert compared(live, replayed).equal is (live == replayed)
