"""One transactional producer for one input partition, and what became of each transaction.

Owns the reading of librdkafka's errors (semantics, rule 17). confluent-kafka cannot tell fencing from other fatal
errors, and its flags are not to be relied on: a purged queue shows as ``_STATE`` with no flag set, a fenced ``produce``
as ``_FATAL`` with ``fatal()`` false. So everything that is not fencing and not certain is unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.settings import BatchSettings, KafkaSettings
from streams.worker.logs import LIBRDKAFKA
from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused

FENCED_CODES: Final = frozenset(
    {KafkaError._FENCED, KafkaError._FATAL, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}
)
FORBIDDEN_CODES: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)
LARGEST_MESSAGE: Final = 16 << 20
"""The topics' own limits decide; the client's default of 1,000,000 bytes is below that of the input."""
INIT_TIMEOUT_S: Final = 30.0
ABORT_TIMEOUT_S: Final = 15.0


class Message(NamedTuple):
    """Bytes that are to be written; they never change until the transaction is certain."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] | None = None


class Outcome(Enum):
    COMMITTED = "committed"
    ABORTED = "aborted"


def fault_of(error: KafkaException) -> KafkaError:
    found = error.args[0]
    return found if isinstance(found, KafkaError) else KafkaError(KafkaError._FAIL, str(error))


def is_fenced(error: KafkaError) -> bool:
    return bool(error.fatal()) or error.code() in FENCED_CODES


def raise_if_decided(error: KafkaError, doing: str) -> None:
    """Fencing and missing permissions are certain whatever was being done."""
    # A refused permission is fatal to the producer too, so it is looked for first.
    if error.code() in FORBIDDEN_CODES:
        raise Refused(
            f"{doing}: {error.str()}. The worker's Kafka user needs READ on the touchpoints and the definitions, READ "
            "and WRITE on the state, WRITE on every output topic, and WRITE on transactional ids that begin with the "
            "application's name. See docs/operations.md, permissions."
        )
    if is_fenced(error):
        raise Fenced(f"{doing}: {error}")


class PartitionProducer:
    """Made anew for every open; ``init`` fences whoever held the partition before."""

    def __init__(self, kafka: KafkaSettings, batch: BatchSettings, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self._commit_within_s = batch.transaction_timeout_ms / 1000
        self._producer = Producer(
            kafka.librdkafka(
                transactional_id=transactional_id,
                transaction_timeout_ms=batch.transaction_timeout_ms,
                # Messages wait for the commit, which sends them at once: whole batches instead of many small ones.
                linger_ms=50,
                partitioner="murmur2_random",
                message_max_bytes=LARGEST_MESSAGE,
                queue_buffering_max_messages=1_000_000,
                queue_buffering_max_kbytes=256 * 1024,
            ),
            logger=LIBRDKAFKA,
        )

    def init(self) -> None:
        """Blocks: become the only producer of this partition, ending what a former one left open."""
        try:
            self._producer.init_transactions(INIT_TIMEOUT_S)
        except KafkaException as failure:
            error = fault_of(failure)
            raise_if_decided(error, f"taking over {self.transactional_id}")
            raise OutcomeUnknown(f"init_transactions of {self.transactional_id}: {error}") from failure

    def send(self, messages: Sequence[Message]) -> None:
        """Begins a transaction and queues the messages; does not block. A failure is found again by ``finish``."""
        produce: Callable[..., None] = self._producer.produce
        self._failed: KafkaError | None = None
        try:
            self._producer.begin_transaction()
            for topic, partition, key, value, headers in messages:
                if headers:
                    produce(topic, value, key, partition, headers=headers)
                else:
                    produce(topic, value, key, partition)
        except KafkaException as failure:
            self._failed = fault_of(failure)
        except BufferError:
            self._failed = KafkaError(KafkaError._QUEUE_FULL)

    def finish(self) -> Outcome:
        """Blocks: commits what ``send`` began. Raises ``Fenced``, ``Refused`` or ``OutcomeUnknown``."""
        if self._failed is not None:
            return self._abort(self._failed)
        until = time.monotonic() + self._commit_within_s
        while True:
            try:
                self._producer.commit_transaction(max(1.0, until - time.monotonic()))
            except KafkaException as failure:
                error = fault_of(failure)
                raise_if_decided(error, f"commit of {self.transactional_id}")
                if error.txn_requires_abort():
                    return self._abort(error)
                if not error.retriable() or time.monotonic() >= until:
                    raise OutcomeUnknown(f"commit of {self.transactional_id}: {error}") from failure
                time.sleep(0.05)
            else:
                return Outcome.COMMITTED

    def _abort(self, cause: KafkaError) -> Outcome:
        raise_if_decided(cause, f"transaction of {self.transactional_id}")
        try:
            self._producer.abort_transaction(ABORT_TIMEOUT_S)
        except KafkaException as failure:
            error = fault_of(failure)
            raise_if_decided(error, f"abort of {self.transactional_id}")
            raise OutcomeUnknown(f"abort of {self.transactional_id}: {error}, because of {cause}") from failure
        self.last_abort = str(cause)
        return Outcome.ABORTED

    last_abort: str = ""
