"""River objects as bytes: the same object always gives the same bytes, and nothing but River comes out of them.

Owns the format: a table of nodes, one for each container or object, in MessagePack. A node says of what class an object
is and what it holds; nothing in it is executed, and reading does no more than make objects of classes that are on the
lists below and give them their attributes. It is no pickle: pickles run what they name. Bytes are read only after their
signature was found right (``snapshots.py``, ``learner.py``); the lists are the second fence, not the first.

Equal texts and numbers are written by value, and sets are sorted: which of two equal texts are one object, and in
which order a set was filled, depends on the history of the process. So a learner that was stored and read back gives,
label by label, the bytes of one that never stopped. A distribution of River carries a random source of its own, not
seeded and 2.5 kB large, from which only its ``sample`` draws, which nothing here calls: it is left out.
"""

from __future__ import annotations

import copyreg
import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

import msgspec
import river
from river.proba.base import Distribution

FORMAT: Final = 2
PLAIN_MAX_BYTES: Final = 256 * 1024 * 1024
"""Of the nodes, unpacked: a small record cannot fill the memory."""
PACKAGES: Final = (
    "river._river_rust", "river.compose", "river.drift", "river.forest", "river.linear_model", "river.metrics",
    "river.naive_bayes", "river.neighbors", "river.optim", "river.preprocessing", "river.proba", "river.stats",
    "river.tree", "river.utils",
)  # fmt: skip
"""What pipelines and detectors are made of. Nothing in them opens a file, a socket or a process."""
OTHERS: Final = frozenset(
    {
        ("builtins", "object"), ("collections", "Counter"), ("collections", "OrderedDict"),
        ("collections", "defaultdict"), ("collections", "deque"), ("functools", "partial"), ("random", "Random"),
        ("streams.learner.pipelines", "Settling"),
    }
)  # fmt: skip
NAMED: Final = frozenset(
    {
        ("builtins", "bool"), ("builtins", "dict"), ("builtins", "float"), ("builtins", "int"), ("builtins", "list"),
        ("builtins", "set"), ("river.naive_bayes.gaussian", "GaussianNB._make_gaussian"),
        ("river._river_rust.vectordict", "euclidean_distance_tuple"),
    }
)  # fmt: skip
"""Held by objects, as what makes a missing value for example; never called in reading. Reviewed one by one: they
compute and nothing else."""
METHODS: Final = frozenset({"_test_increase", "_test_decrease", "_test_both"})
"""Bound methods that an object keeps: those of PageHinkley."""

_LIST, _TUPLE, _SET, _FROZENSET, _DICT, _NAME, _METHOD, _OBJECT = range(8)
_CONTAINERS: Final = frozenset({_LIST, _TUPLE, _SET, _FROZENSET, _DICT})
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
_FUNCTIONS: Final = (type, FunctionType, BuiltinFunctionType)


class Unreadable(ValueError):  # noqa: N818 - an answer about data
    """Bytes that this version cannot read; ``reason`` is malformed, foreign or newer."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _found(module: str, name: str) -> Any:
    """The class or function of that name. Raises ``Unreadable`` for whatever is not on the lists. What is merely
    imported by a module of River has another ``__module__`` and is refused with the rest."""
    listed = (module, name) in OTHERS or (module, name) in NAMED
    if listed or ("." not in name and any(_within(module, package) for package in PACKAGES)):
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if listed or (isinstance(found, type) and any(_within(found.__module__, package) for package in PACKAGES)):
            return found
    raise _foreign(f"{module}.{name}")


def _foreign(what: str) -> Unreadable:
    return Unreadable("foreign", f"{what} has no place in a model")


def _method(owner: Any, name: str) -> Any:
    if name not in METHODS or not _within(type(owner).__module__, "river.drift"):
        raise _foreign(f"{type(owner).__name__}.{name}")
    return getattr(owner, name)


def _rank(item: Any) -> tuple[str, str]:
    return type(item).__name__, repr(item)


class _Writer:
    """A thing as nodes. A plain value stands where it is used; all else is a node, and ``[its number]`` where it is."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], int] = {}
        self.nodes: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._things: list[Any] = []
        """Kept, so that no two of them have the same id."""

    def write(self, thing: Any) -> None:
        self._value(thing)
        for each in self._things:  # it grows meanwhile
            self.nodes.append(self._node(each))

    def _value(self, thing: Any) -> Any:
        if type(thing) in _PLAIN:
            return thing
        number = self._numbers.get(id(thing))
        if number is None:
            number = self._numbers[id(thing)] = len(self._things)
            self._things.append(thing)
        return [number]

    def _node(self, thing: Any) -> list[Any]:
        kind, value = type(thing), self._value
        if kind is list:
            return [_LIST, [value(item) for item in thing]]
        if kind is dict:
            return [_DICT, [value(part) for pair in thing.items() for part in pair]]
        if kind is tuple:
            return [_TUPLE, [value(item) for item in thing]]
        if kind is set or kind is frozenset:
            return [_SET if kind is set else _FROZENSET, [value(item) for item in sorted(thing, key=_rank)]]
        if isinstance(thing, MethodType) and not isinstance(thing.__self__, type):
            _method(thing.__self__, thing.__name__)
            return [_METHOD, value(thing.__self__), thing.__name__]
        if isinstance(thing, _FUNCTIONS):
            return [_NAME, self._name(thing)]
        return self._object(thing)

    def _object(self, thing: Any) -> list[Any]:
        """What the object itself says of how it is to be made again (``object.__reduce_ex__``, protocol 4)."""
        try:
            call, arguments, *rest = thing.__reduce_ex__(4)
        except TypeError as error:
            raise _foreign(f"{type(thing).__module__}.{type(thing).__qualname__}") from error
        state, items, pairs = (*rest, None, None, None)[:3]
        if made_bare := call is copyreg.__newobj__:  # type: ignore[attr-defined]  # not in its types
            call, *arguments = arguments
        if isinstance(thing, Distribution):
            state = {name: held for name, held in vars(thing).items() if name != "_rng"}
        return [
            _OBJECT,
            self._name(call),
            made_bare,
            [self._value(argument) for argument in arguments],
            {name: self._value(held) for name, held in state.items()} if type(state) is dict else self._value(state),
            [self._value(item) for item in items or ()],
            [self._value(part) for pair in pairs or () for part in pair],
        ]

    def _name(self, thing: Any) -> int:
        name = (thing.__module__, thing.__qualname__)
        if name not in self.names:
            _found(*name)
            self.names[name] = len(self.names)
        return self.names[name]


class _Reader:
    """Nodes as the thing that they were. First every object is made, empty; then all are filled, the last first, so
    that what an object holds is complete when it is given to it."""

    def __init__(self, names: list[tuple[str, str]], nodes: list[Any]) -> None:
        self._names = [_found(*name) for name in names]
        self._nodes = nodes
        self._things: dict[int, Any] = {}
        self._begun: set[int] = set()
        self._filled: set[int] = set()
        self._texts: dict[str, str] = {}

    def read(self) -> Any:
        numbers = range(len(self._nodes))
        for number in numbers:
            self._made(number)
        for number in reversed(numbers):
            self._fill(number)
        return self._things[0]

    def _made(self, number: int) -> Any:
        if number in self._things:
            return self._things[number]
        if number in self._begun:
            raise Unreadable("malformed", "an object is needed to make itself")
        self._begun.add(number)
        thing: Any
        node = self._nodes[number]
        tag, held = node[0], node[1]
        if tag == _OBJECT:
            thing = self._instance(node)
        elif tag == _DICT:
            thing = {}
        elif tag == _LIST:
            thing = []
        elif tag == _TUPLE:
            thing = tuple(map(self._value, held))
        elif tag == _NAME:
            thing = self._names[held]
        elif tag == _SET:
            thing = set()
        elif tag == _FROZENSET:
            thing = frozenset(map(self._value, held))
        elif tag == _METHOD:
            thing = _method(self._value(held), node[2])
        else:
            raise Unreadable("malformed", f"node {number} is none")
        self._things[number] = thing
        return thing

    def _instance(self, node: list[Any]) -> Any:
        _, name, bare, arguments, *_ = node
        kind = self._names[name]
        if not isinstance(kind, type) or (kind.__module__, kind.__qualname__) in NAMED:
            raise _foreign(f"a call of {kind}")
        given = [self._complete(argument) for argument in arguments]
        return kind.__new__(kind, *given) if bare else kind(*given)

    def _value(self, written: Any) -> Any:
        if type(written) is list:
            (number,) = written
            return self._made(number)
        return self._texts.setdefault(written, written) if type(written) is str else written

    def _complete(self, written: Any) -> Any:
        """For what an object is made with: it may take a copy, so all of it has to be there."""
        thing = self._value(written)
        if type(written) is list and written[0] not in self._filled:
            self._filled.add(written[0])
            node = self._nodes[written[0]]
            for part in node[1] if node[0] in _CONTAINERS else ():
                self._complete(part)
            self._filled.discard(written[0])
            self._fill(written[0])
        return thing

    def _fill(self, number: int) -> None:
        if number in self._filled:
            return
        self._filled.add(number)
        node, thing, value = self._nodes[number], self._things[number], self._value
        if node[0] == _LIST:
            thing.extend(map(value, node[1]))
        elif node[0] == _DICT:
            thing.update(_pairs(node[1], value))
        elif node[0] == _SET:
            thing.update(map(value, node[1]))
        elif node[0] == _OBJECT:
            _, _, _, _, state, items, pairs = node
            if items:
                thing.extend(map(value, items))
            for key, held in _pairs(pairs, value):
                thing[key] = held
            if state is not None:
                _restore(thing, state, value)


def _pairs(parts: list[Any], value: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    return [(value(key), value(held)) for key, held in zip(parts[::2], parts[1::2], strict=True)]


def _restore(thing: Any, state: Any, value: Callable[[Any], Any]) -> None:
    plain = type(state) is dict
    state = {sys.intern(name): value(held) for name, held in state.items()} if plain else value(state)
    setter = getattr(thing, "__setstate__", None)
    if setter is not None:
        setter(state)
        return
    own, slots = state if type(state) is tuple else (state, None)
    if own:
        thing.__dict__.update(own)
    for name, held in (slots or {}).items():
        setattr(thing, name, held)


_pack: Final = msgspec.msgpack.Encoder()
_unpack: Final = msgspec.msgpack.Decoder(tuple[int, list[int], Any, Any])
_names: Final = list[tuple[str, str]]


def version() -> list[int]:
    """Of River: major and minor."""
    return [int(part) for part in river.__version__.split(".")[:2]]


def freeze(thing: Any) -> bytes:
    """``thing``, made of plain values and River objects, as bytes. Raises ``Unreadable`` for what could not be read
    again."""
    writer = _Writer()
    writer.write(thing)
    return zlib.compress(_pack.encode((FORMAT, version(), list(writer.names), writer.nodes)), 1)


def thaw(data: bytes) -> Any:
    """What ``freeze`` was given. Only for bytes whose signature is right. Raises ``Unreadable``."""
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(data, PLAIN_MAX_BYTES)
        if not unpacker.eof or unpacker.unused_data:
            raise Unreadable("malformed", "the bytes are cut off, go on too long, or are too many")
        written, by, names, nodes = _unpack.decode(plain)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise Unreadable("malformed", f"the bytes are no model: {error}") from error
    if written > FORMAT or by > version():
        raise Unreadable("newer", f"written by format {written}, River {'.'.join(map(str, by))}")
    if written < FORMAT:
        raise Unreadable("malformed", f"written in format {written}, which this version does not read any more")
    try:
        return _Reader(msgspec.convert(names, _names), nodes).read()
    except Unreadable:
        raise
    except Exception as error:  # what nodes can raise is anything that the constructors named in them raise
        raise Unreadable("malformed", f"the bytes are no model: {type(error).__name__}: {error}") from error
