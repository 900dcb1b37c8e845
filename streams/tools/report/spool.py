"""Records put together by customer, on disk: a report reads topics and files one after the other in any order.

Owns the bound on memory: what is read lies in ``BUCKETS`` temporary files by a hash of the customer, and one of them at
a time is taken back. A report over n records needs room on disk for n, in memory for about n / ``BUCKETS``.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from streams.tools.report.records import Found, Record, Touch

BUCKETS: Final = 64
BLOCK: Final = 256
"""Records encoded together."""


class Spool:
    """Takes records and gives them back customer by customer, each customer's in the order in which they came."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="journey-report-")
        self._files: list[IO[bytes]] = [(Path(self._folder.name) / str(n)).open("w+b") for n in range(BUCKETS)]
        self._waiting: list[list[Record]] = [[] for _ in range(BUCKETS)]
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Record]).decode
        self.touchpoints = self.outputs = 0
        self.first: int | None = None
        self.last: int | None = None
        """Event time (ms) of the earliest and the latest touchpoint; of signals while there are no touchpoints."""
        self._by_touchpoints = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self._files:
            file.close()
        self._folder.cleanup()

    def add(self, record: Record) -> None:
        if isinstance(record, Touch):
            self.touchpoints += 1
            if not self._by_touchpoints:
                self._by_touchpoints, self.first, self.last = True, None, None
            self._span(record.time)
        else:
            self.outputs += 1
            if not self._by_touchpoints and isinstance(record, Found):
                self._span(record.time)
        number = zlib.crc32(record.customer.encode("utf-8", "surrogatepass")) % BUCKETS
        waiting = self._waiting[number]
        waiting.append(record)
        if len(waiting) >= BLOCK:
            self._write(number)

    def _span(self, time: int) -> None:
        if self.first is None or time < self.first:
            self.first = time
        if self.last is None or time > self.last:
            self.last = time

    def _write(self, number: int) -> None:
        if not self._waiting[number]:
            return
        self._files[number].seek(0, 2)
        data = self._encode(self._waiting[number])
        self._files[number].write(len(data).to_bytes(4, "big") + data)
        self._waiting[number] = []

    def __iter__(self) -> Iterator[tuple[str, list[Record]]]:
        """Every customer once, with all records; may be asked for again."""
        for number, file in enumerate(self._files):
            self._write(number)
            file.seek(0)
            found: dict[str, list[Record]] = {}
            while size := file.read(4):
                for record in self._decode(file.read(int.from_bytes(size, "big"))):
                    found.setdefault(record.customer, []).append(record)
            for customer in sorted(found):
                yield customer, found.pop(customer)
