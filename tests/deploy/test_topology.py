"""The deployment of docker-compose.yml, plain and with the locks of docker-compose.hardened.yml, as plain processes.

Every service of ours, Kafka and the registry are started with their own commands, environment, files and secrets, in
the order that the files ask for, and are waited for by their own health checks. Then a customer's payment fails twice
and the trigger comes out; with locks, everyone may do the work of the role and no more.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from ssl import create_default_context
from typing import Final

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from streams.contracts.topics import Topics
from tests.deploy.merged import HARDENED, PLAIN, compose
from tests.deploy.queries import ROOT
from tests.deploy.topology import Topology

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TOPICS: Final = Topics(app="journey", prefix="journey")
SILENT: Final = logging.getLogger("tests.silent")
LONG: Final = os.environ.get("JOURNEY_TEST_PROOF") == "long"
READ, WRITE = AclOperation.READ, AclOperation.WRITE


def secrets(folder: Path) -> Path:
    """Made by the script that the documentation names."""
    subprocess.run(["/bin/sh", str(ROOT / "deploy/compose/secrets.sh"), str(folder)], check=True, capture_output=True)
    return folder


def live(topology: Topology) -> None:
    """Everything is started and healthy."""
    started = topology.order()
    for name in started:
        topology.start(name)
    for name in {"worker-1", "worker-2", "learner"}.intersection(started):
        topology.wait_until_healthy(name)


def a_trigger_comes_out(topology: Topology, consumer: dict[str, str]) -> None:
    topology.run("simulator", "emit", "Payment Failed", "Payment Failed", "--customer", "me")
    tail = ("tail", "triggers", "--customer", "me", "--from-beginning", "--count", "1")
    assert "payment_failed_twice" in topology.run("simulator", *tail, more=consumer)


class Locks:
    """The hardened deployment, and what each of its users may do there."""

    def __init__(self, topology: Topology, secrets: Path) -> None:
        self.topology = topology
        self.secrets = secrets

    def password(self, user: str) -> str:
        return (self.secrets / f"{user}.password").read_text(encoding="utf-8")

    def settings(self, user: str) -> dict[str, str]:
        """Instead of those of a service."""
        password = str(self.secrets / f"{user}.password")
        return {
            "JOURNEY_KAFKA_SASL_USERNAME": user,
            "JOURNEY_KAFKA_SASL_PASSWORD_FILE": password,
            "JOURNEY_REGISTRY_USERNAME": user,
            "JOURNEY_REGISTRY_PASSWORD_FILE": password,
        }

    def admin(self, user: str, password: str | None = None) -> AdminClient:
        config = {
            "bootstrap.servers": f"127.0.0.1:{self.topology.port('kafka', 9092)}",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.password(user) if password is None else password,
            "ssl.ca.location": str(self.secrets / "ca.crt"),
        }
        return AdminClient(config, logger=SILENT)

    def rights(self, user: str) -> dict[str, set[AclOperation]]:
        """Topic -> what the broker would let the user do with it; nothing of those that it may not even see."""
        names = [spec.name for spec in TOPICS.specs()]
        admin = self.admin(user)
        asked = admin.describe_topics(TopicCollection(names), include_authorized_operations=True, request_timeout=15)
        found: dict[str, set[AclOperation]] = {}
        for name, future in asked.items():
            try:
                found[name] = set(future.result().authorized_operations)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise
                found[name] = set()
        return found

    @cached_property
    def registry(self) -> str:
        return f"https://127.0.0.1:{self.topology.port('registry-door', 8443)}/apis/ccompat/v7/subjects"

    def asks_the_registry(self, user: str | None, password: str = "", method: str = "GET", path: str = "") -> int:
        request = urllib.request.Request(self.registry + path, method=method)
        if user:
            word = b64encode(f"{user}:{password or self.password(user)}".encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        context = create_default_context(cafile=str(self.secrets / "ca.crt"))
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@pytest.fixture(scope="module")
def locks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locks]:
    """The short form leaves out what is there twice, and uses the registry that other tests have started."""
    if shutil.which("nginx") is None:
        pytest.skip(
            "nginx is missing, so docker-compose.hardened.yml is NOT run. On Debian: apt-get install nginx-light"
        )
    folder = tmp_path_factory.mktemp("hardened")
    made = secrets(folder / "made")
    with Topology(compose(*HARDENED), folder, made, left_out=() if LONG else ("worker-2", "simulator")) as topology:
        if not LONG:
            topology.given("registry", 8080, request.getfixturevalue("registry").port)
        live(topology)
        yield Locks(topology, made)


@pytest.mark.proof
def test_with_locks_a_trigger_comes_out_and_a_consumer_reads_it(locks: Locks) -> None:
    a_trigger_comes_out(locks.topology, locks.settings("consumer"))
    for log in locks.topology.folder.glob("*.log"):
        said = log.read_text(encoding="utf-8")
        assert not [user for user in ("worker", "learner", "operator", "admin") if locks.password(user) in said]


@pytest.mark.proof
def test_each_role_may_do_its_work_and_no_more(locks: Locks) -> None:
    rights = {user: locks.rights(user) for user in ("worker", "learner", "producer", "consumer", "operator", "health")}

    def may(user: str, operation: AclOperation) -> set[str]:
        return {topic for topic, operations in rights[user].items() if operation in operations}

    outputs = {TOPICS.signals, TOPICS.triggers, TOPICS.decisions, TOPICS.customers}
    assert may("producer", WRITE) == {TOPICS.touchpoints}
    assert may("producer", READ) == set()
    assert may("consumer", READ) == outputs
    assert may("consumer", WRITE) == set()
    assert outputs <= may("worker", WRITE)
    assert TOPICS.touchpoints not in may("worker", WRITE)
    assert may("learner", READ) & {TOPICS.touchpoints, TOPICS.state, *outputs} == set()
    assert may("learner", WRITE) == {TOPICS.models, TOPICS.learner_state}
    assert may("health", AclOperation.DESCRIBE) == set()
    for user in ("worker", "learner", "producer", "consumer"):
        assert not may(user, AclOperation.ALTER_CONFIGS) | may(user, AclOperation.DELETE)
    # Rights are given by a user that nothing runs as but the service that gives them.
    literal, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    mine = AclBinding(ResourceType.TOPIC, "*", literal, "User:operator", "*", AclOperation.ALL, allow)
    for user in ("operator", "worker"):
        admin = locks.admin(user)
        (future,) = admin.create_acls([mine], request_timeout=15).values()
        with pytest.raises(KafkaException) as refused:
            future.result()
        assert refused.value.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED


def test_the_registry_may_do_what_it_needs_with_its_own_topic(locks: Locks) -> None:
    admin = locks.admin("registry")
    made = admin.create_topics([NewTopic(name, 1, 1) for name in ("kafkasql-journal", "another")], request_timeout=15)
    assert made["kafkasql-journal"].result() is None
    with pytest.raises(KafkaException) as refused:
        made["another"].result()
    assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    asked = admin.describe_topics(
        TopicCollection(["kafkasql-journal"]), include_authorized_operations=True, request_timeout=15
    )
    operations = set(asked["kafkasql-journal"].result().authorized_operations)
    assert {READ, WRITE, AclOperation.DESCRIBE_CONFIGS} <= operations
    group = "apicurio-registry-7c1f"
    about = admin.describe_consumer_groups([group], include_authorized_operations=True, request_timeout=15)
    assert READ in about[group].result().authorized_operations


def test_a_stranger_does_not_come_in(locks: Locks) -> None:
    with pytest.raises(KafkaException):
        locks.admin("stranger", "guessed").list_topics(timeout=1.5)
    with pytest.raises(KafkaException):
        locks.admin("worker", "guessed").list_topics(timeout=1.5)
    plain = {"bootstrap.servers": f"127.0.0.1:{locks.topology.port('kafka', 9092)}"}
    with pytest.raises(KafkaException):
        AdminClient(plain, logger=SILENT).list_topics(timeout=1.5)


def test_the_registry_asks_who_it_is(locks: Locks) -> None:
    assert locks.asks_the_registry(None) == 401
    assert locks.asks_the_registry("worker", "guessed") == 401
    assert locks.asks_the_registry("producer") == 200
    assert locks.asks_the_registry("producer", method="PUT", path="/none") == 403
    assert locks.asks_the_registry("worker", method="DELETE", path="/none") == 403
    assert locks.asks_the_registry("operator", method="DELETE", path="/none") == 404


# The form with locks shows all that this one shows and stands for it where there is an nginx; `make proof` runs both.
if LONG or shutil.which("nginx") is None:

    @pytest.mark.proof
    def test_without_locks_a_trigger_comes_out(tmp_path: Path) -> None:
        key = tmp_path / "learner.key"
        key.write_text("a key of the tests, and of nothing else")
        with Topology(compose(*PLAIN), tmp_path, tmp_path) as topology:
            live(topology)
            a_trigger_comes_out(topology, {})
