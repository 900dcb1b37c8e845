"""The form of a backup: a folder with one file for each partition, and a manifest that is written last.

Owns names, frames and digests. A file holds frames of four bytes with a length and that many bytes of MessagePack:
[offset, timestamp (ms), key, value, headers]. A folder without a manifest is no backup.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.tools.replay.log import LogRecord

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1


Frame = tuple[int, int | None, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


class BackupError(Exception):
    """A backup cannot be made, read or restored; the text says why and what to do."""


class PartitionFile(msgspec.Struct, frozen=True):
    file: str
    """In the folder."""
    first: int
    """Where the log began."""
    end: int
    """And ended."""
    records: int
    sha256: str


class TopicFiles(msgspec.Struct, frozen=True):
    configs: dict[str, str]
    partitions: list[PartitionFile]
    """In the order of their numbers."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    made_at: int
    """ms since 1970."""
    app: str
    prefix: str
    partitioning: int
    topics: dict[str, TopicFiles]


def file_of(topic: str, partition: int) -> str:
    return f"{topic}-{partition}.gz"


def write(path: Path, records: Iterable[LogRecord]) -> tuple[int, str]:
    """(number of records, digest of the file)."""
    encoder, count = msgspec.msgpack.Encoder(), 0
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        for record in records:
            frame = encoder.encode(tuple(record))
            packed.write(len(frame).to_bytes(4, "big") + frame)
            count += 1
    return count, digest(path)


def read(path: Path) -> Iterator[LogRecord]:
    """Raises ``BackupError`` for what was not written by ``write``."""
    decoder = msgspec.msgpack.Decoder(
        tuple[int, int | None, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
    )
    try:
        with gzip.open(path, "rb") as packed:
            while length := packed.read(4):
                frame = packed.read(int.from_bytes(length, "big"))
                held: Any = decoder.decode(frame)
                yield LogRecord(*held)
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise BackupError(f"{path} cannot be read: {error}") from error


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path, manifest: Manifest) -> None:
    part = folder / f"{MANIFEST}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    part.replace(folder / MANIFEST)


def opened(folder: Path) -> Manifest:
    """The manifest, once every file is there as it was written. Raises ``BackupError``."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise BackupError(f"{folder} has no {MANIFEST}: it is no backup, or one that was not finished") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise BackupError(f"{folder / MANIFEST} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{folder}: a backup of format {manifest.format}; this version reads format {FORMAT}")
    for topic in manifest.topics.values():
        for partition in topic.partitions:
            path = folder / partition.file
            if path.parent != folder or not path.is_file():
                raise BackupError(f"{path} is missing")
            if digest(path) != partition.sha256:
                raise BackupError(f"{path} is not what was written: its digest differs")
    return manifest
