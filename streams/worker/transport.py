"""The Faust transport ``journey://``: touchpoints arrive as chunks of a partition, from the offset that its owner asks.

Owns what reaches into Faust's consumer; ``kafka_thread`` owns what reaches into aiokafka. What differs and why:

- One Faust event for each chunk of records instead of one for each record: Faust's path costs 150-350 us an event.
- Every fetch names the offset at which each partition must begin (``_wanted``) and seeks where aiokafka stands
  elsewhere. So whatever is dropped on the way (a rebalance, a full queue) is simply read again, and the group's
  committed offset, which Faust would seek to, is never read from.
- A partition is fetched only after its owner asked for it (``read_from``): nothing flows before its state is restored.
- Acknowledgements are not used; the group offset is what owners report with ``finished``, and it only shows lag.
- A heartbeat that the group has answered is noted: after fencing, nothing is opened before one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, Protocol

import aiokafka
from aiokafka import errors
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.settings import Settings
from streams.worker.kafka_thread import ConsumerThread, End, Heartbeat

log = logging.getLogger("streams.worker.feed")

POLL_S: Final = 0.05
"""Longest wait for records: a partition that begins or resumes meanwhile is not seen before."""
FEW_RECORDS: Final = 200
"""After a fetch with fewer the pause of the settings is made: each costs some 0.3 ms whatever it brings."""
REBALANCE_COMMIT_S: Final = 3.0


class Owner(Protocol):
    """Who takes the chunks: ``streams.worker.shell.Shell``."""

    settings: Settings

    def on_assigned(self, partitions: set[int], generation: int) -> None:
        """Must not wait: aiokafka sends no heartbeats meanwhile."""

    async def on_revoked(self, partitions: set[int]) -> None: ...

    def on_fetch_error(self, partition: int | None, error: Exception) -> None: ...


class Chunk(ConsumerMessage):  # type: ignore[misc]  # Faust publishes no types
    """Consecutive records of one partition. ``start``: where the fetch began; ``next``: where the next one begins."""

    __slots__ = ("next", "records", "start")
    records: list[Any]
    start: int
    next: int


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Delivers chunks, and asks the owner before anything else happens in a rebalance."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owner: Owner = self.app.owner
        batch = self._owner.settings.batch
        self._chunk_records = batch.chunk_records
        self._pause_s = batch.fetch_pause_ms / 1000
        self._topic: str = self.app.intake
        self._wanted: dict[TP, int] = {}
        """Where the next fetch begins."""
        self._delivered: dict[TP, int] = {}
        """Where the last chunk handed over ends: lower than ``_wanted`` where only control records follow."""
        self._held: set[TP] = set()
        self._gaps: dict[TP, tuple[int, int]] = {}
        self._finished: dict[TP, int] = {}
        self._reported: dict[TP, int] = {}
        self._last_fetch = 0.0
        self._last_was_small = False

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # What owners call, on the event loop.

    def read_from(self, partition: int, offset: int) -> None:
        """Fetch this partition from that offset."""
        tp = TP(self._topic, partition)
        self._wanted[tp] = self._delivered[tp] = offset
        self._gaps.pop(tp, None)

    def stop_partition(self, partition: int) -> None:
        tp = TP(self._topic, partition)
        self._wanted.pop(tp, None)
        self._held.discard(tp)

    def hold(self, partition: int) -> None:
        """Fetch no more until ``release``: the owner has enough to do."""
        self._held.add(TP(self._topic, partition))

    def release(self, partition: int) -> None:
        self._held.discard(TP(self._topic, partition))

    def finished(self, partition: int, next_offset: int) -> None:
        self._finished[TP(self._topic, partition)] = next_offset

    def next_offset(self, partition: int) -> int | None:
        """Where the next fetch of this partition begins; None if it is not fetched."""
        return self._wanted.get(TP(self._topic, partition))

    def delivered(self, partition: int) -> int | None:
        """Where the last chunk of this partition ended."""
        return self._delivered.get(TP(self._topic, partition))

    def end(self, partition: int) -> End | None:
        return self._thread.ends(TP(self._topic, partition))  # type: ignore[no-any-return]

    def partitions(self) -> int | None:
        """How many partitions the topic has now; None while that is not known."""
        return self._thread.partitions(self._topic)  # type: ignore[no-any-return]

    def group_generation(self) -> int:
        return self._thread.generation()  # type: ignore[no-any-return]

    def group_reachable(self) -> bool:
        return self._thread.reachable()  # type: ignore[no-any-return]

    def heard(self) -> Heartbeat | None:
        return self._thread.heard  # type: ignore[no-any-return]

    def failure(self) -> Exception | None:
        return self._thread.failure()  # type: ignore[no-any-return]

    # What Faust calls.

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Chunk]]:
        if not self.flow_active:
            await asyncio.sleep(0.01)
            return
        if self._last_was_small and (left := self._last_fetch + self._pause_s - time.monotonic()) > 0:
            await asyncio.sleep(left)
        generation = self.app.consumer_generation_id
        wanted = {tp: offset for tp, offset in self._wanted.items() if tp not in self._held}
        try:
            fetched = await self._thread.fetch(wanted, min(timeout, POLL_S), self._chunk_records * 4)
        except errors.ConsumerStoppedError:
            raise
        except errors.KafkaError as error:
            await self._on_error(error)
            return
        self._last_fetch = time.monotonic()
        self._last_was_small = sum(len(f.records) for f in fetched.values()) < FEW_RECORDS
        for tp, (records, following) in fetched.items():
            start = wanted[tp]
            if self._wanted.get(tp) != start:
                continue  # the owner wants to read elsewhere by now
            if records and records[0].offset > start and not await self._is_real_gap(tp, start, records[0].offset):
                continue
            last = len(records) - self._chunk_records
            for index in range(0, len(records), self._chunk_records):
                part = records[index : index + self._chunk_records]
                end = following if index >= last else part[-1].offset + 1
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                if self._wanted.get(tp) != start:
                    break
                chunk = self._chunk(tp, part, self._delivered[tp], end, generation)
                self._wanted[tp] = self._delivered[tp] = start = end
                # Faust compares with the last offset and would note a gap.
                self._read_offset[tp] = None
                yield tp, chunk
            if not records:
                self._wanted[tp] = following

    def _chunk(self, tp: TP, records: list[Any], start: int, following: int, generation: int) -> Chunk:
        last = records[-1]
        chunk = Chunk(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            b"",
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )
        chunk.records, chunk.start, chunk.next = records, start, following
        return chunk

    async def _is_real_gap(self, tp: TP, start: int, found: int) -> bool:
        """Missing offsets are control records or compaction if missing twice while the log still begins below them."""
        if self._gaps.get(tp) != (start, found):
            self._gaps[tp] = (start, found)
            await self._thread.call_thread(self._seek_in_thread, tp, start)
            return False
        first = (await self.earliest_offsets(tp))[tp]
        if first > start:
            self._owner.on_fetch_error(tp.partition, errors.OffsetOutOfRangeError({tp: start}))
            return False
        return True

    async def _seek_in_thread(self, tp: TP, offset: int) -> None:
        consumer = self._thread._ensure_consumer()
        of = aiokafka.TopicPartition(tp.topic, tp.partition)
        if of in consumer.assignment():
            consumer.seek(of, offset)

    async def _on_error(self, error: errors.KafkaError) -> None:
        partition = None
        if isinstance(error, errors.OffsetOutOfRangeError | errors.NoOffsetForPartitionError) and error.args:
            about = error.args[0]
            partition = next(iter(about)).partition if isinstance(about, dict) else about.partition
        if not isinstance(error, errors.NoOffsetForPartitionError):
            # Without a committed offset aiokafka complains before the first seek; that is no news.
            self._owner.on_fetch_error(partition, error)
        await asyncio.sleep(0.1)

    async def perform_seek(self) -> None:
        """Faust would go back to the committed offsets; here every fetch names its own."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002 - Faust's
        offsets = {tp: offset for tp, offset in self._finished.items() if self._reported.get(tp) != offset}
        if not offsets or not await self._thread.commit(offsets):
            return False
        self._reported.update(offsets)
        return True

    async def on_partitions_revoked(self, revoked: Iterable[TP]) -> None:
        mine = {tp.partition for tp in revoked if tp.topic == self._topic}
        await self._owner.on_revoked(mine)
        try:
            await asyncio.wait_for(self.commit(), REBALANCE_COMMIT_S)
        except TimeoutError:
            log.info("The group offset could not be committed before the rebalance.")
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TP], generation_id: int = 0) -> None:
        mine = {tp.partition for tp in assigned if tp.topic == self._topic}
        for tp in [tp for tp in self._wanted if tp.partition not in mine]:
            self.stop_partition(tp.partition)
        for kept in (self._finished, self._reported):
            for tp in [tp for tp in kept if tp.partition not in mine]:
                del kept[tp]
        self._owner.on_assigned(mine, generation_id)
        await super().on_partitions_assigned(assigned, generation_id)


class Transport(driver.Transport):  # type: ignore[misc]
    """Registered as ``journey://`` (entry point ``faust.transports``)."""

    Consumer = Consumer
