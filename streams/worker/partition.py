"""One assigned partition: when it opens, takes chunks, commits, waits, and what it does when something goes wrong.

Owns the life of a partition (semantics, rules 17 to 23); ``processing`` owns what goes into its transactions. A task of
the event loop: opening and commits run in threads, decoding, engine and encoding here, a bounded chunk at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from streams.engine.state import StateError
from streams.worker.batch import Batch, Tally
from streams.worker.decoding import Decoding
from streams.worker.inbox import Inbox
from streams.worker.marker import Marker
from streams.worker.opening import not_understood, open_again, open_anew
from streams.worker.outcomes import DefinitionAbsent, Fenced, OpenCancelled, OutcomeUnknown, Refused
from streams.worker.phase import READY, TAKING, Phase
from streams.worker.ports import Runtime, Work
from streams.worker.silence import Silence
from streams.worker.transactions import Outcome, PartitionProducer

log = logging.getLogger(__name__)
T = TypeVar("T")

ABORTS: Final = 20
"""Definite aborts of the same bytes after which the worker gives up."""
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
REGISTRY_RETRY_S: Final = 1.0


class Partition:
    def __init__(self, number: int, runtime: Runtime) -> None:
        self.number = number
        self.phase = Phase.WAITING
        self._rt = runtime
        batch = runtime.settings.batch
        self._records_limit = batch.transaction_records
        self._linger_s = batch.linger_ms / 1000
        self._inbox = Inbox(number, runtime.feed, batch.waiting_records)
        self._decoding = Decoding(number, runtime.codec, runtime.pool, runtime.metrics)
        self._wake = asyncio.Event()
        self.settled = asyncio.Event()
        """Set while no transaction is being made or committed."""
        self.settled.set()
        self._producer: PartitionProducer | None = None
        self._processing: Work | None = None
        self._pending: Batch | None = None
        self._certain: Marker | None = None
        """The marker of the last transaction that is known to be committed."""
        self._collecting: Tally | None = None
        self._fenced_at: float | None = None
        self._silence = Silence(number, runtime.feed, runtime.settings.idle_after_ms, time.monotonic())
        self.progress_at = time.monotonic()
        """When a transaction was last settled, or there was nothing to do."""
        self.task = asyncio.ensure_future(self._run())

    # -- what the shell calls ----------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self.phase in READY

    @property
    def processing(self) -> Work | None:
        return self._processing

    @property
    def committed(self) -> int | None:
        """Where reading goes on if this worker dies now; None before that is known."""
        return self._certain.next if self._certain is not None else None

    @property
    def busy(self) -> bool:
        """Chunks wait, are on their way, or are in a transaction."""
        return (
            bool(self._inbox)
            or not self.settled.is_set()
            or (self._processing is not None and self._rt.feed.delivered(self.number) != self._processing.position)
        )

    def deliver(self, chunk: Any) -> None:
        """A chunk of the feed. What does not follow what is here is dropped and asked for again."""
        if self.phase not in TAKING or self._rt.group.suspended or self._processing is None:
            return
        if self._inbox.put(chunk, self._processing.position):
            self._silence.disturbed(time.monotonic())
            self._wake.set()

    def forget_waiting(self) -> None:
        """A rebalance: what waits is read again by whoever owns the partition then."""
        self._inbox.clear()

    def assigned_again(self) -> None:
        """The partition has stayed here through a rebalance: go on reading where the engine is."""
        self.forget_waiting()
        self.disturbed()
        if self.phase in TAKING and self._processing is not None:
            self._rt.feed.read_from(self.number, self._processing.position)
        self._wake.set()

    def tick(self) -> None:
        """Several times a second: is there anything to do without a touchpoint?"""
        if self.phase is Phase.RUNNING and not self._inbox.held:
            self._silence.listen(time.monotonic(), time.time())
        if self.phase is Phase.PAUSED:
            due = self._resume_commanded()
        elif self.phase is Phase.RUNNING and not self._inbox and self.settled.is_set() and self._processing:
            limit = self._idle_limit(self._processing)
            due = self._processing.has_news() or (
                limit is not None
                and (self._processing.timer_due(limit) or self._silence.refresh_due(self._processing, time.monotonic()))
            )
        else:
            due = False
        if due:
            self._wake.set()

    def close(self) -> None:
        """The partition has gone elsewhere."""
        self.task.cancel()
        self._rt.feed.stop_partition(self.number)
        self.forget_waiting()
        self._drop()

    # -- the life of a partition -------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._open()
                failures = 0
                await self._serve()
            except OpenCancelled:
                await asyncio.sleep(0.05)
            except Refused as refusal:
                self._drop()
                self._rt.group.refuse(refusal)
                return
            except StateError as error:
                self._drop()
                self._rt.group.refuse(not_understood(error, self._rt.topics.state, self.number))
                return
            except Fenced as fenced:
                self._fenced(fenced)
            except OutcomeUnknown as unknown:
                if self._pending is not None:
                    self._rt.metrics.commits.labels("unknown").inc()
                self._rt.feed.stop_partition(self.number)
                self.forget_waiting()
                pause = RETRY_S[min(failures, len(RETRY_S) - 1)]
                failures += 1
                log.warning("Partition %d: %s; opened anew in %.1f s", self.number, unknown, pause)
                self._discard_producer()
                await asyncio.sleep(pause)
            except Exception:
                log.exception("Partition %d: a defect; the worker ends", self.number)
                self._drop()
                self._rt.group.give_up(f"partition {self.number} met a defect")
                return

    def _fenced(self, fenced: Fenced) -> None:
        """Never open again at once: a zombie would fence the rightful owner. The group's word decides (rule 17)."""
        self._fenced_at = time.monotonic()
        self._rt.metrics.commits.labels("fenced").inc()
        log.warning("Partition %d was taken over by another producer: %s", self.number, fenced)
        self._rt.feed.stop_partition(self.number)
        self.forget_waiting()
        self._drop()

    async def _open(self) -> None:
        """Take the partition over and restore it, or only settle a transaction whose outcome is unknown."""
        if self._fenced_at is not None:
            self.phase = Phase.FENCED
            await self._rt.group.heard_since(self._fenced_at, self.number)
            self._fenced_at = None
        self.phase = Phase.WAITING
        generation = await self._rt.group.membership(self.number)
        self.phase = Phase.OPENING
        began = time.monotonic()
        if self._processing is not None and self._pending is not None:
            self._producer, marker = await self._thread(open_again, self._rt, self.number, generation)
            if marker == self._pending.marker:
                log.info("Partition %d: the transaction in doubt was committed", self.number)
                self._settle(self._pending)
            elif marker != self._certain:
                # Somebody else owned it meanwhile: this engine does not know what the state topic knows.
                log.warning("Partition %d has moved on without this worker; it is restored", self.number)
                self._drop()
                raise OpenCancelled(f"partition {self.number} has another history")
        else:
            opened = await self._thread(open_anew, self._rt, self.number, generation)
            self._producer = opened.producer
            marker = opened.marker
            self._processing, begins = await self._rt.begin(self._rt, self.number, opened, self._enter)
            self._silence.written(begins.next, began)
            self._certain = marker
            if opened.start.loss is not None:
                log.error("Partition %d goes on after a loss: %s", self.number, opened.start.loss)
                self._rt.metrics.losses.labels(opened.start.loss).inc()
            if marker is None:
                self._pending = self._processing.first_start()
            seconds = time.monotonic() - began
            self._rt.metrics.recovery_seconds.observe(seconds)
            log.info(
                "Partition %d: %d %s, goes on at offset %d (%.2f s)",
                self.number, *self._processing.held, begins.next, seconds,
            )  # fmt: skip
        self._rt.metrics.recovery_left.labels(str(self.number)).set(0)

    async def _serve(self) -> None:
        """Until something goes wrong: one transaction after the other, each by its own cause."""
        processing = self._processing
        assert processing is not None  # noqa: S101 - _open has made it
        if self._pending is not None:
            await self._commit(self._pending)
        self.disturbed()
        self._show_pause(processing)
        if not self._rt.group.suspended and self.phase is Phase.RUNNING:
            self._rt.feed.read_from(self.number, processing.position)
        while True:
            self._wake.clear()
            batch = await self._next_batch(processing)
            if batch is not None:
                await self._commit(batch)
                if processing.paused is not None and self.phase is not Phase.PAUSED:
                    self._show_pause(processing)
            elif not self._wake.is_set():
                self.settled.set()
                await self._wake.wait()

    async def _next_batch(self, processing: Work) -> Batch | None:
        if self._rt.group.suspended:
            return None
        if processing.paused is not None:
            return self._resume(processing) if self._resume_commanded() else None
        news = processing.take_news(int(time.time() * 1000))
        if news is not None:
            return news
        if self._inbox:
            self.settled.clear()
            return await self._collect(processing)
        limit = self._idle_limit(processing)
        if limit is not None:
            moved = processing.move_time(limit, int(time.time() * 1000))
            if moved is not None:
                return moved
            if self._silence.refresh_due(processing, time.monotonic()):
                position = self._rt.feed.next_offset(self.number) or 0
                processing.step_to(position)
                # So that nothing seems to be on its way, which would stop the idle clock.
                self._rt.feed.read_from(self.number, position)
                return processing.refresh()
        return None

    async def _collect(self, processing: Work) -> Batch | None:
        """Chunks that wait become one transaction, up to its number of records."""
        builder = processing.builder()
        tally = self._collecting = builder.tally
        until = time.monotonic() + self._linger_s
        while tally.consumed < self._records_limit and processing.paused is None:
            if not self._inbox:
                left = until - time.monotonic()
                if left <= 0 or self._rt.group.suspended:
                    break
                await asyncio.sleep(min(left, 0.02))
                continue
            chunk = self._inbox.first()
            began = time.perf_counter()
            try:
                decoded = await self._decoding.of(chunk.records)
            except DefinitionAbsent as absent:
                if not tally.consumed:
                    await self._wait_in(Phase.LOOKING_UP, self._rt.definitions.get(absent.number))
                break
            if not self._inbox or self._inbox.first() is not chunk:
                break  # a rebalance, while a thread decoded
            if decoded is None:
                if not tally.consumed:
                    await self._wait_in(Phase.REGISTRY, asyncio.sleep(REGISTRY_RETRY_S))
                break
            self._inbox.pop()
            processing.apply(chunk, decoded, int(time.time() * 1000), builder)
            tally.seconds += time.perf_counter() - began
            await asyncio.sleep(0)
        self._collecting = None
        if not tally.consumed and not tally.already_applied:
            return None
        began = time.perf_counter()
        batch = processing.close(builder)
        tally.seconds += time.perf_counter() - began
        return batch

    async def _commit(self, batch: Batch) -> None:
        """Until it is certain: the same bytes again after a definite abort (rule 17)."""
        self._pending = batch
        self.settled.clear()
        producer = self._producer
        assert producer is not None  # noqa: S101 - opened before anything is committed
        for attempt in range(ABORTS):
            began = time.monotonic()
            producer.send(batch.messages)
            outcome = await self._thread(producer.finish)
            if outcome is Outcome.COMMITTED:
                seconds = time.monotonic() - began
                self._rt.metrics.commit_seconds.observe(seconds)
                if self._rt.tracing is not None:
                    self._rt.tracing.committed(self._rt.intake.topic, self.number, batch, seconds, attempt)
                self._settle(batch)
                return
            log.warning(
                "Partition %d: a transaction was aborted and is sent again: %s", self.number, producer.last_abort
            )
            self._rt.metrics.commits.labels("aborted").inc()
            self._rt.metrics.produce_errors.labels(self._rt.intake.state).inc()
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
        raise RuntimeError(f"a transaction was aborted {ABORTS} times: {producer.last_abort}")

    def _settle(self, batch: Batch) -> None:
        self._pending, self._certain = None, batch.marker
        self._rt.metrics.settled(batch.tally, time.time())
        self.progress_at = time.monotonic()
        self._silence.written(batch.marker.next, self.progress_at)
        self._rt.feed.finished(self.number, batch.marker.next)
        if not self._inbox:
            self.settled.set()

    # -- waiting, pausing, ending ------------------------------------------------------------------------------------

    def _show_pause(self, processing: Work) -> None:
        """Durable: the marker carries it, so the next owner stands still as well (rule 22)."""
        paused = processing.paused
        self._rt.metrics.paused.labels(str(self.number)).set(paused is not None)
        self.phase = Phase.RUNNING if paused is None else Phase.PAUSED
        if paused is not None:
            self._rt.feed.stop_partition(self.number)
            self.forget_waiting()
            log.error(
                "Partition %d is paused at offset %d: %s. To go on: journey partitions resume %d",
                self.number, processing.position, paused.reason, self.number,
            )  # fmt: skip

    def _resume_commanded(self) -> bool:
        paused = self._processing.paused if self._processing else None
        return paused is not None and self._rt.definitions.resumed(self.number) >= paused.since

    def _resume(self, processing: Work) -> Batch:
        batch = processing.resume()
        self.disturbed()
        self._show_pause(processing)
        self._rt.feed.read_from(self.number, processing.position)
        log.info("Partition %d is resumed at offset %d", self.number, processing.position)
        return batch

    async def _wait_in(self, phase: Phase, waited_for: Awaitable[object]) -> None:
        """Nothing can be said about a record yet: not a reason to refuse it."""
        self.phase = phase
        self.disturbed()
        self.settled.set()
        await waited_for
        self.phase = Phase.RUNNING
        self._wake.set()

    def _idle_limit(self, processing: Work) -> int | None:
        """How far time may move by itself now (rule 8)."""
        now = time.monotonic()
        if self._inbox or self._rt.group.suspended or processing.still:
            self._silence.disturbed(now)
            return None
        return self._silence.limit_ms(processing, now, time.time())

    def _enter(self, phase: Phase) -> None:
        self.phase = phase

    def disturbed(self) -> None:
        """Something began or failed: neither progress nor silence can be judged by what was before."""
        self.progress_at = time.monotonic()
        self._silence.disturbed(self.progress_at)

    def _drop(self) -> None:
        given_up = self._pending.tally if self._pending is not None else self._collecting
        if given_up is not None:
            self._rt.metrics.abandoned(given_up)
        self._pending = self._collecting = None
        self._processing = None
        self._discard_producer()
        self.settled.set()

    def _discard_producer(self) -> None:
        """Ending a librdkafka client waits for its threads: not on the event loop."""
        holder, self._producer = [self._producer], None
        self._rt.pool.submit(holder.clear)

    async def _thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._rt.pool, function, *arguments)
