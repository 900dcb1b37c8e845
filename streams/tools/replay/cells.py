"""Reads single cells: a source or a condition of a mapping, bound to the columns of a header, as a function.

Owns how texts become numbers, times, ids and truth. What cannot be read is ``Unreadable``, which ``rows`` turns into
a refused row.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from streams.tools.replay.mapping import Cell, Condition, Constant, Kind, Row, Source, TimeColumn

Cells = list[str]
Getter = Callable[[Cells, int], Any]

SKIP: Final = object()
"""A cell's value that lets its template say nothing for this row."""
TRUE: Final = frozenset({"true", "t", "yes", "y", "1"})
FALSE: Final = frozenset({"false", "f", "no", "n", "0"})
LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""


class Unreadable(Exception):  # noqa: N818 - not an error: caught a row later and turned into a value
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def time_reader(column: str, time: TimeColumn) -> Callable[[str], int]:
    zone, fmt = ZoneInfo(time.zone), time.format
    known: dict[str, int] = {}

    def read(text: str) -> int:
        found = known.get(text)
        if found is not None:
            return found
        try:
            if fmt == "epoch_ms":
                ms = int(text)
            elif fmt == "epoch_s":
                ms = round(float(text) * 1000)
            else:
                at = datetime.fromisoformat(text) if fmt == "iso" else datetime.strptime(text, fmt)
                if at.tzinfo is None:
                    at = at.replace(tzinfo=zone)
                ms = round(at.timestamp() * 1000)
        except (ValueError, OverflowError):
            raise Unreadable("bad_time", f"column {column}: {text[:40]!r} is no time of the format {fmt}") from None
        if not 0 <= ms <= LAST_MS:
            raise Unreadable("bad_time", f"column {column}: {text[:40]!r} is before 1970 or after 9999")
        if len(known) >= 100_000:  # bounded: exports repeat times, a file without repeats gains nothing
            known.clear()
        known[text] = ms
        return ms

    return read


def _converter(cell: Cell, time: TimeColumn) -> Callable[[str], Any]:
    """Text of a cell (not empty) to its value."""
    name = ", ".join(cell.columns)

    def unreadable(text: str, wanted: str) -> Unreadable:
        return Unreadable("malformed", f"column {name}: {text[:40]!r} is not {wanted}")

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise unreadable(text, "a number") from None
        if value - value != 0.0:  # infinity and NaN are not in JSON, nor are they amounts
            raise unreadable(text, "a finite number")
        return value

    def identifier(text: str) -> str:
        whole, dot, rest = text.partition(".")
        return whole if dot and whole.lstrip("-").isdigit() and not rest.strip("0") else text

    def boolean(text: str) -> bool:
        lower = text.lower()
        if lower not in TRUE and lower not in FALSE:
            raise unreadable(text, "true or false")
        return lower in TRUE

    converters: dict[Kind, Callable[[str], Any]] = {
        "text": str,
        "id": identifier,
        "number": number,
        "integer": number,  # rounded after times and scale
        "boolean": boolean,
        "time": time_reader(name, time),
    }
    return converters[cell.kind]


def getter(source: Source, time: TimeColumn, index: dict[str, int]) -> Getter:
    """A source bound to the columns of a header."""
    if isinstance(source, Constant):
        constant = source.value
        return lambda _row, _n: constant
    if isinstance(source, Row):
        row_prefix = source.prefix
        return lambda _row, n: f"{row_prefix}{n}"
    if len(source.columns) > 1:
        positions, join, prefix = [index[c] for c in source.columns], source.join, source.prefix
        trimmed = Cell(source.columns, "id") if source.kind == "id" else Cell(source.columns)
        part = _converter(trimmed, time)
        return lambda row, _n: prefix + join.join([part(row[i]) for i in positions])
    return _column_getter(source, time, index)


def _column_getter(cell: Cell, time: TimeColumn, index: dict[str, int]) -> Getter:
    i = index[cell.columns[0]]
    convert = _converter(cell, time)
    if cell.values is not None:
        return _values_getter(cell, i, convert)
    if cell.kind in ("number", "integer"):
        return _number_getter(cell, i, convert, time, index)
    prefix = cell.prefix
    if cell.kind == "text" and not prefix:
        return lambda row, _n: row[i] or None
    if prefix:
        return lambda row, _n: prefix + str(convert(row[i])) if row[i] else None
    return lambda row, _n: convert(row[i]) if row[i] else None


def _values_getter(cell: Cell, i: int, convert: Callable[[str], Any]) -> Getter:
    values, otherwise = cell.values, cell.otherwise
    assert values is not None  # noqa: S101 - narrows for the type checker

    def get(row: Cells, _n: int) -> Any:
        raw = row[i]
        if raw in values:
            return values[raw]
        if otherwise == "skip":
            return SKIP
        if otherwise == "none" or not raw:
            return None
        return convert(raw)

    return get


def _number_getter(
    cell: Cell, i: int, convert: Callable[[str], Any], time: TimeColumn, index: dict[str, int]
) -> Getter:
    times = None if cell.times is None else index[cell.times]
    factor = None if cell.times is None else _converter(Cell((cell.times,), "number"), time)
    scale, decimals, whole = cell.scale, cell.decimals, cell.kind == "integer"

    def get(row: Cells, _n: int) -> Any:
        if not row[i]:
            return None
        value = convert(row[i]) * scale
        if times is not None and factor is not None:
            if not row[times]:
                return None
            value *= factor(row[times])
        if whole:
            return round(value)
        return value if decimals is None else round(value, decimals)

    return get


def test(condition: Condition, index: dict[str, int]) -> Callable[[Cells], bool]:
    i, argument = index[condition.column], condition.argument

    def number(row: Cells) -> float | None:
        try:
            return float(row[i])
        except ValueError:
            return None  # what is no number is neither above nor below

    tests: dict[str, Callable[[Cells], bool]] = {
        "is": lambda row: row[i] == argument,
        "is_not": lambda row: row[i] != argument,
        "in": lambda row: row[i] in argument,
        "not_in": lambda row: row[i] not in argument,
        "starts_with": lambda row: row[i].startswith(argument),
        "not_starts_with": lambda row: not row[i].startswith(argument),
        "present": lambda row: bool(row[i]) is argument,
        "above": lambda row: (x := number(row)) is not None and x > argument,
        "below": lambda row: (x := number(row)) is not None and x < argument,
        "at_least": lambda row: (x := number(row)) is not None and x >= argument,
        "at_most": lambda row: (x := number(row)) is not None and x <= argument,
    }
    return tests[condition.test]
