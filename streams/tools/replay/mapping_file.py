"""Reads a mapping file: YAML to ``Mapping``, or every fault in it with file, line and column.

Owns the keys a mapping file may have (docs/replay.md lists them) and the messages about wrong ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.tokens import AliasToken, AnchorToken

from streams.contracts.touchpoint import ACTORS, OUTCOMES
from streams.definitions.faults import DefinitionFaults, Fault, near_or_list
from streams.tools.replay.mapping import (
    FIELDS,
    KINDS,
    OTHERWISE,
    Cell,
    Condition,
    Constant,
    Group,
    Kind,
    Mapping,
    Row,
    Source,
    Template,
    TimeColumn,
)

MAX_BYTES: Final = 256 * 1024
UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
TESTS: Final = (
    "is", "is_not", "in", "not_in", "starts_with", "not_starts_with", "present", "above", "below", "at_least", "at_most"
)  # fmt: skip
CLOSED: Final[dict[str, frozenset[str]]] = {
    "actor": ACTORS,
    "outcome": OUTCOMES,
    "survey": frozenset({"nps", "csat", "ces"}),
}
"""Fields whose constants and mapped values must be of a known vocabulary."""


class MappingFaults(DefinitionFaults):
    """Everything that is wrong with a mapping file."""


class _Place(NamedTuple):
    """A value of the file and where it stands."""

    value: Any
    line: int
    column: int
    name: str


class _Reader:
    """Walks the tree, gathers faults, and returns what can be read in spite of them."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []

    def fault(self, place: _Place, message: str, hint: str = "") -> None:
        self.faults.append(Fault(self.file, place.line, place.column, message, hint))

    def keys(self, place: _Place, known: Iterable[str], required: Iterable[str] = ()) -> dict[str, _Place]:
        """The entries of a map; unknown and missing keys are faults."""
        if not isinstance(place.value, CommentedMap):
            self.fault(place, f"{place.name} must be a map, not {_kind(place.value)}")
            return {}
        known = list(known)
        found = {}
        for key in place.value:
            line, column = place.value.lc.key(key)
            entry = _Place(place.value[key], line + 1, column + 1, f"{place.name}.{key}" if place.name else str(key))
            if known and key not in known:
                where = f" in {place.name}" if place.name else ""
                self.fault(entry, f"unknown key {key!r}{where}", near_or_list(str(key), known))
                continue
            if not isinstance(key, str):
                self.fault(entry, f"the key {key!r} must be a text", "put it in quotes")
                continue
            found[key] = entry
        for key in required:
            if key not in found:
                self.fault(place, f"{place.name or 'the file'} lacks {key!r}")
        return found

    def items(self, place: _Place) -> list[_Place]:
        """The entries of a list; a single value counts as a list of one."""
        if not isinstance(place.value, CommentedSeq):
            return [place]
        found = []
        for index, value in enumerate(place.value):
            line, column = place.value.lc.item(index)
            found.append(_Place(value, line + 1, column + 1, f"{place.name}[{index + 1}]"))
        return found

    def text(self, place: _Place | None, default: str = "") -> str:
        if place is None:
            return default
        if not isinstance(place.value, str) or not place.value:
            self.fault(place, f"{place.name} must be a text, not {_kind(place.value)}")
            return default
        return str(place.value)

    def texts(self, place: _Place) -> tuple[str, ...]:
        return tuple(self.text(item) for item in self.items(place))

    def number(self, place: _Place) -> float:
        if isinstance(place.value, bool) or not isinstance(place.value, (int, float)):
            self.fault(place, f"{place.name} must be a number, not {_kind(place.value)}")
            return 0.0
        return float(place.value)

    def choice(self, place: _Place, known: Iterable[str]) -> Any:
        known = tuple(known)
        if place.value not in known:
            self.fault(place, f"{place.name} cannot be {place.value!r}", near_or_list(str(place.value), known))
            return known[0]
        return place.value

    # What the keys mean

    def mapping(self, root: _Place) -> Mapping | None:
        known = ("version", "time", "rows", "touchpoints", "delimiter", "encoding")
        keys = self.keys(root, known, ("version", "time", "touchpoints"))
        if "version" in keys and keys["version"].value != 1:
            self.fault(keys["version"], f"version {keys['version'].value!r} is not known", "version: 1")
        time, sort = TimeColumn(""), False
        if "time" in keys:
            time, sort = self.time(keys["time"])
        rows = self.conditions(keys.get("rows"))
        templates = []
        if "touchpoints" in keys:
            places = self.items(keys["touchpoints"])
            templates = [self.template(place) for place in places]
            seen: dict[Source, int] = {}
            for index, (place, template) in enumerate(zip(places, templates, strict=True)):
                if not isinstance(template.event_id, Cell) or template.event_id.values is None:
                    if template.event_id in seen:
                        other = seen[template.event_id] + 1
                        message = f"{place.name} makes the same event_id as touchpoints[{other}]"
                        self.fault(place, message, "give one of them another prefix: the second would be a duplicate")
                    seen[template.event_id] = index
        delimiter = self.text(keys.get("delimiter"), ",")
        if len(delimiter) != 1:
            self.fault(keys["delimiter"], "delimiter must be one character")
        encoding = self.text(keys.get("encoding"), "utf-8")
        try:
            "".encode(encoding)
        except LookupError:
            self.fault(keys["encoding"], f"unknown encoding {encoding!r}")
        if self.faults:
            return None
        return Mapping(self.file, time, tuple(templates), sort, rows, delimiter, encoding)

    def time(self, place: _Place) -> tuple[TimeColumn, bool]:
        keys = self.keys(place, ("column", "format", "zone", "sort"), ("column",))
        zone = self.text(keys.get("zone"), "UTC")
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            self.fault(keys["zone"], f"unknown time zone {zone!r}", "an IANA name such as Europe/London")
        fmt = self.text(keys.get("format"), "iso")
        if "%" not in fmt and fmt not in ("iso", "epoch_s", "epoch_ms"):
            self.fault(keys["format"], f"unknown time format {fmt!r}", "iso, epoch_s, epoch_ms or one of strptime")
        sort = keys.get("sort")
        if sort is not None and not isinstance(sort.value, bool):
            self.fault(sort, "time.sort must be true or false")
        return TimeColumn(self.text(keys.get("column")), fmt, zone), bool(sort is not None and sort.value)

    def conditions(self, place: _Place | None) -> tuple[Condition, ...]:
        if place is None:
            return ()
        found = []
        for item in self.items(place):
            keys = self.keys(item, ("column", *TESTS), ("column",))
            column = self.text(keys.get("column"))
            if keys and len(keys) == 1 and "column" in keys:
                self.fault(item, f"{item.name} tests nothing", f"one of {', '.join(TESTS)}")
            for test, argument in keys.items():
                if test != "column":
                    found.append(Condition(column, test, self.argument(test, argument)))  # type: ignore[arg-type]  # a key of TESTS
        return tuple(found)

    def argument(self, test: str, place: _Place) -> Any:
        if test in ("above", "below", "at_least", "at_most"):
            return self.number(place)
        if test == "present":
            if not isinstance(place.value, bool):
                self.fault(place, f"{place.name} must be true or false")
            return place.value
        if test in ("in", "not_in"):
            return frozenset(str(item.value) for item in self.items(place))
        return str(place.value)

    def template(self, place: _Place) -> Template:
        known = ("event_id", "fields", "when", "properties", "traits", "consent", "group")
        keys = self.keys(place, known, ("event_id", "fields"))
        event_id: Source = Row()
        if "event_id" in keys:
            event_id = self.source(keys["event_id"], "id")
            if isinstance(event_id, Constant):
                self.fault(keys["event_id"], "event_id cannot be a constant", "{row: true} or {columns: [...]}")
        fields = {}
        if "fields" in keys:
            for name, entry in self.keys(keys["fields"], FIELDS, ("type",)).items():
                fields[name] = self.source(entry, FIELDS[name])
                self.vocabulary(name, entry, fields[name])
            if keys["fields"].value and not {"customer_id", "anonymous_id"} & set(keys["fields"].value):
                self.fault(keys["fields"], "neither customer_id nor anonymous_id is mapped", "one is required")
        parts = {
            part: {name: self.source(entry, kind) for name, entry in self.keys(keys[part], ()).items()}
            for part, kind in (("properties", "text"), ("traits", "text"), ("consent", "boolean"))
            if part in keys
        }
        group = self.group(keys["group"]) if "group" in keys else None
        when = self.conditions(keys.get("when"))
        return Template(event_id, fields, when, group=group, **parts)

    def vocabulary(self, name: str, place: _Place, source: Source) -> None:
        known = CLOSED.get(name)
        if known is None:
            return
        values = [source.value] if isinstance(source, Constant) else []
        if isinstance(source, Cell) and source.values is not None:
            values = [v for v in source.values.values() if v is not None]
        for value in values:
            if value not in known:
                self.fault(place, f"{name} cannot be {value!r}", f"known: {', '.join(sorted(known))}")

    def group(self, place: _Place) -> Group:
        keys = self.keys(place, ("by", "within", "sums", "counts"), ("by",))
        by = self.texts(keys["by"]) if "by" in keys else ()
        within = 0
        if "within" in keys:
            match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", str(keys["within"].value))
            if match is None:
                self.fault(keys["within"], f"bad duration {keys['within'].value!r}", "a number and ms, s, m, h or d")
            else:
                within = int(match[1]) * UNITS_MS[match[2]]
        sums = {}
        if "sums" in keys:
            sums = {name: self.source(entry, "number") for name, entry in self.keys(keys["sums"], ()).items()}
        counts = self.texts(keys["counts"]) if "counts" in keys else ()
        return Group(by, within, sums, counts)

    def source(self, place: _Place, kind: Any) -> Source:
        """A constant, ``{row: true}``, or a map that names a column."""
        if not isinstance(place.value, CommentedMap):
            if isinstance(place.value, CommentedSeq):
                self.fault(place, f"{place.name} must be a value or a map with a column")
            return Constant(place.value)
        keys = self.keys(
            place,
            ("column", "columns", "row", "constant", "as", "join", "prefix", "values", "otherwise", "times", "scale",
             "decimals"),
        )  # fmt: skip
        origins = [key for key in ("column", "columns", "row", "constant") if key in keys]
        if len(origins) != 1:
            self.fault(place, f"{place.name} needs exactly one of column, columns, row, constant")
            return Constant(None)
        if "constant" in keys:
            return Constant(keys["constant"].value)
        prefix = self.text(keys.get("prefix"))
        if "row" in keys:
            return Row(prefix)
        columns = self.texts(keys[origins[0]])
        as_: Kind = self.choice(keys["as"], KINDS) if "as" in keys else kind
        values = None
        if "values" in keys:
            values = {name: entry.value for name, entry in self.keys(keys["values"], ()).items()}
        numeric = as_ in ("number", "integer")
        for key in ("times", "scale", "decimals"):
            if key in keys and not numeric:
                self.fault(keys[key], f"{key} needs a number, and {place.name} is read as {as_}", "as: number")
        return Cell(
            columns,
            as_,
            self.text(keys.get("join"), "-"),
            prefix,
            None if values is None else _Values(values),
            self.choice(keys["otherwise"], OTHERWISE) if "otherwise" in keys else "keep",
            self.text(keys.get("times")) or None,
            self.number(keys["scale"]) if "scale" in keys else 1.0,
            int(self.number(keys["decimals"])) if "decimals" in keys else None,
        )


class _Values(dict[str, Any]):
    """The values of a cell; hashable by identity, so that a source that has some can be compared and kept."""

    def __hash__(self) -> int:  # type: ignore[override]  # never changed after it is read
        return id(self)


def _kind(value: object) -> str:
    names: list[tuple[type, str]] = [(bool, "true or false"), (str, "a text"), (int, "a number"), (float, "a number")]
    names += [(CommentedMap, "a map"), (CommentedSeq, "a list"), (type(None), "empty")]
    return next((name for type_, name in names if isinstance(value, type_)), type(value).__name__)


def read_mapping(file: str, text: str) -> Mapping:
    """The mapping that a text states; raises ``MappingFaults``."""
    if len(text) > MAX_BYTES:
        raise MappingFaults([Fault(file, 1, 1, f"larger than {MAX_BYTES // 1024} KiB: not a mapping")])
    yaml = YAML(typ="rt")
    scan: Callable[[str], Iterable[Any]] = yaml.scan
    loader: Callable[[str], Any] = yaml.load
    try:
        for token in scan(text):
            # An alias could multiply what has to be read; no mapping needs one.
            if isinstance(token, (AliasToken, AnchorToken)):
                at = token.start_mark
                raise MappingFaults([Fault(file, at.line + 1, at.column + 1, "anchors and aliases are not read")])
        tree = loader(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise MappingFaults([Fault(file, line, column, str(error.problem or error.context))]) from None
    except MappingFaults:
        raise
    except Exception as error:  # also what the loader lets out, as for a map that is a key
        raise MappingFaults([Fault(file, 1, 1, f"not YAML that can be read: {error}")]) from None
    reader = _Reader(file)
    mapping = reader.mapping(_Place(tree, 1, 1, ""))
    if mapping is None:
        raise MappingFaults(sorted(reader.faults, key=lambda fault: (fault.line, fault.column)))
    return mapping


def load_mapping(path: Path) -> Mapping:
    """The mapping in a file; raises ``MappingFaults``, also for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(4 * MAX_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingFaults([Fault(str(path), 1, 1, f"cannot be read: {error}")]) from None
    return read_mapping(path.name, text)
