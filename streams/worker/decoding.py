"""Chunks of a partition to touchpoints, also while the schema registry is away.

Owns where that happens: on the event loop, since almost every schema is known, and in a thread from the moment on in
which the registry did not answer, so that a registry that hangs holds up this partition and no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from streams.contracts.schemas import RegistryUnavailable
from streams.worker.metrics import Metrics
from streams.worker.ports import Decoder

log = logging.getLogger(__name__)


class Decoding:
    def __init__(self, partition: int, codec: Decoder, pool: Executor, metrics: Metrics) -> None:
        self._partition = partition
        self._codec = codec
        self._pool = pool
        self._metrics = metrics
        self.registry_away = False

    async def of(self, records: Sequence[Any]) -> Sequence[Any] | None:
        """None while the registry does not tell a schema that is needed: to be asked for again."""
        try:
            if self.registry_away:
                loop = asyncio.get_running_loop()
                decoded = await loop.run_in_executor(self._pool, self._codec.decode, records)
            else:
                decoded = self._codec.decode(records)
        except RegistryUnavailable as error:
            if not self.registry_away:
                log.warning("Partition %d waits for the schema registry: %s", self._partition, error)
            self.registry_away = True
            self._metrics.registry_waits.inc()
            return None
        if self.registry_away:
            log.info("Partition %d goes on: the schema registry has answered", self._partition)
        self.registry_away = False
        return decoded
