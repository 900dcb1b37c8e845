"""docker-compose.yml and its override with locks, as far as files can be held to something without running them.

The Compose specification's schema, the settings and commands that there are, the files that are mounted, and the rules
of the house: nobody is root, nothing is published beyond loopback, everything has a limit, secrets are files. The same
services as processes are in ``test_topology.py``, the image in ``test_image.py``.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from deploy.grafana.dashboards import FOLDER
from streams.cli import COMMANDS
from streams.contracts.access import ROLES
from streams.settings import ENVIRONMENT, Settings
from streams.settings_source import milliseconds, reference
from streams.tools.topology import wanted
from tests.deploy.merged import HARDENED, PLAIN, bare, compose, read
from tests.deploy.queries import DEPLOY, ROOT, promtool, read_yaml

FORMS: Final = {"plain": compose(*PLAIN), "hardened": compose(*HARDENED)}
SERVICES: Final = {
    (form, name): service for form, found in FORMS.items() for name, service in found["services"].items()
}
OURS: Final = {which: service for which, service in SERVICES.items() if "build" in service}
SETTINGS: Final = {name for name, *_ in reference(Settings, ENVIRONMENT)}
LEARNERS: Final = {which: service for which, service in OURS.items() if service["command"][0] in ("run", "learn")}


def specification() -> dict[str, Any]:
    """The schema as check-jsonschema carries it: read from its files, its code is not needed."""
    files = importlib.metadata.files("check-jsonschema") or []
    (path,) = (file for file in files if file.name == "compose-spec.json")
    found: dict[str, Any] = json.loads(Path(str(path.locate())).read_text(encoding="utf-8"))
    return found


def violations(compose: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(specification()).iter_errors(compose)]


@pytest.mark.parametrize("form", FORMS)
def test_it_is_what_the_compose_specification_allows(form: str) -> None:
    found = FORMS[form]
    assert violations(found) == []
    wrong = {**found, "services": {**found["services"], "kafka": {**found["services"]["kafka"], "restrat": "always"}}}
    assert len(violations(wrong)) == 1


def test_the_override_alone_is_what_the_specification_allows() -> None:
    assert violations(bare(read(HARDENED[-1]))) == []


@pytest.mark.parametrize("form", FORMS)
def test_the_services_are_those_of_a_deployment(form: str) -> None:
    services = FORMS[form]["services"]
    assert {"kafka", "registry", "learner", "prometheus", "grafana", "simulator"} <= set(services)
    assert [name for name, service in services.items() if service.get("command") == ["run"]] == ["worker-1", "worker-2"]
    names = [services[name]["environment"]["JOURNEY_INSTANCE"] for name in ("worker-1", "worker-2", "learner")]
    assert len(set(names)) == 3


@pytest.mark.parametrize(("form", "name"), SERVICES)
def test_a_service_is_bounded_and_has_no_more_rights_than_it_needs(form: str, name: str) -> None:
    service = SERVICES[form, name]
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
    assert (form, name) in OURS or (re.search(r"\d+\.\d+", tag) and "latest" not in tag)
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize(("form", "name"), OURS)
def test_our_own_write_to_nothing_but_tmp(form: str, name: str) -> None:
    service = OURS[form, name]
    assert service["read_only"] is True
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert all(mount.endswith(":ro") for mount in service.get("volumes", ()))


@pytest.mark.parametrize(("form", "name"), SERVICES)
def test_what_is_waited_for_can_come_to_pass(form: str, name: str) -> None:
    for other, how in SERVICES[form, name].get("depends_on", {}).items():
        awaited = SERVICES[form, other]
        if how["condition"] == "service_healthy":
            assert awaited["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        else:
            assert how["condition"] == "service_completed_successfully"
            assert awaited["restart"] == "no"


@pytest.mark.parametrize("form", FORMS)
def test_the_order_has_no_circle(form: str) -> None:
    services = FORMS[form]["services"]
    seen: list[str] = []
    while len(seen) < len(services):
        ready = [n for n, s in services.items() if n not in seen and set(s.get("depends_on", ())) <= set(seen)]
        assert ready
        seen += ready
    assert seen.index("topics") < seen.index("definitions") < seen.index("worker-1") < seen.index("simulator")


@functools.cache
def help_of(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "streams", *words, "--help"],
        capture_output=True, text=True, check=True, env={"COLUMNS": "200", "PATH": ""},
    ).stdout  # fmt: skip


@pytest.mark.parametrize(("form", "name"), OURS)
def test_commands_options_and_settings_are_those_that_there_are(form: str, name: str) -> None:
    service, kafka = OURS[form, name], SERVICES[form, "kafka"]
    command, environment = service["command"], service.get("environment", {})
    assert command[0] in COMMANDS
    options = help_of(*[word for word in command[:2] if not word.startswith("-")])
    for option in (word for word in command if word.startswith("--")):
        assert option in options
    for variable in environment:
        assert variable.removesuffix("_FILE") in SETTINGS
    listeners = (DEPLOY / "compose" / "kafka" / "server.properties").read_text(encoding="utf-8")
    advertised = kafka["environment"].get("KAFKA_ADVERTISED_LISTENERS") or listeners
    assert f"INSIDE://{environment['JOURNEY_KAFKA_BOOTSTRAP']}" in advertised


@pytest.mark.parametrize(("form", "name"), LEARNERS)
def test_workers_and_learner_are_given_time_to_end(form: str, name: str) -> None:
    assert milliseconds(LEARNERS[form, name]["stop_grace_period"]) >= Settings().drain_within_ms + 15_000


@pytest.mark.parametrize(("form", "name"), SERVICES)
def test_secrets_are_files_that_the_service_is_given(form: str, name: str) -> None:
    service = SERVICES[form, name]
    given = set(service.get("secrets", ()))
    assert given <= set(FORMS[form]["secrets"])
    environment = {key: str(value) for key, value in service.get("environment", {}).items()}
    assert not [key for key in environment if key.endswith("PASSWORD")]
    named = {Path(value).name for value in environment.values() if value.startswith("/run/secrets/")}
    assert named <= given
    if (form, name) in OURS:
        assert given == named


@pytest.mark.parametrize(("form", "key"), [("plain", "learner_key"), ("hardened", "learner.key")])
def test_workers_and_learner_share_the_key_that_git_does_not_see(form: str, key: str) -> None:
    for (which, _), service in LEARNERS.items():
        if which == form:
            assert service["environment"]["JOURNEY_LEARNER_KEY_FILE"] == f"/run/secrets/{key}"
    file = FORMS[form]["secrets"][key]["file"]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert Path(file).name in ignored or f"{Path(file).parent}/" in ignored


def test_with_locks_every_client_of_kafka_is_encrypted_and_somebody_of_its_own_role() -> None:
    users = {}
    for (form, name), service in OURS.items():
        if form == "plain":
            continue
        environment = service["environment"]
        user = users[name] = environment["JOURNEY_KAFKA_SASL_USERNAME"]
        assert environment["JOURNEY_KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
        assert environment["JOURNEY_KAFKA_SASL_PASSWORD_FILE"] == f"/run/secrets/{user}.password"
        assert environment["JOURNEY_REGISTRY_URL"].startswith("https://registry-door:")
        assert [secret for secret in service["secrets"] if secret.endswith(".password")] == [f"{user}.password"]
    assert users == {
        "topics": "admin", "definitions": "operator", "worker-1": "worker", "worker-2": "worker",
        "learner": "learner", "simulator": "producer",
    }  # fmt: skip
    found = wanted.read(DEPLOY / "compose" / "topics.yaml", {})
    assert found.faults() == []
    assert found.principals == {role: [role] for role in ROLES}
    # The registry has no lock of its own: nobody but its door is on its network, and Kafka, which it needs.
    near = {name for name, service in FORMS["hardened"]["services"].items() if "registry" in service["networks"]}
    assert near == {"registry", "registry-door", "kafka"}
    assert FORMS["hardened"]["networks"]["registry"] == {"internal": True}
    assert FORMS["hardened"]["services"]["registry"]["networks"] == ["registry"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_mounted_is_there(form: str) -> None:
    for service in FORMS[form]["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source == "/" or source in FORMS[form]["volumes"], source


def test_dashboards_and_definitions_lie_where_they_are_looked_for() -> None:
    grafana = SERVICES["plain", "grafana"]
    mounts = dict(mount.split(":")[:2] for mount in grafana["volumes"])
    assert ROOT / next(iter(mounts)) == DEPLOY / "grafana" / "provisioning"
    (provider,) = read_yaml(DEPLOY / "grafana" / "provisioning" / "dashboards" / "journey.yml")["providers"]
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (FOLDER / Path(home).name).is_file()
    files = [Path(word) for word in SERVICES["plain", "definitions"]["command"] if word.endswith(".yaml")]
    assert files
    assert all((ROOT / "streams/definitions/shipped" / file.name).is_file() for file in files)


def test_prometheus_scrapes_the_services_where_they_listen() -> None:
    jobs = {job["job_name"]: job for job in read_yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]}
    targets = {name: job["static_configs"][0]["targets"] for name, job in jobs.items()}
    assert targets["journey-worker"] == [f"worker-{n}:{Settings().http.port}" for n in (1, 2)]
    assert targets["journey-learner"] == [f"learner:{Settings().learner.port}"]
    assert all(("plain", target.partition(":")[0]) in SERVICES for found in targets.values() for target in found)
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml", of="the configuration of Prometheus is")
    source = read_yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
