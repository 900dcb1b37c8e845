"""A real Prometheus over processes of a test: with the rules of deploy/prometheus, a scrape a second.

Owns the process and what is asked of it. The configuration is the one of the deployment with other targets and shorter
intervals, so that its job names and rule files are those that are shown to work.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

DEPLOYED: Final = Path(__file__).parents[2] / "deploy" / "prometheus"
STARTS_S: Final = 30.0


def installed(of: str) -> str:
    """The program. Where it is missing the test says so: CI tries to install it."""
    command = shutil.which("prometheus")
    if command is None:
        pytest.skip(f"prometheus is missing, so {of} NOT checked. On Debian and Ubuntu: apt-get install prometheus")
    return command


class Prometheus:
    """Scrapes what ``targets`` names for each job (host:port) until ``end``."""

    def __init__(self, command: str, folder: Path, targets: Mapping[str, str]) -> None:
        config = YAML(typ="safe").load((DEPLOYED / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOYED / name) for name in config["rule_files"]]
        config["scrape_configs"] = [
            {"job_name": job["job_name"], "static_configs": [{"targets": [targets[job["job_name"]]]}]}
            for job in config["scrape_configs"]
            if job["job_name"] in targets
        ]
        assert len(config["scrape_configs"]) == len(targets)
        file = folder / "prometheus.yml"
        file.write_text(json.dumps(config), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.log = folder / "prometheus.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    command, f"--config.file={file}", f"--storage.tsdb.path={folder / 'series'}",
                    f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
                ],
                stdout=out, stderr=out,
            )  # fmt: skip

    def asked(self, path: str, **parameters: str) -> Any:
        """``data`` of an answer of the HTTP API; an error of the query fails with what it says."""
        try:
            with urllib.request.urlopen(
                f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10
            ) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def values(self, query: str) -> list[float]:
        """Of every series that the query gives at this moment; NaN and infinite ones are no answer."""
        found = [float(series["value"][1]) for series in self.asked("query", query=query)["result"]]
        return [value for value in found if abs(value) < float("inf")]

    def started(self) -> None:
        limit = time.monotonic() + STARTS_S
        while True:
            try:
                self.asked("status/runtimeinfo")
            except (OSError, AssertionError):
                said = self.log.read_text(encoding="utf-8")
                assert self.process.poll() is None, said
                assert time.monotonic() < limit, said
                time.sleep(0.1)
            else:
                return

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
