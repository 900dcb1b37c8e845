"""The services of the Compose files as plain processes: their commands, environment, files, order and health checks.

Owns what a container would give them: names of hosts (all are this machine; every port of theirs is a free one), what
is mounted, secrets (a folder for each service with those it is given, no more), and the programs of the images:
`journey` from these sources, Kafka's own scripts and classes, the registry that the other tests run, nginx. What stays
out is what an engine for containers does: limits, users, the networks' walls, images.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from streams.settings import Settings
from streams.settings_source import milliseconds
from streams.tools.embedded.artifacts import fetch, java, unpack
from streams.tools.embedded.fast_start import options
from streams.tools.embedded.process import Process, free_port, port_answers
from tests.deploy.queries import ROOT

OBSERVERS: Final = {"prometheus", "grafana", "node-exporter"}
"""They look at the others and nobody waits for them; tests of their own run a real Prometheus."""
PUBLIC: Final = {"worker": Settings().http.port, "learner": Settings().learner.port}
SCRIPTS: Final[Mapping[str, str]] = {
    "kafka-storage.sh": "kafka.tools.StorageTool",
    "kafka-server-start.sh": "kafka.Kafka",
    "kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
}
"""Kafka's scripts that the files call -> the class that each starts."""
STARTED: Final = "kafka.docker.KafkaDockerWrapper"
"""What the image apache/kafka makes its configuration of the environment with."""


class Topology:
    """Use as a context manager: leaving it ends whatever runs."""

    def __init__(
        self, compose: Mapping[str, Any], folder: Path, secrets: Path, *, left_out: Collection[str] = ()
    ) -> None:
        self._left_out = left_out
        self.services: dict[str, dict[str, Any]] = {
            name: service for name, service in compose["services"].items() if name not in OBSERVERS
        }
        self._secrets = {name: secrets / Path(secret["file"]).name for name, secret in compose["secrets"].items()}
        self.folder = folder
        self._ports: dict[tuple[str, int], int] = {}
        self._running: dict[str, Process] = {}
        self._healthy: set[str] = set()

    def __enter__(self) -> Topology:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running.values()):
            process.stop()

    def order(self) -> list[str]:
        """Each after those that it waits for."""
        found: list[str] = []
        while len(found) < len(self.services):
            found += [
                name
                for name, service in self.services.items()
                if name not in found and set(service.get("depends_on", ())) <= set(found)
            ]
        return [name for name in found if name not in self._healthy and name not in self._left_out]

    def given(self, name: str, port: int, at: int) -> None:
        """A service that somebody else has started: its ``port`` is at ``at``."""
        self._ports[name, port] = at
        self._healthy.add(name)

    def start(self, name: str) -> None:
        """As Compose would, once what it waits for has come to pass."""
        for other, how in self.services[name].get("depends_on", {}).items():
            if other in self._left_out:
                continue
            if how["condition"] == "service_healthy":
                self.wait_until_healthy(other)
            else:
                self.wait_until_done(other)
        process = Process(name, self.folder / f"{name}.log")
        process.start(self._command(name), environment=bare() | self.environment(name))
        self._running[name] = process

    def wait_until_done(self, name: str) -> None:
        process = self._running[name]
        limit = time.monotonic() + 90
        while process.running:
            assert time.monotonic() < limit, f"{name} does not end:\n{process.tail()}"
            time.sleep(0.05)
        assert process.status == 0, f"{name}:\n{process.tail()}"

    def wait_until_healthy(self, name: str) -> None:
        """Asks what the health check asks, for as long as Compose would; once, if it was."""
        if name in self._healthy:
            return
        check = self.services[name]["healthcheck"]
        allowed_s = (milliseconds(check["start_period"]) + check["retries"] * milliseconds(check["interval"])) / 1000
        limit = time.monotonic() + allowed_s
        said = ""
        while self._running[name].running and time.monotonic() < limit:
            # Some checks start a Java: not before anybody can answer.
            if any(port_answers(port) for (host, _), port in self._ports.items() if host == name):
                done = subprocess.run(
                    self._check(name), env=bare() | self.environment(name), capture_output=True, text=True,
                    check=False, timeout=60,
                )  # fmt: skip
                if done.returncode == 0:
                    self._healthy.add(name)
                    return
                said = done.stdout + done.stderr
                time.sleep(1)  # each question is a process of its own
            time.sleep(0.1)
        raise AssertionError(f"{name} is not healthy: {said}\n{self._running[name].tail()}")

    def run(self, name: str, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        """A `journey` command with the environment of a service; what it prints."""
        given = bare() | self.environment(name) | dict(more or {})
        done = subprocess.run(
            [sys.executable, "-m", "streams", *arguments],
            env=given, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    def port(self, host: str, port: int) -> int:
        """The one of this machine in whose place it is."""
        if (host, port) not in self._ports:
            self._ports[host, port] = free_port()
        return self._ports[host, port]

    def environment(self, name: str) -> dict[str, str]:
        given = {key: self.here(name, str(value)) for key, value in self.services[name].get("environment", {}).items()}
        if "build" in self.services[name]:
            # In a container each has its own 9108; here each has another.
            given["JOURNEY_HTTP_PORT"] = str(self.port(name, PUBLIC["worker"]))
            given["JOURNEY_LEARNER_PORT"] = str(self.port(name, PUBLIC["learner"]))
            given["JOURNEY_LOG_FORMAT"] = "json"  # the image's
            given["COLUMNS"] = "200"
        return given

    def here(self, name: str, text: str) -> str:
        """``text`` of a service's command, environment or file with this machine's paths and addresses."""
        places = self._places(name)
        paths = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
        text = re.sub(rf"(?<![\w./])({paths})(?![\w-])", lambda found: str(places[found[1]]), text)
        hosts = "|".join(map(re.escape, sorted(self.services, key=len, reverse=True)))
        # A host and its port, or a port that the service itself listens on, as 127.0.0.1:9108, ://:19092, listen 8443.
        there = rf"\b(?P<host>{hosts}):(?P<there>\d+)\b"
        own = r"(?:127\.0\.0\.1:|(?<=://):|(?<=\blisten ))(?P<own>\d{4,5})\b"
        return re.sub(
            f"{there}|{own}",
            lambda found: f"127.0.0.1:{self.port(found['host'] or name, int(found['there'] or found['own']))}",
            text,
        )

    def _places(self, name: str) -> dict[str, Path]:
        """Path in the container -> path here."""
        service = self.services[name]
        found = {"/run/secrets": self._secrets_of(name), "/opt/kafka": self._kafka_home, "/tmp": self._tmp(name)}
        for mount in service.get("volumes", ()):
            source, inside = mount.split(":")[:2]
            if not source.startswith("."):
                found[inside] = self.folder / "volumes" / source
                found[inside].mkdir(parents=True, exist_ok=True)
            elif (ROOT / source).is_dir() and "build" not in service:
                found[inside] = self.folder / "files" / name / source
            else:
                found[inside] = ROOT / source
        return found

    def _tmp(self, name: str) -> Path:
        folder = self.folder / "tmp" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _secrets_of(self, name: str) -> Path:
        """Only what this service is given."""
        folder = self.folder / "secrets" / name
        folder.mkdir(parents=True, exist_ok=True)
        for secret in self.services[name].get("secrets", ()):
            path = folder / secret
            if not path.exists():
                path.write_bytes(self._secrets[secret].read_bytes())
        return folder

    def _files(self, name: str) -> None:
        """What is mounted from the repository into somebody else's image, with this machine's paths and addresses."""
        for mount in self.services[name].get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith(".") and (ROOT / source).is_dir():
                folder = self.folder / "files" / name / source
                folder.mkdir(parents=True, exist_ok=True)
                for file in (ROOT / source).iterdir():
                    (folder / file.name).write_text(self.here(name, file.read_text(encoding="utf-8")), encoding="utf-8")

    def _command(self, name: str) -> list[str]:
        service = self.services[name]
        if "build" in service:
            return [sys.executable, "-m", "streams", *(self.here(name, word) for word in service["command"])]
        self._files(name)
        if name == "registry":
            return self._registry(name)
        if "command" in service:
            words = [self.here(name, word) for word in service["command"]]
            if words[0] == "nginx" and os.geteuid() == 0:
                # Started by root it would give its workers another user; in its container it is not root.
                words[-1] += " user root;"
            return words
        return self._kafka_of_the_image(name)

    def _check(self, name: str) -> list[str]:
        kind, *words = self.services[name]["healthcheck"]["test"]
        words = [self.here(name, word) for word in words]
        if kind == "CMD-SHELL":
            return ["/bin/sh", "-c", *words]
        return [sys.executable if words[0] == "python" else words[0], *words[1:]]

    def _registry(self, name: str) -> list[str]:
        """The same release with its schemas in memory: the one that keeps them in Kafka is no package.

        Where to listen it finds in the file of settings that it is given, if it is given one, and only there.
        """
        (runner,) = unpack("registry").glob("apicurio-registry-app-*-runner.jar")
        listen = {"quarkus.http.host": "127.0.0.1", "quarkus.http.port": str(self.port(name, 8080))}
        command = [str(java()), "-Xmx384m", "-XX:+UseSerialGC"]
        file = self.environment(name).get("SMALLRYE_CONFIG_LOCATIONS")
        if file is None:
            command += [f"-D{key}={value}" for key, value in listen.items()]
        else:
            with Path(file).open("a", encoding="utf-8") as settings:
                settings.writelines(f"{key}={value}\n" for key, value in listen.items())
        return [*command, "-jar", str(runner)]

    @cached_property
    def _classpath(self) -> str:
        return os.pathsep.join(map(str, [*fetch("kafka"), *fetch("kafka-tools")]))

    @cached_property
    def _kafka_home(self) -> Path:
        """Kafka's scripts, as far as they are called: each starts its class with what it is given."""
        bin_ = self.folder / "kafka-home" / "bin"
        bin_.mkdir(parents=True)
        for script, starts in SCRIPTS.items():
            words = [
                str(java()),
                *options("kafka", java(), fetch("kafka")),
                "-XX:+UseSerialGC",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            ]
            tail = ["-cp", self._classpath, starts]
            path = bin_ / script
            path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} ${{KAFKA_HEAP_OPTS:-}} {shlex.join(tail)} "$@"\n')
            path.chmod(0o755)
        return bin_.parent

    def _kafka_of_the_image(self, name: str) -> list[str]:
        """What apache/kafka does without a command: its own program makes the configuration and formats the folder."""
        made = self.folder / "kafka-config"
        for folder in ("default", "mounted", "final"):
            (made / folder).mkdir(parents=True)
        folders = [f"--{folder}-configs-dir={made / folder}" for folder in ("default", "mounted", "final")]
        script = (
            f"{shlex.join([str(java()), '-cp', self._classpath, STARTED, 'setup', *folders])}"
            f" && exec {self._kafka_home}/bin/kafka-server-start.sh {made}/final/server.properties"
        )
        return ["/bin/sh", "-c", script]


def bare() -> dict[str, str]:
    """This process's environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("JOURNEY_", "KAFKA_"))}
