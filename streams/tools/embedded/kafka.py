"""A real Apache Kafka of one broker (KRaft) that keeps its data in a folder.

Owns its server settings, the folder's lock, and the order of starting: formatted once, then the same ports again.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import logging
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from streams.tools.embedded.artifacts import Progress, fetch, java
from streams.tools.embedded.errors import EmbeddedError
from streams.tools.embedded.fast_start import options
from streams.tools.embedded.process import Process, free_port, port_answers, port_is_free

READY_S: Final = 90.0
LEAST_FREE_BYTES: Final = 16 * 1024 * 1024
"""With less than this a broker does not even get through its start."""

SERVER: Final[dict[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # One broker: every internal topic has one replica.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The defaults of 50 partitions each cost seconds at the first start and nobody here needs them.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # 128 MB by default, a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": "33554432",
    "log.index.size.max.bytes": "2097152",
    # After a kill -9 the controller keeps the dead broker's session, and refuses the new one, for this long. Short, yet
    # eight heartbeats, for a machine with two busy cores.
    "broker.session.timeout.ms": "4000",
    # Records of nothing, twice a second by default: a fifth of what an idle broker costs.
    "metadata.max.idle.interval.ms": "5000",
    "broker.heartbeat.interval.ms": "500",
}
JVM: Final = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
)


class EmbeddedKafka:
    """Use as a context manager, or ``start`` and ``stop`` by hand.

    ``data`` is created if need be and keeps topics and records between starts. ``port`` 0 takes a free port the first
    time and the same one from then on, if it is still free. ``properties`` are further settings of the server,
    ``java_options`` of Java.
    """

    def __init__(
        self,
        data: Path,
        port: int = 0,
        *,
        properties: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> None:
        self.data = data.resolve()
        self._wanted_port = port
        self.port = port
        self._controller_port = 0
        self._properties = dict(properties or {})
        self._java_options = java_options
        self._progress = progress
        self._process = Process("Kafka", self.data / "kafka.log")
        self._lock: int | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self._process.log

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def group(self) -> int | None:
        """Id of the broker's process group, while it runs."""
        return self._process.group

    def failure(self) -> EmbeddedError | None:
        """Why it ended though nobody stopped it; None while it runs or should not."""
        return self._process.ended() if self._lock is not None and not self.running else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Return when the broker takes requests; an EmbeddedError says what is in the way."""
        if self.running:
            return
        java_path = java()
        jars = fetch("kafka", self._progress)
        self._hold_folder()
        try:
            self._choose_ports()
            classpath = os.pathsep.join(map(str, jars))
            self._write_properties()
            faster = options("kafka", java_path, jars)
            self._format([str(java_path), *faster, "-XX:TieredStopAtLevel=1", *JVM, "-cp", classpath])
            self._process.start(
                [
                    str(java_path),
                    *faster,
                    *JVM,
                    *self._java_options,
                    "-cp",
                    classpath,
                    "kafka.Kafka",
                    str(self._properties_file),
                ],
                [self._lock] if self._lock is not None else [],
            )
            self._process.wait_until(self._answers, READY_S)
        except BaseException as error:
            self._process.kill()
            self._free_folder()
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise self._disk_full() from error
            raise

    def stop(self) -> None:
        """In order (SIGTERM): logs are flushed and closed."""
        self._process.stop()
        self._free_folder()

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self._process.kill()
        self._free_folder()

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def _properties_file(self) -> Path:
        return self.data / "server.properties"

    @property
    def _logs(self) -> Path:
        return self.data / "log"

    def _hold_folder(self) -> None:
        """One broker for a folder. The lock is the kernel's: it is gone with the processes, however they ended."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.data / "in-use.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise self._disk_full() from error
            raise EmbeddedError(
                "no_permission",
                f"The data folder {self.data} cannot be written: {error.strerror}.",
                "Choose a folder that can.",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            port = self._remembered().get("port")
            raise EmbeddedError(
                "in_use",
                f"A Kafka already runs on {self.data}" + (f" (at 127.0.0.1:{port})." if port else "."),
                "Use it, stop whatever started it, or choose another data folder.",
            ) from error
        self._lock = lock
        if shutil.disk_usage(self.data).free < LEAST_FREE_BYTES:
            self._free_folder()
            raise self._disk_full()

    def _disk_full(self) -> EmbeddedError:
        return EmbeddedError(
            "disk_full",
            f"The disk under the data folder {self.data} is full.",
            "Free some space, or choose a folder on another disk.",
        )

    def _free_folder(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remembered(self) -> dict[str, Any]:
        try:
            found = json.loads((self.data / "ports.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _choose_ports(self) -> None:
        """A restart keeps its ports: clients know them. A port that was asked for is never replaced by another."""
        if self._wanted_port:
            self.port = self._wanted_port
            if not port_is_free(self.port):
                raise EmbeddedError(
                    "port_in_use",
                    f"Port {self.port} of 127.0.0.1 is in use.",
                    "Stop what listens there, or choose another port (0: any free one).",
                )
        elif self._controller_port == 0 or not port_is_free(self.port):
            last = self._remembered().get("port")
            self.port = last if isinstance(last, int) and port_is_free(last) else free_port()
        if self._controller_port == 0 or not port_is_free(self._controller_port):
            self._controller_port = free_port()
            while self._controller_port == self.port:
                self._controller_port = free_port()

    def _write_properties(self) -> None:
        server = {
            **SERVER,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._logs),
            **self._properties,
        }
        text = "".join(f"{name}={value}\n" for name, value in server.items())
        self._properties_file.write_text(text, encoding="utf-8")
        (self.data / "ports.json").write_text(json.dumps({"port": self.port}), encoding="utf-8")

    def _format(self, java_command: list[str]) -> None:
        if (self._logs / "meta.properties").exists():
            return
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # An id may not begin with a dash: the tool would take it for an option.
        cluster = "k" + cluster[1:]
        done = subprocess.run(  # noqa: S603 - the command is built here
            [
                *java_command,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster,
                "-c",
                str(self._properties_file),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            if "No space left on device" in said:
                raise self._disk_full()
            raise EmbeddedError(
                "ended", f"The data folder {self.data} could not be formatted.", f"Kafka's tool says:\n{said[-2000:]}"
            )

    def _answers(self) -> bool:
        if not port_answers(self.port):
            return False
        from confluent_kafka import KafkaException  # noqa: PLC0415 - slow to import, and only needed from here on
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415

        silent = logging.getLogger("streams.embedded.probe")
        silent.disabled = True
        try:
            admin = AdminClient({"bootstrap.servers": self.bootstrap}, logger=silent)
            return len(admin.list_topics(timeout=5).brokers) > 0
        except KafkaException:
            return False
