"""Who is in a consumer group: what commands ask that need workers or learners to be stopped.

Owns the wait for members that have ended: with static membership a group keeps them until their session times out.
"""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from streams.settings import Settings
from streams.tools.topics import TIMEOUT_S, admin_client

SPARE_S: Final = 3.0
PAUSE_S: Final = 0.3
YOUNG_S: Final = 30.0
"""A broker that has just started finds out who coordinates a group."""
PASSING: Final = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TIMED_OUT,
)


def members(settings: Settings, group: str) -> int:
    """Those that are in the group now. Raises ``KafkaException``."""
    admin = admin_client(settings.kafka.librdkafka())
    until = time.monotonic() + YOUNG_S
    while True:
        try:
            return len(admin.describe_consumer_groups([group], request_timeout=TIMEOUT_S)[group].result().members)
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            if code not in PASSING or time.monotonic() > until:
                raise
        time.sleep(PAUSE_S)


def members_that_stay(settings: Settings, group: str) -> int:
    """Those that are in the group although a member that has ended would have left it by now."""
    until = time.monotonic() + settings.group.session_timeout_ms / 1000 + SPARE_S
    while (found := members(settings, group)) and time.monotonic() < until:
        time.sleep(PAUSE_S)
    return found
