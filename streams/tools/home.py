"""The small file by which commands find a demo that runs beside them: where its Kafka is, and under which names.

Owns its format. It lies in the data folder (``JOURNEY_DATA``, by default ``.journey`` in the working directory).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

NAME = "demo.json"


class Demo(msgspec.Struct, frozen=True):
    """A demo that runs."""

    bootstrap: str
    prefix: str
    app: str
    metrics: str | None = None
    """Address of ``/metrics``."""
    pid: int = 0


def write(folder: Path, demo: Demo) -> None:
    """Replaced as a whole, so that a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{NAME}.{os.getpid()}"
    partial.write_bytes(msgspec.json.encode(demo))
    partial.replace(folder / NAME)


def read(folder: Path) -> Demo | None:
    """The demo that runs on this folder; None where there is none, or its process is gone."""
    try:
        demo = msgspec.json.decode((folder / NAME).read_bytes(), type=Demo)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return demo if _alive(demo.pid) else None


def clear(folder: Path) -> None:
    (folder / NAME).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
