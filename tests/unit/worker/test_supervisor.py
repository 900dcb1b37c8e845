"""`--processes N`: dead workers come back, signals are passed on, a refusal ends all; with real processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

from streams.worker.outcomes import EXIT_REFUSED

PARENT = """
import subprocess, sys, pathlib
from dataclasses import replace
from streams.settings import Settings
from streams.worker import supervisor
supervisor.GRACE_S = 0.5
folder = pathlib.Path(sys.argv[1])
settings = replace(Settings(), restart_backoff_ms=50, restart_backoff_limit_ms=200, drain_within_ms=1000)
def spawn(index):
    return subprocess.Popen([sys.executable, "-c", (folder / "child.py").read_text(), str(folder), str(index)])
sys.exit(supervisor.Supervisor(settings, 2, spawn).run())
"""


def supervise(tmp_path: Path, child: str, *, until: str | None = None) -> tuple[int, list[str]]:
    """Runs two children under a supervisor; ``until``: a line after which the parent gets SIGTERM. (status, lines)."""
    (tmp_path / "child.py").write_text(textwrap.dedent(child))
    said = tmp_path / "said"
    said.touch()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    try:
        while until is not None and until not in said.read_text().splitlines():
            assert parent.poll() is None
            time.sleep(0.02)
        if until is not None:
            parent.terminate()
        return parent.wait(60), said.read_text().splitlines()
    finally:
        parent.kill()


def test_the_dead_are_started_again_and_a_signal_ends_all(tmp_path: Path) -> None:
    status, said = supervise(
        tmp_path,
        """
        import sys, pathlib, signal, time
        folder, index = pathlib.Path(sys.argv[1]), sys.argv[2]
        def say(text):
            with (folder / "said").open("a") as out: out.write(text + "\\n")
        def end(*_):
            say(f"{index} drained"); sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        say(f"{index} started")
        if index == "1" and (folder / "said").read_text().count("1 started") < 4: sys.exit(69)
        if index == "1": say("1 stays")
        while True: time.sleep(0.05)
        """,
        until="1 stays",
    )
    assert status == 0
    assert said.count("1 started") == 4
    assert said.count("0 started") == 1
    assert sorted(line for line in said if line.endswith("drained")) == ["0 drained", "1 drained"]


def test_a_refusal_ends_all_workers_with_its_status(tmp_path: Path) -> None:
    status, said = supervise(
        tmp_path,
        f"""
        import sys, pathlib, signal, time
        folder, index = pathlib.Path(sys.argv[1]), sys.argv[2]
        def end(*_):
            (folder / "said").open("a").write("drained\\n"); sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        (folder / index).touch()
        while not (folder / "0").exists(): time.sleep(0.01)
        if index == "1": sys.exit({EXIT_REFUSED})
        while True: time.sleep(0.05)
        """,
    )
    assert status == EXIT_REFUSED
    assert said == ["drained"]


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    status, _ = supervise(
        tmp_path,
        """
        import sys, pathlib, signal, time
        folder, index = pathlib.Path(sys.argv[1]), sys.argv[2]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with (folder / "said").open("a") as out: out.write(f"{index} started\\n")
        while True: time.sleep(0.05)
        """,
        until="1 started",
    )
    assert status == 0
