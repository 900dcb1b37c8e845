"""The demo's worker: the same ``journey run`` as in production, as a child process that ends with the demo."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streams.tools.embedded.process import Process

READY_S = 90.0


class Worker:
    """Settings come from the demo's own environment."""

    def __init__(self, folder: Path, port: int) -> None:
        self.metrics = f"http://127.0.0.1:{port}/metrics"
        self._ready = f"http://127.0.0.1:{port}/readyz"
        self._process = Process("the worker", folder / "worker.log")

    def start(self, definitions: Sequence[Path], recovering: Callable[[int], None]) -> None:
        """Return when it has its partitions and their state; an EmbeddedError tells its last words.

        ``recovering`` hears how many records of the state are still to be read.
        """
        arguments = [sys.executable, "-m", "streams", "run"]
        for file in definitions:
            arguments += ["--definition", str(file)]
        self._process.start(arguments)

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
