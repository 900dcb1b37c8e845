"""A partition's engine with its place in the log: chunks, moves of time and definitions in, batches out.

Owns what goes into a transaction and in which order (semantics, rules 8, 15, 17, 22, 23). Nothing here waits; the
caller commits what it gets and passes every time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from streams.contracts.outputs import Outputs
from streams.contracts.touchpoint import Rejection, Touchpoint
from streams.definitions.model import Definition
from streams.engine.decisions.plan import served
from streams.engine.scoring.scorer import ModelRefused, Scorer
from streams.worker.batch import Batch, BatchBuilder
from streams.worker.dead_letters import DeadLetterWindow
from streams.worker.marker import Marker, Paused
from streams.worker.metrics import Metrics
from streams.worker.ports import EnginePort, Runtime

log = logging.getLogger(__name__)

IDLE_MOVES: Final = 200
"""Moves of the idle clock in one transaction; the rest follows in the next."""


class Processing:
    """Begins where a marker says (or at a first start) and hands out one batch after the other."""

    def __init__(
        self, number: int, runtime: Runtime, engine: EnginePort, begins: Marker, profile_bytes: float = 0.0
    ) -> None:
        self.engine = engine
        self._number = number
        self._rt = runtime
        self._topics = runtime.topics
        self.position = begins.next
        """Offset of the next touchpoint to apply."""
        self.offset = begins.offset
        """Offset of the last one applied."""
        self.paused = begins.paused
        self.last_record_s = 0.0
        self.profile_bytes = profile_bytes
        """Mean size of a profile in the changelog, as it was restored or last written."""
        self._sequence = begins.sequence
        self._other_format = begins.sequence > 0 and begins.format != runtime.settings.state_format
        """Its state is written in another format than is set: the marker is written again at once."""
        self._topic_id = begins.topic_id
        self._journeys = {journey.name for journey in engine.definition.journeys}
        """Of the definition in force and of those before it, whose instances a new one ends."""
        self._served: list[tuple[str, str]] = []
        self._served_by: Definition | None = None
        self._start_issuing_at = begins.start_issuing_at
        letters = runtime.settings.dead_letters
        self._window = DeadLetterWindow(letters.limit, letters.window_records)

    def builder(self) -> BatchBuilder:
        return BatchBuilder(self._rt.outputs, self._topics, self._number, self._journeys)

    def close(self, builder: BatchBuilder) -> Batch:
        engine = self.engine
        self._sequence += 1
        self._other_format = False
        changed = engine.changed()
        state_format = self._rt.settings.state_format
        marker = Marker(
            format=state_format,
            sequence=self._sequence,
            offset=self.offset,
            next=self.position,
            topic_id=self._topic_id,
            definition=engine.definition.number,
            start_issuing_at=self._start_issuing_at,
            watermark=engine.watermark,
            models=dict(engine.models),
            paused=self.paused,
            engine=engine.partition_record(state_format),
        )
        batch = builder.close(changed, marker)
        if batch.tally.state_records:
            self.profile_bytes = batch.tally.state_bytes / batch.tally.state_records
        return batch

    def first_start(self) -> Batch:
        """The journal's first line: from when on triggers are issued, and by which definition."""
        builder = self.builder()
        value = {"start_issuing_at": self._start_issuing_at, "definition": self.engine.definition.number}
        builder.journal(self.offset, "start", value)
        return self.close(builder)

    def apply(self, chunk: Any, decoded: Sequence[Touchpoint | Rejection], now_ms: int, builder: BatchBuilder) -> None:
        """One chunk of the log, in order. Afterwards ``paused`` may be set: its dead letters were too many."""
        records, tally = chunk.records, builder.tally
        skip = 0
        while skip < len(records) and records[skip].offset < self.position:
            skip += 1
        self._rt.metrics.taken(self._topics.touchpoints, len(records))
        if skip:
            records, decoded = records[skip:], decoded[skip:]
            tally.already_applied += skip
        tally.consumed += len(records)
        before = self.offset
        touchpoints = [t for t in decoded if type(t) is Touchpoint]
        outputs = self.engine.process(touchpoints, now_ms)
        refused: list[tuple[Rejection, Any]] = []
        if len(touchpoints) != len(decoded):
            refused = [(f, record) for record, f in zip(records, decoded, strict=True) if type(f) is Rejection]
        if outputs.rejections:
            by_offset = {record.offset: record for record in records}
            refused += [(rejection, by_offset[rejection.offset]) for rejection in outputs.rejections]
            refused.sort(key=lambda pair: pair[0].offset)
        for rejection, record in refused:
            builder.dead_letter(rejection, record)
        self._say(outputs, before, builder)
        if records:
            self.offset = records[-1].offset
            self.last_record_s = records[-1].timestamp / 1000
        self.position = chunk.next
        self._window.add(len(records), len(refused))
        if self._window.tripped:
            self.paused = Paused(
                f"{self._window.dead} dead letters among the latest {self._window.records} records",
                self._rt.definitions.end,
            )

    def _say(self, outputs: Outputs, after_offset: int, builder: BatchBuilder) -> None:
        if outputs.stale:
            # Before their effects: a replay must know them when it comes to the touchpoint.
            builder.journal(after_offset, "stale", {"triggers": list(outputs.stale)})
        builder.outputs(outputs)

    # -- definitions and models: adopted between two batches, journalled, never given up for an older one -------------

    def has_news(self) -> bool:
        return self._other_format or self._newer_definition() is not None or self._newer_model() is not None

    def take_news(self, now_ms: int) -> Batch | None:
        if self._other_format:
            return self.refresh()
        definition = self._newer_definition()
        if definition is not None:
            log.info("Partition %d adopts definition %d", self._number, definition.number)
            return self.adopt(definition, now_ms)
        while (scorer := self._newer_model()) is not None:
            batch = self.adopt_model(scorer)
            if batch is not None:
                return batch
        return None

    def _newer_definition(self) -> Definition | None:
        latest = self._rt.definitions.latest
        return latest if latest is not None and latest.number > self.engine.definition.number else None

    def _newer_model(self) -> Scorer | None:
        """The newest accepted snapshot of a risk or action, where it is newer than the one in use."""
        models = self.engine.models
        definition = self.engine.definition
        if self._served_by is not definition:
            self._served, self._served_by = served(definition), definition
        for name, signature in self._served:
            found = self._rt.models.newest(name, signature)
            if found is not None and version_of(found.key) > version_of(models.get(name, "")):
                return found
        return None

    def adopt_model(self, scorer: Scorer) -> Batch | None:
        """None where the engine refuses it: it is not offered again."""
        builder = self.builder()
        try:
            outputs = self.engine.adopt_model(scorer)
        except ModelRefused as refusal:
            self._rt.models.refuse(scorer.key, refusal.reason, str(refusal))
            return None
        builder.journal(self.offset, "model", {"risk": scorer.risk, "model": scorer.key})
        self._say(outputs, self.offset, builder)
        return self.close(builder)

    def adopt(self, definition: Definition, now_ms: int) -> Batch:
        builder = self.builder()
        outputs = self.engine.adopt(definition, now_ms)
        self._journeys.update(journey.name for journey in definition.journeys)
        builder.journal(self.offset, "definition", {"number": definition.number})
        self._say(outputs, self.offset, builder)
        return self.close(builder)

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def still(self) -> bool:
        return self.engine.importing

    @property
    def lateness_ms(self) -> int:
        return self.engine.definition.time.allowed_lateness_ms

    def timer_due(self, limit_ms: int) -> bool:
        due = self.engine.next_due_ms
        return due is not None and due <= limit_ms

    def move_time(self, limit_ms: int, now_ms: int) -> Batch | None:
        """The idle clock: the watermark goes from due timer to due timer, no further, and each move is journalled."""
        builder = self.builder()
        moves = 0
        due = self.engine.next_due_ms
        while due is not None and due <= limit_ms and moves < IDLE_MOVES:
            outputs = self.engine.advance(due, now_ms)
            if outputs.stale:
                builder.journal(self.offset, "stale", {"triggers": list(outputs.stale)})
            builder.journal(self.offset, "idle", {"to": due})
            builder.outputs(outputs)
            moves += 1
            following = self.engine.next_due_ms
            if following is not None and following <= due:
                raise AssertionError(f"the engine's next due time did not rise: {due} -> {following}")
            due = following
        return self.close(builder) if moves else None

    def step_to(self, position: int) -> None:
        """Nothing but control records lies between here and there."""
        self.position = max(self.position, position)

    def refresh(self) -> Batch:
        """Only the marker: the position has moved without touchpoints, or the pause has ended."""
        return self.close(self.builder())

    def resume(self) -> Batch:
        self.paused = None
        self._window.reset()
        return self.refresh()

    # -- what is shown -----------------------------------------------------------------------------------------------

    @property
    def held(self) -> tuple[int, str]:
        return self.engine.profiles, "profiles"

    def show(self, metrics: Metrics, label: str, wall_s: float) -> None:
        engine = self.engine
        metrics.state_entries.labels(label).set(engine.profiles)
        metrics.state_bytes.labels(label).set(engine.profiles * self.profile_bytes)
        metrics.definition.labels(label).set(engine.definition.number)
        metrics.unused_events.labels(label).set(len(engine.event_names_unused))
        if engine.watermark is not None:
            metrics.watermark_lag.labels(label).set(max(0.0, wall_s - engine.watermark / 1000))
        metrics.labels_waiting.labels(label).set(engine.labels_waiting)
        models = {risk.name: "" for risk in engine.definition.risks} | dict(engine.models)
        for name, key in models.items():
            metrics.model_version.labels(name, label).set(version_of(key))


def version_of(key: str) -> int:
    """Of ``name@version``; 0 for "" (no model)."""
    return int(key.rpartition("@")[2] or 0)


def first_marker(runtime: Runtime, topic_id: str, next_offset: int, offset: int, definition: int) -> Marker:
    """Where a partition begins that has no state."""
    now_ms = int(time.time() * 1000)
    return Marker(
        sequence=0,
        offset=offset,
        next=next_offset,
        topic_id=topic_id,
        definition=definition,
        start_issuing_at=runtime.settings.issuing_from_ms(now_ms),
    )
