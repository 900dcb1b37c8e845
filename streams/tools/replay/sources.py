"""Files of touchpoints: opened by what they are, merged by time when there are several.

Owns telling CSV from JSON lines, gzip from plain, and how far a file has been read.
"""

from __future__ import annotations

import gzip
import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from streams.contracts.touchpoint import Touchpoint
from streams.tools.replay.lines import JsonLinesReader
from streams.tools.replay.mapping import Mapping
from streams.tools.replay.rows import CsvReader, InputError, Refused

GZIP: Final = b"\x1f\x8b"
TABLES: Final = frozenset({".csv", ".tsv", ".txt"})


class InputFile:
    """One file, open. Iterating gives its touchpoints and refused lines; ``position`` of ``size`` bytes are read."""

    def __init__(self, path: Path, mapping: Mapping | None = None) -> None:
        self.path = path
        name = path.name.removesuffix(".gz")
        table = Path(name).suffix.lower() in TABLES
        if table and mapping is None:
            raise InputError(f"{path.name} is a table: say with --mapping how its rows become touchpoints")
        try:
            self._raw: BinaryIO = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        self.size = path.stat().st_size
        packed = self._raw.read(2) == GZIP
        self._raw.seek(0)
        plain: BinaryIO = gzip.GzipFile(fileobj=self._raw, mode="rb") if packed else self._raw  # type: ignore[assignment]  # a GzipFile reads like a BinaryIO
        self.reader: CsvReader | JsonLinesReader
        if table and mapping is not None:
            self._stream: IO[Any] = io.TextIOWrapper(plain, encoding=mapping.encoding, newline="")
            self.reader = CsvReader(self._stream, mapping, path.name)
        else:
            self._stream = plain
            self.reader = JsonLinesReader(plain, path.name)

    @property
    def position(self) -> int:
        return self.size if self._raw.closed else self._raw.tell()

    @property
    def filtered(self) -> int:
        return self.reader.filtered

    def __iter__(self) -> Iterator[Touchpoint | Refused]:
        try:
            yield from self.reader
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise InputError(f"{self.path.name}: after row {self.reader.rows}: {error}") from None
        finally:
            self.close()

    def close(self) -> None:
        """Also done at the end of iterating."""
        self._stream.close()
        self._raw.close()


def open_inputs(paths: Sequence[Path], mappings: Sequence[Mapping]) -> list[InputFile]:
    """The files with their mappings: one for all tables, or one for each in their order."""
    tables = [path for path in paths if Path(path.name.removesuffix(".gz")).suffix.lower() in TABLES]
    if len(mappings) > 1 and len(mappings) != len(tables):
        raise InputError(f"{len(mappings)} mappings for {len(tables)} tables: give one for all or one for each")
    if mappings and not tables:
        raise InputError("a mapping is for tables (.csv, .tsv, .txt); the inputs are JSON lines and need none")
    one_each = list(mappings) * (len(tables) if len(mappings) == 1 else 1)
    by_path = dict(zip(tables, one_each, strict=False))
    files: list[InputFile] = []
    try:
        files.extend(InputFile(path, by_path.get(path)) for path in paths)
    except InputError:
        for file in files:
            file.close()
        raise
    return files


def merged(files: Sequence[Iterable[Touchpoint | Refused]]) -> Iterator[Touchpoint | Refused]:
    """All items of all files by time, each file's own order kept: a late line stays as late as it was."""
    if len(files) == 1:
        return iter(files[0])
    return (item for _, _, item in heapq.merge(*(_timed(file, n) for n, file in enumerate(files)), key=_time_of))


def _timed(items: Iterable[Touchpoint | Refused], number: int) -> Iterator[tuple[int, int, Touchpoint | Refused]]:
    now = 0
    for item in items:
        if isinstance(item, Touchpoint):
            now = max(now, item.occurred_at if item.record_time is None else item.record_time)
        yield now, number, item


def _time_of(entry: tuple[int, int, Touchpoint | Refused]) -> tuple[int, int]:
    return entry[:2]
