"""Parses settings: kinds of values, the environment, the file; collects every fault before anything is refused.

Owns how a text becomes a value and what is said when it does not. The settings themselves are in ``settings.py``.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
UNITS_BYTES: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
FLAGS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
TESTS: Final = "TEST_"
"""Variables of the test suite share the prefix and are no settings."""


class Secret:
    """A text that is never printed by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class SettingsError(Exception):
    """Everything that is wrong with the settings."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """How a setting is read: its parser (raises ValueError), what is expected in words, what it means."""

    parse: Callable[[str], Any]
    expected: str
    meaning: str
    duration: bool = False
    hidden: bool = False


def _field(default: Any, kind: Kind) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind})


def milliseconds(text: str) -> int:
    """``2s``, ``500ms``, ``1h``, ``1m30s`` -> ms."""
    stripped = text.replace(" ", "")
    parts = re.findall(r"(\d+)(ms|[smhd])", stripped)
    if not parts or "".join(n + u for n, u in parts) != stripped:
        raise ValueError("no duration")
    return sum(int(n) * UNITS_MS[u] for n, u in parts)


def duration_text(ms: int) -> str:
    for unit in ("d", "h", "m", "s"):
        if ms and ms % UNITS_MS[unit] == 0:
            return f"{ms // UNITS_MS[unit]}{unit}"
    return f"{ms}ms"


def bytes_of(text: str) -> int:
    """``512``, ``64KiB``, ``1MiB``, ``2GiB`` -> bytes; ValueError for what is none."""
    match = re.fullmatch(r"(\d+)\s*([KMG]iB|B|)", text.strip())
    if not match or int(match[1]) == 0:
        raise ValueError("no size")
    return int(match[1]) * UNITS_BYTES[match[2]]


def _within(least: float, most: float, read: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = read(text)
        if not least <= value <= most:
            raise ValueError("out of range")
        return value

    return parse


def text(default: str | None, meaning: str) -> Any:
    return _field(default, Kind(str.strip, "a text", meaning))


def secret(meaning: str) -> Any:
    return _field(None, Kind(Secret, "a text", meaning, hidden=True))


def path(meaning: str, default: Path | None = None) -> Any:
    if default is not None:
        return _field(default, Kind(Path, "a path", meaning))

    def parse(value: str) -> Path:
        found = Path(value)
        if not found.is_file():
            raise ValueError("no such file")
        return found

    return _field(None, Kind(parse, "the path of a file that exists", meaning))


def flag(default: bool, meaning: str) -> Any:
    return _field(default, Kind(lambda t: FLAGS[t.strip().lower()], "true or false", meaning))


def choice(default: str, among: tuple[str, ...], meaning: str) -> Any:
    by_name = {name.lower(): name for name in among}
    return _field(default, Kind(lambda t: by_name[t.strip().lower()], "one of " + ", ".join(among), meaning))


def count(default: int, meaning: str) -> Any:
    return _field(default, Kind(_within(1, 10_000_000, int), "a whole number from 1 to 10000000", meaning))


def whole(default: int, least: int, most: int, meaning: str) -> Any:
    return _field(default, Kind(_within(least, most, int), f"a whole number from {least} to {most}", meaning))


def port(default: int, meaning: str) -> Any:
    return _field(default, Kind(_within(0, 65_535, int), "a port, 0 to 65535 (0: any that is free)", meaning))


def share(default: float, meaning: str) -> Any:
    return _field(default, Kind(_within(0, 1, float), "a number from 0 to 1", meaning))


def size(default: str, meaning: str) -> Any:
    return _field(bytes_of(default), Kind(bytes_of, "a size such as 64KiB or 1MiB", meaning))


def moment(default: str, words: tuple[str, ...], meaning: str) -> Any:
    """A word or a time with its zone; kept as text, ``moment_ms`` reads it."""

    def parse(value: str) -> str:
        if value.strip() not in words:
            moment_ms(value)
        return value.strip()

    return _field(default, Kind(parse, " or ".join((*words, "a time such as 2026-01-31T08:00:00Z")), meaning))


def moment_ms(value: str) -> int:
    """ISO 8601 with a zone -> ms since 1970."""
    found = datetime.fromisoformat(value.strip())
    if found.tzinfo is None:
        raise ValueError("no time zone")
    return int(found.timestamp() * 1000)


def duration(default: str, meaning: str, *, least: str) -> Any:
    parse = _within(milliseconds(least), 10 * UNITS_MS["d"], milliseconds)
    return _field(
        milliseconds(default),
        Kind(parse, f"a duration such as 500ms, 2s or 5m, at least {least}", meaning, duration=True),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a setting lives: the group's attribute ("" for the top), its own attribute, its kind."""

    group: str
    attribute: str
    kind: Kind
    default: Any

    @property
    def name(self) -> str:
        own = self.attribute.removesuffix("_ms") if self.kind.duration else self.attribute
        return f"{self.group}.{own}" if self.group else own


def places(settings: type[Any]) -> dict[str, _Place]:
    """Dotted name -> place, in order of declaration."""
    found: dict[str, _Place] = {}
    for entry in dataclasses.fields(settings):
        if entry.default_factory is not dataclasses.MISSING:
            for inner in dataclasses.fields(entry.default_factory()):
                place = _Place(entry.name, inner.name, inner.metadata["kind"], inner.default)
                found[place.name] = place
        else:
            place = _Place("", entry.name, entry.metadata["kind"], entry.default)
            found[place.name] = place
    return found


def variable(name: str, prefix: str) -> str:
    return prefix + name.replace(".", "_").upper()


def shown(place: _Place, value: Any) -> str:
    if value is None or value == "":
        return "-"
    if place.kind.duration:
        return duration_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, Secret) else without_credentials(str(value))


def without_credentials(text: str) -> str:
    """A text whose addresses have lost their user and password."""
    return re.sub(r"(?<=://)[^/\s]*@", "(hidden)@", text)


def printed(settings: Any, prefix: str) -> dict[str, str]:
    lines = {}
    for name, place in places(type(settings)).items():
        holder = getattr(settings, place.group) if place.group else settings
        lines[variable(name, prefix)] = shown(place, getattr(holder, place.attribute))
    return lines


def reference(settings: type[Any], prefix: str) -> list[tuple[str, str, str, str]]:
    """(variable, what is expected, default, meaning) of every setting, for the documentation."""
    return [
        (variable(name, prefix), place.kind.expected, shown(place, place.default), place.kind.meaning)
        for name, place in places(settings).items()
    ]


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _file_values(file: Path, known: Mapping[str, _Place], faults: list[str]) -> dict[str, tuple[str, str]]:
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{file}: cannot be read: {error}")
        return {}
    try:
        if file.suffix == ".toml":
            tree: Any = tomllib.loads(content)
        elif file.suffix in (".yaml", ".yml"):
            from ruamel.yaml import YAML  # noqa: PLC0415 - only where it is needed

            tree = YAML(typ="safe", pure=True).load(content) or {}
        else:
            faults.append(f"{file}: expected a file that ends in .toml, .yaml or .yml")
            return {}
    except Exception as error:  # whatever the parsers raise is a fault of the file
        faults.append(f"{file}: {str(error).splitlines()[0]}")
        return {}
    if not isinstance(tree, dict):
        faults.append(f"{file}: expected settings by name")
        return {}
    values: dict[str, tuple[str, str]] = {}
    flat = {}
    for key, value in tree.items():
        flat.update(
            {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {str(key): value}
        )
    for name, value in flat.items():
        if name not in known:
            faults.append(f"{file}: {name} is no setting{_nearest(name, list(known))}")
        elif isinstance(value, dict | list):
            faults.append(f"{file}: {name}: expected {known[name].kind.expected}")
        elif value is not None:
            values[name] = (str(value), f"{file}: {name}")
    return values


def gather(
    settings: type[T],
    *,
    environment: Mapping[str, str],
    file: Path | None,
    options: Mapping[str, Any],
    prefix: str,
    reserved: Sequence[str],
) -> tuple[T, list[str]]:
    """The settings, with the default wherever a value was refused, and the faults."""
    known = places(settings)
    faults: list[str] = []
    given: dict[str, tuple[str, str]] = _file_values(file, known, faults) if file else {}
    by_variable = {variable(name, prefix): name for name in known}
    for key, value in environment.items():
        if not key.startswith(prefix) or key in reserved or key.startswith(prefix + TESTS):
            continue
        if key in by_variable:
            given[by_variable[key]] = (value, key)
        elif (
            key.endswith("_FILE")
            and known.get(name := by_variable.get(key.removesuffix("_FILE"), ""))
            and known[name].kind.hidden
        ):
            try:
                given[name] = (Path(value).read_text(encoding="utf-8").strip(), key)
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{key}: cannot be read: {error}")
        else:
            faults.append(f"{key} is no setting{_nearest(key, list(by_variable))}")
    for name, value in options.items():
        if value is not None:
            given[name] = (str(value), f"option for {name}")
    groups: dict[str, dict[str, Any]] = {}
    for name, (value, where) in given.items():
        place = known[name]
        try:
            groups.setdefault(place.group, {})[place.attribute] = place.kind.parse(value)
        except (ValueError, KeyError):
            quoted = "the value" if place.kind.hidden else repr(value)
            faults.append(f"{where}: {quoted} is not accepted; expected {place.kind.expected}")
    top = groups.pop("", {})
    factories: dict[str, Any] = {e.name: e.default_factory for e in dataclasses.fields(settings)}  # type: ignore[arg-type]  # a dataclass
    for group, values in groups.items():
        top[group] = factories[group](**values)
    return settings(**top), faults
