"""Real processes for integration tests: `journey run` and `journey learn`, started, killed, stopped, continued, ended.

Owns the processes: ``Workers`` ends every one it has started, whatever the test did to them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from streams.contracts.topics import Topics
from streams.worker.outcomes import EXIT_REFUSED

SESSION_S: Final = 6.0
"""Shortest session that brokers accept by default."""
READY_S: Final = 90.0
KEY: Final = "a key of the tests, and of nothing else"
"""Signs what learners of the tests write."""


@dataclass(slots=True)
class Worker:
    process: subprocess.Popen[bytes]
    log: Path
    index: int
    port: int | None = None

    def kill(self) -> None:
        """kill -9, and gone when this returns."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self, timeout: float = 60.0) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def lines(self) -> list[dict[str, Any]]:
        """What the worker has logged."""
        found = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"level": "RAW", "message": line})
        return found

    def said(self, text: str) -> bool:
        return any(text in str(line.get("message")) for line in self.lines())

    def get(self, path: str) -> tuple[int, str]:
        """(status, body) of the worker's own port; (0, "") while nobody answers."""
        if self.port is None:
            for line in self.lines():
                if "/metrics" in str(line.get("message")) and "http://" in str(line.get("message")):
                    self.port = int(str(line["message"]).split(" ")[0].rsplit(":", 1)[1])
        if self.port is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """(name, labels) -> value."""
        _, text = self.get("/metrics")
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def names(self) -> dict[str, str]:
        """The project's metrics that it serves -> their types."""
        _, text = self.get("/metrics")
        return dict(line.split(" ")[2:] for line in text.splitlines() if line.startswith("# TYPE journey_"))

    def total(self, name: str) -> float:
        return sum(value for (found, _), value in self.metrics().items() if found == name)


@dataclass(slots=True)
class Workers:
    bootstrap: str
    topics: Topics
    folder: Path
    definitions: Sequence[Path] = ()
    settings: dict[str, str] = field(default_factory=dict)
    started: list[Worker] = field(default_factory=list)

    def start(
        self, index: int = 0, *arguments: str, more: Mapping[str, str] | None = None, command: str = "run"
    ) -> Worker:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("JOURNEY_")
        } | {
            "JOURNEY_KAFKA_BOOTSTRAP": self.bootstrap,
            "JOURNEY_APP": self.topics.app,
            "JOURNEY_PREFIX": self.topics.prefix,
            "JOURNEY_PARTITIONING": str(self.topics.partitioning),
            "JOURNEY_HTTP_PORT": "0",
            "JOURNEY_LEARNER_PORT": "0",
            "JOURNEY_GROUP_SESSION_TIMEOUT": f"{int(SESSION_S)}s",
            "JOURNEY_GROUP_HEARTBEAT": "1s",
            "JOURNEY_START_ISSUING": "beginning",
            "JOURNEY_LOG_FORMAT": "json",
            **self.settings,
            **(more or {}),
        }  # fmt: skip
        log = self.folder / f"{command}-{len(self.started)}.log"
        words = [sys.executable, "-m", "streams", command, "--index", str(index), *arguments]
        for definition in self.definitions if command == "run" else ():
            words += ["--definition", str(definition)]
        with log.open("wb") as out:
            # A session of its own: a stopped process group without a parent in its session would be continued.
            process = subprocess.Popen(words, env=environment, stdout=out, stderr=out, start_new_session=True)
        worker = Worker(process, log, index)
        self.started.append(worker)
        return worker

    def learner(self, index: int = 0, *arguments: str, more: Mapping[str, str] | None = None) -> Worker:
        """A learner with a key of the tests."""
        return self.start(index, *arguments, more={"JOURNEY_LEARNER_KEY": KEY, **(more or {})}, command="learn")

    def refused(
        self,
        *arguments: str,
        more: Mapping[str, str] | None = None,
        within: float = 90.0,
        status: int = EXIT_REFUSED,
        command: str = "run",
    ) -> str:
        """What a process says that must refuse to start."""
        worker = self.start(0, *arguments, more=more, command=command)
        ended = worker.process.wait(within)
        text = "\n".join(str(line.get("message")) for line in worker.lines())
        assert ended == status, text
        return text

    def end_all(self) -> None:
        for worker in self.started:
            if worker.running:
                worker.go_on()
                worker.process.kill()
                worker.process.wait()


def until(
    met: Callable[[], bool], within: float, what: str, workers: Sequence[Worker] = (), pause: float = 0.1
) -> None:
    """Waits for something that must come; fails with what the workers said."""
    limit = time.monotonic() + within
    while not met():
        if time.monotonic() > limit:
            said = "\n".join(tail(worker) for worker in workers)
            raise AssertionError(f"not within {within} s: {what}\n{said}")
        for worker in workers:
            if not worker.running:
                raise AssertionError(f"a worker ended with {worker.process.returncode} before: {what}\n{tail(worker)}")
        time.sleep(pause)


def ready(*workers: Worker, within: float = READY_S) -> None:
    for worker in workers:
        until(lambda w=worker: w.get("/readyz")[0] == 200, within, "the worker is ready", [worker])  # type: ignore[misc]  # mypy cannot infer a lambda with a default


def tail(worker: Worker, lines: int = 25) -> str:
    return "\n".join(str(line) for line in worker.lines() if "JOURNEY_" not in str(line.get("message")))[-lines * 200 :]


def running(bootstrap: str, topics: Topics, folder: Path, **more: Any) -> Iterator[Workers]:
    """For a fixture: ends all workers afterwards."""
    workers = Workers(bootstrap, topics, folder, **more)
    try:
        yield workers
    finally:
        workers.end_all()
