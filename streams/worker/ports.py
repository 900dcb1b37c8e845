"""What a partition needs from the rest of the worker, as protocols: the engine, the feed of chunks, the group.

The worker is tested with its real parts; these exist so that a partition knows no more than it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from streams.contracts.codec import TouchpointCodec
from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Outputs
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.settings import Settings
from streams.worker.metrics import Metrics
from streams.worker.outcomes import Refused


class EnginePort(Protocol):
    """The part of ``streams.engine.engine.Engine`` that the worker drives."""

    @property
    def definition(self) -> Definition: ...
    @property
    def watermark(self) -> int | None: ...
    @property
    def importing(self) -> bool: ...
    @property
    def next_due_ms(self) -> int | None: ...
    @property
    def profiles(self) -> int: ...
    @property
    def event_names_unused(self) -> dict[str, int]: ...
    def process(self, touchpoints: Sequence[Touchpoint], now_ms: int | None) -> Outputs: ...
    def advance(self, to_ms: int, now_ms: int | None) -> Outputs: ...
    def adopt(self, definition: Definition) -> Outputs: ...
    def changed(self) -> list[tuple[bytes, bytes | None]]: ...
    def partition_record(self) -> bytes: ...
    def restore(self, profiles: dict[bytes, bytes], partition_record: bytes | None) -> None: ...


class End(Protocol):
    @property
    def last_stable(self) -> int: ...
    @property
    def answered_at(self) -> float: ...


class Feed(Protocol):
    """Chunks of the touchpoint topic: ``streams.worker.transport.Consumer``."""

    def read_from(self, partition: int, offset: int) -> None: ...
    def stop_partition(self, partition: int) -> None: ...
    def hold(self, partition: int) -> None: ...
    def release(self, partition: int) -> None: ...
    def finished(self, partition: int, next_offset: int) -> None: ...
    def next_offset(self, partition: int) -> int | None: ...
    def delivered(self, partition: int) -> int | None: ...
    def end(self, partition: int) -> End | None: ...


class Group(Protocol):
    """Membership as a partition sees it: ``streams.worker.shell.Shell``."""

    async def membership(self, partition: int) -> int:
        """Waits until the group has assigned the partition to this worker; the generation."""

    async def heard_since(self, moment_s: float, partition: int) -> None:
        """Waits until the group has answered a heartbeat sent after ``moment_s`` and still assigns the partition."""

    def holds(self, partition: int, generation: int) -> bool:
        """Whether that generation is the group's and assigns the partition here; callable from any thread."""

    @property
    def suspended(self) -> bool:
        """Between the revocation and the next assignment, or while the worker drains."""

    def refuse(self, refusal: Refused) -> None:
        """Ends the worker with a message."""

    def give_up(self, why: str) -> None:
        """Ends the worker because of a defect."""


class Definitions(Protocol):
    """The definitions topic: ``streams.worker.definitions_topic.DefinitionsTopic``."""

    @property
    def latest(self) -> Definition | None: ...
    @property
    def end(self) -> int:
        """Offset up to which commands were read."""

    async def get(self, number: int) -> Definition:
        """Waits until that number is there."""

    async def first(self) -> Definition:
        """Waits until any is there; the latest."""

    def resumed(self, partition: int) -> int:
        """Offset of the latest command to resume that partition; -1 if none."""


MakeEngine = Callable[..., EnginePort]


@dataclass(slots=True)
class Runtime:
    """What all partitions of a worker share."""

    settings: Settings
    topics: Topics
    partitions: int
    codec: TouchpointCodec
    outputs: OutputCodec
    make_engine: MakeEngine
    definitions: Definitions
    metrics: Metrics
    pool: Executor
    group: Group
    feed: Feed
