"""Bytes of the touchpoint topic to touchpoints: any bytes whatever give a touchpoint or a rejection with a reason.

Owns the wire format (Confluent's prefix, its GUID header, JSON where a setting allows it) and the resolution of other
writers' schemas. The only exception that leaves ``decode`` is ``RegistryUnavailable``: nothing can be said about the
record yet, so the caller waits and tries the same records again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import msgspec
from fastavro import schemaless_reader
from fastavro.read import SchemaResolutionError

from streams.contracts import schemas
from streams.contracts.limits import Limits, Refused, check
from streams.contracts.outcomes import OUTCOME_OF
from streams.contracts.record import COMMAND_HEADER, GUID_HEADER, Record
from streams.contracts.schemas import MAGIC, MAGIC_GUID, SchemaSource
from streams.contracts.touchpoint import FROM_THE_LOG, IMPORT_ENDED, IMPORT_STARTED, Rejection, Touchpoint
from streams.contracts.touchpoint_reader import READ_ERRORS, Layout, layout_of, read
from streams.contracts.trace_context import TRACEPARENT, trace_headers

COMMANDS: Final = frozenset({IMPORT_STARTED, IMPORT_ENDED})
"""Reserved types that this version knows."""
_NO_COMMANDS: Final[frozenset[str]] = frozenset()
_MARKS: Final = frozenset({GUID_HEADER, TRACEPARENT})
_OPENING_OF_JSON: Final = frozenset(b"{ \t\r\n")

_Read = Callable[[bytes, int], dict[str, Any]]


def _json_struct() -> type[msgspec.Struct]:
    """A touchpoint in JSON: the producer's fields, all optional, so that what is missing gets its own reason."""
    scalars = dict[str, bool | int | float | str | None]
    fields: list[tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(Touchpoint):
        if field.name in FROM_THE_LOG:
            continue
        kind: Any = {"traits": scalars | None}.get(field.name, field.type)
        if field.name in ("event_id", "type"):
            fields.append((field.name, str, ""))
        else:
            fields.append((field.name, kind | None, None))
    return msgspec.defstruct("JsonTouchpoint", fields)


JsonTouchpoint: Final = _json_struct()


class TouchpointCodec:
    """Turns records into touchpoints; cheap to call with a whole batch."""

    def __init__(self, schemas: SchemaSource, *, allow_json: bool = False, limits: Limits | None = None) -> None:
        self._schemas = schemas
        self._allow_json = allow_json
        self._limits = limits or Limits()
        self._readers: dict[int | UUID, _Read] = {}
        self._layouts: dict[bytes, Layout] = {}
        """Prefix -> layout, for the schemas that can be read the quick way."""
        self._json = msgspec.json.Decoder(JsonTouchpoint)

    def decode(self, records: Sequence[Record]) -> list[Touchpoint | Rejection]:
        """One touchpoint or rejection for each record, in their order."""
        out: list[Touchpoint | Rejection] = []
        limits = self._limits
        most = limits.value_bytes
        layouts = self._layouts
        for record in records:
            value = record.value
            if value is not None and len(value) <= most:
                layout = layouts.get(value[:5])
                if layout is not None and (marked := _marked(record)) is not GUID_HEADER:
                    try:
                        touchpoint = read(value, 5, record, limits, layout)
                        if marked is not None:
                            touchpoint.trace_headers = trace_headers(record.headers)
                        out.append(touchpoint)
                        continue
                    except READ_ERRORS:
                        pass  # not plain: the complete way below decides
            out.append(self._decode_fully(record))
        return out

    def _decode_fully(self, record: Record) -> Touchpoint | Rejection:
        try:
            value = record.value
            if not value:
                raise Refused("empty", "the value is null" if value is None else "the value has no bytes")
            if len(value) > self._limits.value_bytes:
                raise Refused("too_large", f"{len(value)} bytes, the limit is {self._limits.value_bytes}")
            fields, malformed = self._fields(value, record)
            marked = any(name == COMMAND_HEADER for name, _ in record.headers or ())
            check(fields, self._limits, COMMANDS if marked else _NO_COMMANDS, malformed)
        except Refused as refused:
            return refused.rejection(record.offset)
        fields["customer_id"] = fields.get("customer_id") or None
        fields["anonymous_id"] = fields.get("anonymous_id") or None
        if fields.get("outcome") is None:
            fields["outcome"] = OUTCOME_OF.get(fields["type"])
        time = record.timestamp
        return Touchpoint(
            offset=record.offset,
            key=record.key,
            record_time=time if time is not None and time >= 0 else None,
            trace_headers=trace_headers(record.headers or ()),
            **fields,
        )

    def _fields(self, value: bytes, record: Record) -> tuple[dict[str, Any], str]:
        """The fields as the writer gave them, and the reason to give for a wrong value among them."""
        reference, start = _reference(value, record)
        if reference is not None:
            return self._reader(reference)(value, start), "malformed"
        if not self._allow_json:
            raise Refused("not_avro", f"the first byte is 0x{value[0]:02x}")
        if value[0] not in _OPENING_OF_JSON:
            raise Refused("bad_json", f"the first byte is 0x{value[0]:02x}: neither the magic byte nor an object")
        try:
            return msgspec.structs.asdict(self._json.decode(value)), "bad_json"
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refused("bad_json", str(error)) from error
        except RecursionError as error:
            raise Refused("too_deep", "the JSON is nested too deeply to be read") from error

    def _reader(self, reference: int | UUID) -> _Read:
        found = self._readers.get(reference)
        if found is not None:
            return found
        schema = self._schemas.writer(reference)
        if schema is None:
            raise Refused("unknown_schema", f"schema {reference}")
        reader, layout = _compile(schema)
        self._readers[reference] = reader
        if layout is not None and isinstance(reference, int):
            self._layouts[schemas.prefix_of(reference)] = layout
        return reader


def _marked(record: Record) -> str | None:
    """``GUID_HEADER`` where the record has that header, else ``TRACEPARENT`` where it has that one."""
    found = None
    headers = record.headers
    if headers:
        for name, _ in headers:
            if name in _MARKS:
                if name == GUID_HEADER:
                    return GUID_HEADER
                found = TRACEPARENT
    return found


def _reference(value: bytes, record: Record) -> tuple[int | UUID | None, int]:
    """Which schema wrote the value and where its body begins; None where nothing says so."""
    for name, header in record.headers or ():
        if name == GUID_HEADER:
            if not header or len(header) != 17 or header[0] != MAGIC_GUID:
                raise Refused("malformed", f"the header {GUID_HEADER} is not a schema GUID")
            return UUID(bytes=bytes(header[1:])), 0
    if value[0] == MAGIC:
        if len(value) < 5:
            raise Refused("malformed", "shorter than the 5 bytes of the schema's prefix")
        return int.from_bytes(value[1:5], "big"), 5
    if value[0] == MAGIC_GUID:
        if len(value) < 17:
            raise Refused("malformed", "shorter than the 17 bytes of the schema's prefix")
        return UUID(bytes=value[1:17]), 17
    return None, 0


def _compile(schema: dict[str, Any]) -> tuple[_Read, Layout | None]:
    """A complete reader for a writer's schema, and the layout for the quick one if there is one."""
    try:
        problem = schemas.unsafe(schema)
        if not isinstance(schema, dict) or schema["type"] != "record":
            problem = "it is not a record"
        if problem is not None:
            raise ValueError(problem)
        packaged = schemas.canonical_form(schema) == schemas.canonical("touchpoint")
        writer = schemas.compiled(schema)
        layout = layout_of(schema)
    except Exception as error:  # whatever a registry holds under that id, it must not stop a partition
        return _refusing(f"the writer's schema cannot be used: {type(error).__name__}: {error}"[:300]), None
    wanted = None if packaged else schemas.parsed("touchpoint")

    def read_fields(value: bytes, start: int) -> dict[str, Any]:
        stream = BytesIO(value)
        stream.seek(start)
        try:
            fields: dict[str, Any] = schemaless_reader(stream, writer, wanted)
        except SchemaResolutionError as error:
            raise Refused("incompatible_schema", f"writer's schema {_name(schema)} is not a touchpoint's") from error
        except Exception as error:  # fastavro raises what its C code meets: many types, none of them promised
            raise Refused("malformed", f"{type(error).__name__} at byte {stream.tell()}") from error
        left = len(value) - stream.tell()
        if left:
            raise Refused("malformed", f"{left} bytes are left after the record")
        if wanted is not None:
            try:
                return msgspec.structs.asdict(msgspec.convert(fields, JsonTouchpoint))
            except msgspec.ValidationError as error:  # promotions that Avro allows and a touchpoint does not
                raise Refused("incompatible_schema", str(error)) from error
        return fields

    return read_fields, layout


def _refusing(detail: str) -> _Read:
    def refuse(_value: bytes, _start: int) -> dict[str, Any]:
        raise Refused("incompatible_schema", detail)

    return refuse


def _name(schema: Any) -> str:
    return str(schema.get("name", "without name"))[:100] if isinstance(schema, dict) else "without name"
