"""The learner's state as records of a compacted topic: cut into pieces that fit, and put together again.

Owns the keys: a type byte, the risk, and the number of the piece. All pieces of a state are written in one transaction,
so those that are there belong together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

KIND: Final = b"l"
"""First byte of the keys: none is taken for the marker."""
PIECE_BYTES: Final = 900_000
"""A record of Kafka's default size holds it with its key."""


class Torn(ValueError):  # noqa: N818 - an answer about data
    """Pieces are missing: the topic was written by something else, or emptied in part."""


def key(risk: str, piece: int) -> bytes:
    return KIND + b"%04d/" % piece + risk.encode()


def cut(risk: str, state: bytes, pieces_before: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Records of one learner's state; those that it needed before and needs no more become tombstones."""
    pieces = max(1, -(-len(state) // PIECE_BYTES))
    for piece in range(pieces):
        part = state[piece * PIECE_BYTES : (piece + 1) * PIECE_BYTES]
        yield key(risk, piece), (pieces.to_bytes(2, "big") + part)
    for piece in range(pieces, pieces_before):
        yield key(risk, piece), None


def pieces_of(state: bytes) -> int:
    return max(1, -(-len(state) // PIECE_BYTES))


def joined(records: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Risk -> state. Raises ``Torn``."""
    found: dict[str, dict[int, bytes]] = {}
    for name, value in records.items():
        if name[:1] != KIND:
            continue
        piece, _, of = name[1:].partition(b"/")
        found.setdefault(of.decode(), {})[int(piece)] = value
    states = {}
    for risk, pieces in found.items():
        wanted = int.from_bytes(pieces[min(pieces)][:2], "big")
        if sorted(pieces) != list(range(wanted)):
            raise Torn(f"the state of {risk} has the pieces {sorted(pieces)} of {wanted}")
        states[risk] = b"".join(pieces[piece][2:] for piece in range(wanted))
    return states
