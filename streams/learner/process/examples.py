"""Records of the examples topic -> examples that can be learned from, or why not.

Owns what is refused before anything is learned: bytes that are no example, numbers that are none, a definition that was
never published. Workers write none of these; whoever else does must not stop the learner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, NamedTuple, Protocol

from streams.contracts.output_codec import OutputReader
from streams.contracts.outputs import Example
from streams.contracts.schemas import SchemaSource
from streams.definitions.model import Definition
from streams.worker.outcomes import DefinitionAbsent


class Known(Protocol):
    """The definitions that this process has: ``streams.worker.definitions_topic.DefinitionsTopic``."""

    def loaded(self, number: int) -> Definition | None:
        """None until ``get`` has compiled it."""

    def never(self, number: int) -> bool:
        """A newer one is there, that one is not: it was not published."""


class Refusal(NamedTuple):
    reason: str
    """malformed or unknown_definition."""
    why: str


class ExampleCodec:
    """``in_force`` tells the number of the definition under which the learner learns; 0: none yet."""

    def __init__(self, schemas: SchemaSource) -> None:
        self._reader = OutputReader(schemas)
        self.known: Known | None = None
        self.in_force: Callable[[], int] = lambda: 0

    def decode(self, records: Sequence[Any]) -> list[Example | Refusal]:
        """Raises ``RegistryUnavailable`` or ``DefinitionAbsent`` where nothing can be said yet."""
        return [self._one(record.value) for record in records]

    def _one(self, value: bytes | None) -> Example | Refusal:
        if value is None:
            return Refusal("malformed", "a record without a value")
        try:
            example = self._reader.read(Example, value)
        except ValueError as error:
            return Refusal("malformed", str(error))
        if not all(map(isfinite, (*example.features.values(), example.score))):
            return Refusal("malformed", f"example {example.example_id} has numbers that are not finite")
        number = example.definition
        if number > self.in_force() and (self.known is None or self.known.loaded(number) is None):
            if self.known is not None and self.known.never(number):
                return Refusal("unknown_definition", f"no definition {number} was published")
            raise DefinitionAbsent(number)
        return example
