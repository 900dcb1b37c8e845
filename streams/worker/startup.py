"""What must hold before a worker joins the group: brokers that answer, topics that fit, schemas that are known.

Owns waiting (bounded, with a clear message) and refusing (with the command that mends it).
"""

from __future__ import annotations

import logging
import time
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.contracts.registry import RegistryError, RegistryOptions, RegistrySchemas, subjects
from streams.contracts.schemas import PackagedSchemas, SchemaSource
from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.topics import TopicsError, check_topics
from streams.worker.logs import LIBRDKAFKA
from streams.worker.outcomes import Refused, Unavailable
from streams.worker.transactions import FORBIDDEN_CODES, fault_of

log = logging.getLogger(__name__)

ASK_S: Final = 5.0


def wait_for_brokers(settings: Settings) -> None:
    """Returns once a broker answers; raises ``Refused`` after ``broker_wait``."""
    until = time.monotonic() + settings.broker_wait_ms / 1000
    admin = AdminClient(settings.kafka.librdkafka(socket_timeout_ms=int(ASK_S * 1000)), logger=LIBRDKAFKA)
    told = 0.0
    while True:
        try:
            admin.list_topics(timeout=ASK_S)
        except KafkaException as failure:
            error = fault_of(failure)
            if error.code() in FORBIDDEN_CODES:
                raise Refused(
                    f"{settings.kafka.bootstrap} refuses this user: {error.str()}. Look at "
                    "JOURNEY_KAFKA_SASL_USERNAME, _SASL_PASSWORD, _SASL_MECHANISM and _SECURITY_PROTOCOL."
                ) from failure
            now = time.monotonic()
            if now >= until:
                raise Unavailable(
                    f"no broker answers at {settings.kafka.bootstrap} after {settings.broker_wait_ms / 1000:.0f} s "
                    f"({error.str()}). Is Kafka running there? Set JOURNEY_KAFKA_BOOTSTRAP; JOURNEY_BROKER_WAIT sets "
                    "how long to wait."
                ) from failure
            if now - told > 10:
                told = now
                log.warning("No broker answers at %s; waiting %.0f s more.", settings.kafka.bootstrap, until - now)
            time.sleep(0.5)
        else:
            return


def check(settings: Settings, topics: Topics) -> int:
    """The number of input partitions. Raises ``Refused`` with the commands that mend the topics."""
    try:
        problems = check_topics(settings.kafka.librdkafka(), topics)
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
    """The registry, waited for within its setting; the packaged schemas where none is set."""
    registry = settings.registry
    if registry.url is None:
        return PackagedSchemas()
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
    except RegistryError as error:
        raise Unavailable(str(error)) from error
    return source
