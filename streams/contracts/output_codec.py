"""What the engine says, as records to produce, and back again for whoever reads them.

Owns keys, headers and bodies of every topic that the project writes (the internal state topic apart). The same struct
gives the same bytes, always: a replay is compared with the live topics byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from io import BytesIO
from typing import Any, Final, TypeVar, get_args

import msgspec
from fastavro import schemaless_reader

from streams.contracts import schemas
from streams.contracts.avro_writer import body_writer
from streams.contracts.cloudevents import headers
from streams.contracts.dead_letter import DeadLetter
from streams.contracts.outputs import Customer, Decision, Example, JournalLine, Model, Outputs, Signal, Trigger
from streams.contracts.record import COMMAND_HEADER, Encoded
from streams.contracts.schemas import Contract, SchemaSource
from streams.contracts.touchpoint import FROM_THE_LOG, RESERVED_PREFIX, Touchpoint

STRUCTS: Final[dict[Contract, type[msgspec.Struct]]] = {
    "touchpoint": Touchpoint,
    "signal": Signal,
    "trigger": Trigger,
    "decision": Decision,
    "customer": Customer,
    "journal": JournalLine,
    "dead_letter": DeadLetter,
    "example": Example,
    "model": Model,
}
_CONTRACT_OF: Final = {struct: contract for contract, struct in STRUCTS.items()}

_touchpoint_fields: Final = [n for n in Touchpoint.__struct_fields__ if n not in FROM_THE_LOG]
_Produced: Final = msgspec.defstruct("Produced", [(n, Any) for n in _touchpoint_fields])
"""A touchpoint without the fields that come from the log: what a producer writes."""

_BODIES: Final[dict[Contract, Callable[[msgspec.Struct], bytes]]] = {
    contract: body_writer(schemas.parsed(contract)) for contract in STRUCTS
}


def body(struct: msgspec.Struct) -> bytes:
    """The Avro body without a prefix: what a replay compares."""
    contract = _CONTRACT_OF[type(struct)]
    if contract == "touchpoint":
        struct = _Produced(*[getattr(struct, name) for name in _touchpoint_fields])
    return _BODIES[contract](struct)


class OutputCodec:
    """Makes records out of structs. ``source`` names the application in ``ce_source``, for example ``/journey``."""

    def __init__(self, schemas: SchemaSource, source: str) -> None:
        self._prefix = {contract: schemas.prefix(contract) for contract in STRUCTS}
        self._source = source.encode()

    def signal(self, signal: Signal) -> Encoded:
        return self._record(signal, signal.customer, f"signal.{signal.kind}", signal.signal_id, signal.time)

    def trigger(self, trigger: Trigger) -> Encoded:
        """One record in the life of a trigger; its time is that of the issue or of the end."""
        time = trigger.issued_at if trigger.ended_at is None else trigger.ended_at
        event_id = f"{trigger.trigger_id}:{trigger.revision}"
        return self._record(trigger, trigger.customer, f"trigger.{trigger.status}", event_id, time)

    def triggers(self, outputs: Outputs) -> list[Encoded]:
        """All of them, each with the trace context of the touchpoint in whose step it was said, if that had one."""
        made = list(map(self.trigger, outputs.triggers))
        for place, trace in outputs.traces.items():
            made[place].headers.extend(trace)
        return made

    def decision(self, decision: Decision) -> Encoded:
        type_ = f"decision.{decision.outcome}"
        return self._record(decision, decision.customer, type_, decision.decision_id, decision.time)

    def customer(self, customer: Customer) -> Encoded:
        return self._record(customer, customer.customer, "customer.updated", None, customer.time)

    def customer_forgotten(self, customer: str) -> Encoded:
        """The tombstone of a profile that was evicted."""
        event_id = f"{customer}:forgotten"
        return Encoded(customer.encode(), None, headers(self._source, "customer.forgotten", event_id, None))

    def journal(self, line: JournalLine, partition: int | None = None) -> Encoded:
        """A journal line; the partition only makes its ``ce_id`` unique over partitions."""
        data = self._prefix["journal"] + _BODIES["journal"](line)
        place = "" if partition is None else f"{partition}:"
        event_id = f"{place}{line.after_offset}:{_digest(data[5:])}"
        return Encoded(None, data, headers(self._source, f"journal.{line.kind}", event_id, None))

    def example(self, example: Example) -> Encoded:
        return self._record(example, example.customer, "example", example.example_id, example.matured_at)

    def model(self, model: Model) -> Encoded:
        """A snapshot; its key is name@version, so that each version stays until it is taken back."""
        key = f"{model.name}@{model.version}"
        data = self._prefix["model"] + _BODIES["model"](model)
        return Encoded(key.encode(), data, headers(self._source, "model", key, model.learned_until))

    def dead_letter(self, letter: DeadLetter) -> Encoded:
        """A dead letter. The original's key is kept, and so is its place, in the id."""
        data = self._prefix["dead_letter"] + _BODIES["dead_letter"](letter)
        event_id = f"{letter.topic}:{letter.partition}:{letter.offset}"
        type_ = f"dead_letter.{letter.reason}"
        return Encoded(letter.key, data, headers(self._source, type_, event_id, letter.recorded_at))

    def touchpoint(self, touchpoint: Touchpoint) -> Encoded:
        """A touchpoint to produce, with the right key. One of a reserved type is marked as a command."""
        data = self._prefix["touchpoint"] + body(touchpoint)
        key = touchpoint.customer_id or touchpoint.anonymous_id
        marks = headers(self._source, "touchpoint", touchpoint.event_id, touchpoint.occurred_at)
        if touchpoint.type.startswith(RESERVED_PREFIX):
            marks.append((COMMAND_HEADER, b"1"))
        return Encoded(key.encode() if key else None, data, marks)

    def _record(self, struct: msgspec.Struct, customer: str, type_: str, event_id: str | None, time_ms: int) -> Encoded:
        contract = _CONTRACT_OF[type(struct)]
        data = _BODIES[contract](struct)
        marks = headers(self._source, type_, event_id or f"{customer}:{_digest(data)}", time_ms)
        return Encoded(customer.encode(), self._prefix[contract] + data, marks)


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


_S = TypeVar("_S", bound=msgspec.Struct)


class OutputReader:
    """Reads the topics that the project writes, whichever version wrote them."""

    def __init__(self, schemas: SchemaSource) -> None:
        self._schemas = schemas
        self._writers: dict[int, Any] = {}

    def read(self, struct: type[_S], value: bytes) -> _S:
        """The struct in a record's value. Raises ``ValueError`` for bytes that are not one."""
        contract = _CONTRACT_OF[struct]
        if len(value) < 5 or value[0] != schemas.MAGIC:
            raise ValueError(f"not a {contract} in the Confluent wire format")
        schema_id = int.from_bytes(value[1:5], "big")
        writer = self._writers.get(schema_id)
        if writer is None:
            schema = self._schemas.writer(schema_id)
            if schema is None:
                raise ValueError(f"no schema has the id {schema_id}")
            try:
                problem = schemas.unsafe(schema)
                writer = schemas.compiled(schema)
            except Exception as error:  # whatever a registry holds under that id
                raise ValueError(f"the schema {schema_id} cannot be used: {type(error).__name__}") from error
            if problem is not None:
                raise ValueError(f"the schema {schema_id} must not be used: {problem}")
            self._writers[schema_id] = writer
        stream = BytesIO(value)
        stream.seek(5)
        try:
            fields = schemaless_reader(stream, writer, schemas.parsed(contract))
        except Exception as error:  # fastavro raises what its C code meets: many types, none of them promised
            raise ValueError(f"not a {contract}: {type(error).__name__} at byte {stream.tell()}") from error
        if stream.tell() != len(value):
            raise ValueError(f"not a {contract}: {len(value) - stream.tell()} bytes are left after the record")
        return _build(struct, fields)


def _build(struct: type[_S], fields: dict[str, Any]) -> _S:
    for name, inner in _NESTED[struct].items():
        fields[name] = [inner(**item) for item in fields[name]]
    return struct(**fields)


def _nested(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    found = {}
    for field in msgspec.structs.fields(struct):
        for argument in get_args(field.type):
            if isinstance(argument, type) and issubclass(argument, msgspec.Struct):
                found[field.name] = argument
    return found


_NESTED: Final = {struct: _nested(struct) for struct in STRUCTS.values()}
