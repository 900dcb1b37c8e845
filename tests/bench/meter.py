"""What a contender measures of itself, and how it tells: one line of JSON on standard output.

Owns the clocks (wall, CPU of the process, CPU by thread) and the form of that line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

RESULT: Final = "RESULT "
"""A contender's other output goes before the line that begins so."""


class Mark(NamedTuple):
    """A moment, and the CPU seconds that all threads of the process have used until then."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Mark:
        return cls(time.perf_counter(), time.process_time())


def between(begin: Mark, end: Mark, touchpoints: int) -> dict[str, float]:
    """The two figures that every contender has."""
    return {
        "touchpoints": touchpoints,
        "cpu_us": (end.cpu - begin.cpu) / touchpoints * 1e6,
        "rate": touchpoints / (end.wall - begin.wall),
    }


def tell(figures: dict[str, Any]) -> None:
    """The last thing a contender says. Past whoever has redirected ``sys.stdout`` meanwhile (Faust does)."""
    print(RESULT + json.dumps(figures), file=sys.__stdout__, flush=True)


def told(output: str) -> dict[str, Any]:
    """The figures in a contender's output; raises ``LookupError`` if it said none."""
    for line in reversed(output.splitlines()):
        if line.startswith(RESULT):
            found: dict[str, Any] = json.loads(line.removeprefix(RESULT))
            return found
    raise LookupError("no result in the output")


def peak_mb() -> float:
    """Most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mb() -> float:
    """Memory that this process holds now (Linux; elsewhere the peak)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_mb()
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_of(pid: int) -> float:
    """CPU seconds of another process; nan where the system does not tell (it is Linux's /proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_by_thread() -> dict[str, float]:
    """CPU seconds of this process's threads: ``main``, ``librdkafka`` and ``others`` (Python's); none without /proc."""
    found: dict[str, float] = {}
    try:
        tasks = list(Path("/proc/self/task").iterdir())
    except OSError:
        return found
    for task in tasks:
        try:
            stat = (task / "stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        name, _, rest = stat.partition("(")[2].rpartition(")")
        kind = "librdkafka" if name.startswith("rdk:") else "main" if int(task.name) == os.getpid() else "others"
        fields = rest.split()
        found[kind] = found.get(kind, 0.0) + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found
