"""The worker's work on a partition that was opened anew: its definition, its engine, its models.

Owns what is waited for before the first touchpoint is processed: a restored engine goes on with the definition and the
models that its marker names, or a replay of log and journal would not give what was live (semantics, rules 1 and 23).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec import MsgspecError, structs

from streams.definitions.model import Definition
from streams.worker.marker import Marker
from streams.worker.opening import Opened, not_understood
from streams.worker.phase import Phase
from streams.worker.ports import EnginePort, Runtime
from streams.worker.processing import Processing, first_marker

log = logging.getLogger(__name__)

LOST_MODEL = "a model of a partition"


async def begin(
    runtime: Runtime, partition: int, opened: Opened, entered: Callable[[Phase], None]
) -> tuple[Processing, Marker]:
    """Waits for the definition and the models of the marker."""
    marker = opened.marker
    entered(Phase.DEFINITION)
    definitions = runtime.definitions
    definition = await (definitions.get(marker.definition) if marker is not None else definitions.first())
    entered(Phase.OPENING)
    loop = asyncio.get_running_loop()
    engine, begins = await loop.run_in_executor(runtime.pool, restored_engine, runtime, partition, opened, definition)
    if marker is not None and marker.models:
        entered(Phase.MODEL)
        for risk, key in marker.models.items():
            scorer = await runtime.models.get(key)
            if scorer is not None:
                engine.adopt_model(scorer)
                continue
            log.error("Partition %d goes on without %s: the prior scores %s until the next model", partition, key, risk)
            runtime.metrics.losses.labels(LOST_MODEL).inc()
        entered(Phase.OPENING)
    return Processing(partition, runtime, engine, begins, opened.profile_bytes), begins


def restored_engine(
    runtime: Runtime, partition: int, opened: Opened, definition: Definition
) -> tuple[EnginePort, Marker]:
    """The engine of the partition and where it begins. In a thread: rebuilding the timers takes a while."""
    begins = opened.marker or first_marker(
        runtime, opened.topic_id, opened.start.next, opened.start.offset, definition.number
    )
    engine = runtime.make_engine(
        definition,
        partition=partition,
        partitions=runtime.partitions,
        start_issuing_at=begins.start_issuing_at,
        hot_profiles=runtime.settings.hot_profiles,
    )
    if opened.marker is not None:
        try:
            engine.restore(opened.profiles, opened.marker.engine or None, opened.marker.format)
        except (ValueError, MsgspecError) as failure:
            raise not_understood(ValueError(str(failure)), runtime.topics.state, partition) from failure
        # What was accepted as lost moves the place in the log.
        begins = structs.replace(begins, next=opened.start.next, offset=opened.start.offset, topic_id=opened.topic_id)
    return engine, begins
