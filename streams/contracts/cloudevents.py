"""CloudEvents 1.0 headers in Kafka's binary mode: a consumer can filter without decoding.

Owns the names of types and the form of time. ``ce_time`` is event time, never a clock's: the same log gives the same
headers.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

TYPE_PREFIX: Final = "com.journey-streams."
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", b"application/avro")
_EPOCH: Final = date(1970, 1, 1)
_LATEST_MS: Final = 253_402_300_799_999


_MINUTES: Final = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60)]


@lru_cache(maxsize=1024)  # one cause has several outputs, all of the same time
def rfc3339(ms: int) -> bytes:
    """A time in the form that CloudEvents wants; ``ms`` must lie between 1970 and the year 9999."""
    day, ms = divmod(ms, 86_400_000)
    minute, ms = divmod(ms, 60_000)
    return f"{_date(day)}{_MINUTES[minute]}{ms // 1000:02}.{ms % 1000:03}Z".encode()


@lru_cache(maxsize=256)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


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
