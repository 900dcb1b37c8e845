"""What a partition does when a transaction is aborted, uncertain or fenced (semantics, rule 17).

The engine, the codec and the bytes are real. The producer follows a script: a broker cannot be told to lose an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.engine import Engine
from streams.settings import load
from streams.worker import partition as partitions
from streams.worker import silence
from streams.worker.beginning import begin
from streams.worker.marker import Marker
from streams.worker.metrics import Metrics
from streams.worker.opening import Opened
from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused
from streams.worker.partition import Partition
from streams.worker.position import Start
from streams.worker.transactions import Message, Outcome
from tests.unit.worker.test_metrics import values
from tests.unit.worker.test_processing import _codec, runtime, shop, touched

COMMITTED, ABORTED = Outcome.COMMITTED, Outcome.ABORTED


@dataclass
class Script:
    """Outcomes in order, then all is committed; ``answers``: markers that a reading of the state topic finds."""

    outcomes: list[Any] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    sent: list[Sequence[Message]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    last_abort: str = "scripted"

    def send(self, messages: Sequence[Message]) -> None:
        self.sent.append(tuple(messages))

    def finish(self) -> Outcome:
        outcome = self.outcomes.pop(0) if self.outcomes else COMMITTED
        if isinstance(outcome, Exception):
            raise outcome
        return Outcome(outcome)


@dataclass
class Feed:
    started: list[int] = field(default_factory=list)
    finished_at: list[int] = field(default_factory=list)
    at: int = 0

    def read_from(self, partition: int, offset: int) -> None:
        self.started.append(offset)
        self.at = offset

    def stop_partition(self, partition: int) -> None: ...
    def hold(self, partition: int) -> None: ...
    def release(self, partition: int) -> None: ...
    def finished(self, partition: int, next_offset: int) -> None:
        self.finished_at.append(next_offset)

    def next_offset(self, partition: int) -> int:
        return self.at

    delivered = next_offset

    def end(self, partition: int) -> None: ...


class Group:
    suspended = False

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.ended: list[str] = []

    async def membership(self, partition: int) -> int:
        return 1

    async def heard_since(self, moment_s: float, partition: int) -> None:
        self.heard.append(moment_s)

    def holds(self, partition: int, generation: int) -> bool:
        return True

    def refuse(self, refusal: Exception) -> None:
        self.ended.append(str(refusal))

    give_up = refuse


@asynccontextmanager
async def partition(monkeypatch: pytest.MonkeyPatch, script: Script, feed: Feed) -> AsyncIterator[Partition]:
    """A partition that starts; its group is ``one._rt.group``."""
    monkeypatch.setattr(partitions, "RETRY_S", (0.0,))
    rt = runtime(load({"JOURNEY_START_ISSUING": "beginning", "JOURNEY_IDLE_AFTER": "100ms"}))
    rt.partitions, rt.codec, rt.feed, rt.group = 1, _codec, feed, Group()
    rt.begin, rt.make_engine = begin, Engine
    rt.pool = ThreadPoolExecutor(2)
    definition = shop()

    async def first() -> Any:
        return definition

    rt.definitions = SimpleNamespace(end=0, latest=definition, first=first, resumed=lambda _: -1)

    def open_anew(*_: Any) -> Opened:
        script.opened.append("anew")
        return Opened(script, Start(0, -1, "nothing"), None, {}, "topic")  # type: ignore[arg-type]  # the scripted one

    def open_again(*_: Any) -> tuple[Script, Marker | None]:
        script.opened.append("again")
        answer = script.answers.pop(0)
        return script, answer(one) if callable(answer) else answer

    for name, replaced in (("open_anew", open_anew), ("open_again", open_again)):
        monkeypatch.setattr(partitions, name, replaced)
    one = Partition(0, rt)
    try:
        yield one
    finally:
        one.close()
        rt.pool.shutdown()


async def until(met: Callable[[], bool], meanwhile: Callable[[], object] = lambda: None) -> None:
    limit = time.monotonic() + 20
    while not met():
        assert time.monotonic() < limit
        meanwhile()
        await asyncio.sleep(0.01)


def in_flight(metrics: Metrics) -> float:
    """As a scrape has it; whatever became of the transactions, all that was taken is accounted for (rule 26)."""
    seen = values(metrics)
    number = seen["journey_events_in_flight"]
    assert seen["journey_events_consumed_total"] == seen["journey_events_processed_total"] + number
    return number


async def play(monkeypatch: pytest.MonkeyPatch, script: Script) -> tuple[Script, Feed, Group]:
    """It gets one chunk of two touchpoints, and lives until nothing is left to do or it gives up."""
    feed = Feed()
    records = [touched(0, "Product Added"), touched(1, "Payment Info Entered")]
    async with partition(monkeypatch, script, feed) as one:
        group: Any = one._rt.group

        def deliver() -> None:
            assert in_flight(one._rt.metrics) >= 0
            if one.ready and one.processing is not None and one.processing.position == 0:
                one.deliver(SimpleNamespace(records=records, start=0, next=2))

        await until(lambda: feed.finished_at[-1:] == [2] or group.ended, deliver)
        assert one.settled.is_set()
    assert in_flight(one._rt.metrics) == 0
    return script, feed, group


def played(monkeypatch: pytest.MonkeyPatch, script: Script) -> tuple[Script, Feed, Group]:
    script, feed, group = asyncio.run(play(monkeypatch, script))
    assert not group.ended
    return script, feed, group


def test_an_aborted_transaction_goes_out_again_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    script, _, _ = played(monkeypatch, Script([COMMITTED, ABORTED, ABORTED]))
    assert len(script.sent) == 4
    assert script.sent[1] == script.sent[2] == script.sent[3]
    assert script.opened == ["anew"]


def test_an_uncertain_one_that_was_committed_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script, feed, _ = played(
        monkeypatch, Script([COMMITTED, OutcomeUnknown("lost")], [lambda one: one._pending.marker])
    )
    assert script.opened == ["anew", "again"]
    assert len(script.sent) == 2
    assert feed.started == [0, 2]


def test_an_uncertain_one_that_was_not_committed_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script, _, _ = played(monkeypatch, Script([COMMITTED, OutcomeUnknown("lost")], [lambda one: one._certain]))
    assert script.opened == ["anew", "again"]
    assert script.sent[1] == script.sent[2]


def test_the_very_first_transaction_may_be_uncertain_too(monkeypatch: pytest.MonkeyPatch) -> None:
    script, _, _ = played(monkeypatch, Script([OutcomeUnknown("lost")], [None]))
    assert script.opened == ["anew", "again"]
    assert script.sent[0] == script.sent[1]


def test_a_marker_of_another_history_means_that_somebody_else_went_on(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = Marker(sequence=40, offset=90, next=91, topic_id="topic", definition=1, start_issuing_at=0)
    script, _, _ = played(monkeypatch, Script([COMMITTED, OutcomeUnknown("lost")], [foreign]))
    assert script.opened == ["anew", "again", "anew"]


def test_who_was_fenced_waits_for_the_groups_word_and_restores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.monotonic()
    script, _, group = played(monkeypatch, Script([COMMITTED, Fenced("by another")]))
    assert script.opened == ["anew", "anew"]
    assert [moment >= before for moment in group.heard] == [True]


def test_a_refusal_or_a_defect_ends_the_worker_and_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    # What drains would wait for ``settled``, which ``play`` has found set.
    for end, said in ((Refused("no right"), "no right"), (ZeroDivisionError(), "partition 0 met a defect")):
        script, _, group = asyncio.run(play(monkeypatch, Script([COMMITTED, end])))
        assert group.ended == [said]
        assert len(script.sent) == 2


def test_a_position_written_anew_leaves_the_partition_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control records follow the last touchpoint; once their offset is written, the idle clock must go on."""

    class Ahead(Feed):
        handed_over = 0

        def read_from(self, partition: int, offset: int) -> None:
            super().read_from(partition, offset)
            self.handed_over = offset

        def delivered(self, partition: int) -> int:
            return self.handed_over

        def end(self, partition: int) -> Any:
            return SimpleNamespace(last_stable=self.at, answered_at=time.time())

    async def play_on() -> None:
        feed = Ahead()
        async with partition(monkeypatch, Script(), feed) as one:
            await until(lambda: one.ready)
            feed.at = 7
            monkeypatch.setattr(silence, "REFRESH_S", 0.0)
            await until(lambda: feed.finished_at[-1:] == [7], one.tick)
            await until(lambda: not one.busy)
            assert feed.started == [0, 7]
            assert one.committed == 7

    asyncio.run(play_on())
