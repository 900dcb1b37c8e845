"""The models topic, followed by a thread, so that no partition waits while a snapshot is verified and loaded.

Owns the reading; what is accepted is in ``model_catalogue``. A partition that is restored asks for the snapshots that
its marker names: they are read again at their place, and it waits for them, because a replay must find the same scores.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from streams.contracts.output_codec import OutputReader
from streams.contracts.schemas import RegistryUnavailable
from streams.contracts.topics import Topics
from streams.definitions.model import Definition
from streams.engine.scoring.scorer import ModelRefused, Scorer
from streams.settings import Settings
from streams.worker.changelog import reader
from streams.worker.model_catalogue import ModelCatalogue

log = logging.getLogger(__name__)

PARTITION: Final = 0
POLL_S: Final = 0.25
AGAIN_S: Final = 2.0
TOLD_EVERY_S: Final = 30.0
READ_S: Final = 30.0
PASSING: Final = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


class ModelsTopic:
    """What the topic holds, followed by a thread; partitions ask on the event loop."""

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        schemas: OutputReader,
        *,
        definition: Callable[[], Definition | None],
        changed: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        """``definition``: the latest. ``changed`` and ``refused`` (with a reason) are called in the thread."""
        self._settings = settings
        self._topic = topics.models
        self._definition = definition
        self._changed = changed
        key = settings.learner.key
        self._catalogue = ModelCatalogue(
            schemas,
            key.reveal().encode() if key is not None else None,
            read_again=self._record_at,
            refused=refused,
        )
        self._named: dict[str, Scorer] = {}
        """Scorers that markers have named."""
        self._stop = threading.Event()
        self.caught_up = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="models", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    # -- what partitions ask -----------------------------------------------------------------------------------------

    def newest(self, risk: str, signature: str) -> Scorer | None:
        return self._catalogue.newest(risk, signature)

    def refuse(self, key: str, reason: str, why: str) -> None:
        self._catalogue.refuse(key, reason, why)

    async def get(self, key: str) -> Scorer | None:
        """Waits until that snapshot is there: a partition goes on with the model that its state was made with.

        None only where losses are accepted and the topic, read to its end, does not hold it or it must not be used.
        """
        told = 0.0
        while True:
            if (found := self._named.get(key)) is not None:
                return found
            if self._catalogue.holds(key):
                try:
                    loop = asyncio.get_running_loop()
                    self._named[key] = await loop.run_in_executor(None, self._catalogue.scorer, key)
                except ModelRefused:
                    continue  # noted; the next look says why it waits
                except (KafkaException, RegistryUnavailable) as error:
                    log.warning("The model %s cannot be read, tried again: %s", key, error)
                    await asyncio.sleep(AGAIN_S)
                continue
            if self.caught_up.is_set():
                if self._settings.accept_loss:
                    return None
                if time.monotonic() - told > TOLD_EVERY_S:
                    told = time.monotonic()
                    log.error(
                        "A partition must go on with the model %s, but: %s. It waits. Mend that, or start with "
                        "--accept-loss, which goes on with the prior.",
                        key, self._catalogue.why_not(key) or f"{self._topic} does not hold it",
                    )  # fmt: skip
            await asyncio.sleep(POLL_S)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except (KafkaException, RegistryUnavailable) as error:
                log.warning("The models topic cannot be read, tried again: %s", error)
                self._stop.wait(AGAIN_S)

    def _read(self) -> None:
        catalogue = self._catalogue
        consumer = reader(self._settings)
        try:
            consumer.assign([TopicPartition(self._topic, PARTITION, OFFSET_BEGINNING)])
            while not self._stop.is_set():
                message = consumer.poll(POLL_S)
                error = message.error() if message is not None else None
                if message is not None and error is None:
                    catalogue.take(message.key(), message.value(), message.offset() or 0)
                elif error is None or error.code() == KafkaError._PARTITION_EOF:
                    if catalogue.unjudged and (error is not None or self.caught_up.is_set()):
                        catalogue.judge(self._definition())
                        self._changed()
                    if error is not None:
                        self.caught_up.set()
                elif error.fatal() or not (error.retriable() or error.code() in PASSING):
                    raise KafkaException(error)
        finally:
            consumer.close()

    def _record_at(self, offset: int) -> tuple[bytes | None, bytes | None]:
        """Key and value of the first record at that offset or later. Raises ``KafkaException``."""
        consumer = reader(self._settings)
        try:
            consumer.assign([TopicPartition(self._topic, PARTITION, offset)])
            until = time.monotonic() + READ_S
            while time.monotonic() < until:
                message = consumer.poll(POLL_S)
                if message is not None and message.error() is None:
                    return message.key(), message.value()
        finally:
            consumer.close()
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{self._topic} at offset {offset}"))
