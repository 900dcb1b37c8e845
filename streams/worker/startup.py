"""What must hold before a worker joins the group: brokers that answer, topics that fit, schemas that are known.

Owns waiting (bounded, with a clear message) and refusing (with the command that mends it).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.contracts.registry import RegistryError, RegistryOptions, RegistrySchemas, RegistryTimeoutError, subjects
from streams.contracts.schemas import PackagedSchemas, SchemaSource
from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.topics import TopicsError, check_topics
from streams.worker import rights
from streams.worker.logs import LIBRDKAFKA
from streams.worker.outcomes import Refused, Unavailable
from streams.worker.transactions import FORBIDDEN_CODES, fault_of

log = logging.getLogger(__name__)

ASK_S: Final = 5.0
TELL_EVERY_S: Final = 10.0


def wait_for_brokers(settings: Settings) -> None:
    """Returns once a broker answers; raises ``Refused`` after ``broker_wait``, or at once where it denies the login."""
    kafka, until = settings.kafka, time.monotonic() + settings.broker_wait_ms / 1000
    # Asking for metadata only tells that nobody answered; why a connection fails is told to this callback.
    causes: list[KafkaError] = []
    admin = AdminClient(
        kafka.librdkafka(socket_timeout_ms=int(ASK_S * 1000)) | {"error_cb": causes.append}, logger=LIBRDKAFKA
    )
    told = 0.0
    while True:
        try:
            admin.list_topics(timeout=ASK_S)
        except KafkaException as failure:
            admin.poll(0)
            cause = _cause([*causes, fault_of(failure)])
            causes.clear()
            if cause.code() in FORBIDDEN_CODES:
                raise Refused(
                    f"{kafka.bootstrap} refuses this user: {cause.str()}. Look at "
                    "JOURNEY_KAFKA_SASL_USERNAME, _SASL_PASSWORD, _SASL_MECHANISM and _SECURITY_PROTOCOL."
                ) from failure
            now = time.monotonic()
            if now >= until:
                raise _no_answer(settings, cause) from failure
            if now - told > TELL_EVERY_S:
                told = now
                log.warning(
                    "No broker answers at %s (%s); waiting %.0f s more.", kafka.bootstrap, cause.str(), until - now
                )
            time.sleep(0.5)
        else:
            return


def _cause(errors: Sequence[KafkaError]) -> KafkaError:
    """The one that says most: a denied login or a failed handshake rather than that brokers are down."""
    telling = (*FORBIDDEN_CODES, KafkaError._SSL)
    return min(errors, key=lambda e: (e.code() not in telling, e.code() == KafkaError._ALL_BROKERS_DOWN))


def _no_answer(settings: Settings, cause: KafkaError) -> Refused:
    kafka = settings.kafka
    if cause.code() == KafkaError._SSL:
        return Refused(
            f"{kafka.bootstrap} and this worker cannot agree on TLS: {cause.str()}. Look at JOURNEY_KAFKA_SSL_CA, "
            "_SSL_CHECK_HOSTNAME, _SSL_CERTIFICATE and _SECURITY_PROTOCOL."
        )
    return Unavailable(
        f"no broker answers at {kafka.bootstrap} after {settings.broker_wait_ms / 1000:.0f} s ({cause.str()}). Is "
        "Kafka running there? Set JOURNEY_KAFKA_BOOTSTRAP; JOURNEY_BROKER_WAIT sets how long to wait."
    )


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
    """The registry, waited for within its setting; the packaged schemas where none is set. Raises ``Refused``."""
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
    except RegistryTimeoutError as error:
        raise Unavailable(str(error)) from error
    except RegistryError as error:
        raise Refused(str(error)) from error
    return source
