"""The learner's place in the examples and what it has learned: chunks in, batches out.

Owns what goes into a transaction: the models published, those taken back, the state of every learner that has learned
something, and the marker. So whatever dies, models and state have come exactly as far as the marker says. Nothing here
waits; the caller commits what it gets.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from streams.contracts.outputs import Example, Model
from streams.definitions.model import Definition
from streams.learner.process import chunks
from streams.learner.process.examples import Refusal
from streams.learner.process.metrics import LearnerMetrics, LearnerTally
from streams.learner.process.published import Published, Snapshot
from streams.learner.school import School
from streams.worker import marker as markers
from streams.worker.batch import Batch
from streams.worker.marker import Marker
from streams.worker.metrics import Metrics
from streams.worker.outcomes import Refused
from streams.worker.ports import Runtime
from streams.worker.transactions import Message

log = logging.getLogger(__name__)

MODELS_PARTITION: Final = 0
LOOK_EVERY_S: Final = 5.0
"""How often the figures of quality are computed for the gauges: a few ms each time."""
UNKNOWN: Final = Definition(number=0, digest="", sources=())
"""Before the first example."""


class Kept(msgspec.Struct, array_like=True):
    """What the marker carries beside the learners' states."""

    versions: dict[str, int] = {}
    """Risk -> version of its newest model, also of risks that were taken away."""
    snapshots: list[Snapshot] = []
    now_ms: int = 0
    """Highest record time of an example."""
    pieces: dict[str, int] = {}
    """Risk -> in how many pieces its state lies."""


class LearnerBatch:
    """Collects what several chunks said, until ``Learning.close``."""

    def __init__(self) -> None:
        self.tally = LearnerTally()
        self.messages: list[Message] = []
        self.learned: set[str] = set()
        """Risks whose state has changed."""


class Learning:
    """Begins where a marker says (or at a first start) and hands out one batch after the other."""

    paused = None
    still = False
    lateness_ms = 0

    def __init__(self, number: int, runtime: Runtime, school: School, kept: Kept, begins: Marker, keep_ms: int | None):
        """``keep_ms``: how long after a model was replaced journals may name it; None: for ever."""
        self.school = school
        self._number = number
        self._rt = runtime
        self._published = Published(kept.snapshots, kept.now_ms)
        self._pieces = dict(kept.pieces)
        self._keep_ms = keep_ms
        self.position = begins.next
        self.offset = begins.offset
        self.definition = begins.definition
        """Number of the definition under which is learned; 0 before the first example."""
        self.last_record_s = 0.0
        self._sequence = begins.sequence
        self._topic_id = begins.topic_id
        self.unwritten: set[str] = set()
        """Risks whose state goes into the next transaction whatever happens: what lies there is of no use."""
        self._looked_at = 0.0
        self._drifts = Counter({(r, what): n for r, one in school.learners.items() for what, n in one.drifts.items()})

    # -- what goes into a transaction --------------------------------------------------------------------------------

    def builder(self) -> LearnerBatch:
        return LearnerBatch()

    def apply(
        self,
        chunk: Any,
        decoded: Sequence[Example | Refusal],
        now_ms: int,  # noqa: ARG002 - Work's
        builder: LearnerBatch,
    ) -> None:
        """One chunk of the examples, in order."""
        tally = builder.tally
        self._rt.metrics.taken(self._rt.intake.topic, len(chunk.records))
        for record, found in zip(chunk.records, decoded, strict=True):
            if record.offset < self.position:
                tally.already_applied += 1
                continue
            tally.consumed += 1
            self._published.come_to(record.timestamp)
            if isinstance(found, Refusal):
                log.error("The example at offset %d is refused (%s): %s", record.offset, found.reason, found.why)
                tally.refused[found.reason] += 1
                continue
            if found.definition > self.definition:
                definition = self._rt.definitions.loaded(found.definition)
                assert definition is not None  # noqa: S101 - the codec has waited for it
                self._adopt(definition, builder)
            self._learn(found, builder)
        if chunk.records:
            self.offset = chunk.records[-1].offset
            self.last_record_s = chunk.records[-1].timestamp / 1000
        self.position = chunk.next

    def _learn(self, example: Example, builder: LearnerBatch) -> None:
        tally, learner = builder.tally, self.school.learners.get(example.risk)
        before = dict(learner.counts) if learner is not None else {}
        for model in self.school.learn(example):
            self._publish(model, builder)
        if learner is None or learner.counts["foreign"] > before["foreign"]:
            tally.refused["other_definition"] += 1
            return
        builder.learned.add(example.risk)
        if learner.counts["repeated"] > before["repeated"]:
            tally.counts["duplicate"] += 1
        else:
            tally.counts["processed"] += 1
            tally.learned[example.risk] += 1

    def _adopt(self, definition: Definition, builder: LearnerBatch) -> None:
        log.info("The learner goes over to definition %d", definition.number)
        try:
            self.school.adopt(definition)
        except ValueError as error:
            raise Refused(f"definition {definition.number} cannot be learned: {error}") from error
        self.definition = definition.number
        self._published.adopt(definition)
        builder.learned.update(self.school.learners, self._pieces)

    def _publish(self, model: Model, builder: LearnerBatch) -> None:
        made = self._rt.outputs.model(model)
        builder.messages.append(Message(self._rt.topics.models, MODELS_PARTITION, made.key, made.value, made.headers))
        builder.tally.published[model.name] += 1
        self._published.add(model)
        figures = model.evaluation
        if model.form in ("beta", "contextual"):
            log.info(
                "Published %s@%d: %d successes of %d contacts%s%s",
                model.name, model.version, model.positives, model.examples,
                ", by the customer's features" if model.form == "contextual" else "",
                ", paused" if model.paused else "",
            )  # fmt: skip
            return
        log.info(
            "Published %s@%d (%s) after %d labels: auc %.3f, log loss %.3f, calibration error %.3f",
            model.name, model.version, model.algorithm, model.examples,
            figures.get("auc", 0.5), figures.get("log_loss", 0.0), figures.get("ece", 0.0),
        )  # fmt: skip

    def close(self, builder: LearnerBatch) -> Batch:
        tally, messages = builder.tally, builder.messages
        for model in self._published.take_back(self._keep_ms):
            messages.append(Message(self._rt.topics.models, MODELS_PARTITION, model.encode(), None))
            tally.taken_back[model.rpartition("@")[0]] += 1
        topic = self._rt.intake.state
        learned, self.unwritten = builder.learned | self.unwritten, set()
        for risk in sorted(learned):
            for key, value in self._stored(risk):
                messages.append(Message(topic, self._number, key, value))
                tally.state_records += 1
                tally.state_bytes += len(key) + len(value or b"")
        self._sequence += 1
        kept = Kept(self.school.versions, self._published.snapshots, self._published.now_ms, self._pieces)
        marker = Marker(
            sequence=self._sequence,
            offset=self.offset,
            next=self.position,
            topic_id=self._topic_id,
            definition=self.definition,
            start_issuing_at=0,
            engine=msgspec.msgpack.encode(kept),
        )
        messages.append(Message(topic, self._number, markers.KEY, markers.encode(marker)))
        return Batch(tuple(messages), marker, tally)

    def _stored(self, risk: str) -> list[tuple[bytes, bytes | None]]:
        learner = self.school.learners.get(risk)
        before = self._pieces.pop(risk, 0)
        if learner is None:
            return [(chunks.key(risk, piece), None) for piece in range(before)]
        state = learner.dump()
        self._pieces[risk] = chunks.pieces_of(state)
        return list(chunks.cut(risk, state, before))

    def first_start(self) -> Batch:
        return self.close(self.builder())

    def refresh(self) -> Batch:
        return self.close(self.builder())

    resume = refresh

    # -- what does not happen here -----------------------------------------------------------------------------------

    def has_news(self) -> bool:
        """Definitions come with the examples that were made under them."""
        return False

    def take_news(self, now_ms: int) -> Batch | None:  # noqa: ARG002 - Work's
        return None

    def timer_due(self, limit_ms: int) -> bool:  # noqa: ARG002 - Work's
        return False

    def move_time(self, limit_ms: int, now_ms: int) -> Batch | None:  # noqa: ARG002 - Work's
        return None

    def step_to(self, position: int) -> None:
        self.position = max(self.position, position)

    # -- what is shown -----------------------------------------------------------------------------------------------

    @property
    def held(self) -> tuple[int, str]:
        return len(self.school.learners), "learners"

    def show(self, metrics: Metrics, label: str, wall_s: float) -> None:  # noqa: ARG002 - Work's
        metrics.state_entries.labels(label).set(len(self.school.learners))
        metrics.definition.labels(label).set(self.definition)
        now = time.monotonic()
        if now - self._looked_at < LOOK_EVERY_S or not isinstance(metrics, LearnerMetrics):
            return
        self._looked_at = now
        for risk, learner in self.school.learners.items():
            metrics.model_version.labels(risk, label).set(learner.version)
            for model, quality in learner.qualities().items():
                metrics.quality(risk, model, quality)
            for what, number in learner.drifts.items():
                metrics.drift.labels(risk, what).inc(max(0, number - self._drifts[risk, what]))
                self._drifts[risk, what] = number


def kept_by(marker: Marker) -> Kept:
    return msgspec.msgpack.decode(marker.engine, type=Kept)


def taught(definition: Definition | None, records: Mapping[bytes, bytes], kept: Kept, key: bytes) -> School:
    """The learners as they were stored. Raises ``ModelRefused`` or ``chunks.Torn``."""
    school = School(key)
    school.load(definition or UNKNOWN, chunks.joined(records), kept.versions)
    return school
