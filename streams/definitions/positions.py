"""YAML text -> nodes that know where they stand.

Owns everything about YAML: which of it a definition may use (one document, YAML 1.2 scalars, anchors within bounds,
no tags, no merge keys), and the limits that make hostile text harmless: size, depth, and the number of nodes after
every alias is followed. Works on ruamel's events, so nothing is constructed and recursion is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent
from ruamel.yaml.reader import ReaderError

from streams.definitions.faults import Report

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 16
MAX_NODES: Final = 20_000

Scalar = str | int | float | bool | None


@dataclass(slots=True, eq=False)
class Node:
    """One value of the text; lines and columns count from 1."""

    file: str
    line: int
    column: int
    kind: Literal["scalar", "list", "map"]
    scalar: Scalar = None
    text: str = ""
    """A scalar as written, without its quotes."""
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    size: int = 1
    depth: int = 1
    """Size and depth with every alias followed."""

    @property
    def spoken(self) -> str:
        """What it is, for a message."""
        match self.kind, self.scalar:
            case "map", _:
                return "a map"
            case "list", _:
                return "a list"
            case _, None:
                return "nothing"
            case _, bool():
                return f"{self.text}, true or false"
            case _, int() | float():
                return f"the number {self.text}"
            case _:
                return f"the text {_short(self.text)!r}"


@dataclass(frozen=True, slots=True)
class _Place:
    file: str
    line: int
    column: int


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


class _Refused(Exception):  # noqa: N818 - becomes a fault, is never seen as an error
    def __init__(self, place: _Place, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


def read(text: str, file: str, report: Report) -> Node | None:
    """The document's root, or None with faults reported; keys given twice are faults too."""
    start = _Place(file, 1, 1)
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        report.fault(start, f"the file is larger than {MAX_BYTES // 1024} KiB")
        return None
    try:
        return _Builder(file, report).build(text)
    except _Refused as refused:
        report.fault(refused.place, refused.message, refused.hint)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = start if mark is None else _Place(file, mark.line + 1, mark.column + 1)
        hint = "indent with spaces, not tabs" if "\\t" in str(error.problem) else None
        report.fault(place, f"not YAML: {error.problem or error.context}", hint)
    except ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        place = _Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        report.fault(place, f"not YAML: {error.reason}")
    except (YAMLError, ValueError, RecursionError) as error:
        report.fault(start, f"not YAML: {str(error).splitlines()[0] if str(error) else 'it cannot be read'}")
    return None


class _Builder:
    def __init__(self, file: str, report: Report) -> None:
        self._file = file
        self._report = report
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[Node, str | None, list[Node]]] = []
        """Collections not ended yet: node, anchor, children so far (keys and values in turn for a map)."""
        self._count = 0

    def build(self, text: str) -> Node | None:
        root: Node | None = None
        documents = 0
        # Pure: the C parser has other marks, and the text is small.
        for event in YAML(typ="safe", pure=True).parse(text):
            name = type(event).__name__
            if name == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise _Refused(self._place(event), "a second document begins here", "one document to a file")
                continue
            node = self._node(event, name)
            if node is None:
                continue
            if not self._open:
                root = node
            else:
                self._open[-1][2].append(node)
        if root is None or (root.kind == "scalar" and root.scalar is None):
            raise _Refused(_Place(self._file, 1, 1), "the file is empty", "it begins with `version: 1`")
        return root

    def _place(self, event: Any) -> _Place:
        return _Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any, name: str) -> Node | None:
        """A finished node, or None while a collection is open."""
        place = self._place(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, place)
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) not in ("!",):
            raise _Refused(place, f"the tag {_short(str(tag))} is not allowed", "write the plain value")
        if isinstance(event, ScalarEvent):
            plain = event.style is None
            value = _resolved(event.value) if plain else event.value
            node = Node(place.file, place.line, place.column, "scalar", value, event.value)
            return self._kept(node, event.anchor, place)
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            if len(self._open) >= MAX_DEPTH:
                raise _Refused(place, f"nested deeper than {MAX_DEPTH} levels")
            kind: Literal["list", "map"] = "map" if isinstance(event, MappingStartEvent) else "list"
            self._open.append((Node(place.file, place.line, place.column, kind), event.anchor, []))
            return None
        if name in ("MappingEndEvent", "SequenceEndEvent"):
            node, anchor, children = self._open.pop()
            node.size = 1 + sum(child.size for child in children)
            node.depth = 1 + max((child.depth for child in children), default=0)
            if node.kind == "list":
                node.items = children
            else:
                node.pairs = self._pairs(children)
            return self._kept(node, anchor, _Place(node.file, node.line, node.column))
        return None

    def _kept(self, node: Node, anchor: str | None, place: _Place) -> Node:
        self._bounded(node, place)
        self._count += 1
        if self._count > MAX_NODES:
            raise _Refused(place, f"more than {MAX_NODES} values")
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _bounded(self, node: Node, place: _Place) -> None:
        if node.size > MAX_NODES:
            raise _Refused(place, f"more than {MAX_NODES} values once its aliases are followed")
        if node.depth + len(self._open) > MAX_DEPTH + 1:
            raise _Refused(place, f"nested deeper than {MAX_DEPTH} levels")

    def _alias(self, event: Any, place: _Place) -> Node:
        if any(anchor == event.anchor for _, anchor, _ in self._open):
            raise _Refused(place, f"*{event.anchor} refers to what it stands in")
        node = self._anchors.get(event.anchor)
        if node is None:
            raise _Refused(place, f"*{event.anchor} refers to an anchor that is not defined above")
        self._bounded(node, place)
        return node

    def _pairs(self, children: list[Node]) -> list[tuple[Node, Node]]:
        pairs: dict[str, tuple[Node, Node]] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if key.kind != "scalar":
                self._report.fault(key, f"a key is a text, not {key.spoken}")
            elif key.text == "<<":
                self._report.fault(key, "merge keys are not supported", "repeat the keys, or use an alias for a value")
            elif key.text in pairs:
                first = pairs[key.text][0]
                self._report.fault(key, f"{key.text!r} is given twice", f"first in line {first.line}")
            else:
                pairs[key.text] = (key, value)
        return list(pairs.values())


_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _resolved(text: str) -> Scalar:
    """A plain scalar's value by the core schema of YAML 1.2: ``yes``, ``on`` and ``22:00`` are texts."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
