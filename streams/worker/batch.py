"""What one transaction holds: outputs, changed profiles, journal lines, dead letters and the marker, as bytes.

Owns the translation from the engine's outputs to messages and the tally for the metrics, taken once for a transaction.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from streams.contracts.dead_letter import dead_letter
from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Customer, JournalLine, Outputs
from streams.contracts.record import Encoded, Record
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Rejection
from streams.worker import marker as markers
from streams.worker.marker import Marker
from streams.worker.transactions import Message

COUNTS: Final = (
    "processed", "late", "duplicate", "conflicting", "too_late", "skew_corrected", "skew_cut", "unassigned",
    "preset_fields_missing", "evicted", "shed", "features_missing", "scores_unusable", "snapshots_full",
    "labels_censored", "contacts_censored", "held_full", "outcomes_matched", "outcomes_ambiguous", "outcomes_unknown",
    "outcomes_repeated", "outcomes_early",
)  # fmt: skip
EXAMPLES_PARTITION: Final = 0


@dataclass(slots=True)
class Tally:
    """What a transaction did, for the metrics; counted once it is committed."""

    consumed: int = 0
    already_applied: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    signals: Counter[tuple[str, str]] = field(default_factory=Counter)
    stages: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    triggers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    not_issued: Counter[str] = field(default_factory=Counter)
    issued_for: list[int] = field(default_factory=list)
    """Event times of the triggers issued."""
    examples: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """(risk, label) of the labels that matured."""
    scores: list[tuple[str, float]] = field(default_factory=list)
    """(risk, probability) of those that were made."""
    state_records: int = 0
    state_bytes: int = 0
    traces: list[list[tuple[str, bytes]]] = field(default_factory=list)
    """Trace contexts that triggers carry."""
    began_s: float = field(default_factory=time.time)
    seconds: float = 0.0
    """Time spent on decoding, the engine and encoding."""

    def add(self, other: Tally) -> None:
        """The numbers of another one; what is kept for each transaction by itself (``issued_for``, ``traces``, times)
        is not."""
        self.consumed += other.consumed
        self.already_applied += other.already_applied
        self.state_records += other.state_records
        self.state_bytes += other.state_bytes
        self.scores += other.scores
        for mine, others in (
            (self.dead_letters, other.dead_letters), (self.counts, other.counts), (self.signals, other.signals),
            (self.stages, other.stages), (self.triggers, other.triggers), (self.not_issued, other.not_issued),
            (self.examples, other.examples),
        ):  # fmt: skip
            if others:
                add(mine, others)


def add(mine: Counter[Any], others: Counter[Any]) -> None:
    for name, number in others.items():
        mine[name] = mine.get(name, 0) + number


@dataclass(frozen=True, slots=True)
class Batch:
    messages: tuple[Message, ...]
    marker: Marker
    tally: Tally


class BatchBuilder:
    """Collects what several steps of the engine said; ``close`` makes it immutable."""

    def __init__(self, codec: OutputCodec, topics: Topics, partition: int, journeys: Container[str] = ()) -> None:
        self._codec = codec
        self._topics = topics
        self._partition = partition
        self._journeys = journeys
        """Names that may become labels. What satisfaction is about, a touchpoint says freely."""
        self._messages: list[Message] = []
        self._customers: dict[str, Customer | None] = {}
        self.tally = Tally()

    def _add(self, topic: str, encoded: Encoded) -> None:
        self._messages.append(Message(topic, self._partition, encoded.key, encoded.value, encoded.headers))

    def outputs(self, outputs: Outputs) -> None:
        """Rejections and stale triggers of the outputs are the caller's: they need the records and the offset."""
        codec, topics, tally = self._codec, self._topics, self.tally
        for signal in outputs.signals:
            self._add(topics.signals, codec.signal(signal))
            journey = signal.journey or ""
            if journey not in self._journeys:
                journey = ""
            tally.signals[signal.kind, journey] += 1
            if signal.kind in ("stage_entered", "stage_left"):
                tally.stages[journey, signal.stage or "", signal.kind.removeprefix("stage_")] += 1
        for trigger, made in zip(outputs.triggers, codec.triggers(outputs), strict=True):
            self._add(topics.triggers, made)
            tally.triggers[trigger.action, trigger.arm or "", trigger.status] += 1
            if trigger.status == "issued":
                tally.issued_for.append(trigger.issued_at)
        for decision in outputs.decisions:
            self._add(topics.decisions, codec.decision(decision))
            if decision.outcome != "issued":
                tally.not_issued[decision.reason] += 1
        for example in outputs.examples:
            made = codec.example(example)
            # One partition for all: its order is the order of learning.
            self._messages.append(Message(topics.examples, EXAMPLES_PARTITION, made.key, made.value, made.headers))
            tally.examples[example.risk, example.label] += 1
        tally.scores += outputs.scores
        tally.traces += outputs.traces.values()
        self._customers.update(outputs.customers)
        counts = outputs.counts
        for name in COUNTS:
            if number := getattr(counts, name):
                tally.counts[name] += number

    def journal(self, after_offset: int, kind: str, value: dict[str, Any]) -> None:
        line = JournalLine(after_offset=after_offset, kind=kind, value=value)
        self._add(self._topics.journal, self._codec.journal(line, self._partition))

    def dead_letter(self, rejection: Rejection, record: Record) -> None:
        letter = dead_letter(rejection, record, self._topics.touchpoints, self._partition)
        self._add(self._topics.dead_letters, self._codec.dead_letter(letter))
        self.tally.dead_letters[rejection.reason] += 1

    def close(self, changed: Iterable[tuple[bytes, bytes | None]], marker: Marker) -> Batch:
        topic, partition, tally = self._topics.state, self._partition, self.tally
        for name, customer in self._customers.items():
            made = self._codec.customer_forgotten(name) if customer is None else self._codec.customer(customer)
            self._add(self._topics.customers, made)
        for key, value in changed:
            self._messages.append(Message(topic, partition, key, value))
            tally.state_records += 1
            tally.state_bytes += len(key) + len(value or b"")
        self._messages.append(Message(topic, partition, markers.KEY, markers.encode(marker)))
        return Batch(tuple(self._messages), marker, tally)
