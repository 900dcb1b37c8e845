"""Replays a running deployment: its log and journal, partition by partition, up to what the worker has committed.

Owns how journal lines are woven into the log. Nothing is written; what the worker wrote is compared in ``compare``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from streams.contracts.codec import TouchpointCodec
from streams.contracts.dead_letter import DeadLetter, dead_letter
from streams.contracts.limits import Limits
from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import JournalLine, Outputs
from streams.contracts.record import Encoded
from streams.contracts.schemas import PackagedSchemas, SchemaSource
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Rejection, Touchpoint
from streams.definitions.model import Definition
from streams.engine.engine import Engine
from streams.engine.scoring.scorer import ModelRefused
from streams.settings import Settings
from streams.tools.replay import beginning, log
from streams.tools.replay.log import LogRecord
from streams.tools.replay.models import ModelAbsent, ModelSource, published_models
from streams.tools.replay.summary import Summary
from streams.worker.changelog import last_marker
from streams.worker.marker import Marker
from streams.worker.processing import version_of

CHUNK: Final = 1_000
"""Touchpoints for each call of the engine; any number gives the same outputs."""

DefinitionSource = Callable[[int], Definition]
"""Number -> the definition that was published under it."""
Output = Literal["signals", "triggers", "decisions", "dead_letters", "examples"]
OUTPUTS: Final[tuple[Output, ...]] = ("signals", "triggers", "decisions", "dead_letters", "examples")


class ReplayError(ValueError):
    """Log and journal cannot be replayed; says why."""


@dataclass(slots=True)
class PartitionReplay:
    """What one partition's log and journal give, encoded as the worker would have produced it."""

    partition: int
    marker: Marker
    """The worker's position up to which was replayed."""
    outputs: dict[Output, list[Encoded]] = field(default_factory=lambda: {name: [] for name in OUTPUTS})
    customers: dict[bytes, Encoded] = field(default_factory=dict)
    """Last record for each key; its value is None where the profile has been forgotten."""
    journal: int = 0
    """Lines that took part."""


@dataclass(slots=True)
class ReplayResult:
    partitions: list[PartitionReplay]
    """Those that a worker has ever opened."""
    summary: Summary

    def count(self, output: Output) -> int:
        return sum(len(p.outputs[output]) for p in self.partitions)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the bytes of a deployment are read and written."""

    source: str
    """CloudEvents source that the worker writes (``Settings.source``)."""
    schemas: SchemaSource = field(default_factory=PackagedSchemas)
    """Where the schemas are found that touchpoints and journal were written with."""
    allow_json: bool = False


def replay_kafka(
    settings: Settings,
    topics: Topics,
    definitions: DefinitionSource,
    reading: Reading,
    *,
    each: Callable[[Outputs, Sequence[DeadLetter]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    keep: Literal["encoded", "nothing"] = "encoded",
) -> ReplayResult:
    """Replay every partition that a worker has opened, up to the marker that it has committed.

    ``each`` hears the outputs of each call of the engine, partition after partition. ``progress``: partition, number of
    touchpoints. ``keep="nothing"`` holds no encoded outputs, for logs larger than memory.
    """
    partitions = log.partitions_of(settings, topics.touchpoints)
    if not partitions:
        raise ReplayError(f"there is no topic {topics.touchpoints} at {settings.kafka.bootstrap}")
    done: list[PartitionReplay] = []
    summary: Summary | None = None
    customers: set[bytes] = set()
    models = published_models(settings, topics, reading.schemas)
    for partition in range(partitions):
        marker = last_marker(settings, topics.state, partition, lambda: False)
        if marker is None:
            continue
        run = _Partition(settings, topics, definitions, reading, partition, partitions, marker)
        run.models, run.keep = models, keep == "encoded"
        summary = run.summary = summary or Summary.of(run.engine.definition)
        run.customers, run.each, run.progress = customers, each, progress
        run.run()
        done.append(run.replay)
    if summary is None:
        raise ReplayError(f"no worker of {topics.app!r} has committed anything to {topics.state}")
    summary.customers = len(customers)
    return ReplayResult(done, summary)


class _Partition:
    """One partition on its way through its own engine."""

    summary: Summary
    customers: set[bytes]
    each: Callable[[Outputs, Sequence[DeadLetter]], None] | None
    progress: Callable[[int, int], None] | None
    models: ModelSource
    keep = True

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        definitions: DefinitionSource,
        reading: Reading,
        partition: int,
        partitions: int,
        marker: Marker,
    ) -> None:
        self.settings, self.topics, self.definitions, self.partition = settings, topics, definitions, partition
        self.marker, self.schemas = marker, reading.schemas
        self.replay = PartitionReplay(partition, marker)
        self.encoder = OutputCodec(PackagedSchemas(), reading.source)
        # What was too large for the worker is too large here: both read the same setting.
        limits = Limits(value_bytes=settings.dead_letters.value_bytes)
        self.decoder = TouchpointCodec(reading.schemas, allow_json=reading.allow_json, limits=limits)
        self.journal = self._journal()
        start = self.journal.popleft() if self.journal else None
        if start is None or start.kind != "start":
            raise ReplayError(
                f"{topics.journal} partition {partition} does not begin with its start: its oldest lines are gone, "
                "and without them the log cannot be replayed"
            )
        self.begins = start.after_offset + 1
        self.engine = Engine(
            definitions(start.value["definition"]),
            partition=partition,
            partitions=partitions,
            start_issuing_at=start.value["start_issuing_at"],
        )
        self.engine.expect_stale(
            [trigger for line in self.journal if line.kind == "stale" for trigger in line.value["triggers"]]
        )
        self.first: Marker | None = None
        if "copied_from" in start.value:
            self._begin_with_copy()

    def _begin_with_copy(self) -> None:
        """The state came from another partitioning: what it was then is this one's beginning."""
        copied = beginning.read(self.settings, self.topics, self.partition)
        if copied.marker is None:
            raise ReplayError(
                f"{self.topics.beginning} partition {self.partition} does not hold the state that was copied: it has "
                "passed its retention, and without it the log cannot be replayed"
            )
        self.engine.restore(copied.profiles, copied.marker.engine, copied.marker.format)
        self.replay.customers.update(copied.customers)
        self.first = copied.marker

    def _journal(self) -> deque[JournalLine]:
        """The lines that the marker covers; later ones belong to a transaction after it.

        Lines lie in the order of their transactions: what comes before a line that is covered is covered, too.
        """
        reader = OutputReader(self.schemas)
        records = log.read(self.settings, self.topics.journal, self.partition)
        lines = [reader.read(JournalLine, record.value or b"") for record in records]
        kept = len(lines)
        while kept and self._is_later(lines[kept - 1]):
            kept -= 1
        # What was stale tells nothing by itself, and does no harm.
        return deque(lines[:kept] + [line for line in lines[kept:] if line.kind == "stale"])

    def _is_later(self, line: JournalLine) -> bool:
        """Or, of a stale trigger, it cannot be told."""
        marker = self.marker
        if line.after_offset != marker.offset:
            return line.after_offset > marker.offset
        match line.kind:
            case "idle":
                return bool(line.value["to"] > (marker.watermark or 0))
            case "definition":
                return bool(line.value["number"] > marker.definition)
            case "model":
                return version_of(line.value["model"]) > version_of(marker.models.get(line.value["risk"], ""))
        return line.kind == "stale"

    def run(self) -> None:
        if (first := log.first_offset(self.settings, self.topics.touchpoints, self.partition)) > self.begins:
            raise ReplayError(
                f"{self.topics.touchpoints} partition {self.partition} begins at offset {first}: what lay before it "
                "has passed its retention, and with it the state from which a replay would go on"
            )
        if self.first is not None:
            for model in self.first.models.values():
                self._adopt(model)
        chunk: list[LogRecord] = []
        for record in log.read(self.settings, self.topics.touchpoints, self.partition):
            if record.offset < self.begins:
                continue
            if record.offset > self.marker.offset:
                break
            self._journal_before(record.offset, chunk)
            chunk.append(record)
            if len(chunk) >= CHUNK:
                self._process(chunk)
        self._journal_before(self.marker.offset + 1, chunk)
        self._process(chunk)
        self.summary.add_unused(self.engine.event_names_unused)

    def _journal_before(self, offset: int, chunk: list[LogRecord]) -> None:
        """Apply the lines that took effect before the touchpoint at ``offset``, after what came before them."""
        journal = self.journal
        while journal and journal[0].after_offset < offset:
            self._process(chunk)
            line = journal.popleft()
            self.replay.journal += 1
            if line.kind == "idle":
                self._take(self.engine.advance(line.value["to"], None))
            elif line.kind == "definition":
                self._take(self.engine.adopt(self.definitions(line.value["number"])))
            elif line.kind == "model":
                self._adopt(line.value["model"])
            elif line.kind != "stale":
                raise ReplayError(f"a journal line of the kind {line.kind!r}: written by a newer version")

    def _adopt(self, model: str) -> None:
        try:
            self._take(self.engine.adopt_model(self.models(model)))
        except (ModelAbsent, ModelRefused) as error:
            raise ReplayError(str(error)) from error

    def _process(self, chunk: list[LogRecord]) -> None:
        if not chunk:
            return
        touchpoints: list[Touchpoint] = []
        letters: list[DeadLetter] = []
        records = {record.offset: record for record in chunk}

        def refuse(rejection: Rejection) -> None:
            record = records[rejection.offset]
            letters.append(dead_letter(rejection, record, self.topics.touchpoints, self.partition))

        for made in self.decoder.decode(chunk):
            if isinstance(made, Rejection):
                refuse(made)
            else:
                touchpoints.append(made)
                self.customers.add(made.key or b"")
        outputs = self.engine.process(touchpoints, None)
        for rejection in outputs.rejections:
            refuse(rejection)
        self.summary.touchpoints += len(touchpoints)
        chunk.clear()
        self._take(outputs, letters)
        if self.progress is not None:
            self.progress(self.partition, self.summary.touchpoints)

    def _take(self, outputs: Outputs, letters: Sequence[DeadLetter] = ()) -> None:
        self.summary.add(outputs)
        for letter in letters:
            self.summary.refused[letter.reason] += 1
        if self.each is not None:
            self.each(outputs, letters)
        self.engine.changed()  # the records that a worker would write; taking them lets go of what they hold
        if not self.keep:
            return
        encoder, kept = self.encoder, self.replay.outputs
        kept["signals"].extend(map(encoder.signal, outputs.signals))
        kept["triggers"].extend(encoder.triggers(outputs))
        kept["decisions"].extend(map(encoder.decision, outputs.decisions))
        kept["dead_letters"].extend(map(encoder.dead_letter, letters))
        kept["examples"].extend(map(encoder.example, outputs.examples))
        for profile, view in outputs.customers.items():
            encoded = encoder.customer_forgotten(profile) if view is None else encoder.customer(view)
            self.replay.customers[profile.encode()] = encoded
