"""Touchpoints in JSON lines, as the simulator and ``journey replay``'s users write them.

Owns reading lines in batches. What a touchpoint may be is the codec's business: the same limits and the same reasons
for refusal as on the topic. A line may carry ``recorded_at`` (ms), the time at which the log took it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import msgspec

from streams.contracts.codec import TouchpointCodec
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import Rejection, Touchpoint
from streams.tools.replay.rows import Refused

BATCH: Final = 256
LINE_BYTES: Final = 2 << 20
"""Twice a touchpoint's limit: what is longer is read as far as that, refused as too large, and passed over."""


class _Line(msgspec.Struct, frozen=True, gc=False):
    """A line in the shape of a record; its key is left out, so that routing is not checked."""

    offset: int
    value: bytes
    timestamp: int | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class _Recorded(msgspec.Struct, gc=False):
    recorded_at: int | None = None


class JsonLinesReader:
    """Iterates over the touchpoints and refused lines of one file."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        self.file = file
        self.rows = 0
        self.filtered = 0
        self._stream = stream
        self._codec = TouchpointCodec(PackagedSchemas(), allow_json=True)

    def _lines(self) -> list[bytes]:
        found = []
        for _ in range(BATCH):
            line = self._stream.readline(LINE_BYTES)
            if not line:
                break
            found.append(line)
            while len(line) == LINE_BYTES and not line.endswith(b"\n"):
                line = self._stream.readline(LINE_BYTES)
        return found

    def __iter__(self) -> Iterator[Touchpoint | Refused]:
        recorded = msgspec.json.Decoder(_Recorded)
        while batch := self._lines():
            records = []
            for raw in batch:
                self.rows += 1
                text = raw.strip()
                if not text:
                    continue
                at = None
                if b'"recorded_at"' in text:
                    try:
                        at = recorded.decode(text).recorded_at
                    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                        at = None  # the codec says what is wrong with the line
                records.append(_Line(self.rows, text, at))
            for record, made in zip(records, self._codec.decode(records), strict=True):
                if isinstance(made, Rejection):
                    original = record.value.decode("utf-8", "replace")
                    detail = f"line {record.offset}: {made.detail}"
                    yield Refused(self.file, record.offset, made.reason, detail, original)
                else:
                    made.record_time = record.timestamp
                    yield made
