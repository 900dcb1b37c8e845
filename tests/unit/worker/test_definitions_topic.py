"""What a worker makes of the definitions topic, without a broker: any record is read or passed over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.contracts.topics import Topics
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.settings import Settings
from streams.worker.definitions_topic import DefinitionsTopic, Published, read_record

SHOP = (Path(__file__).parents[2] / "support" / "shop.journey.yaml").read_text()


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(st.none(), st.binary(max_size=40)),
    st.one_of(st.none(), st.binary(max_size=200)),
)
@example(b"k", b'{"number": []}')
@example(b"k", b'{"number": 1e999}')
@example(b"k", b"[" * 100_000)
@example(b"k", b'{"number": 1, "digest": "d", "sources": [["one"]]}')
def test_any_record_that_is_none_is_passed_over(key: bytes | None, value: bytes | None) -> None:
    assert read_record(key, value) is None


def test_a_definition_reads_as_it_was_written() -> None:
    published = Published(7, "digest", (("shop.yaml", "text"), ("more.yaml", "x: é")))
    assert read_record(b"7", published.encoded()) == published


@pytest.mark.parametrize("fault", [ValueError("a defect of the compiler"), RecursionError()])
def test_one_that_cannot_be_compiled_is_passed_over_and_a_later_one_is_adopted(fault: Exception) -> None:
    told: list[str] = []

    def load(sources: Sequence[tuple[str, str]], number: int) -> Definition:
        if number == 2:
            raise fault
        return load_texts(sources, number)

    topic = DefinitionsTopic(Settings(), Topics(), lambda: told.append("news"), load)

    def publish(number: int) -> int:
        topic._take(b"%d" % number, Published(number, f"d{number}", (("shop", SHOP),)).encoded(), number)
        topic._adopt_latest()
        assert topic.latest is not None
        return topic.latest.number

    assert [publish(number) for number in (1, 2, 3)] == [1, 1, 3]
    assert told == ["news"] * 3
