"""Every topic of a deployment: its name, key, partitions and settings, as one table.

Owns the names and what must hold of each topic. ``streams.tools.topics`` creates and checks them with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

INPUT_MAX_BYTES: Final = 1_048_588
"""Kafka's own default for ``max.message.bytes``: 1 MiB and the overhead of a batch."""
DEAD_LETTER_ALLOWANCE: Final = 65_536
"""A dead letter carries the original record and, beside it, its position and reason."""
CLOSED_BYTES: Final = 96
"""``max.message.bytes`` of a touchpoint topic that is closed: brokers refuse every touchpoint (with the batch around it
the smallest takes 112 bytes) and still take the end of a transaction (78), or one that is open could never end."""
SEGMENT_MS: Final = 7 * DAY_MS
"""A record may outlive ``retention.ms`` by the age of its segment; the journal allows for that."""
MODEL_MAX_BYTES: Final = 8 * 1024 * 1024
"""Largest snapshot of a model: a forest of trees is some MiB, a linear model some KiB."""
_RESTORED_QUICKLY: Final = {
    # Small segments and an early cleaner keep a restore short: it reads what compaction left.
    "segment.bytes": str(64 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": str(HOUR_MS),
    "delete.retention.ms": str(DAY_MS),
}

Partitions = Literal["input", "one"]
"""``input``: as many as the touchpoint topic, and record by record in the partition of its input."""
Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True)
class TopicSpec:
    """What a topic is for and what must hold of it."""

    name: str
    key: str
    """What the record key is, in words."""
    partitions: Partitions
    cleanup: Cleanup
    retention_ms: int | None = None
    """At creation; None where compaction decides."""
    required: dict[str, str] = field(default_factory=dict)
    """Without these the engine's promises do not hold: the worker refuses to start."""
    advised: dict[str, str] = field(default_factory=dict)
    """Set at creation; another value works, at a cost that ``journey topics check`` names."""
    used_by: Literal["engine", "tools"] = "engine"
    """``tools``: worker and learner neither read nor write it and need no right on it."""

    def configs(self) -> dict[str, str]:
        """Everything to set when the topic is created."""
        made = {"cleanup.policy": self.cleanup, **self.advised, **self.required}
        if self.retention_ms is not None:
            made["retention.ms"] = str(self.retention_ms)
        return made


@dataclass(frozen=True)
class Topics:
    """The names that a deployment uses. ``app`` tells workers of different deployments on the same topics apart."""

    app: str = "journey"
    prefix: str = "journey"
    partitioning: int = 1
    """Number in the names of the touchpoints and of what follows their partitions. ``journey reshard`` moves a
    deployment to topics of the next number, with another number of partitions."""

    def after(self) -> Topics:
        """Those of the next partitioning."""
        return replace(self, partitioning=self.partitioning + 1)

    @property
    def touchpoints(self) -> str:
        return f"{self.prefix}.touchpoints.v{self.partitioning}"

    @property
    def signals(self) -> str:
        return f"{self.prefix}.signals.v{self.partitioning}"

    @property
    def triggers(self) -> str:
        return f"{self.prefix}.triggers.v{self.partitioning}"

    @property
    def decisions(self) -> str:
        return f"{self.prefix}.decisions.v{self.partitioning}"

    @property
    def customers(self) -> str:
        return f"{self.prefix}.customers.v{self.partitioning}"

    @property
    def examples(self) -> str:
        return f"{self.prefix}.examples.v1"

    @property
    def models(self) -> str:
        return f"{self.prefix}.models.v1"

    @property
    def definitions(self) -> str:
        return f"{self.prefix}.definitions.v1"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters.v{self.partitioning}"

    @property
    def dead_letters_settled(self) -> str:
        return f"{self.prefix}.dead-letters-settled.v1"

    @property
    def state(self) -> str:
        return f"{self.prefix}.{self.app}-state.v{self.partitioning}"

    @property
    def journal(self) -> str:
        return f"{self.prefix}.{self.app}-journal.v{self.partitioning}"

    @property
    def beginning(self) -> str:
        """What the state began with that was copied from the partitioning before: a replay begins there, too."""
        return f"{self.prefix}.{self.app}-beginning.v{self.partitioning}"

    @property
    def learner_state(self) -> str:
        return f"{self.prefix}.{self.app}-learner-state.v1"

    def specs(self, *, retention_ms: int = 30 * DAY_MS, input_max_bytes: int = INPUT_MAX_BYTES) -> list[TopicSpec]:
        """All topics, the input first. ``retention_ms`` is that of the touchpoints and of what was made of them."""
        journal_ms = retention_ms if retention_ms < 0 else retention_ms + SEGMENT_MS
        specs = [
            TopicSpec(
                self.touchpoints,
                "customer_id, else anonymous_id, as UTF-8; partitioned with murmur2",
                "input",
                "delete",
                retention_ms,
                # The record's time is the upper bound of event time: a producer's clock must not be able to set it.
                required={"message.timestamp.type": "LogAppendTime"},
                advised={"max.message.bytes": str(input_max_bytes)},
            ),
            TopicSpec(self.signals, "customer", "input", "delete", retention_ms),
            TopicSpec(self.triggers, "customer", "input", "delete", retention_ms),
            TopicSpec(self.decisions, "customer", "input", "delete", retention_ms),
            TopicSpec(self.customers, "customer", "input", "compact"),
            # One partition: its order is the order of learning.
            TopicSpec(self.examples, "customer", "one", "delete", retention_ms),
            TopicSpec(
                self.models, "name@version", "one", "compact", required={"max.message.bytes": str(MODEL_MAX_BYTES)}
            ),
            TopicSpec(self.definitions, "version", "one", "compact"),
            TopicSpec(
                self.dead_letters,
                "key of the source record",
                "input",
                "delete",
                retention_ms,
                required={"max.message.bytes": str(input_max_bytes + DEAD_LETTER_ALLOWANCE)},
            ),
            TopicSpec(
                self.dead_letters_settled,
                "place of the dead letter, partition:offset",
                "one",
                "compact",
                used_by="tools",
            ),
            TopicSpec(self.state, "type byte and profile", "input", "compact", advised=dict(_RESTORED_QUICKLY)),
            TopicSpec(
                self.learner_state,
                "type byte, risk and number",
                "one",
                "compact",
                advised=dict(_RESTORED_QUICKLY),
            ),
            TopicSpec(self.journal, "none", "input", "delete", journal_ms, advised={"retention.bytes": "-1"}),
        ]
        if self.partitioning > 1:
            specs.append(
                TopicSpec(
                    self.beginning, "type byte and profile or customer", "input", "delete", journal_ms,
                    advised={"retention.bytes": "-1"}, used_by="tools",
                )
            )  # fmt: skip
        return specs
