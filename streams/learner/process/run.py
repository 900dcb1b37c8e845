"""One learner process from start to end: what differs from a worker's.

Owns the checks before it joins its group, its group's name, and how much it takes at a time: learning from one example
takes milliseconds where a forest is among the pipelines.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from streams.contracts.topics import DAY_MS, Topics
from streams.learner.process.beginning import Beginning
from streams.learner.process.examples import ExampleCodec
from streams.learner.process.metrics import LearnerMetrics
from streams.settings import Settings
from streams.tools.brokers import wait_for_brokers
from streams.tools.topics import TopicsError, read_topics
from streams.worker import rights, startup
from streams.worker.outcomes import Refused
from streams.worker.ports import Intake
from streams.worker.run import Prepared, Side, run_process

log = logging.getLogger(__name__)

CHUNK_EXAMPLES: Final = 50
"""Between two turns of the event loop."""
TRANSACTION_EXAMPLES: Final = 1_000
KEEP_MARGIN_MS: Final = DAY_MS
"""Beyond the journal's retention: partitions adopt the next model within seconds, a worker that is down does not."""

KEY_WANTED: Final = (
    "JOURNEY_LEARNER_KEY is not set. The learner signs its state and its models with it, so that nobody else can make "
    "workers load what is none. Make one with `openssl rand -hex 32` and give it to the learner and to every worker, "
    "as JOURNEY_LEARNER_KEY or, better, in a file that JOURNEY_LEARNER_KEY_FILE names."
)


@dataclass(frozen=True, slots=True)
class LearnerSettings(Settings):
    """The settings as the learner's process takes them."""

    @property
    def group_id(self) -> str:
        """A group of its own, of which one member has the one partition and the others stand by."""
        return f"{self.prefix}.{self.app}-learner"


def of_the_learner(settings: Settings) -> LearnerSettings:
    values: dict[str, Any] = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["batch"] = replace(
        settings.batch,
        chunk_records=CHUNK_EXAMPLES,
        transaction_records=TRANSACTION_EXAMPLES,
        linger_ms=settings.learner.linger_ms,
    )
    return LearnerSettings(**values)


def run_learner(settings: Settings, *, index: int = 0, parent: int | None = None) -> int:
    """Runs until SIGTERM or SIGINT or until it must not go on; the exit status. Call it from the main thread."""
    mine = of_the_learner(settings)
    topics = Topics(settings.app, settings.prefix, settings.partitioning)
    metrics = LearnerMetrics()
    side = Side(
        intake=Intake(topics.examples, topics.learner_state, None, "examples", "journey learn"),
        port=settings.learner.port + index if settings.learner.port else 0,
        metrics=metrics,
        prepare=lambda: _prepare(mine, topics),
        follows_models=False,
    )
    return run_process(mine, side, instance=f"{settings.instance_id(index)}-learner", parent=parent)


def _prepare(settings: Settings, topics: Topics) -> Prepared:
    key = settings.learner.key
    if key is None:
        raise Refused(KEY_WANTED)
    wait_for_brokers(
        settings.kafka, settings.broker_wait_ms / 1000, " JOURNEY_BROKER_WAIT sets how long a start waits."
    )
    startup.check_rights(settings, rights.of_the_learner(topics))
    startup.check(settings, topics)
    schemas = startup.schema_source(settings, topics)
    codec = ExampleCodec(schemas)
    beginning = Beginning(codec, schemas, key.reveal().encode(), _keep_ms(settings, topics))
    return Prepared(1, codec, schemas, beginning.begin)


def _keep_ms(settings: Settings, topics: Topics) -> int | None:
    """How long after its replacement a model may be named by a journal; None: for ever."""
    try:
        configs = read_topics(settings.kafka.librdkafka(), [topics.journal])[topics.journal].configs
    except TopicsError as error:
        raise Refused(str(error)) from error
    retention = int(configs["retention.ms"])
    if retention < 0:
        return None
    # A line outlives its retention until its segment is closed.
    return retention + int(configs.get("segment.ms", 7 * DAY_MS)) + KEEP_MARGIN_MS
