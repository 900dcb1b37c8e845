"""CloudEvents 1.0 headers in Kafka's binary mode: a consumer can filter without decoding.

Owns the names of types and the form of time. ``ce_time`` is event time, never a clock's: the same log gives the same
headers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

TYPE_PREFIX: Final = "com.journey-streams."
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", b"application/avro")
_EPOCH: Final = datetime(1970, 1, 1)
"""UTC by definition; without a zone it prints as it should."""
_LATEST_MS: Final = 253_402_300_799_999


@lru_cache(maxsize=1024)  # one cause has several outputs, all of the same time
def rfc3339(ms: int) -> bytes:
    """A time in the form that CloudEvents wants; ``ms`` must lie between 1970 and the year 9999."""
    return f"{(_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec='milliseconds')}Z".encode()


@lru_cache(maxsize=256)
def _type(name: str) -> tuple[str, bytes]:
    return "ce_type", f"{TYPE_PREFIX}{name}".encode()


def headers(source: bytes, type_: str, event_id: str, time_ms: int | None) -> list[tuple[str, bytes]]:
    """The headers of one record. ``ce_time`` is left out where there is no time that it could state."""
    out = [
        _SPEC_VERSION,
        _type(type_),
        ("ce_source", source),
        ("ce_id", event_id.encode()),
        _CONTENT_TYPE,
    ]
    if time_ms is not None and 0 <= time_ms <= _LATEST_MS:
        out.append(("ce_time", rfc3339(time_ms)))
    return out
