"""The learner's work on the examples once they are its: what it had learned, or its first start.

Owns what becomes of a state that cannot be used, and the versions with which a learner without state begins: a version
is given once, so it goes on above all that the models topic holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from msgspec import structs

from streams.contracts.output_codec import OutputReader
from streams.contracts.schemas import SchemaSource
from streams.definitions.model import Definition
from streams.engine.scoring.scorer import ModelRefused
from streams.learner.process import chunks
from streams.learner.process.examples import ExampleCodec
from streams.learner.process.learning import MODELS_PARTITION, Kept, Learning, kept_by, taught
from streams.learner.process.published import Snapshot
from streams.learner.school import School
from streams.worker.changelog import read_to_end, reader
from streams.worker.marker import Marker
from streams.worker.model_catalogue import read_model
from streams.worker.opening import Opened
from streams.worker.outcomes import Refused
from streams.worker.phase import Phase
from streams.worker.ports import Runtime

log = logging.getLogger(__name__)

LOST_STATE: Final = "what a learner has learned"


class Beginning:
    """Makes the ``Learning`` of the one partition; the codec is told what it asks about."""

    def __init__(self, codec: ExampleCodec, schemas: SchemaSource, key: bytes, keep_ms: int | None) -> None:
        self._codec = codec
        self._schemas = schemas
        self._key = key
        self._keep_ms = keep_ms

    async def begin(
        self, runtime: Runtime, partition: int, opened: Opened, entered: Callable[[Phase], None]
    ) -> tuple[Learning, Marker]:
        """Waits for the definition of the marker. Raises ``Refused`` for a state that cannot be used."""
        marker = opened.marker
        definition = None
        if marker is not None and marker.definition:
            entered(Phase.DEFINITION)
            definition = await runtime.definitions.get(marker.definition)
        entered(Phase.OPENING)
        loop = asyncio.get_running_loop()
        learning, begins = await loop.run_in_executor(
            runtime.pool, self._restored, runtime, partition, opened, definition
        )
        self._codec.known = runtime.definitions
        self._codec.in_force = lambda: learning.definition
        return learning, begins

    def _restored(
        self, runtime: Runtime, partition: int, opened: Opened, definition: Definition | None
    ) -> tuple[Learning, Marker]:
        marker, start = opened.marker, opened.start
        if marker is None:
            kept = Kept(snapshots=self._in_the_topic(runtime))
            for snapshot in kept.snapshots:
                kept.versions[snapshot.name] = max(snapshot.version, kept.versions.get(snapshot.name, 0))
            begins = Marker(
                sequence=0, offset=start.offset, next=start.next, topic_id=opened.topic_id, definition=0,
                start_issuing_at=0,
            )  # fmt: skip
        else:
            kept = kept_by(marker)
            begins = structs.replace(marker, next=start.next, offset=start.offset, topic_id=opened.topic_id)
        try:
            school, lost = self._school(runtime, definition, opened, kept)
        except ValueError as error:
            raise Refused(f"definition {begins.definition} cannot be learned by this version: {error}") from error
        learning = Learning(partition, runtime, school, kept, begins, self._keep_ms)
        if lost:
            learning.unwritten = set(school.learners)
        return learning, begins

    def _school(
        self, runtime: Runtime, definition: Definition | None, opened: Opened, kept: Kept
    ) -> tuple[School, bool]:
        """The learners, and whether what they had learned is lost. Raises ``ValueError`` for unknown pipelines."""
        try:
            return taught(definition, opened.profiles, kept, self._key), False
        except (ModelRefused, chunks.Torn) as error:
            if not runtime.settings.accept_loss:
                raise Refused(
                    f"What the learner has learned cannot be used: {error}. Start it with the JOURNEY_LEARNER_KEY and "
                    "the version of the software that wrote it; `journey learn --accept-loss` begins to learn anew."
                ) from error
            log.exception("What the learner had learned is given up")
            runtime.metrics.losses.labels(LOST_STATE).inc()
            return taught(definition, {}, kept, self._key), True

    def _in_the_topic(self, runtime: Runtime) -> list[Snapshot]:
        """Models of a learner whose state is gone, or of none."""
        found: dict[bytes, Snapshot] = {}
        schemas = OutputReader(self._schemas)

        def each(key: bytes, value: bytes | None, _offset: int) -> None:
            found.pop(key, None)
            if value is None:
                return
            try:
                model = read_model(key, value, schemas)
            except ModelRefused as refusal:
                log.warning("Passed over: %s", refusal)
            else:
                found[key] = Snapshot(model.name, model.version, model.signature)

        consumer = reader(runtime.settings)
        try:
            read_to_end(consumer, runtime.topics.models, MODELS_PARTITION, each)
        finally:
            consumer.close()
        return list(found.values())
