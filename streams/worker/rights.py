"""What a process's Kafka user must be allowed, and what of it is missing, asked before the group is joined.

Owns the asking; ``contracts.access`` has the rights. The brokers are asked which operations they would let this user
do. Rights on transactional ids cannot be asked for: ``transactions`` names them when a partition is taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from streams.contracts import access
from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.worker.logs import LIBRDKAFKA

ASK_S: Final = 15.0
ABSENT: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)

Needed = Mapping[str, tuple[AclOperation, ...]]
"""Topic -> operations."""


def of_the_worker(topics: Topics, *, publishes: bool) -> Needed:
    """``publishes``: it is started with a definition to put into its topic."""
    return _needed(access.of_the_worker(topics, publishes=publishes), topics)


def of_the_learner(topics: Topics) -> Needed:
    return _needed(access.of_the_learner(topics), topics)


def _needed(rights: Iterable[access.Right], topics: Topics) -> Needed:
    return {
        name: tuple(AclOperation[operation] for operation in operations)
        for name, operations in access.on_topics(rights, topics).items()
    }


def missing(settings: Settings, rights: Needed) -> list[str]:
    """Each right that this user lacks, in words; empty where brokers have no authorizer. Raises ``KafkaException``."""
    admin = AdminClient(settings.kafka.librdkafka(), logger=LIBRDKAFKA)
    described = admin.describe_topics(
        TopicCollection(list(rights)), include_authorized_operations=True, request_timeout=ASK_S
    )
    found = []
    for topic, operations in rights.items():
        allowed = _allowed(described[topic], KafkaError.TOPIC_AUTHORIZATION_FAILED)
        found += _lacking(operations, allowed, f"the topic {topic}")
    group = settings.group_id
    answer = admin.describe_consumer_groups([group], include_authorized_operations=True, request_timeout=ASK_S)[group]
    return found + _lacking(
        (AclOperation.READ,), _allowed(answer, KafkaError.GROUP_AUTHORIZATION_FAILED), f"the group {group}"
    )


def _allowed(answer: Any, forbidden: int) -> set[AclOperation] | None:
    """None if the broker does not say, as of a topic that does not exist."""
    try:
        described = answer.result()
    except KafkaException as failure:
        code = failure.args[0].code()
        if code == forbidden:
            return set()
        if code in ABSENT:
            return None
        raise
    return None if described.authorized_operations is None else set(described.authorized_operations)


def _lacking(operations: Iterable[AclOperation], allowed: set[AclOperation] | None, what: str) -> list[str]:
    if allowed is None:
        return []
    return [f"{operation.name} on {what}" for operation in operations if operation not in allowed]
