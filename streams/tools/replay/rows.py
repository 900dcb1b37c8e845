"""Applies a mapping: rows of a CSV file in, touchpoints and refused rows out, streaming.

Owns which rows become what, groups of rows, and what makes a row unusable. A bad row is a value (``Refused``), never an
exception; only a file that cannot be the one the mapping describes (missing columns, another encoding, out of order)
is an error.
"""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, Final, TextIO

import msgspec

from streams.contracts import limits
from streams.contracts.outcomes import OUTCOME_OF
from streams.contracts.touchpoint import Touchpoint
from streams.tools.replay.cells import SKIP, Cells, Getter, Unreadable, getter, test, time_reader
from streams.tools.replay.mapping import Cell, Constant, Group, Mapping, Template

Kept = tuple[Cells, int, int]
"""A row, its number and its time."""
_NO_COMMANDS: Final[frozenset[str]] = frozenset()


class InputError(ValueError):
    """The file as a whole cannot be read; says where and what to do."""


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A row or line that gives no touchpoint."""

    file: str
    row: int
    reason: str
    detail: str
    original: str


class _Maker:
    """A template bound to a header: makes its touchpoint from a row."""

    def __init__(self, template: Template, mapping: Mapping, index: dict[str, int]) -> None:
        def bind(sources: Any) -> list[tuple[str, Getter]]:
            return [
                (name, getter(s, mapping.time, index)) for name, s in sources.items() if not isinstance(s, Constant)
            ]

        def fixed(sources: Any) -> dict[str, Any]:
            return {name: s.value for name, s in sources.items() if isinstance(s, Constant) and s.value is not None}

        self.limits = limits.Limits()
        self.tests = [test(condition, index) for condition in template.when]
        self.event_id = getter(template.event_id, mapping.time, index)
        self.constant_fields, self.fields = fixed(template.fields), bind(template.fields)
        self.maps = [
            (name, fixed(sources), bind(sources), name == "traits")
            for name in ("properties", "traits", "consent")
            if (sources := getattr(template, name))
        ]
        self.group: Group | None = template.group
        if template.group is not None:
            self.by = [index[column] for column in template.group.by]
            self.sums = [(name, getter(source, mapping.time, index)) for name, source in template.group.sums.items()]
        self.decimals = {
            name: source.decimals
            for name, source in (template.group.sums.items() if template.group else ())
            if isinstance(source, Cell) and source.decimals is not None
        }

    def wants(self, row: Cells) -> bool:
        return all(holds(row) for holds in self.tests)

    def make(self, row: Cells, n: int, at: int) -> Touchpoint | None:
        """The touchpoint, or None where a value says skip; raises ``Unreadable``."""
        fields = self.constant_fields.copy()
        for name, get in self.fields:
            value = get(row, n)
            if value is SKIP:
                return None
            if value is not None:
                fields[name] = value
        for name, constants, getters, keep_null in self.maps:
            entries = constants.copy()
            for key, get in getters:
                value = get(row, n)
                if value is SKIP:
                    return None
                if value is not None or keep_null:
                    entries[key] = value
            fields[name] = entries
        fields["event_id"] = self.event_id(row, n) or ""
        fields["type"] = type_ = fields.get("type") or ""
        fields["occurred_at"] = at
        try:
            # The same limits and the same reasons as on the topic.
            limits.check(fields, self.limits, _NO_COMMANDS, "malformed")
        except limits.Refused as refused:
            raise Unreadable(refused.reason, refused.detail) from None
        if type_ in OUTCOME_OF and "outcome" not in fields:
            fields["outcome"] = OUTCOME_OF[type_]
        return Touchpoint(**fields)


class _OpenGroup:
    """Rows that wait for the rest of their group."""

    __slots__ = ("at", "count", "n", "row", "sums")

    def __init__(self, sums: int) -> None:
        self.sums = [0.0] * sums
        self.count = 0

    def add(self, maker: _Maker, row: Cells, n: int, at: int) -> None:
        for position, (_name, get) in enumerate(maker.sums):
            self.sums[position] += get(row, n) or 0.0
        self.count += 1
        self.row, self.n, self.at = row, n, at

    def touchpoint(self, maker: _Maker) -> Touchpoint | None:
        made = maker.make(self.row, self.n, self.at)
        if made is None or maker.group is None:
            return None
        for (name, _get), total in zip(maker.sums, self.sums, strict=True):
            # Sums of decimal fractions drift in the last digits: the mapping says how many decimals it means.
            value = round(total, maker.decimals[name]) if name in maker.decimals else total
            if name == "value":
                made.value = value
            else:
                made.properties = {**(made.properties or {}), name: value}
        for name in maker.group.counts:
            made.properties = {**(made.properties or {}), name: self.count}
        return made


class CsvReader:
    """Iterates over the touchpoints and refused rows of one CSV file.

    ``filtered`` counts the rows that the mapping's filters leave out.
    """

    def __init__(self, stream: TextIO, mapping: Mapping, file: str) -> None:
        self.file = file
        self.mapping = mapping
        self.rows = 0
        self.filtered = 0
        self._reader = csv.reader(stream, delimiter=mapping.delimiter)

    def __iter__(self) -> Iterator[Touchpoint | Refused]:
        header = self._header()
        index = {name.strip().lstrip("\ufeff"): i for i, name in enumerate(header)}
        missing = sorted(self.mapping.columns() - index.keys())
        if missing:
            raise InputError(
                f"{self.file} lacks the columns {', '.join(missing)} that {self.mapping.path} reads; "
                f"it has {', '.join(index) or 'none'}"
            )
        makers = [_Maker(template, self.mapping, index) for template in self.mapping.touchpoints]
        kept: Iterable[Kept | Refused] = self._kept(index, len(header))
        if self.mapping.sort:
            kept = _sorted(kept)
        grouped = any(maker.group is not None for maker in makers)
        return self._grouped(kept, makers) if grouped else self._plain(kept, makers)

    def _header(self) -> Cells:
        try:
            return next(self._reader, [])
        except csv.Error as error:
            raise InputError(f"{self.file}: the header cannot be read: {error}") from None
        except UnicodeDecodeError as error:
            raise self._wrong_encoding(error) from None

    def _wrong_encoding(self, error: UnicodeDecodeError) -> InputError:
        return InputError(
            f"{self.file}: after row {self.rows}: not {self.mapping.encoding} ({error.reason}); "
            f"say its encoding in {self.mapping.path}"
        )

    def _kept(self, index: dict[str, int], width: int) -> Iterator[Kept | Refused]:
        """Rows that pass the filters, with their number and time."""
        tests = [test(condition, index) for condition in self.mapping.rows]
        time = self.mapping.time
        at_column, read_time = index[time.column], time_reader(time.column, time)
        ordered, last = not self.mapping.sort, 0
        while True:
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.rows += 1
                yield Refused(self.file, self.rows, "malformed", str(error), "")
                continue
            except UnicodeDecodeError as error:
                raise self._wrong_encoding(error) from None
            if not row:
                continue
            self.rows = n = self.rows + 1
            if len(row) != width:
                yield self._refused(row, n, "malformed", f"{len(row)} columns, the header has {width}")
                continue
            if not all(holds(row) for holds in tests):
                self.filtered += 1
                continue
            try:
                at = read_time(row[at_column])
            except Unreadable as error:
                yield self._refused(row, n, error.reason, str(error))
                continue
            if at < last and ordered:
                raise InputError(
                    f"{self.file}: row {n} is earlier than the row before it; "
                    f"say time: {{sort: true}} in {self.mapping.path} if the file is not in time order"
                )
            last = at
            yield row, n, at

    def _refused(self, row: Cells, n: int, reason: str, detail: str) -> Refused:
        return Refused(self.file, n, reason, f"row {n}: {detail}", self.mapping.delimiter.join(row))

    def _plain(self, rows: Iterable[Kept | Refused], makers: list[_Maker]) -> Iterator[Touchpoint | Refused]:
        for kept in rows:
            if isinstance(kept, Refused):
                yield kept
                continue
            row, n, at = kept
            for maker in makers:
                if not maker.tests or maker.wants(row):
                    try:
                        made = maker.make(row, n, at)
                    except Unreadable as error:
                        yield self._refused(row, n, error.reason, str(error))
                        continue
                    if made is not None:
                        yield made

    def _grouped(self, rows: Iterable[Kept | Refused], makers: list[_Maker]) -> Iterator[Touchpoint | Refused]:
        """Holds touchpoints back for as long as a group may still grow, so that all leave in the order of time."""
        within = [0 if maker.group is None else maker.group.within_ms for maker in makers]
        longest = max(within)
        held: list[tuple[int, int, Touchpoint | Refused]] = []
        groups: dict[tuple[Any, ...], _OpenGroup] = {}
        sequence = now = 0

        def hold(at: int, item: Touchpoint | Refused | None) -> None:
            nonlocal sequence
            if item is not None:
                sequence += 1
                heapq.heappush(held, (at, sequence, item))

        def close(key: tuple[Any, ...]) -> None:
            group = groups.pop(key)
            try:
                hold(group.at, group.touchpoint(makers[key[0]]))
            except Unreadable as error:
                hold(group.at, self._refused(group.row, group.n, error.reason, str(error)))

        for kept in rows:
            if isinstance(kept, Refused):
                hold(now, kept)
                continue
            row, n, at = kept
            if at != now:
                now = at
                # Few are open (those of the last minutes), in the order of their first rows: equal times are stable.
                for key in [key for key, group in groups.items() if at - group.at > within[key[0]]]:
                    close(key)
                while held and held[0][0] < at - longest:
                    yield heapq.heappop(held)[2]
            for position, maker in enumerate(makers):
                if maker.tests and not maker.wants(row):
                    continue
                try:
                    if maker.group is None:
                        hold(at, maker.make(row, n, at))
                        continue
                    key = (position, *[row[i] for i in maker.by])
                    if key not in groups:
                        groups[key] = _OpenGroup(len(maker.sums))
                    groups[key].add(maker, row, n, at)
                except Unreadable as error:
                    hold(at, self._refused(row, n, error.reason, str(error)))
        for key in list(groups):
            close(key)
        while held:
            yield heapq.heappop(held)[2]


def _sorted(rows: Iterable[Kept | Refused]) -> list[Kept | Refused]:
    """By time, rows of one instant in the order of the file; a refused row stays with the row before it."""
    keyed: list[tuple[int, int, Kept | Refused]] = []
    last = 0
    for sequence, row in enumerate(rows):
        last = last if isinstance(row, Refused) else row[2]
        keyed.append((last, sequence, row))
    keyed.sort(key=itemgetter(0, 1))
    return [row for _, _, row in keyed]
