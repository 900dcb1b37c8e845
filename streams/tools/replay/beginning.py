"""The state that a partition began with, where it was copied from another partitioning: a replay begins there.

Owns reading the topic of beginnings: profiles under their own keys, customer views behind a type byte, and the marker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from streams.contracts.record import Encoded
from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.replay import log
from streams.worker import marker as markers
from streams.worker.marker import PROFILE, Marker

CUSTOMER: Final = b"c"
"""First byte of the keys of customer views."""


@dataclass(slots=True)
class Beginning:
    profiles: dict[bytes, bytes] = field(default_factory=dict)
    customers: dict[bytes, Encoded] = field(default_factory=dict)
    marker: Marker | None = None
    """None: what was written is not complete, or gone by its retention."""


def read(settings: Settings, topics: Topics, partition: int) -> Beginning:
    """A copy that was begun anew has written its records again: the last of each key counts, and all are equal."""
    found = Beginning()
    for record in log.read(settings, topics.beginning, partition):
        key, value = record.key or b"", record.value or b""
        if key == markers.KEY:
            found.marker = markers.decode(value)
        elif key.startswith(PROFILE):
            found.profiles[key] = value
        elif key.startswith(CUSTOMER):
            name = key.removeprefix(CUSTOMER)
            found.customers[name] = Encoded(name, value, list(record.headers))
    return found
