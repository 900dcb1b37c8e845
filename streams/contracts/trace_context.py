"""W3C trace context in a record's headers: what a touchpoint brought, carried on to the triggers that it caused.

Owns the form of ``traceparent`` and ``tracestate`` (https://www.w3.org/TR/trace-context/). What is not in that form is
left alone: a header is no reason to refuse a touchpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
TRACESTATE_BYTES: Final = 512
"""What everyone must be able to carry; a longer one is left out, as the recommendation allows."""

_IDS: Final = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_PARENT: Final = re.compile(rb"00" + _IDS + rb"|(?!00|ff)[0-9a-f]{2}" + _IDS + rb"(-[!-~]{0,200})?")
"""Version 0 is exactly so long; later ones may say more."""
_STATE: Final = re.compile(rb"[ -~]+")


def trace_headers(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes]] | None:
    """The headers to carry on: the only ``traceparent``, if it is right, and its ``tracestate``."""
    parents = [value for name, value in headers if name == TRACEPARENT]
    if len(parents) != 1 or parents[0] is None:
        return None
    parent = bytes(parents[0])
    if _PARENT.fullmatch(parent) is None:
        return None
    found = [(TRACEPARENT, parent)]
    states = [bytes(value) for name, value in headers if name == TRACESTATE and value]
    state = b",".join(states)
    if 0 < len(state) <= TRACESTATE_BYTES and _STATE.fullmatch(state) is not None:
        found.append((TRACESTATE, state))
    return found


def sampled(headers: list[tuple[str, bytes]]) -> bool:
    """Whether the caller records the trace."""
    return bool(int(headers[0][1][53:55], 16) & 1)
