"""Runs one command so that it never outlives the process that asked for it, not even after a kill -9.

Run as a script, with nothing but the standard library: ``leash.py PARENT GRACE FDS COMMAND…``. It is the leader of its
own process group, so a Ctrl-C in the terminal does not reach the command: whoever started it decides the order. FDS
(numbers with commas) stay open here and in the command, so a lock or a pipe among them tells when both have ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1
LOOK_S = 0.25


def _die_with_parent() -> None:
    """Linux only; elsewhere the look at the parent's id must do."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(parent: int, grace_s: float, held: list[int], command: list[str]) -> int:
    child = subprocess.Popen(command, pass_fds=held, preexec_fn=_die_with_parent)  # noqa: S603, PLW1509 - one thread

    def stop(_signal: int, _frame: FrameType | None) -> None:
        child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while os.getppid() == parent:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(LOOK_S)
    child.terminate()
    until = time.monotonic() + grace_s
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(LOOK_S)
    child.kill()
    return child.wait()


if __name__ == "__main__":
    fds = [int(number) for number in sys.argv[3].split(",")]
    code = run(int(sys.argv[1]), float(sys.argv[2]), fds, sys.argv[4:])
    # A command that a signal ended is reported as a shell would.
    sys.exit(code if code >= 0 else 128 - code)
