"""Passwords, encryption and rights on a real broker: they reach every client, and the documented rights are enough.

Owns the rights as docs/operations.md names them; the broker is ``tests.support.guarded``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin import AclOperation, ResourceType
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.outputs import Signal
from streams.contracts.topics import Topics
from streams.definitions.load import load_files
from streams.learner.process.run import of_the_learner
from streams.settings import Settings, load
from streams.tools.topics import create_topics, delete_topics
from streams.worker import rights
from streams.worker.outcomes import Refused
from streams.worker.startup import check_rights
from tests.support.guarded import PASSWORDS, Door, GuardedKafka
from tests.support.produce import happened, labels, produce, read, write
from tests.support.workers import KEY, Workers, ready, running, until

pytestmark = pytest.mark.integration

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
PAGE: Final = Path(__file__).parents[2] / "docs" / "operations.md"
KINDS: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    broker = GuardedKafka(tmp_path_factory.mktemp("guarded"))
    with broker.kafka:
        yield broker


@pytest.fixture
def topics(guarded: GuardedKafka) -> Iterator[Topics]:
    """Topics of a deployment of its own, in which the worker has the rights of the page and nobody else any."""
    mine = Topics(app="shut", prefix=f"t{uuid.uuid4().hex[:10]}")
    create_topics({"bootstrap.servers": guarded.inside}, mine)
    give_the_rights_of_the_page(guarded, mine, "worker")
    yield mine
    guarded.forget("worker")
    guarded.forget("reader")
    delete_topics({"bootstrap.servers": guarded.inside}, mine)


@pytest.fixture
def workers(guarded: GuardedKafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    settings = guarded.settings("worker", "password")
    yield from running(guarded.doors["password"], topics, tmp_path, definitions=[SHOP], settings=settings)


def rights_of_the_page(topics: Topics, who: str) -> list[tuple[str, str, list[str]]]:
    """(kind, name, operations): the table under Permissions, with the names of this deployment."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0] == who:
            name = cells[2].strip("`").replace("<prefix>", topics.prefix).replace("<app>", topics.app)
            found.append((cells[1], name, re.findall("[A-Z_]+", cells[3])))
    assert found, f"the table of {PAGE} has nothing for the {who}"
    return found


def give_the_rights_of_the_page(guarded: GuardedKafka, topics: Topics, who: str) -> None:
    for kind, name, operations in rights_of_the_page(topics, who):
        guarded.allow(who, KINDS[kind], name, *(AclOperation[operation] for operation in operations))


def names_of(topics: Topics) -> dict[str, str]:
    return {"JOURNEY_APP": topics.app, "JOURNEY_PREFIX": topics.prefix}


def journey(guarded: GuardedKafka, topics: Topics, user: str, door: Door, *arguments: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JOURNEY_")}
    names = {**names_of(topics), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env=clean | names | guarded.settings(user, door),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert PASSWORDS[user] not in said
    return said


@pytest.mark.timeout(240)
def test_every_command_and_the_worker_come_in_by_password_through_tls(
    guarded: GuardedKafka, topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    def operator(*arguments: str) -> str:
        return journey(guarded, topics, "operator", "encrypted", *arguments)

    delete_topics({"bootstrap.servers": guarded.inside}, topics)
    operator("topics", "create")
    operator("topics", "check")
    operator("definitions", "apply", str(SHOP))
    assert operator("definitions", "show").split()[0] == "1"
    workers.bootstrap, workers.definitions = guarded.doors["encrypted"], ()
    workers.settings = guarded.settings("worker", "encrypted")
    worker = workers.start()
    ready(worker)
    operator("emit", "Payment Failed", "Payment Failed", "--customer", "me")
    shown = operator("tail", "triggers", "--customer", "me", "--from-beginning", "--count", "1")
    assert "payment_failed_twice" in shown
    operator("simulate", "--touchpoints", "200", "--customers", "20", "--to-kafka")
    until(lambda: worker.total("journey_events_processed_total") == 202, 30, "all is processed", [worker])
    assert worker.end() == 0
    assert not worker.said(PASSWORDS["worker"])
    operator("partitions", "resume", "0")
    operator("replay", "--from-kafka", "--compare")


def test_an_import_comes_in_by_password(guarded: GuardedKafka, topics: Topics, tmp_path: Path) -> None:
    file = tmp_path / "touchpoints.jsonl"
    file.write_text('{"event_id": "1", "type": "Product Viewed", "occurred_at": 1700000000000, "customer_id": "me"}\n')
    said = journey(guarded, topics, "operator", "password", "import", "--input", str(file))
    assert "1 touchpoints into" in said


def test_who_may_only_read_a_topic_can_watch_it(guarded: GuardedKafka, topics: Topics) -> None:
    guarded.allow("reader", ResourceType.TOPIC, topics.touchpoints, AclOperation.READ)
    produce(guarded.inside, topics, [happened("1", "Product Viewed", "me")])
    said = journey(guarded, topics, "reader", "password", "tail", "touchpoints", "--from-beginning", "--count", "1")
    assert "Product Viewed" in said


def test_the_rights_of_the_page_are_enough_for_a_learner(
    guarded: GuardedKafka, topics: Topics, workers: Workers
) -> None:
    churn = SHOP.parent / "churn.journey.yaml"
    give_the_rights_of_the_page(guarded, topics, "learner")
    journey(guarded, topics, "operator", "password", "definitions", "apply", str(churn))
    (risk,) = load_files([churn], 1).risks
    write(guarded.inside, topics.examples, labels(risk, 200))
    workers.settings = guarded.settings("learner", "password")
    learner = workers.learner()
    until(lambda: learner.total("journey_examples_learned_total") == 200, 60, "all is learned", [learner])
    assert learner.total("journey_models_published_total") > 0
    assert learner.end() == 0
    assert not learner.said(PASSWORDS["learner"])
    guarded.forget("learner")
    assert f"READ on the topic {topics.examples}" in workers.refused(more={"JOURNEY_LEARNER_KEY": KEY}, command="learn")


def here(guarded: GuardedKafka, topics: Topics, user: str, *arguments: str, status: int = 0) -> str:
    """As ``journey``, in this process."""
    environment = names_of(topics) | guarded.settings(user, "password")
    result = CliRunner().invoke(app, list(arguments), env=environment)
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


def test_rights_by_role_are_planned_made_and_enough(guarded: GuardedKafka, topics: Topics, tmp_path: Path) -> None:
    guarded.forget("worker")
    file = tmp_path / "topics.yaml"
    file.write_text("principals: {worker: [worker], learner: [learner], consumer: [reader]}\n")
    settings = {user: load(names_of(topics) | guarded.settings(user, "password")) for user in ("worker", "learner")}
    asked: list[tuple[Settings, rights.Needed]] = [
        (settings["worker"], rights.of_the_worker(topics, publishes=True)),
        (of_the_learner(settings["learner"]), rights.of_the_learner(topics)),
    ]
    for question in asked:
        with pytest.raises(Refused, match="lacks rights"):
            check_rights(*question)
    words = ["topics", "plan", "--file", str(file), "--json"]
    planned = json.loads(here(guarded, topics, "operator", *words, status=3))
    assert planned["changes"] == planned["refused"] == []
    assert {"user": "User:reader", "kind": "topic", "name": topics.triggers, "operation": "READ", "denied": False} in (
        planned["rights"]["missing"]
    )
    here(guarded, topics, "operator", "topics", "apply", "--file", str(file))
    for question in asked:
        check_rights(*question)
    assert "All is as wanted." in here(guarded, topics, "operator", *words[:-1])
    # Beyond the role: shown, left, taken back when asked; what is denied is refused.
    guarded.allow("reader", ResourceType.TOPIC, topics.triggers, AclOperation.WRITE)
    surplus = f"User:reader may WRITE on topic {topics.triggers}"
    assert f"? {surplus}" in here(guarded, topics, "operator", *words[:-1])
    words = ["topics", "apply", "--file", str(file)]
    assert f"- {surplus}" in here(guarded, topics, "operator", *words, "--revoke")
    guarded.deny("worker", ResourceType.TOPIC, topics.state, AclOperation.READ)
    denied = here(guarded, topics, "operator", *words, status=1)
    assert f"! User:worker denied READ on topic {topics.state}" in denied
    # Who may not DESCRIBE the cluster's rights is told so.
    assert "may not ALTER or DESCRIBE the cluster" in here(guarded, topics, "learner", *words, status=1)
    guarded.forget("learner")


def test_a_start_names_every_right_that_is_missing(guarded: GuardedKafka, topics: Topics, workers: Workers) -> None:
    group = f"{topics.prefix}.{topics.app}"
    guarded.deny("worker", ResourceType.GROUP, group, AclOperation.READ)
    guarded.deny("worker", ResourceType.TOPIC, topics.touchpoints, AclOperation.READ)
    guarded.deny("worker", ResourceType.TOPIC, topics.triggers, AclOperation.WRITE)
    guarded.deny("worker", ResourceType.TOPIC, topics.journal, AclOperation.ALL)
    said = workers.refused()
    for right in (
        f"READ on the group {group}",
        f"READ on the topic {topics.touchpoints}",
        f"WRITE on the topic {topics.triggers}",
        f"WRITE on the topic {topics.journal}",
        f"DESCRIBE_CONFIGS on the topic {topics.journal}",
    ):
        assert right in said
    assert topics.signals not in said
    assert "docs/operations.md" in said
    assert PASSWORDS["worker"] not in said


def test_a_worker_without_its_transactional_ids_says_so(
    guarded: GuardedKafka, topics: Topics, workers: Workers
) -> None:
    journey(guarded, topics, "operator", "password", "definitions", "apply", str(SHOP))
    workers.definitions = ()
    for partition in range(4):
        name = f"{topics.app}-{topics.touchpoints}-{partition}"
        guarded.deny("worker", ResourceType.TRANSACTIONAL_ID, name, AclOperation.WRITE)
    assert "WRITE on transactional ids that begin with the application's name" in workers.refused()


def test_a_right_that_is_taken_away_ends_the_worker_with_what_it_needs(
    guarded: GuardedKafka, topics: Topics, workers: Workers
) -> None:
    worker = workers.start()
    ready(worker)
    produce(guarded.inside, topics, [happened("1", "Product Added", "me")])
    until(lambda: len(read(guarded.inside, topics.signals, Signal)) == 1, 30, "it is processed", [worker])
    guarded.deny("worker", ResourceType.TOPIC, topics.signals, AclOperation.WRITE)
    produce(guarded.inside, topics, [happened("2", "Order Completed", "me")])
    status = worker.process.wait(60)
    said = "\n".join(str(line["message"]) for line in worker.lines())
    assert status == 78, said
    assert "WRITE on every output topic" in said
    assert "docs/operations.md" in said


def test_a_group_that_is_taken_away_ends_the_worker(guarded: GuardedKafka, topics: Topics, workers: Workers) -> None:
    worker = workers.start()
    ready(worker)
    group = f"{topics.prefix}.{topics.app}"
    guarded.deny("worker", ResourceType.GROUP, group, AclOperation.READ)
    assert worker.process.wait(60) == 78
    assert worker.said(f"READ on the group {group}")


def test_a_wrong_password_is_refused_by_its_settings(guarded: GuardedKafka, workers: Workers) -> None:
    said = workers.refused(more=guarded.settings("worker", "password", SASL_PASSWORD="not-that-one"))
    assert "JOURNEY_KAFKA_SASL_USERNAME" in said
    assert "not-that-one" not in said


def test_a_certificate_that_nobody_signed_is_refused_by_its_settings(guarded: GuardedKafka, workers: Workers) -> None:
    settings = guarded.settings("worker", "encrypted")
    del settings["JOURNEY_KAFKA_SSL_CA"]
    said = workers.refused(more=settings | {"JOURNEY_BROKER_WAIT": "2s"})
    assert "JOURNEY_KAFKA_SSL_CA" in said
