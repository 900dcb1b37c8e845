"""Whether brokers answer, and in words why they do not: nobody there, a login that is denied, TLS that does not fit.

Owns that question for the worker, which waits, and for commands, which do not: clients by themselves try for ever, and
say only that a broker is away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.settings import KafkaSettings
from streams.worker.outcomes import Refused, Unavailable

log = logging.getLogger(__name__)
_clients = logging.getLogger("streams.kafka.brokers")
_clients.addHandler(logging.NullHandler())
_clients.propagate = False

STEP_S: Final = 1.0
SLOW_S: Final = 5.0
"""A broker that neither answers nor refuses the connection is given so long, however little is to be waited."""
TELL_EVERY_S: Final = 10.0
DENIED: Final = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)
TELLING: Final = (*DENIED, KafkaError._SSL)


def wait_for_brokers(kafka: KafkaSettings, wait_s: float, advice: str = "") -> None:
    """Returns once a broker answers; at least one attempt is made.

    Raises ``Unavailable`` after ``wait_s`` (the message ends with ``advice``), and ``Refused`` where the settings do
    not fit: at once if the login is denied, after ``wait_s`` if TLS fails, since a restarting broker may look so, too.
    """
    began = time.monotonic()
    # Asking for metadata only tells that nobody answered; why a connection fails is told to this callback.
    causes: list[KafkaError] = []
    admin = AdminClient(kafka.librdkafka() | {"error_cb": causes.append}, logger=_clients)
    told = 0.0
    while True:
        try:
            admin.list_topics(timeout=STEP_S)
        except KafkaException as failure:
            admin.poll(0)
            cause = _most_telling([*causes, failure.args[0]])
            known = any(error.code() in (*TELLING, KafkaError._ALL_BROKERS_DOWN) for error in causes)
            if cause.code() in DENIED:
                raise Refused(
                    f"{kafka.bootstrap} refuses this user: {cause.str()}. Look at "
                    "JOURNEY_KAFKA_SASL_USERNAME, _SASL_PASSWORD, _SASL_MECHANISM and _SECURITY_PROTOCOL."
                ) from failure
            now = time.monotonic()
            if now - began >= (wait_s if known else max(wait_s, SLOW_S)):
                raise _no_answer(kafka, now - began, cause, advice) from failure
            if now - told > TELL_EVERY_S:
                told = now
                left = wait_s - (now - began)
                log.warning("No broker answers at %s (%s); waiting %.0f s more.", kafka.bootstrap, cause.str(), left)
            del causes[:-100]
        else:
            return


def _most_telling(errors: Sequence[KafkaError]) -> KafkaError:
    """A denied login or a failed handshake rather than a failed connection, and that rather than that all are down."""
    return min(errors, key=lambda e: (e.code() not in TELLING, e.code() == KafkaError._ALL_BROKERS_DOWN))


def _no_answer(kafka: KafkaSettings, waited_s: float, cause: KafkaError, advice: str) -> Refused:
    if cause.code() == KafkaError._SSL:
        return Refused(
            f"{kafka.bootstrap} and this client cannot agree on TLS: {cause.str()}. Look at JOURNEY_KAFKA_SSL_CA, "
            "_SSL_CHECK_HOSTNAME, _SSL_CERTIFICATE and _SECURITY_PROTOCOL."
        )
    return Unavailable(
        f"no broker answers at {kafka.bootstrap} after {waited_s:.0f} s ({cause.str()}). Is Kafka running "
        f"there? JOURNEY_KAFKA_BOOTSTRAP names the address.{advice}"
    )
