"""What a partition needs from the rest of its process, as protocols: its work, the feed of chunks, the group.

The worker is tested with its real parts; these exist so that a partition knows no more than it uses, and so that the
learner, whose input are examples, runs on the same machinery as the worker, whose input are touchpoints.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Outputs
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.engine.scoring.scorer import Scorer
from streams.settings import Settings
from streams.worker.batch import Batch, Tally
from streams.worker.marker import Marker, Paused
from streams.worker.metrics import Metrics
from streams.worker.outcomes import Refused
from streams.worker.phase import Phase

if TYPE_CHECKING:
    from streams.worker.opening import Opened
    from streams.worker.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Intake:
    """What a process consumes, where it keeps its state, and what it is called when something is wrong."""

    topic: str
    state: str
    journal: str | None
    """The topic that holds lines once a partition has been started: without a marker that is lost state."""
    noun: str = "touchpoints"
    command: str = "journey run"


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
    @property
    def labels_waiting(self) -> int: ...
    @property
    def models(self) -> Mapping[str, str]:
        """Risk -> name@version of the model that scores it; absent: the prior does."""

    def process(self, touchpoints: Sequence[Touchpoint], now_ms: int | None) -> Outputs: ...
    def advance(self, to_ms: int, now_ms: int | None) -> Outputs: ...
    def adopt(self, definition: Definition, now_ms: int | None = None) -> Outputs: ...
    def adopt_model(self, scorer: Scorer) -> Outputs: ...
    def changed(self) -> list[tuple[bytes, bytes | None]]: ...
    def partition_record(self, state_format: int = ...) -> bytes: ...
    def restore(
        self, profiles: dict[bytes, bytes], partition_record: bytes | None, state_format: int = ...
    ) -> None: ...


class Decoder(Protocol):
    """Records of the input -> what the work applies: ``streams.contracts.codec.TouchpointCodec``."""

    def decode(self, records: Sequence[Any]) -> Sequence[Any]:
        """One for each record. Raises ``RegistryUnavailable`` where nothing can be said yet."""


class Builder(Protocol):
    """What a transaction will hold."""

    tally: Tally


class Work(Protocol):
    """A partition's state with its place in the log: ``Processing`` of the worker, ``Learning`` of the learner.

    Nothing in it waits; the caller commits the batches that it hands out.
    """

    @property
    def position(self) -> int:
        """Offset of the next record to apply."""

    @property
    def held(self) -> tuple[int, str]:
        """How many of what it holds: (200, "profiles")."""

    @property
    def paused(self) -> Paused | None: ...
    @property
    def still(self) -> bool:
        """Silence means nothing now (an import is under way, or nothing waits for time)."""

    @property
    def lateness_ms(self) -> int:
        """By how much time that moves by itself stays behind the clock."""

    def builder(self) -> Any: ...
    def apply(self, chunk: Any, decoded: Sequence[Any], now_ms: int, builder: Any) -> None: ...
    def close(self, builder: Any) -> Batch: ...
    def first_start(self) -> Batch: ...
    def has_news(self) -> bool:
        """A definition or a model waits to be adopted."""

    def take_news(self, now_ms: int) -> Batch | None: ...
    def timer_due(self, limit_ms: int) -> bool: ...
    def move_time(self, limit_ms: int, now_ms: int) -> Batch | None: ...
    def step_to(self, position: int) -> None: ...
    def refresh(self) -> Batch: ...
    def resume(self) -> Batch: ...
    @property
    def last_record_s(self) -> float:
        """Time of the last record applied, in seconds since 1970; 0 before one."""

    def show(self, metrics: Metrics, label: str, wall_s: float) -> None:
        """Set the gauges that tell about this work."""


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

    def loaded(self, number: int) -> Definition | None:
        """That number, if it is compiled already."""

    def never(self, number: int) -> bool:
        """Newer ones are there, that number is not: it was not published."""

    def resumed(self, partition: int) -> int:
        """Offset of the latest command to resume that partition; -1 if none."""


class Models(Protocol):
    """The models topic: ``streams.worker.models_topic.ModelsTopic``."""

    def newest(self, risk: str, signature: str) -> Scorer | None:
        """The newest snapshot that was accepted; None if there is none."""

    async def get(self, key: str) -> Scorer | None:
        """Waits until name@version is there; None: it is not, and a loss is to be accepted."""

    def refuse(self, key: str, reason: str, why: str) -> None:
        """What the topic took for a model is none for a partition: it is not offered again, and counted."""


MakeEngine = Callable[..., EnginePort]
Begin = Callable[["Runtime", int, "Opened", Callable[[Phase], None]], Awaitable[tuple[Work, Marker]]]
"""Makes the work of a partition that was opened anew, and the marker it begins with; may wait, and says for what."""


@dataclass(slots=True)
class Runtime:
    """What all partitions of a process share."""

    settings: Settings
    topics: Topics
    intake: Intake
    partitions: int
    codec: Decoder
    outputs: OutputCodec
    begin: Begin
    make_engine: MakeEngine
    definitions: Definitions
    models: Models
    metrics: Metrics
    pool: Executor
    group: Group
    feed: Feed
    tracing: Tracing | None = None
    """None: no spans are wanted."""
