"""The manifests of deploy/kubernetes: against the schemas of Kubernetes, and against what the processes really are.

Every file is checked as it lies there. The overlay is put together by ``kubectl kustomize`` and what comes out of it is
held to the same schemas and to the rules of the house; where kubectl is missing, that part is said to be NOT checked.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from referencing import Registry, Resource
from ruamel.yaml import YAML

from deploy.kubernetes.copies import copies
from streams.cli import COMMANDS
from streams.contracts.topics import Topics
from streams.definitions.load import load_files
from streams.settings import ENVIRONMENT, Settings, load
from streams.settings_source import reference
from streams.tools.topology import wanted
from tests.deploy.queries import DEPLOY, ROOT, read_yaml

HERE: Final = DEPLOY / "kubernetes"
RELEASES: Final = ("1.31.0", "1.37.0")
"""Of Kubernetes: the oldest that people still run, and the newest."""
SETTINGS: Final = {name for name, *_ in reference(Settings, ENVIRONMENT)}
FOREIGN: Final = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
"""Kinds of the Prometheus Operator and of KEDA: no part of Kubernetes and its schemas."""
SECRETS: Final = Path("/run/secrets/journey")


def documents(text: str) -> list[dict[str, Any]]:
    return [found for found in YAML(typ="safe").load_all(text) if found]


@functools.cache
def schemas(release: str) -> tuple[Path, Registry[Any]]:
    """As kubernetes-validate carries them, in the form that allows no unknown field."""
    files = importlib.metadata.files("kubernetes-validate") or []
    (definitions,) = (f for f in files if f.parent.name == f"v{release}-local-strict" and f.name == "_definitions.json")
    path = Path(str(definitions.locate()))
    content = json.loads(path.read_text(encoding="utf-8"))
    return path.parent, Resource.from_contents(content) @ Registry()


def violations(document: dict[str, Any], release: str) -> list[str]:
    folder, registry = schemas(release)
    group, _, version = document["apiVersion"].rpartition("/")
    name = "-".join(filter(None, (document["kind"].lower(), group.partition(".")[0], version)))
    schema = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, registry=registry)
    return [f"{document['metadata']['name']}: {e.json_path}: {e.message}" for e in validator.iter_errors(document)]


def resources(folder: Path) -> list[dict[str, Any]]:
    """What a kustomization names as resources, unchanged."""
    files = read_yaml(folder / "kustomization.yaml").get("resources", ())
    return [
        found
        for file in files
        if file.endswith(".yaml")
        for found in documents((folder / file).read_text(encoding="utf-8"))
    ]


BASE: Final = {(found["kind"], found["metadata"]["name"]): found for found in resources(HERE / "base")}
PLAIN: Final = [found for file in sorted(HERE.rglob("kustomization.yaml")) for found in resources(file.parent)]


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    command = shutil.which("kubectl")
    if command is None:
        pytest.skip("kubectl is missing, so the overlay of deploy/kubernetes is NOT checked as it would be applied")
    done = subprocess.run(
        [command, "kustomize", str(HERE / "overlays" / "production")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def pods(found: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(resource, specification of its pods)"""
    for resource in found:
        if "template" in resource.get("spec", {}):
            yield resource, resource["spec"]["template"]["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def check_of_schemas(found: list[dict[str, Any]]) -> None:
    for release in RELEASES:
        assert [fault for one in found if one["kind"] not in FOREIGN for fault in violations(one, release)] == []


def check_of_rights(found: list[dict[str, Any]]) -> None:
    """What Kubernetes calls the restricted standard, and a root file system that cannot be written."""
    seen = 0
    for _, pod in pods(found):
        assert pod["automountServiceAccountToken"] is False
        # Without this every Service of a name that begins with journey- is a variable that no setting has.
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            seen += 1
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            volumes = {volume["name"] for volume in pod["volumes"]}
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert seen >= 4


def test_every_file_is_what_kubernetes_allows() -> None:
    check_of_schemas(PLAIN)
    worker = BASE["StatefulSet", "journey-worker"]
    wrong = {**worker, "spec": {**worker["spec"], "replcas": 3}}
    assert len(violations(wrong, RELEASES[-1])) == 1


def test_nobody_has_more_rights_than_needed() -> None:
    check_of_rights(PLAIN)


def test_copies_are_what_they_are_made_of() -> None:
    for path, content in copies().items():
        assert path.read_text(encoding="utf-8") == content, f"python deploy/kubernetes/copies.py writes {path.name}"
    load_files(sorted((HERE / "base" / "definitions").glob("*.yaml")), 1)


def test_commands_and_settings_are_those_that_there_are() -> None:
    for _, pod in pods(PLAIN):
        for container in containers(pod):
            words = container["args"][-1].split() if "command" in container else ["exec", "journey", *container["args"]]
            words = words[words.index("journey") + 1 :]
            assert words[0] in COMMANDS
            if words[0] in ("run", "learn"):
                continue
            help_ = subprocess.run(
                [sys.executable, "-m", "streams", *words[:2], "--help"],
                capture_output=True, text=True, check=True, env={"COLUMNS": "200", "PATH": ""},
            ).stdout  # fmt: skip
            assert all(word in help_ for word in words if word.startswith("--"))
    lines = (HERE / "base" / "settings.env").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    load(given)  # SettingsError names what is wrong
    for name in given:
        assert name in SETTINGS


def test_a_pod_is_a_member_of_its_own_name_and_has_time_to_end() -> None:
    for kind, name in (("StatefulSet", "journey-worker"), ("Deployment", "journey-learner")):
        pod = BASE[kind, name]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        (instance,) = (entry for entry in container["env"] if entry["name"] == "JOURNEY_INSTANCE")
        assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        assert pod["terminationGracePeriodSeconds"] * 1000 > Settings().drain_within_ms + 15_000
        budget = BASE["PodDisruptionBudget", name]["spec"]
        assert budget["maxUnavailable"] == 1
        labels = BASE[kind, name]["spec"]["template"]["metadata"]["labels"]
        assert budget["selector"]["matchLabels"] == labels == BASE["Service", name]["spec"]["selector"]


def test_probes_ask_what_there_is_and_recovery_has_its_time() -> None:
    for kind, name, port in (
        ("StatefulSet", "journey-worker", Settings().http.port),
        ("Deployment", "journey-learner", Settings().learner.port),
    ):
        (container,) = BASE[kind, name]["spec"]["template"]["spec"]["containers"]
        assert container["ports"] == [{"name": "metrics", "containerPort": port}]
        probes = {what: container[f"{what}Probe"] for what in ("startup", "readiness", "liveness")}
        assert {what: probe["httpGet"]["path"] for what, probe in probes.items()} == {
            "startup": "/readyz", "readiness": "/readyz", "liveness": "/livez",
        }  # fmt: skip
        assert all(probe["httpGet"]["port"] == "metrics" for probe in probes.values())
        assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 600
        # The process ends itself when a partition stands still; the kubelet is not quicker than that.
        assert probes["liveness"]["periodSeconds"] * probes["liveness"]["failureThreshold"] >= 60
        assert BASE["Service", name]["spec"]["ports"][0]["port"] == port
        ingress = BASE["NetworkPolicy", "journey"]["spec"]["ingress"][0]
        assert {"protocol": "TCP", "port": port} in ingress["ports"]


def test_workers_are_spread_over_zones_and_machines() -> None:
    spread = BASE["StatefulSet", "journey-worker"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


def test_keda_scales_on_the_lag_of_the_group_up_to_the_partitions() -> None:
    scaled, authentication = resources(HERE / "components" / "autoscaling")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "journey-worker"
    assert scaled["spec"]["maxReplicaCount"] == wanted.read(HERE / "base" / "topics.yaml", {}).partitions
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["type"] == "kafka"
    given = trigger["metadata"]
    assert given["topic"] == Topics(app="journey", prefix="journey").touchpoints
    assert given["consumerGroup"] == Settings().group_id
    assert int(given["lagThreshold"]) >= 1000  # KEDA's own is 10
    assert all(isinstance(value, str) for value in given.values())
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


def test_prometheus_finds_services_and_calls_the_jobs_as_the_rules_do() -> None:
    monitors = resources(HERE / "components" / "monitoring")
    jobs = {job["job_name"] for job in read_yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]}
    for monitor in (one for one in monitors if one["kind"] == "ServiceMonitor"):
        # Without jobLabel the Service's name is the job.
        assert "jobLabel" not in monitor["spec"]
        assert monitor["metadata"]["name"] in jobs
        service = BASE["Service", monitor["metadata"]["name"]]
        labels = {"app.kubernetes.io/part-of": "journey", **service["metadata"]["labels"]}
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_the_overlay_is_what_kubernetes_allows_and_keeps_the_rules(rendered: list[dict[str, Any]]) -> None:
    check_of_schemas(rendered)
    check_of_rights(rendered)
    kinds = {one["kind"] for one in rendered}
    assert FOREIGN | {"Namespace", "NetworkPolicy", "PodDisruptionBudget", "StatefulSet", "Job"} <= kinds
    assert all(one["kind"] == "Namespace" or one["metadata"]["namespace"] == "journey" for one in rendered)
    (worker,) = (one for one in rendered if one["kind"] == "StatefulSet")
    assert "replicas" not in worker["spec"]
    maps = {one["metadata"]["name"] for one in rendered if one["kind"] == "ConfigMap"}
    for _, pod in pods(rendered):
        for container in containers(pod):
            image = container["image"].rpartition("/")[2]
            assert ":" in image
            assert not image.endswith(":latest")
            assert all(source["configMapRef"]["name"] in maps for source in container["envFrom"])


def test_secrets_are_files_and_each_role_has_its_own(rendered: list[dict[str, Any]]) -> None:
    users = set()
    for _, pod in pods(rendered):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in containers(pod):
            mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
            given = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert not [entry for entry in container["env"] if "secretKeyRef" in entry.get("valueFrom", {})]
            assert set(given) <= SETTINGS | {f"{name}_FILE" for name in SETTINGS}
            assert given["JOURNEY_KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
            for path in (Path(value) for value in given.values() if value and value.startswith("/")):
                mount = mounts[str(path.parent)]
                assert path.is_relative_to(SECRETS)
                assert mount["readOnly"] is True
                assert volumes[mount["name"]]["secret"]["defaultMode"] == 0o440
            user = given["JOURNEY_KAFKA_SASL_USERNAME"]
            assert volumes["kafka-user"]["secret"]["secretName"] == f"journey-kafka-{user}"
            users.add(user)
    assert users == {"worker", "learner", "operator"}


def test_every_secret_is_made_by_a_command_of_the_documentation(rendered: list[dict[str, Any]]) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    made = {
        name: set(re.findall(r"=(\w[\w.]*?)=|--from-file=(ca\.crt)", rest))
        for name, rest in re.findall(r"create secret generic (\S+) (.+)", page)
    }
    keys = {name: {first or second for first, second in found} for name, found in made.items()}
    for _, pod in pods(rendered):
        for volume in (volume for volume in pod["volumes"] if "secret" in volume):
            name = volume["secret"]["secretName"]
            (path,) = {
                m["mountPath"] for c in containers(pod) for m in c["volumeMounts"] if m["name"] == volume["name"]
            }
            asked = {
                Path(entry["value"]).name for c in containers(pod) for entry in c["env"]
                if str(entry.get("value")).startswith(f"{path}/")
            }  # fmt: skip
            assert asked == keys[name], name
    (authentication,) = (one for one in rendered if one["kind"] == "TriggerAuthentication")
    for key in authentication["spec"]["secretTargetRef"]:
        assert key["key"] in keys[key["name"]]
