"""River objects as bytes: the same object always gives the same bytes, and nothing but River comes out of them.

Owns the format. Bytes are read only after their signature was found right (``snapshots.py``, ``learner.py``); that no
other class can be named in them is the second fence, not the first.

A pickle says which of two equal texts are one object, and in which order a set was filled. Both depend on the history
of the process, so texts go into a table by value and sets are sorted: a learner that was stored and read back gives,
label by label, the bytes of one that never stopped. A distribution of River carries a random source of its own, not
seeded and 2.5 kB large, from which only its ``sample`` draws, which nothing here calls: it is left out.
"""

from __future__ import annotations

import io
import pickle
import zlib
from types import MethodType
from typing import Any, Final

import msgspec
import river
from river.proba.base import Distribution

FORMAT: Final = 1
PLAIN_MAX_BYTES: Final = 256 * 1024 * 1024
"""Of a pickle, unpacked: a small record cannot fill the memory."""
PACKAGES: Final = (
    "river._river_rust", "river.compose", "river.drift", "river.forest", "river.linear_model", "river.metrics",
    "river.naive_bayes", "river.neighbors", "river.optim", "river.preprocessing", "river.proba", "river.stats",
    "river.tree", "river.utils",
)  # fmt: skip
"""What pipelines and detectors are made of. Nothing in them opens a file, a socket or a process."""
OTHERS: Final = frozenset(
    {
        ("builtins", "bool"), ("builtins", "float"), ("builtins", "int"), ("builtins", "object"), ("builtins", "set"),
        ("collections", "Counter"), ("collections", "OrderedDict"), ("collections", "defaultdict"),
        ("collections", "deque"), ("functools", "partial"), ("random", "Random"),
        ("streams.learner.pipelines", "Settling"),
    }
)  # fmt: skip
FUNCTIONS: Final = frozenset(
    {
        ("river.naive_bayes.gaussian", "GaussianNB._make_gaussian"),
        ("river._river_rust.vectordict", "euclidean_distance_tuple"),
    }
)
"""Reviewed one by one: they compute and nothing else."""
METHODS: Final = frozenset({"_test_increase", "_test_decrease", "_test_both"})
"""Bound methods that an object keeps: those of PageHinkley."""


class Unreadable(ValueError):  # noqa: N818 - an answer about data
    """Bytes that this version cannot read; ``reason`` is malformed, foreign or newer."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Frozen(msgspec.Struct, array_like=True):
    format: int
    river: list[int]
    """Version of River, major and minor."""
    texts: list[str]
    pickle: bytes


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.texts: dict[str, int] = {}

    def persistent_id(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is str:
            return self.texts.setdefault(obj, len(self.texts))
        if kind is set:
            return tuple(sorted(obj, key=_rank))
        return None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, MethodType) and not isinstance(obj.__self__, type):
            return _method, (obj.__self__, obj.__name__)
        if isinstance(obj, Distribution):
            return _bare, (type(obj),), {name: value for name, value in vars(obj).items() if name != "_rng"}
        return NotImplemented


def _rank(item: Any) -> tuple[str, str]:
    return type(item).__name__, repr(item)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, texts: list[str]) -> None:
        super().__init__(file)
        self._texts = texts

    def persistent_load(self, pid: Any) -> Any:
        return self._texts[pid] if isinstance(pid, int) else set(pid)

    def find_class(self, module: str, name: str) -> Any:
        """Raises ``Unreadable`` for whatever is not on the lists. What is merely imported by a module of River has
        another ``__module__`` and is refused with the rest."""
        if module == __name__ and name in OWN:
            return OWN[name]
        if (module, name) in OTHERS or (module, name) in FUNCTIONS:
            return super().find_class(module, name)
        if "." not in name and any(_within(module, package) for package in PACKAGES):
            found = super().find_class(module, name)
            if isinstance(found, type) and any(_within(found.__module__, package) for package in PACKAGES):
                return found
        raise Unreadable("foreign", f"{module}.{name} has no place in a model")


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _method(owner: Any, name: str) -> Any:
    if name not in METHODS or not _within(type(owner).__module__, "river.drift"):
        raise Unreadable("foreign", f"{type(owner).__name__}.{name} has no place in a model")
    return getattr(owner, name)


def _bare(kind: type[Any]) -> Any:
    if not issubclass(kind, Distribution):
        raise Unreadable("foreign", f"{kind.__name__} has no place in a model")
    return object.__new__(kind)


OWN: Final = {"_method": _method, "_bare": _bare}
"""What the pickles of this module call."""

_pack: Final = msgspec.msgpack.Encoder()
_unpack: Final = msgspec.msgpack.Decoder(_Frozen)


def version() -> list[int]:
    """Of River: major and minor."""
    return [int(part) for part in river.__version__.split(".")[:2]]


def freeze(thing: Any) -> bytes:
    """``thing``, made of plain values and River objects, as bytes."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(thing)
    return zlib.compress(_pack.encode(_Frozen(FORMAT, version(), list(pickler.texts), file.getvalue())), 1)


def thaw(data: bytes) -> Any:
    """What ``freeze`` was given. Only for bytes whose signature is right. Raises ``Unreadable``."""
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(data, PLAIN_MAX_BYTES)
        if not unpacker.eof or unpacker.unused_data:
            raise Unreadable("malformed", "the bytes are cut off, go on too long, or are too many")
        frozen = _unpack.decode(plain)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise Unreadable("malformed", f"the bytes are no model: {error}") from error
    if frozen.format > FORMAT or frozen.river > version():
        raise Unreadable("newer", f"written by format {frozen.format}, River {'.'.join(map(str, frozen.river))}")
    try:
        return _Unpickler(io.BytesIO(frozen.pickle), frozen.texts).load()
    except Unreadable:
        raise
    except Exception as error:  # what a pickle can raise is anything that the constructors in it raise
        raise Unreadable("malformed", f"the bytes are no model: {type(error).__name__}: {error}") from error
