"""docker-compose.yml and Dockerfile, as far as they can be held to something without an engine that runs them.

The Compose specification's schema, the settings and commands that there are, the files that are mounted, and the rules
of the house: nobody is root, nothing is published beyond loopback, everything has a limit. The wheel is built from
nothing but what the Dockerfile copies.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from deploy.grafana.dashboards import FOLDER
from streams.cli import COMMANDS
from streams.settings import ENVIRONMENT, Settings
from streams.settings_source import milliseconds, reference
from tests.deploy.queries import DEPLOY, ROOT, read_yaml

COMPOSE: Final[dict[str, Any]] = read_yaml(ROOT / "docker-compose.yml")
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if "build" in service}
WORKERS: Final = {name: service for name, service in OURS.items() if service["command"] == ["run"]}
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SETTINGS: Final = {name for name, *_ in reference(Settings, ENVIRONMENT)}


def specification() -> dict[str, Any]:
    """The schema as check-jsonschema carries it: read from its files, its code is not needed."""
    files = importlib.metadata.files("check-jsonschema") or []
    (path,) = (file for file in files if file.name == "compose-spec.json")
    found: dict[str, Any] = json.loads(Path(str(path.locate())).read_text(encoding="utf-8"))
    return found


def violations(compose: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(specification()).iter_errors(compose)]


def test_it_is_what_the_compose_specification_allows() -> None:
    assert violations(COMPOSE) == []
    wrong = {**COMPOSE, "services": {**SERVICES, "kafka": {**SERVICES["kafka"], "restrat": "always"}}}
    assert len(violations(wrong)) == 1


def test_the_services_are_those_of_a_deployment() -> None:
    assert len(WORKERS) == 2
    assert {"kafka", "registry", "learner", "prometheus", "grafana", "simulator"} <= set(SERVICES)
    names = [service["environment"]["JOURNEY_INSTANCE"] for service in (*WORKERS.values(), SERVICES["learner"])]
    assert len(set(names)) == 3


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded_and_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert re.fullmatch(r"(\d+|\$\{JOURNEY_UID:-[1-9]\d*\}):\d+", service["user"])
    assert not service["user"].startswith("0:")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["logging"]["options"]["max-size"]
    tag = service["image"].partition(":")[2]
    assert name in OURS or (re.search(r"\d+\.\d+", tag) and "latest" not in tag)
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", OURS)
def test_our_own_write_to_nothing_but_tmp(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert all(mount.endswith(":ro") for mount in service.get("volumes", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_can_come_to_pass(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        awaited = SERVICES[other]
        if how["condition"] == "service_healthy":
            assert awaited["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        else:
            assert how["condition"] == "service_completed_successfully"
            assert awaited["restart"] == "no"


def test_the_order_has_no_circle() -> None:
    seen: list[str] = []
    while len(seen) < len(SERVICES):
        ready = [n for n, s in SERVICES.items() if n not in seen and set(s.get("depends_on", ())) <= set(seen)]
        assert ready
        seen += ready
    assert seen.index("topics") < seen.index("definitions") < seen.index("worker-1") < seen.index("simulator")


@pytest.mark.parametrize("name", OURS)
def test_commands_options_and_settings_are_those_that_there_are(name: str) -> None:
    command, environment = OURS[name]["command"], OURS[name].get("environment", {})
    assert command[0] in COMMANDS
    help_ = subprocess.run(
        [sys.executable, "-m", "streams", *[word for word in command[:2] if not word.startswith("-")], "--help"],
        capture_output=True, text=True, check=True, env={"COLUMNS": "200", "PATH": ""},
    ).stdout  # fmt: skip
    for option in (word for word in command if word.startswith("--")):
        assert option in help_
    for variable in environment:
        assert variable.removesuffix("_FILE") in SETTINGS
    assert environment["JOURNEY_KAFKA_BOOTSTRAP"] in (
        address.rpartition("//")[2]
        for address in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    )


def test_workers_and_learner_are_given_time_to_end() -> None:
    for service in (*WORKERS.values(), SERVICES["learner"]):
        assert milliseconds(service["stop_grace_period"]) >= Settings().drain_within_ms + 15_000


def test_secrets_are_files_and_workers_and_learner_share_the_key() -> None:
    for service in (*WORKERS.values(), SERVICES["learner"]):
        assert service["secrets"] == ["learner_key"]
        assert service["environment"]["JOURNEY_LEARNER_KEY_FILE"] == "/run/secrets/learner_key"
    assert COMPOSE["secrets"] == {"learner_key": {"file": "./learner.key"}}
    assert "learner.key" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_dir(), source
            else:
                assert source == "/" or source in COMPOSE["volumes"], source
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    assert ROOT / next(iter(mounts)) == DEPLOY / "grafana" / "provisioning"
    (provider,) = read_yaml(DEPLOY / "grafana" / "provisioning" / "dashboards" / "journey.yml")["providers"]
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (FOLDER / Path(home).name).is_file()
    files = [Path(word) for word in SERVICES["definitions"]["command"] if word.endswith(".yaml")]
    assert files
    assert all((ROOT / "streams/definitions/shipped" / file.name).is_file() for file in files)


def test_prometheus_scrapes_the_services_where_they_listen() -> None:
    jobs = {job["job_name"]: job for job in read_yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]}
    targets = {name: job["static_configs"][0]["targets"] for name, job in jobs.items()}
    assert targets["journey-worker"] == [f"{name}:{Settings().http.port}" for name in WORKERS]
    assert targets["journey-learner"] == [f"learner:{Settings().learner.port}"]
    assert all(target.partition(":")[0] in SERVICES for found in targets.values() for target in found)
    source = read_yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"


def test_the_image_is_pinned_not_root_and_checks_itself() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert stages == ["${PYTHON}", "${PYTHON}"]
    (base,) = re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.MULTILINE)
    assert f":{Settings().http.port}/livez" in final
    assert 'ENTRYPOINT ["journey"]' in final
    for variable in re.findall(r"\b(JOURNEY_\w+)=", final):
        assert variable in SETTINGS


def test_the_wheel_is_built_from_what_the_image_is_given(tmp_path: Path) -> None:
    """A file that the build needs and neither Dockerfile nor .dockerignore lets in fails here."""
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    ]
    source = tmp_path / "source"
    source.mkdir()
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    for name in (name for names in copied for name in names):
        assert any(fnmatch.fnmatch(name, pattern) for pattern in allowed), name
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True, check=True
    ).stdout
    assert "streams/contracts/avro/touchpoint.avsc" in listed
    assert "streams/definitions/shipped/shop.journey.yaml" in listed
