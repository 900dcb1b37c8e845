"""What a mapping file can say: how the rows of a CSV file become touchpoints.

Owns the model. ``mapping_file`` reads it from YAML and reports faults; ``rows`` compiles and applies it.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["text", "id", "number", "integer", "boolean", "time"]
"""How a cell is read. ``id`` is text in which a whole number written as ``17850.0`` becomes ``17850``."""
KINDS: Final[tuple[Kind, ...]] = ("text", "id", "number", "integer", "boolean", "time")

FIELDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        (
            "type", "customer_id", "anonymous_id", "actor", "time_zone", "locale", "channel", "location", "session_id",
            "journey", "case_id", "contact_id", "topic", "queue", "team", "agent_id", "direction", "currency",
            "emotion", "intent", "comment", "survey", "campaign", "dispatch", "referrer", "trigger_id", "outcome",
            "experiment", "variant", "source",
        ),
        "text",
    ),
    "sent_at": "time",
    "retried": "boolean",
    "wait_ms": "integer",
    "value": "number",
    "sentiment": "number",
    "score": "number",
}  # fmt: skip
"""Touchpoint field -> how its cell is read where the mapping does not say."""

Otherwise = Literal["keep", "none", "skip"]
OTHERWISE: Final[tuple[Otherwise, ...]] = ("keep", "none", "skip")


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any


@dataclass(frozen=True, slots=True)
class Cell:
    """The value of one column, or of several joined."""

    columns: tuple[str, ...]
    kind: Kind = "text"
    join: str = "-"
    prefix: str = ""
    values: MappingOf[str, Any] | None = None
    """Raw text -> value."""
    otherwise: Otherwise = "keep"
    """What a text does that ``values`` does not list: stays, is left out, or the row gives no such touchpoint."""
    times: str | None = None
    """Another column, by which the number is multiplied."""
    scale: float = 1.0
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The number of the row in its file (the first row of data is 1)."""

    prefix: str = ""


Source = Constant | Cell | Row


@dataclass(frozen=True, slots=True)
class Condition:
    """A test on one column; ``argument`` is what the test compares with."""

    column: str
    test: Literal[
        "is", "is_not", "in", "not_in", "starts_with", "not_starts_with", "present", "above", "below", "at_least",
        "at_most",
    ]  # fmt: skip
    argument: Any


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that make one touchpoint together: those with the same values in ``by``, at most ``within_ms`` apart."""

    by: tuple[str, ...]
    within_ms: int = 0
    sums: MappingOf[str, Source] = field(default_factory=dict)
    """Touchpoint field or property -> number to add up."""
    counts: tuple[str, ...] = ()
    """Properties that receive the number of rows."""


@dataclass(frozen=True, slots=True)
class Template:
    """One touchpoint that a row (or a group of rows: then from its last) yields where ``when`` holds."""

    event_id: Source
    fields: MappingOf[str, Source]
    when: tuple[Condition, ...] = ()
    properties: MappingOf[str, Source] = field(default_factory=dict)
    traits: MappingOf[str, Source] = field(default_factory=dict)
    consent: MappingOf[str, Source] = field(default_factory=dict)
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class TimeColumn:
    column: str
    format: str = "iso"
    """iso, epoch_s, epoch_ms, or a format of strptime."""
    zone: str = "UTC"
    """IANA zone of times that name none."""


@dataclass(frozen=True, slots=True)
class Mapping:
    path: str
    time: TimeColumn
    touchpoints: tuple[Template, ...]
    sort: bool = False
    """The file is not in time order: read it whole and sort it."""
    rows: tuple[Condition, ...] = ()
    """Filter: rows for which one does not hold give nothing and are counted."""
    delimiter: str = ","
    encoding: str = "utf-8"

    def columns(self) -> set[str]:
        """Every column that the mapping reads."""
        found = {self.time.column, *(c.column for c in self.rows)}
        for template in self.touchpoints:
            found.update(c.column for c in template.when)
            groups = (template.fields, template.properties, template.traits, template.consent)
            sources = [template.event_id, *(s for group in groups for s in group.values())]
            if template.group is not None:
                found.update(template.group.by)
                sources.extend(template.group.sums.values())
            for source in sources:
                if isinstance(source, Cell):
                    found.update(source.columns)
                    if source.times is not None:
                        found.add(source.times)
        return found
