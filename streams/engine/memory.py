"""What a profile remembers of what it has heard: ids, the newest value of each kind, what is settled.

Owns how that is put down and bounded; ``state.py`` has the profile itself.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

import msgspec

from streams.contracts.touchpoint import Touchpoint
from streams.engine.state import SEEN, SEEN_MINUTES, WINDOWS, Profile

_encoder: Final = msgspec.msgpack.Encoder()


def seen_key(event_id: str) -> bytes:
    """The id itself where it is short, else 16 bytes of its digest."""
    raw = event_id.encode()
    return raw if len(raw) < 16 else hashlib.blake2b(raw, digest_size=16).digest()


def fingerprint(tp: Touchpoint) -> int:
    """CRC of what a touchpoint says; ``sent_at`` and the position in the log may differ between two sendings."""
    return zlib.crc32(_encoder.encode((tp.type, tp.occurred_at, tp.value, tp.actor, tp.channel, tp.properties)))


def remember(p: Profile, key: bytes, t: int, crc: int, watermark: int) -> None:
    """Note an id; forget the oldest beyond ``SEEN`` ids, or 24 h behind the watermark (a clock may be ahead of it)."""
    seen = p.seen
    seen[key] = t // 60_000 << 32 | crc
    first = next(iter(seen))
    oldest = (watermark // 60_000 - SEEN_MINUTES) << 32
    while (len(seen) > SEEN or seen[first] < oldest) and first != key:
        del seen[first]
        first = next(iter(seen))


def settle(p: Profile, key: str, before: int) -> None:
    """What arrives late from before that time starts nothing under ``key``."""
    settled = p.settled
    if before > settled.get(key, 0):
        p.room -= 16 + 4 * len(key)
        settled[key] = before
        if len(settled) > WINDOWS:
            del settled[next(iter(settled))]


def set_last(p: Profile, name: str, value: str, t: int) -> None:
    """The newest by event time wins; at one time the one that arrived later."""
    held = p.last.get(name)
    if held is None:
        p.last[name] = [value, t]
        p.room -= 40 + 4 * len(value)
    elif t >= held[1]:
        if value != held[0]:
            held[0] = value
            p.room -= 4 * len(value)
        held[1] = t
