"""Structs to Avro bodies, field by field: two to three times as quick as going through a dict and fastavro.

Owns the binary encoding of what the contracts use: null, boolean, int, long, double, string, bytes, arrays, maps,
records, ``["null", X]`` and the value of a property. A property test has fastavro read everything that this writes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import msgspec

_NULL: Final = b"\0"
_SOME: Final = b"\2"
_END: Final = b"\0"
_INT64: Final = 1 << 63
_pack_double: Final = struct.Struct("<d").pack
_SCALARS: Final = ["null", "boolean", "long", "double", "string"]

Append = Callable[[bytes], None]
Write = Callable[[Append, Any], None]


@lru_cache(maxsize=4096)  # the same times come again and again: in a trail, in signal, decision and trigger
def _number(n: int) -> bytes:
    n = n << 1 ^ n >> 63
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


_SMALL: Final = [_number(n) for n in range(4096)]
_SOME_SMALL: Final = [_SOME + number for number in _SMALL]


def _long(append: Append, n: int) -> None:
    append(_SMALL[n] if 0 <= n < 4096 else _number(n))


def _text(append: Append, text: str) -> None:
    data = text.encode()
    n = len(data)
    append(_SMALL[n] if n < 4096 else _number(n))
    append(data)


def _bytes(append: Append, data: bytes) -> None:
    append(_number(len(data)))
    append(data)


def _double(append: Append, number: float) -> None:
    append(_pack_double(number))


def _flag(append: Append, flag: bool) -> None:
    append(b"\1" if flag else b"\0")


def _value(append: Append, value: Any) -> None:
    """A property: null, boolean, long, double, string, or a list of these or of flat maps of these."""
    if type(value) in (list, tuple):
        append(b"\x0a")
        if value:
            append(_number(len(value)))
            for item in value:
                if type(item) is dict:
                    append(b"\x0a")
                    _scalar_map(append, item)
                else:
                    _scalar(append, item)
        append(_END)
    else:
        _scalar(append, value)


def _scalar(append: Append, value: Any) -> None:
    kind = type(value)
    if kind is str:
        append(b"\x08")
        _text(append, value)
    elif kind is float:
        append(b"\x06")
        append(_pack_double(value))
    elif value is None:
        append(_NULL)
    elif kind is bool:
        append(b"\2\1" if value else b"\2\0")
    elif kind is int:
        if -_INT64 <= value < _INT64:
            append(b"\x04")
            _long(append, value)
        else:
            append(b"\x06")
            append(_pack_double(value))
    else:  # deeper than the contract: a downstream can still read it as JSON
        append(b"\x08")
        _text(append, msgspec.json.encode(value).decode())


def _map_of(write: Write) -> Write:
    def write_map(append: Append, entries: dict[str, Any]) -> None:
        if entries:
            append(_number(len(entries)))
            for key, value in entries.items():
                _text(append, key)
                write(append, value)
        append(_END)

    return write_map


_scalar_map: Final = _map_of(_scalar)


def _array_of(write: Write) -> Write:
    def write_array(append: Append, items: list[Any]) -> None:
        if items:
            append(_number(len(items)))
            for item in items:
                write(append, item)
        append(_END)

    return write_array


def _optional(write: Write) -> Write:
    def write_optional(append: Append, value: Any) -> None:
        if value is None:
            append(_NULL)
        else:
            append(_SOME)
            write(append, value)

    return write_optional


def _record(name: str, fields: list[tuple[str, Write, bool]]) -> Write:
    """A writer for the structs of a record: Python code made for its fields (name, writer, may it be null), in order.

    A loop over the fields spends more on asking what each one is than on writing it; here that is asked once.
    """
    values: dict[str, Any] = {
        "NULL": _NULL, "SOME": _SOME, "SMALL": _SMALL, "SOME_SMALL": _SOME_SMALL, "number": _number,
    }  # fmt: skip
    code = [f"def write_{name}(append, record):"]
    for field, write, nullable in fields:
        small, some = ("SOME_SMALL", "SOME + ") if nullable else ("SMALL", "")
        code.append(f"    value = record.{field}")
        code.append("    if value is None:")
        code.append(
            "        append(NULL)"
            if nullable
            else f"        raise TypeError('a required field of {name} is None: {field}')"
        )
        code.append("    else:")
        if write is _text:
            code.append("        data = value.encode()")
            code.append("        n = len(data)")
            code.append(f"        append({small}[n] if n < 4096 else {some}number(n))")
            code.append("        append(data)")
        elif write is _long:
            code.append(f"        append({small}[value] if 0 <= value < 4096 else {some}number(value))")
        else:
            values[f"write_{field}"] = write
            code += ["        append(SOME)"] if nullable else []
            code.append(f"        write_{field}(append, value)")
    exec("\n".join(code), values)  # noqa: S102 - nothing but the field names of the packaged schemas is put in
    made: Write = values[f"write_{name}"]
    return made


_PRIMITIVES: Final[dict[str, Write]] = {
    "string": _text,
    "long": _long,
    "int": _long,
    "double": _double,
    "boolean": _flag,
    "bytes": _bytes,
}


def _writer(schema: Any, named: dict[str, Write]) -> Write:
    if isinstance(schema, str):
        return _PRIMITIVES.get(schema) or named[schema]
    if isinstance(schema, list):
        if schema == _SCALARS:
            return _scalar
        if schema[:-1] == _SCALARS:
            return _value
        if len(schema) == 2 and schema[0] == "null":
            return _optional(_writer(schema[1], named))
        raise ValueError(f"no contract has the union {schema}")
    kind = schema["type"]
    if kind == "array":
        return _array_of(_writer(schema["items"], named))
    if kind == "map":
        return _map_of(_writer(schema["values"], named))
    if kind == "record":
        fields = []
        for field in schema["fields"]:
            type_ = field["type"]
            nullable = isinstance(type_, list) and len(type_) == 2 and type_[0] == "null"
            fields.append((field["name"], _writer(type_[1] if nullable else type_, named), nullable))
        named[schema["name"]] = _record(schema["name"].rpartition(".")[2], fields)
        return named[schema["name"]]
    return _writer(kind, named)


def body_writer(schema: Any) -> Callable[[msgspec.Struct], bytes]:
    """A function from the struct of a contract (its fields are named as the schema's) to its Avro body."""
    write = _writer(schema, {})

    def body(struct_: msgspec.Struct) -> bytes:
        parts: list[bytes] = []
        write(parts.append, struct_)
        return b"".join(parts)

    return body
