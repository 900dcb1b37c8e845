"""Formats of stored state: what an earlier version has written is read, and can be written for it again.

``tests/support/state/format-1.json`` was written by the last version of format 1: a full channel for which four
decisions wait, and an open deadline.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import formats
from streams.engine.decisions.shares import Queue, Used
from streams.engine.state import PartitionRecord, StateError
from streams.worker import marker as markers
from streams.worker.marker import Marker
from tests.support.engines import T0, H, M, Run, define, touchpoint

OLD: Any = json.loads((Path(__file__).parents[2] / "support" / "state" / "format-1.json").read_text())
MARKER: Marker = markers.decode(bytes.fromhex(OLD["marker"]))
PROFILES = {bytes.fromhex(key): bytes.fromhex(blob) for key, blob in OLD["profiles"].items()}


def restored() -> Run:
    run = Run(define(OLD["definition"], number=4))
    run.engine.restore(dict(PROFILES), MARKER.engine, MARKER.format)
    return run


def test_a_state_of_format_1_is_read_and_goes_on() -> None:
    assert MARKER.format == 1
    record = formats.read(MARKER.engine, 1)
    assert record.used.queues == {"phone": Queue(T0 + H, 0, T0 + H, 4)}
    run = restored()
    assert run.engine.watermark == MARKER.watermark
    # Four wait for two contacts an hour; who comes then comes after that hour; the cart is given up in its time.
    run.hear(touchpoint(30 * M, "Payment Failed", "later"))
    run.until(5 * H)
    calls = [(t.customer, (t.issued_at - T0) // H) for t in run.triggers if t.status == "issued"]
    assert [hour for _, hour in calls] == [1, 1, 2, 2, 3]
    assert "later" not in {customer for customer, _ in calls[:2]}
    assert [s.time - T0 for s in run.signals if s.kind == "abandonment"] == [20 * M + 10_000]


def test_what_was_read_is_written_for_the_version_before_as_it_wrote_it_itself() -> None:
    assert restored().engine.partition_record(1) == MARKER.engine
    assert restored().save() == {}, "a roll-back leaves the profiles as they are"
    assert restored().engine.partition_record() != MARKER.engine


numbers = st.integers(0, 2**40)
queues = st.builds(Queue, numbers, numbers, numbers, numbers)


@given(
    record=st.builds(
        PartitionRecord,
        watermark=st.none() | numbers,
        used=st.builds(Used, queues=st.dictionaries(st.text(max_size=3), queues, max_size=3)),
    )
)
def test_formats_lead_into_each_other(record: PartitionRecord) -> None:
    assert formats.read(formats.write(record, 2), 2) == record
    back = formats.write(record, 1)
    forth = formats.read(back, 1)
    assert formats.write(forth, 1) == back
    assert (forth.watermark, forth.used.queues.keys()) == (record.watermark, record.used.queues.keys())


def test_every_number_that_is_promised_has_its_steps() -> None:
    assert set(formats.UP) == set(range(formats.OLDEST, formats.NEWEST))
    assert set(formats.DOWN) == {number + 1 for number in formats.UP}


@pytest.mark.parametrize("number", [0, formats.NEWEST + 1])
def test_another_format_is_refused(number: int) -> None:
    with pytest.raises(StateError, match=rf"a state of format {number}; this version reads formats 1 to 2"):
        formats.read(formats.write(PartitionRecord(), 2), number)


@pytest.mark.parametrize(
    ("record", "number"),
    [(b"\xc1", 1), (msgspec.msgpack.encode([1, 2, 3, 4, {}, 0, [{}, {}, {"phone": [1]}]]), 1), (b"\x01", 2)],
)
def test_a_damaged_record_is_refused(record: bytes, number: int) -> None:
    with pytest.raises(StateError, match="cannot be decoded"):
        formats.read(record, number)
