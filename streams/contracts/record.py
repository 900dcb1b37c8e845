"""A record as a Kafka client hands it over and as a producer takes it.

Owns the two shapes; aiokafka's ``ConsumerRecord`` satisfies the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

COMMAND_HEADER: Final = "journey_command"
"""Marks a record of a reserved type as written by a worker or the CLI. A mark, no lock: ACLs are the lock."""
GUID_HEADER: Final = "__value_schema_id"
"""Confluent's header with the schema's GUID; the value then begins with the Avro body."""


class Record(Protocol):
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None:
        """Time of the record in ms; negative or None where the broker stored none."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Encoded(NamedTuple):
    """A record ready to be produced; a None value is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
