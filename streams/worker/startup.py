"""What must hold before a worker joins the group: brokers that answer, topics that fit, schemas that are known.

Owns waiting (bounded, with a clear message) and refusing (with the command that mends it).
"""

from __future__ import annotations

import logging
import time
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.contracts.schemas import PackagedSchemas, SchemaSource
from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.topics import TopicsError, check_topics
from streams.worker import rights
from streams.worker.logs import LIBRDKAFKA
from streams.worker.outcomes import Refused, Unavailable
from streams.worker.transactions import fault_of

log = logging.getLogger(__name__)

ASK_S: Final = 5.0


def check_rights(settings: Settings, needed: rights.Needed) -> None:
    """Raises ``Refused`` with every right that this Kafka user lacks."""
    until = time.monotonic() + max(ASK_S, settings.broker_wait_ms / 1000)
    while True:
        try:
            lacking = rights.missing(settings, needed)
            break
        except KafkaException as failure:
            # Young brokers have no coordinator for the group yet.
            error = fault_of(failure)
            if time.monotonic() >= until:
                raise Unavailable(
                    f"{settings.kafka.bootstrap} does not tell this user's rights: {error.name()} {error.str()}"
                ) from failure
            log.info("The rights of this Kafka user are asked for again: %s %s", error.name(), error.str())
            time.sleep(0.5)
    if lacking:
        user = settings.kafka.sasl_username
        raise Refused(
            f"The Kafka user{f' {user}' if user else ''} lacks rights: {'; '.join(lacking)}. Allow it that "
            "(kafka-acls.sh --add); docs/operations.md, permissions, has all that is needed."
        )


def check(settings: Settings, topics: Topics) -> int:
    """The number of input partitions. Raises ``Refused`` with the commands that mend the topics."""
    try:
        problems = check_topics(settings.kafka.librdkafka(), topics, used_by="engine")
    except TopicsError as error:
        raise Refused(str(error)) from error
    refused = [problem for problem in problems if problem.gravity == "refused"]
    if refused:
        raise Refused("the topics do not fit:\n  " + "\n  ".join(str(problem) for problem in refused))
    for problem in problems:
        log.warning("Topic %s", problem)
    metadata = AdminClient(settings.kafka.librdkafka(), logger=LIBRDKAFKA).list_topics(
        topics.touchpoints, timeout=ASK_S
    )
    return len(metadata.topics[topics.touchpoints].partitions)


def schema_source(settings: Settings, topics: Topics) -> SchemaSource:
    """The registry, waited for within its setting; the packaged schemas where none is set. Raises ``Refused``."""
    registry = settings.registry
    if registry.url is None:
        return PackagedSchemas()
    # The client for it takes long to import, which every start without a registry would pay for.
    from streams.contracts.registry import (  # noqa: PLC0415
        RegistryError,
        RegistryOptions,
        RegistrySchemas,
        RegistryTimeoutError,
        subjects,
    )

    options = RegistryOptions(
        registry.url,
        username=registry.username,
        password=registry.password.reveal() if registry.password else None,
        ca_file=registry.ssl_ca,
        wait_s=registry.wait_ms / 1000,
    )
    try:
        source = RegistrySchemas(options, subjects(topics))
        source.register()
    except RegistryTimeoutError as error:
        raise Unavailable(str(error)) from error
    except RegistryError as error:
        raise Refused(str(error)) from error
    return source
