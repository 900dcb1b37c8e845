"""Records that are no touchpoint, one of each kind in turn."""

from __future__ import annotations

from typing import Final

from streams.contracts.output_codec import OutputCodec
from streams.contracts.schemas import PackagedSchemas, prefix_of
from streams.contracts.touchpoint import Touchpoint

TOO_LARGE: Final = 16 * 1024
LIMIT: Final = {"JOURNEY_DEAD_LETTERS_VALUE_BYTES": "8KiB"}
"""For workers that are fed with ``poison``."""
KINDS: Final = ("truncated", "unknown schema", "too large", "null")
_touchpoint: Final = Touchpoint("x", "Order Completed", 1, customer_id="x")
_good: Final = OutputCodec(PackagedSchemas(), "/poison").touchpoint(_touchpoint)


def poison(number: int) -> bytes | None:
    value = _good.value or b""
    kind = KINDS[number % len(KINDS)]
    if kind == "truncated":
        return value[: len(value) // 2]
    if kind == "unknown schema":
        return prefix_of(987_654) + value[5:]
    if kind == "too large":
        return value + bytes(TOO_LARGE)
    return None
