"""The demo's worker and learner: the same commands as in production, as child processes that end with the demo.

Owns the processes, and the key that the two share: made once for a data folder, and readable by its owner alone.
"""

from __future__ import annotations

import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streams.tools.embedded.process import Process

READY_S = 90.0


class Service:
    """One of them. Settings come from the demo's own environment."""

    def __init__(self, name: str, command: str, folder: Path, port: int) -> None:
        self.metrics = f"http://127.0.0.1:{port}/metrics"
        self._ready = f"http://127.0.0.1:{port}/readyz"
        self._command = command
        self._process = Process(name, folder / f"{name.removeprefix('the ')}.log")

    def begin(self, definitions: Sequence[Path] = ()) -> None:
        """Start it, and wait for nothing."""
        arguments = [sys.executable, "-m", "streams", self._command]
        for file in definitions:
            arguments += ["--definition", str(file)]
        self._process.start(arguments)

    def start(self, definitions: Sequence[Path], recovering: Callable[[int], None]) -> None:
        """Return when it has its partitions and their state; an EmbeddedError tells its last words.

        ``recovering`` hears how many records of the state are still to be read.
        """
        self.begin(definitions)

        def ready() -> bool:
            if self._is_ready():
                return True
            left = self._recovery_left()
            if left is not None:
                recovering(left)
            return False

        self._process.wait_until(ready, READY_S)

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if not self._process.running:
            raise self._process.ended()

    def stop(self) -> None:
        """SIGTERM, which ends open transactions; kill if it does not end in time."""
        self._process.stop()

    def _recovery_left(self) -> int | None:
        """None while nobody knows yet."""
        try:
            with urllib.request.urlopen(self.metrics, timeout=2) as answer:  # noqa: S310 - our own worker on loopback
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return None
        for family in text_string_to_metric_families(text):
            if family.name == "journey_recovery_remaining_records" and family.samples:
                return int(sum(sample.value for sample in family.samples))
        return None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._ready, timeout=2) as answer:  # noqa: S310 - our own worker on loopback
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def key_file(folder: Path) -> Path:
    """The file with the learner's key, made if there is none: what was learned in that folder is signed with it."""
    file = folder / "learner.key"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_hex(32) + "\n")
    return file
