"""A small file system of its own, to be filled: a tmpfs, which only root may mount."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """To the last byte."""
        piece = bytes(1 << 16)
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    if file.write(piece) < len(piece):
                        piece = piece[:1]
            except OSError:
                return

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def bytes_free(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Disk]:
    """Unmounted afterwards, whatever still uses it. Where it may not be mounted the test says that it was NOT done."""
    path.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "journey-chaos", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"a small file system may not be mounted here, so a full disk was NOT tried: {done.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        ended = subprocess.run(["umount", "--lazy", str(path)], capture_output=True, text=True, check=False)
        if ended.returncode:
            warnings.warn(f"{path} is still mounted: {ended.stderr}", stacklevel=2)
