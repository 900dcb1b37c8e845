"""A service on its leash: what is said when it ends, and that nothing of it outlives whoever started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.tools.embedded.errors import EmbeddedError
from streams.tools.embedded.process import PORTS, Process, free_port, port_answers, port_is_free

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
OWNER = """
import sys, time
from pathlib import Path
from streams.tools.embedded.process import Process
process = Process("Sleeper", Path(sys.argv[1]))
process.start([sys.executable, "-c", "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"])
print(process.group, flush=True)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        # A zombie still takes signals, but it has ended.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pid: int) -> None:
    """The test's own time limit is the bound."""
    while alive(pid):
        time.sleep(0.02)


def read_pid(log: Path) -> int:
    while not (log.exists() and log.read_text(encoding="utf-8").strip()):
        time.sleep(0.02)
    return int(log.read_text(encoding="utf-8"))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_stopped_and_killed_services_are_gone_and_can_start_again(tmp_path: Path, how: str) -> None:
    process = Process("Sleeper", tmp_path / "log")
    for _ in range(2):
        process.start(SLEEPER)
        group = process.group
        assert group is not None
        getattr(process, how)()
        assert process.group is None
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
    getattr(process, how)()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc to tell what runs")
@pytest.mark.parametrize("victim", ["owner", "leash"])
def test_kill_9_of_the_owner_or_of_the_leash_ends_the_service(tmp_path: Path, victim: str) -> None:
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(log)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        leash = int(owner.stdout.readline())
        service = read_pid(log)
        assert alive(service)
        os.kill(owner.pid if victim == "owner" else leash, signal.SIGKILL)
        wait_for_end(service)
        owner.kill()
    wait_for_end(leash)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("java.io.IOException: No space left on device", "disk_full"),
        ("java.net.BindException: Address already in use", "port_in_use"),
        ("java.nio.file.AccessDeniedException: Permission denied", "no_permission"),
        ("something nobody expected", "ended"),
    ],
)
def test_a_service_that_ends_early_is_explained_from_its_log(tmp_path: Path, said: str, fault: str) -> None:
    process = Process("Service", tmp_path / "service.log")
    process.start([sys.executable, "-c", f"print({said!r}); raise SystemExit(3)"])
    with pytest.raises(EmbeddedError, match=r"service\.log") as caught:
        process.wait_until(lambda: False, 60)
    assert caught.value.fault == fault


def test_a_service_that_never_gets_ready_is_ended(tmp_path: Path) -> None:
    process = Process("Service", tmp_path / "log")
    process.start(SLEEPER)
    with pytest.raises(EmbeddedError, match="did not answer") as caught:
        process.wait_until(lambda: False, 0.1)
    assert caught.value.fault == "not_ready"
    assert not process.running


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    process = Process("Service", tmp_path / "log")
    for word in ("first", "second"):
        process.start([sys.executable, "-c", f"print({word!r})"])
        while process.running:
            time.sleep(0.02)
    assert process.tail().strip() == "second"
    assert (tmp_path / "log.1").read_text(encoding="utf-8").strip() == "first"


def test_ports() -> None:
    port = free_port()
    assert port in PORTS
    assert not port_answers(port)
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        assert not port_is_free(port)
        assert port_answers(port)
