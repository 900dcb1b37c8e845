"""A real schema registry (Apicurio, with the Confluent API) that keeps its schemas in memory: for tests.

Owns its address and how it is started.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.tools.embedded.artifacts import Progress, java, unpack
from streams.tools.embedded.fast_start import options
from streams.tools.embedded.process import Process, free_port

READY_S: Final = 120.0
API: Final = "/apis/ccompat/v7"


def runner(progress: Progress | None = None) -> Path:
    """The jar that is run; the others lie beside it."""
    (jar,) = unpack("registry", progress).glob("apicurio-registry-app-*-runner.jar")
    return jar


class EmbeddedRegistry:
    """Use as a context manager, or ``start`` and ``stop`` by hand. What was registered ends with the process.

    ``java_options`` are further ones of Java.
    """

    def __init__(
        self, folder: Path, port: int = 0, *, java_options: Sequence[str] = (), progress: Progress | None = None
    ) -> None:
        self._folder = folder.resolve()
        self.port = port
        self._java_options = java_options
        self._progress = progress
        self._process = Process("The schema registry", self._folder / "registry.log")

    @property
    def url(self) -> str:
        """What ``schema.registry.url`` takes."""
        return f"http://127.0.0.1:{self.port}{API}"

    @property
    def log(self) -> Path:
        return self._process.log

    @property
    def running(self) -> bool:
        return self._process.running

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        if self.running:
            return
        java_path = java()
        jar = runner(self._progress)
        self._folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        self._process.start(
            [
                str(java_path),
                *options("registry", java_path, [jar]),
                "-Xmx384m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:+ExitOnOutOfMemoryError",
                "-Dquarkus.http.host=127.0.0.1",
                f"-Dquarkus.http.port={self.port}",
                *self._java_options,
                "-jar",
                str(jar),
            ]
        )
        self._process.wait_until(self._answers, READY_S)

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()

    def restart(self) -> None:
        """On the same port, empty."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as response:  # noqa: S310 - own address
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False
