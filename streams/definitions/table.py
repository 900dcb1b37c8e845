"""Typed reading of one YAML map: every key is taken once, what is left over is unknown.

Owns the plain value types of definitions: texts, names, numbers within bounds, durations, choices, lists. A wrong
value is reported and read as absent, so that reading goes on and finds the next fault.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from streams.definitions.faults import Report, near, near_or_list
from streams.definitions.positions import Node

UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
LONGEST_MS: Final = 3_660 * 86_400_000
"""Ten years; nothing that a journey waits for is longer."""
_DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,6})?(?:ms|[smhdw]))+")
_PART: Final = re.compile(r"([0-9.]+)(ms|[smhdw])")
_LOOSE: Final = re.compile(r"\s*([0-9.]+)\s*(milli|sec|min|hour|hr|day|week)\w*\s*", re.IGNORECASE)
_LOOSE_UNITS: Final = {"milli": "ms", "sec": "s", "min": "m", "hour": "h", "hr": "h", "day": "d", "week": "w"}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MAX_TEXT: Final = 200


def duration_ms(text: str) -> int | None:
    """``1h30m`` -> 5,400,000; None if it is none or not a whole number of milliseconds."""
    if not _DURATION.fullmatch(text):
        return None
    try:
        total = sum(float(number) * UNITS_MS[unit] for number, unit in _PART.findall(text))
    except ValueError:
        return None
    return int(total) if total == int(total) else None


class Table:
    """A map of the definition while it is read; ``what`` names it in messages, ``not_yet`` are keys that are refused as
    not enforced, ``elsewhere`` says of a key where it belongs."""

    def __init__(
        self,
        node: Node,
        report: Report,
        what: str,
        not_yet: Collection[str] = (),
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self.node = node
        self.what = what
        self._report = report
        self._pairs = {key.text: (key, value) for key, value in node.pairs}
        self._taken: set[str] = set()
        self._not_yet = not_yet
        self._elsewhere = elsewhere or {}
        if node.kind != "map":
            report.fault(node, f"{what} is a map of keys, not {node.spoken}")

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def entries(self) -> Iterator[tuple[Node, Node]]:
        """All pairs, for a map whose keys are the owner's names."""
        self._taken.update(self._pairs)
        yield from self._pairs.values()

    def key_place(self, key: str) -> Node:
        """Where the key stands; the map itself if it is missing."""
        return self._pairs[key][0] if key in self._pairs else self.node

    def take(self, key: str) -> Node | None:
        self._taken.add(key)
        pair = self._pairs.get(key)
        if pair is None:
            return None
        if pair[1].kind == "scalar" and pair[1].scalar is None:
            self._report.fault(pair[0], f"{key!r} has no value")
            return None
        return pair[1]

    def need(self, key: str, hint: str | None = None) -> Node | None:
        if key not in self._pairs:
            self._taken.add(key)
            if self.node.kind == "map":
                self._report.fault(self.node, f"{self.what} needs {key!r}", hint)
            return None
        return self.take(key)

    def finish(self) -> None:
        """Reports the keys that nobody has taken."""
        left = [key for name, (key, _) in self._pairs.items() if name not in self._taken]
        for key in left:
            if key.text in self._not_yet:
                self._report.fault(key, f"{key.text!r} is not enforced yet", "remove it: nothing is silently ignored")
            else:
                hint = (
                    self._elsewhere.get(key.text)
                    or near(key.text, self._taken)
                    or near_or_list(key.text, self._taken - set(self._pairs) or self._taken)
                )
                self._report.fault(key, f"{self.what} has no key {key.text!r}", hint)

    def text(self, key: str) -> str | None:
        node = self.take(key)
        return None if node is None else read_text(node, self._report, repr(key))

    def boolean(self, key: str, default: bool) -> bool:
        node = self.take(key)
        if node is None:
            return default
        if node.kind == "scalar" and isinstance(node.scalar, bool):
            return node.scalar
        self._report.fault(node, f"{key!r} is true or false, not {node.spoken}")
        return default

    def number(self, key: str, lowest: float, highest: float) -> float | None:
        node = self.take(key)
        return None if node is None else read_number(node, self._report, repr(key), lowest, highest)

    def integer(self, key: str, lowest: int, highest: int, *, required: bool = False) -> int | None:
        node = self.need(key) if required else self.take(key)
        if node is None:
            return None
        value = read_number(node, self._report, repr(key), lowest, highest)
        if value is not None and value != int(value):
            self._report.fault(node, f"{key!r} is a whole number, not {node.text}")
            return None
        return None if value is None else int(value)

    def duration(self, key: str, *, required: bool = False, lowest_ms: int = 1) -> int | None:
        node = self.need(key) if required else self.take(key)
        return None if node is None else read_duration(node, self._report, repr(key), lowest_ms)

    def choice(self, key: str, allowed: Collection[str], *, required: bool = False) -> str | None:
        node = self.need(key) if required else self.take(key)
        return None if node is None else read_choice(node, self._report, repr(key), allowed)

    def choices(self, key: str, allowed: Collection[str] | None) -> list[tuple[str, Node]]:
        """One text or a list of texts, with their places; none twice."""
        node = self.take(key)
        if node is None:
            return []
        out: dict[str, Node] = {}
        for item in one_or_many(node, self._report, repr(key)):
            value = (
                read_text(item, self._report, repr(key))
                if allowed is None
                else read_choice(item, self._report, repr(key), allowed)
            )
            if value in out:
                self._report.fault(item, f"{value!r} is given twice")
            elif value is not None:
                out[value] = item
        return list(out.items())


def one_or_many(node: Node, report: Report, what: str) -> list[Node]:
    if node.kind == "list" and not node.items:
        report.fault(node, f"{what} is an empty list")
    return node.items if node.kind == "list" else [node]


def read_text(node: Node, report: Report, what: str, limit: int = MAX_TEXT) -> str | None:
    if node.kind != "scalar" or node.scalar is None:
        report.fault(node, f"{what} is a text, not {node.spoken}")
        return None
    if not isinstance(node.scalar, str):
        report.fault(node, f"{what} is a text, not {node.spoken}", f'write "{node.text}" in quotes')
        return None
    if not node.text.strip():
        report.fault(node, f"{what} is empty")
        return None
    if len(node.text) > limit:
        report.fault(node, f"{what} is longer than {limit} characters")
        return None
    return node.text


def read_name(node: Node, report: Report, what: str) -> str | None:
    """The name of something that the owner defines; signals and metrics carry it."""
    text = node.text if node.kind == "scalar" else ""
    if _NAME.fullmatch(text):
        return text
    mended = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_")[:64]
    hint = f"for example {mended!r}" if _NAME.fullmatch(mended) else None
    report.fault(node, f"{what} is a name of letters, digits, _ - . (at most 64), not {node.spoken}", hint)
    return None


def read_number(node: Node, report: Report, what: str, lowest: float, highest: float) -> float | None:
    value = node.scalar
    if node.kind != "scalar" or isinstance(value, bool) or not isinstance(value, int | float):
        report.fault(node, f"{what} is a number, not {node.spoken}")
        return None
    if not math.isfinite(value) or not lowest <= value <= highest:
        report.fault(node, f"{what} is {node.text}, wanted is {lowest:g} to {highest:g}")
        return None
    return float(value)


def read_duration(node: Node, report: Report, what: str, lowest_ms: int = 1) -> int | None:
    hint = "for example 30s, 20m, 1h, 14d"
    if node.kind != "scalar" or not isinstance(node.scalar, str):
        if isinstance(node.scalar, int | float) and not isinstance(node.scalar, bool):
            hint = f"with a unit: {node.text}s, {node.text}m, {node.text}h"
        report.fault(node, f"{what} is a duration, not {node.spoken}", hint)
        return None
    value = duration_ms(node.text)
    if value is None:
        loose = _LOOSE.fullmatch(node.text)
        if loose:
            hint = f"write {loose[1]}{_LOOSE_UNITS[loose[2].lower()]}"
        report.fault(node, f"{node.text!r} is no duration; units are ms, s, m, h, d, w", hint)
        return None
    if not lowest_ms <= value <= LONGEST_MS:
        least = "longer than 0" if lowest_ms <= 1 else f"at least {spoken_ms(lowest_ms)}"
        report.fault(node, f"{what} is {node.text}, wanted is {least} and at most 10 years")
        return None
    return value


def spoken_ms(ms: int) -> str:
    """``5400000`` -> ``90m``: the largest unit that needs no fraction."""
    for unit in ("w", "d", "h", "m", "s"):
        if ms and ms % UNITS_MS[unit] == 0:
            return f"{ms // UNITS_MS[unit]}{unit}"
    return f"{ms}ms"


def read_choice(node: Node, report: Report, what: str, allowed: Collection[str]) -> str | None:
    if node.kind == "scalar" and node.text in allowed and isinstance(node.scalar, str):
        return node.text
    if node.kind != "scalar":
        report.fault(node, f"{what} is one of {', '.join(sorted(allowed))}, not {node.spoken}")
    else:
        hint = near(node.text, allowed) or "known: " + ", ".join(list(allowed)[:20])
        report.fault(node, f"{what} cannot be {node.text!r}", hint)
    return None
