"""A mapping file is read whole, and every fault in it is told with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.definitions.faults import Fault
from streams.tools.replay.mapping import Cell, Constant, Mapping, Row
from streams.tools.replay.mapping_file import MappingFaults, load_mapping, read_mapping
from streams.tools.replay.shipped import find, names

GOOD = """\
version: 1
time: {column: at, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin, sort: true}
rows: {column: user, present: true}
delimiter: ";"
touchpoints:
  - event_id: {row: true, prefix: a-}
    fields:
      customer_id: {column: user, as: id}
      type: {column: event, values: {buy: Order Completed}, otherwise: skip}
      value: {column: price, times: pieces, decimals: 2}
      channel: web
    when: [{column: event, in: [buy, look]}, {column: price, at_least: 0}]
    properties: {path: {columns: [area, page], join: /}}
"""


def faults(text: str) -> list[Fault]:
    with pytest.raises(MappingFaults) as raised:
        read_mapping("m.yaml", text)
    return raised.value.faults


def test_everything_is_read() -> None:
    mapping = read_mapping("m.yaml", GOOD)
    assert mapping.sort
    assert mapping.delimiter == ";"
    template = mapping.touchpoints[0]
    assert template.event_id == Row("a-")
    assert template.fields["channel"] == Constant("web")
    assert template.fields["customer_id"] == Cell(("user",), "id")
    assert [condition.test for condition in template.when] == ["in", "at_least"]
    assert mapping.columns() == {"at", "user", "event", "price", "pieces", "area", "page"}


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("version: 1", "version: 2", "version: 2", "version 2 is not known"),
        ("zone: Europe/Berlin", "zone: Europe/Berlim", "zone:", "unknown time zone 'Europe/Berlim'"),
        ("sort: true", "sort: yes please", "sort:", "time.sort must be true or false"),
        ('"%d.%m.%Y %H:%M"', "german", "format:", "unknown time format 'german'"),
        ("{column: user, present: true}", "{column: user, presnt: true}", "presnt:", "unknown key 'presnt'"),
        ("{column: user, present: true}", "{column: user}", "rows:", "tests nothing"),
        ("customer_id:", "custmer_id:", "custmer_id:", "unknown key 'custmer_id'"),
        ("as: id", "as: it", "as:", "cannot be 'it'"),
        ("otherwise: skip", "otherwise: drop", "otherwise:", "cannot be 'drop'"),
        ("{column: price, times", "{columns: price, row: true, times", "value:", "exactly one of"),
        ("channel: web", "actor: robot", "actor:", "actor cannot be 'robot'"),
        ("at_least: 0", "at_least: much", "at_least:", "must be a number"),
        ("join: /", "times: x", "times: x", "times needs a number"),
        ("{row: true, prefix: a-}", "constant", "event_id:", "event_id cannot be a constant"),
        ('delimiter: ";"', "delimiter: both", "delimiter:", "one character"),
        ('delimiter: ";"', "encoding: utf-99", "encoding:", "unknown encoding"),
    ],
)
def test_faults_have_their_place(old: str, new: str, at: str, says: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new)
    (fault,) = [fault for fault in faults(text) if says in fault.message]
    assert text.splitlines()[fault.line - 1][fault.column - 1 :].startswith(at)


def test_a_misspelt_key_is_guessed() -> None:
    fault = faults(GOOD.replace("customer_id:", "custmer_id:"))[1]
    assert fault.hint == "did you mean 'customer_id'?"
    assert str(fault).startswith("m.yaml:8:7: unknown key")


def test_all_faults_at_once() -> None:
    text = GOOD.replace("version: 1", "version: 7").replace("as: id", "as: x").replace("at_least: 0", "at_least: y")
    assert [fault.line for fault in faults(text)] == [1, 8, 12]


def test_what_is_missing_is_named() -> None:
    messages = [fault.message for fault in faults("touchpoints: [{fields: {channel: web}}]")]
    assert "the file lacks 'version'" in messages
    assert "the file lacks 'time'" in messages
    assert "touchpoints[1] lacks 'event_id'" in messages
    assert "touchpoints[1].fields lacks 'type'" in messages
    assert "neither customer_id nor anonymous_id is mapped" in messages


def test_two_touchpoints_of_a_row_need_two_ids() -> None:
    second = "  - {event_id: {row: true, prefix: a-}, fields: {customer_id: {column: user}, type: page}}\n"
    assert "same event_id" in faults(GOOD + second)[0].message
    assert len(read_mapping("m.yaml", GOOD + second.replace("a-", "b-")).touchpoints) == 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "12", "a: [", "a: b: c", "\x00", "version: 1\nversion: 1\n", "? [a]\n: 1", "- &a 1\n- *a\n", "{1: 2}"],
)
def test_what_is_no_mapping_is_a_fault(text: str) -> None:
    assert faults(text)


def test_aliases_are_not_followed() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert faults(bomb)[0].message == "anchors and aliases are not read"


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abct: {}[]-\n\"'&*?#|>1.\t", max_size=60))
def test_any_text_is_a_mapping_or_has_faults(text: str) -> None:
    try:
        result: Mapping | list[Fault] = read_mapping("m.yaml", text)
    except MappingFaults as error:
        result = error.faults
    assert isinstance(result, Mapping) or result


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MappingFaults, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", names("mapping"))
def test_shipped_mappings_are_right(name: str) -> None:
    assert load_mapping(find(name, "mapping")).touchpoints


def test_a_name_that_is_not_shipped() -> None:
    with pytest.raises(FileNotFoundError, match="ecom, online_retail"):
        find("nothing", "mapping")


@pytest.mark.parametrize(
    "text",
    ["1: 2\n? touchpoints: [{a: b}]\n", "? [a, {b: []}]\n: c\n", "{{a: [b]}: c}\n", "!!set {a, [b]}\n", "!!omap [1]\n"],
)
def test_keys_that_are_no_texts_are_faults(text: str) -> None:
    assert faults(text)
