"""All partitions of one worker process: who is assigned, what is delivered, when the worker is ready, live, or done.

Owns the side of the group: it answers the transport's rebalance callbacks and the partitions' questions about it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError

from streams.settings import Settings
from streams.worker.outcomes import EXIT_BUG, EXIT_REFUSED, EXIT_STALLED, OpenCancelled, Refused
from streams.worker.partition import Partition
from streams.worker.phase import Phase
from streams.worker.ports import Runtime

log = logging.getLogger(__name__)

TICK_S: Final = 0.2
SETTLE_S: Final = 3.0
"""How long a revocation waits for open transactions; what is not certain by then is fenced by the next owner."""
LOOP_DEAD_S: Final = 30.0
LATE_KEPT_S: Final = 15.0
"""For at least so long the longest delay of the loop is shown: a scrape must not miss it."""


class Peak:
    """The highest value of the last while: between ``kept_s`` and twice that."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._since = 0.0
        self._now = self._before = 0.0

    def seen(self, value: float, at_s: float) -> float:
        """Another value, and the highest."""
        if at_s - self._since >= self._kept_s:
            # After a gap (the loop stood still) there is nothing before.
            self._before = self._now if at_s - self._since < 2 * self._kept_s else 0.0
            self._now, self._since = 0.0, at_s
        self._now = max(self._now, value)
        return max(self._now, self._before)


class Shell:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.partitions: dict[int, Partition] = {}
        self.runtime: Runtime
        self.feed: Any = None
        """The transport's consumer; there once the Faust app has started."""
        self._assigned: frozenset[int] = frozenset()
        self._generation = -1
        self._suspended_since: float | None = time.monotonic()
        self._changed = asyncio.Event()
        self._draining = False
        self._late = Peak(LATE_KEPT_S)
        self._looped_at: float | None = None
        """When the event loop last came round; None before it begins to: a start may wait for brokers and registry."""
        self.ended = asyncio.Event()
        self.status = 0
        self.why = ""

    # -- what partitions ask (ports.Group) ---------------------------------------------------------------------------

    @property
    def suspended(self) -> bool:
        return self._suspended_since is not None or self._draining

    def holds(self, partition: int, generation: int) -> bool:
        return (
            not self.suspended
            and generation == self._generation == self.feed.group_generation()
            and partition in self._assigned
        )

    async def membership(self, partition: int) -> int:
        while not self.holds(partition, self._generation):
            await self._pause()
        return self._generation

    async def heard_since(self, moment_s: float, partition: int) -> None:
        while True:
            heard = self.feed.heard()
            if heard is not None and heard.sent_at > moment_s and self.holds(partition, heard.generation):
                return
            await self._pause()

    async def _pause(self) -> None:
        if self._draining:
            raise OpenCancelled("the worker ends")
        await asyncio.sleep(0.1)

    def refuse(self, refusal: Refused) -> None:
        self._end(EXIT_REFUSED, str(refusal))

    def give_up(self, why: str) -> None:
        self._end(EXIT_BUG, why)

    def stalled(self, why: str) -> None:
        self._end(EXIT_STALLED, why)

    def _end(self, status: int, why: str) -> None:
        if not self.ended.is_set():
            self.status, self.why = status, why
            log.critical("The worker ends with status %d: %s", status, why)
            self.ended.set()

    # -- what the transport tells (transport.Owner) ------------------------------------------------------------------

    def on_assigned(self, partitions: set[int], generation: int) -> None:
        metrics = self.runtime.metrics
        if (now := self.feed.partitions()) not in (None, self.runtime.partitions):
            topic = self.runtime.topics.touchpoints
            self.refuse(
                Refused(
                    f"{topic} had {self.runtime.partitions} partitions when this worker started and has {now} now: "
                    "customers hash to other partitions than their state is in. Start again: it says how to go on."
                )
            )
            return
        if self._suspended_since is not None:
            metrics.rebalance_seconds.observe(time.monotonic() - self._suspended_since)
        metrics.rebalances.inc()
        metrics.assigned.set(len(partitions))
        self._assigned, self._generation, self._suspended_since = frozenset(partitions), generation, None
        for number in [n for n in self.partitions if n not in partitions]:
            self.partitions.pop(number).close()
            self._forget_gauges(number)
        for number in sorted(partitions):
            if number in self.partitions:
                self.partitions[number].assigned_again()
            else:
                self.partitions[number] = Partition(number, self.runtime)
        log.info("Assigned: partitions %s, generation %d", sorted(partitions) or "none", generation)

    async def on_revoked(self, partitions: set[int]) -> None:
        self._suspended_since = time.monotonic()
        for partition in self.partitions.values():
            partition.forget_waiting()
        await self._settled(SETTLE_S)
        log.info("Revoked: partitions %s", sorted(partitions) or "none")

    def on_fetch_error(self, partition: int | None, error: Exception) -> None:
        if isinstance(error, OffsetOutOfRangeError) and self.settings.accept_loss:
            self.stalled(f"partition {partition}: the offset to read next is gone; the next start accepts it")
        elif isinstance(error, OffsetOutOfRangeError):
            intake = self.runtime.intake
            self.refuse(
                Refused(
                    f"{intake.topic} partition {partition}: the offset to read next is not in the log any more "
                    f"({error}): {intake.noun} were deleted before they were processed. Start again: it says what is "
                    "missing and how to go on."
                )
            )
        elif isinstance(error, TopicAuthorizationFailedError):
            self.refuse(Refused(f"This Kafka user may not read {self.runtime.intake.topic}: it needs READ on it."))
        else:
            log.warning("Fetching failed and is tried again: %r", error)
            for known in self.partitions.values():
                known.disturbed()

    def on_consumer_failure(self, failure: Exception) -> None:
        """The consumer has stopped working and does not begin again by itself."""
        refusal = _refusal(failure, self.settings)
        if refusal is not None:
            self.refuse(refusal)
        else:
            self.stalled(f"the Kafka consumer stopped working: {failure!r}")

    def deliver(self, chunk: Any) -> None:
        partition = self.partitions.get(chunk.partition)
        if partition is not None and chunk.generation_id == self._generation:
            partition.deliver(chunk)

    # -- the course of the process -----------------------------------------------------------------------------------

    async def tick_forever(self) -> None:
        """Idle clocks, gauges, and whether aiokafka still works."""
        seconds = 0.0
        self._looped_at = time.monotonic()
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK_S)
            self._looped_at = time.monotonic()
            self.runtime.metrics.loop_lag.set(self._late.seen(self._looped_at - began - TICK_S, self._looped_at))
            for partition in self.partitions.values():
                partition.tick()
            seconds += TICK_S
            if seconds >= 1.0:
                seconds = 0.0
                self.runtime.metrics.fold()
                self._gauges()
                if not self._draining and (failure := self.feed.failure() if self.feed else None):
                    self.on_consumer_failure(failure)

    def wake(self) -> None:
        """Something new in the topics of definitions or models."""
        for partition in self.partitions.values():
            partition.tick()

    async def drain(self) -> None:
        """No more touchpoints; open transactions may end."""
        self._draining = True
        for partition in self.partitions.values():
            partition.forget_waiting()
        limit = self.settings.drain_within_ms / 1000
        if not await self._settled(limit):
            log.warning("A transaction was still open after %.0f s; its touchpoints are read again.", limit)

    async def _settled(self, within_s: float) -> bool:
        open_ = [asyncio.ensure_future(p.settled.wait()) for p in self.partitions.values() if not p.settled.is_set()]
        if not open_:
            return True
        _, late = await asyncio.wait(open_, timeout=within_s)
        for task in late:
            task.cancel()
        return not late

    def not_ready(self) -> str | None:
        """None if this worker is a stable member and every assigned partition, perhaps none, is restored."""
        if self.feed is None or self.suspended or self.feed.group_generation() < 0:
            return "not a stable member of the group"
        late = [p for p in self.partitions.values() if not p.ready]
        if late:
            return ", ".join(f"partition {p.number}: {p.phase.value}" for p in late)
        return None

    def not_live(self) -> str | None:
        if self._looped_at is None:
            return None
        silent = time.monotonic() - self._looped_at
        if silent > LOOP_DEAD_S:
            return f"the event loop has not run for {silent:.0f} s"
        return self.standing_still()

    def standing_still(self) -> str | None:
        """Lag and no progress, or a rebalance without end (rule 21); None if all is well."""
        now, group = time.monotonic(), self.settings.group
        if self._suspended_since is not None and self.feed is not None and not self.feed.group_reachable():
            # No broker, no rebalance: it cannot end, and ending this process would not help.
            self._suspended_since = now
        if self._suspended_since is not None and now - self._suspended_since > group.rebalance_limit_ms / 1000:
            return f"in a rebalance for {now - self._suspended_since:.0f} s"
        if self.suspended or self.feed is None:
            return None
        for number, partition in list(self.partitions.items()):
            end, position = self.feed.end(number), self.feed.next_offset(number)
            silent = end is None or position is None or time.time() - end.answered_at > group.session_timeout_ms / 1000
            done = partition.committed
            if partition.phase is not Phase.RUNNING or silent or done is None:
                # Restoring, paused, or the broker does not answer: not this worker's fault.
                partition.progress_at = now
            elif end.last_stable <= max(done, position) and not partition.busy:
                # The feed's position steps over the control records that a committed one stays short of.
                partition.progress_at = now
            elif now - partition.progress_at > group.stalled_after_ms / 1000:
                return (
                    f"partition {number} stands still at {done} for {now - partition.progress_at:.0f} s, "
                    f"the log goes to {end.last_stable}"
                )
        return None

    def _gauges(self) -> None:
        metrics, topic = self.runtime.metrics, self.runtime.intake.topic
        metrics.ready.set(self.not_ready() is None)
        wall = time.time()
        for number, partition in self.partitions.items():
            label = str(number)
            processing = partition.processing
            end, position = self.feed.end(number), self.feed.next_offset(number)
            if processing is None:
                continue
            if partition.committed is not None:
                metrics.committed.labels(label).set(partition.committed)
            metrics.progress.labels(label).set(wall - (time.monotonic() - partition.progress_at))
            processing.show(metrics, label, wall)
            if end is not None:
                # The feed's position steps over control records; while it is ahead, the partition's own one counts.
                at = processing.position if partition.busy or position is None else position
                lag = max(0, end.last_stable - at)
                metrics.lag.labels(topic, label).set(lag)
                metrics.log_end.labels(label).set(end.last_stable)
                age = wall - processing.last_record_s if lag and processing.last_record_s else 0.0
                metrics.lag_seconds.labels(label).set(max(0.0, age))

    def _forget_gauges(self, number: int) -> None:
        metrics, label = self.runtime.metrics, str(number)
        for gauge in (
            metrics.committed, metrics.state_entries, metrics.state_bytes, metrics.definition, metrics.unused_events,
            metrics.progress, metrics.watermark_lag, metrics.log_end, metrics.lag_seconds, metrics.recovery_left,
            metrics.paused, metrics.model_version, metrics.labels_waiting,
        ):  # fmt: skip
            gauge.remove_by_labels({"partition": label})
        metrics.lag.remove_by_labels({"topic": self.runtime.intake.topic, "partition": label})


def _refusal(failure: Exception, settings: Settings) -> Refused | None:
    """What someone must do before the group takes this worker again; None where starting again may help.

    aiokafka wraps some of the brokers' answers in an error of its own, so their names are looked for in its words.
    """
    said, group = repr(failure), settings.group_id
    if "GroupAuthorizationFailed" in said:
        return Refused(f"This Kafka user may not be in its group: it needs READ on the group {group}.")
    if "FencedInstanceId" in said:
        return Refused(
            f"Another worker has joined the group {group} under the name of this one. Give each its own "
            "JOURNEY_INSTANCE, or let `journey run --processes N` number them."
        )
    if "InvalidSessionTimeout" in said:
        return Refused(
            f"The brokers do not take JOURNEY_GROUP_SESSION_TIMEOUT={settings.group.session_timeout_ms}ms: it lies "
            "outside their group.min.session.timeout.ms and group.max.session.timeout.ms."
        )
    return None
