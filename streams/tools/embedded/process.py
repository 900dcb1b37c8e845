"""A service in a process of its own: started on a leash, waited for, stopped, killed; its output in a file.

Owns the process group and the words for a service that ends or does not come up.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from streams.tools.embedded.errors import EmbeddedError, Fault

LEASH: Final = Path(__file__).with_name("leash.py")
GRACE_S: Final = 20.0
PORTS: Final = range(20_000, 32_000)
"""Below the range from which systems take ports for outgoing connections: there, a client that keeps trying a stopped
broker's port can be given that very port, and connects to itself."""

CAUSES: Final[tuple[tuple[str, Fault, str], ...]] = (
    (
        "No space left on device",
        "disk_full",
        "Free some space on that disk and start again: nothing committed is lost.",
    ),
    ("Address already in use", "port_in_use", "Stop what listens there, or choose another port."),
    ("Permission denied", "no_permission", "Choose a folder that can be written."),
    ("Failed to acquire lock", "in_use", "Stop the other instance, or choose another data folder."),
)
"""What a log says -> what it means -> what to do."""


class Process:
    """One service. ``start`` may be called again after ``stop`` or ``kill``."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._leash: subprocess.Popen[bytes] | None = None
        self._life: int | None = None
        """A pipe that only the service's processes hold the other end of: it ends when the last of them has."""

    @property
    def running(self) -> bool:
        return self._leash is not None and self._leash.poll() is None

    @property
    def group(self) -> int | None:
        """Id of the process group, while it runs."""
        return self._leash.pid if self._leash is not None and self.running else None

    @property
    def status(self) -> int | None:
        """How it ended, as a shell would say; None while it runs, or before it was started."""
        return self._leash.poll() if self._leash is not None else None

    def start(
        self, command: list[str], held: Sequence[int] = (), *, environment: Mapping[str, str] | None = None
    ) -> None:
        """``held``: file descriptors, for example of a lock, that stay open as long as anything of the service runs.

        Without ``environment`` the command has that of this process.
        """
        self._end(signal.SIGKILL)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(self.log.suffix + ".1"))
        self._life, other_end = os.pipe()
        passed = [other_end, *held]
        arguments = [str(os.getpid()), str(GRACE_S), ",".join(map(str, passed))]
        try:
            with self.log.open("wb") as output:
                self._leash = subprocess.Popen(  # noqa: S603 - the command is built here, nothing of it is a shell's
                    [sys.executable, "-I", "-S", str(LEASH), *arguments, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=passed,
                    env=environment,
                )
        finally:
            os.close(other_end)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once ``ready`` says so; an EmbeddedError if the service ends or the time passes first."""
        until = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise self.ended()
            if time.monotonic() > until:
                self.kill()
                raise EmbeddedError(
                    "not_ready",
                    f"{self.name} did not answer within {seconds:.0f} s.",
                    f"Is the machine very busy? What it said last:\n{self.tail()}",
                )
            time.sleep(0.05)

    def ended(self) -> EmbeddedError:
        """Why the service ended, as far as its log tells."""
        code = self._leash.returncode if self._leash is not None else None
        tail = self.tail()
        for sign, fault, hint in CAUSES:
            if sign in tail:
                return EmbeddedError(fault, f"{self.name} ended: {sign}.", f"{hint} Its log is {self.log}")
        return EmbeddedError("ended", f"{self.name} ended with status {code}.", f"Its log is {self.log}:\n{tail}")

    def tail(self, size: int = 4_000) -> str:
        try:
            return self.log.read_bytes()[-size:].decode("utf-8", "replace")
        except FileNotFoundError:
            return "(no log)"

    def stop(self) -> None:
        """In order, and by force if that takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """At once, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._leash is None:
            return
        if self.running:
            _signal(self._leash.pid, number)
            try:
                self._leash.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                _signal(self._leash.pid, signal.SIGKILL)
        self._leash.wait()
        if self._life is not None:
            # The kernel takes a moment to end a process with much memory; until then its port and lock are held.
            os.read(self._life, 1)
            os.close(self._life)
            self._life = None


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        if port_is_free(port):
            return port
    raise EmbeddedError(
        "port_in_use", f"No free port between {PORTS.start} and {PORTS.stop - 1}.", "Stop what listens there."
    )


def port_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False
