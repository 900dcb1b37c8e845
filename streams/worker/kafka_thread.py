"""aiokafka in its own thread: fetches that begin where they are asked to, heartbeats that are noted, offsets committed.

Owns everything that reaches into aiokafka. ``transport`` makes chunks of what is fetched here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import aiokafka
from aiokafka import errors
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.settings import Settings

log = logging.getLogger("streams.worker.feed")

COMMIT_TIMEOUT_S: Final = 5.0


class FencedInstanceIdError(errors.BrokerResponseError):  # type: ignore[misc]  # aiokafka publishes no types
    """Another member has joined under this member's instance id; aiokafka does not know the code."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


errors.kafka_errors[FencedInstanceIdError.errno] = FencedInstanceIdError
DISPLACED_TIMES: Final = 3
DISPLACED_WITHIN_S: Final = 60.0
"""A member that loses its membership so often although the group knew it has a rival of the same name: aiokafka's
heartbeats do not carry the instance id, so the two are not told, but take the membership from each other for ever."""


class Heartbeat(NamedTuple):
    """A heartbeat that the group answered without asking for a rebalance."""

    sent_at: float
    generation: int


class Fetched(NamedTuple):
    """What one fetch brought for a partition: its records and where reading goes on."""

    records: list[Any]
    next: int


class End(NamedTuple):
    """How far a partition's log went when it was last asked."""

    last_stable: int
    answered_at: float
    """Wall clock, seconds."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """aiokafka runs in a thread of its own, so that heartbeats go on while the engine works."""

    heard: Heartbeat | None = None
    _joined_at = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._displaced = deque([float("-inf")] * DISPLACED_TIMES, DISPLACED_TIMES)
        """When this member lost its membership although the group knew it."""

    async def on_start(self) -> None:
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator
        beat, join, reset = coordinator._do_heartbeat, coordinator._do_rejoin_group, coordinator.reset_generation
        session_s = self.app.conf.broker_session_timeout

        async def do_heartbeat() -> bool:
            sent_at, generation = time.monotonic(), coordinator.generation
            answered: bool = await beat()
            # aiokafka reports success also where the group is rebalancing; then it has asked to join again.
            if answered and not coordinator._rejoin_needed_fut.done() and coordinator.generation == generation:
                self.heard = Heartbeat(sent_at, generation)
            return answered

        async def do_rejoin_group(subscription: Any) -> bool:
            joined: bool = await join(subscription)
            if joined:
                self._joined_at = time.monotonic()
            return joined

        def reset_generation() -> None:
            now, known_at = time.monotonic(), max(self._joined_at, self.heard.sent_at if self.heard else 0.0)
            if now - known_at < session_s and known_at > self._displaced[-1]:
                self._displaced.append(now)
            if now - self._displaced[0] < DISPLACED_WITHIN_S:
                # Not joining again leaves the group to the rival, which has lost it once less.
                raise FencedInstanceIdError
            reset()

        coordinator._do_heartbeat = do_heartbeat
        coordinator._do_rejoin_group = do_rejoin_group
        coordinator.reset_generation = reset_generation

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:  # noqa: ARG002 - Faust's signature
        conf = self.app.conf
        settings: Settings = self.app.owner.settings
        self._assignor = self.app.assignor
        return aiokafka.AIOKafkaConsumer(
            **settings.kafka.aiokafka(),
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            # A position that is out of range is loss, and loss is never passed over in silence.
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=settings.batch.fetch_wait_ms,
            max_partition_fetch_bytes=settings.batch.fetch_bytes,
            session_timeout_ms=settings.group.session_timeout_ms,
            heartbeat_interval_ms=settings.group.heartbeat_ms,
            rebalance_timeout_ms=settings.group.rebalance_timeout_ms,
            # The watchdog judges progress; leaving the group because an event took long would only add a rebalance.
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            metadata_max_age_ms=60_000,
        )

    async def fetch(self, wanted: Mapping[TP, int], timeout: float, most: int) -> dict[TP, Fetched]:
        return dict(await self.call_thread(self._fetch, wanted, timeout, most))

    async def _fetch(self, wanted: Mapping[TP, int], timeout: float, most: int) -> dict[TP, Fetched]:
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise errors.ConsumerStoppedError
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None or not assignment.active:
            await asyncio.sleep(min(timeout, 0.01))
            return {}
        begin: dict[Any, TP] = {}
        for tp, offset in wanted.items():
            of = aiokafka.TopicPartition(tp.topic, tp.partition)
            state = assignment.state_value(of)
            if state is None:
                continue
            begin[of] = tp
            if not state.has_valid_position or state.position != offset:
                consumer.seek(of, offset)
        with fetcher._subscriptions.fetch_context():
            if not begin:
                await asyncio.sleep(min(timeout, 0.01))
                return {}
            brought = await fetcher.fetched_records(list(begin), timeout=timeout, max_records=most)
        if not assignment.active:
            return {}  # the positions are those of another assignment: asked again
        fetched = {}
        for of, tp in begin.items():
            position = assignment.state_value(of).position
            records = brought.get(of)
            if records or position > wanted[tp]:
                fetched[tp] = Fetched(records or [], position)
        return fetched

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """The group offset only shows lag, so a failure is no reason to end the worker."""
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        committable = {
            aiokafka.TopicPartition(tp.topic, tp.partition): offset for tp, offset in offsets.items() if tp in assigned
        }
        if not committable:
            return False
        try:
            await asyncio.wait_for(consumer.commit(committable), COMMIT_TIMEOUT_S)
        except (errors.KafkaError, errors.IllegalStateError, TimeoutError) as error:
            log.info("The group offset was not committed: %s", type(error).__name__)
            return False
        return True

    def ends(self, tp: TP) -> End | None:
        """The last stable offset as the last answered fetch told; None before one, or if not assigned."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        state = assignment.state_value(aiokafka.TopicPartition(tp.topic, tp.partition)) if assignment else None
        if state is None or state.timestamp is None or state.lso is None:
            return None
        return End(state.lso, state.timestamp / 1000)

    def partitions(self, topic: str) -> int | None:
        """How many partitions the topic has as of the last metadata; None while that is not known."""
        found = self._ensure_consumer()._client.cluster.partitions_for_topic(topic)
        return len(found) if found else None

    def generation(self) -> int:
        """The group's generation of this member as of now; -1 while it has none or is to join again."""
        coordinator = self._ensure_consumer()._coordinator
        if coordinator._rejoin_needed_fut.done():
            return -1
        return int(coordinator.generation)

    def reachable(self) -> bool:
        """Whether the broker that coordinates the group is known: False while it does not answer."""
        return self._ensure_consumer()._coordinator.coordinator_id is not None

    def failure(self) -> Exception | None:
        """Why aiokafka has stopped working in silence, if it has."""
        consumer = self._consumer
        if consumer is None or consumer._closed:
            return None
        if (pending := consumer._coordinator._pending_exception) is not None:
            # Kept for whoever asks for records by its public methods; the group hears nothing of this member meanwhile.
            return pending  # type: ignore[no-any-return]
        for name, task in (
            ("group coordination", consumer._coordinator._coordination_task),
            ("fetching", consumer._fetcher._fetch_task),
        ):
            if task.done():
                return RuntimeError(f"{name} has ended: {None if task.cancelled() else task.exception()!r}")
        return None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own livelock check counts acknowledgements; ``watchdog`` does it here."""
