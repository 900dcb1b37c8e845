"""``journey run --processes N``: a parent that starts N workers, starts the dead ones again and passes signals on.

Its ``Front`` answers for all of them on one port; this module tells it who lives.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from streams.settings import Settings
from streams.worker.front import Front
from streams.worker.outcomes import EXIT_REFUSED

log = logging.getLogger(__name__)

STEADY_S: Final = 30.0
"""A worker that lived so long starts again at once; its earlier deaths are forgotten."""
POLL_S: Final = 0.1
GRACE_S: Final = 15.0
"""Beyond the drain, before a worker that does not end is killed."""

Spawn = Callable[[int], "subprocess.Popen[bytes]"]


@dataclass(slots=True)
class Child:
    index: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0
    done: bool = False


class Supervisor:
    """The parent. ``spawn(index)`` starts worker ``index`` as a process of its own."""

    def __init__(self, settings: Settings, processes: int, spawn: Spawn, front: Front | None = None) -> None:
        self._settings = settings
        self._spawn = spawn
        self._front = front
        self.children = [Child(index) for index in range(processes)]
        self._stop = threading.Event()
        self._signal = signal.SIGTERM
        self._refused = False

    def run(self) -> int:
        """Until every worker has ended; the exit status. Call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        kill_at: float | None = None
        while True:
            now = time.monotonic()
            for child in self.children:
                self._tend(child, now)
            if self._front is not None:
                self._front.tended()
            if all(child.process is None for child in self.children) and (self._stop.is_set() or self._all_done()):
                return EXIT_REFUSED if self._refused else 0
            if self._stop.is_set() and kill_at is None:
                kill_at = now + self._settings.drain_within_ms / 1000 + GRACE_S
                self._pass_on(self._signal)
            if kill_at is not None and now > kill_at:
                self._pass_on(signal.SIGKILL)
            time.sleep(POLL_S)

    def _all_done(self) -> bool:
        return all(child.done for child in self.children)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signal = signal.Signals(number)
        self._stop.set()

    def _pass_on(self, number: signal.Signals) -> None:
        for child in self.children:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(number)

    def _tend(self, child: Child, now: float) -> None:
        if child.process is None:
            if not self._stop.is_set() and not child.done and now >= child.start_at:
                child.process = self._spawn(child.index)
                child.started_at = now
                if self._front is not None:
                    self._front.started(child.index, child.process.pid)
            return
        status = child.process.poll()
        if status is None:
            return
        child.process = None
        if self._front is not None:
            self._front.ended(child.index)
        if self._stop.is_set():
            return
        if status == EXIT_REFUSED:
            # Starting again changes nothing; the others would find the same.
            log.critical("Worker %d refused to go on; all workers end.", child.index)
            self._refused = True
            self._stop.set()
            return
        child.deaths = 1 if now - child.started_at > STEADY_S else child.deaths + 1
        pause = self._back_off(child.deaths)
        child.start_at = now + pause
        log.error("Worker %d ended with status %d; started again in %.1f s.", child.index, status, pause)

    def _back_off(self, deaths: int) -> float:
        first, longest = self._settings.restart_backoff_ms, self._settings.restart_backoff_limit_ms
        return float(min(longest, first * 2 ** min(deaths - 1, 20))) / 1000


def command(arguments: Sequence[str], executable: str) -> list[str]:
    return [executable, "-m", "streams", "run", *arguments]
