"""A broker with an authorizer and passwords: SASL reaches every client, and a missing permission ends with its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from streams.contracts.outputs import Signal
from streams.contracts.topics import Topics
from streams.tools.embedded import EmbeddedKafka
from streams.tools.topics import create_topics
from tests.support.produce import happened, produce, read
from tests.support.workers import Workers, ready, running, until

pytestmark = pytest.mark.integration

SHOP = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
TOPICS = Topics(app="guarded", prefix="guarded")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Everything is forbidden to who has no ACL; the listener that the tests administrate by may do all."""
    kafka = EmbeddedKafka(
        tmp_path_factory.mktemp("guarded"),
        properties={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin",
            "allow.everyone.if.no.acl.found": "true",
        },
    )
    kafka.start()
    create_topics({"bootstrap.servers": kafka.bootstrap}, TOPICS, partitions=4)
    yield kafka
    kafka.stop()


@pytest.fixture
def workers(guarded: EmbeddedKafka, tmp_path: Path) -> Iterator[Workers]:
    yield from running(guarded.bootstrap, TOPICS, tmp_path, definitions=[SHOP])


def acl(topic: str, permission: AclPermissionType) -> AclBinding:
    return AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", AclOperation.WRITE, permission
    )


def test_a_worker_that_may_not_write_says_what_it_needs(guarded: EmbeddedKafka, workers: Workers) -> None:
    admin = AdminClient({"bootstrap.servers": guarded.bootstrap})
    worker = workers.start()
    ready(worker)
    produce(guarded.bootstrap, TOPICS, [happened("1", "Product Added", "me")])
    until(lambda: len(read(guarded.bootstrap, TOPICS.signals, Signal)) == 1, 30, "it is processed", [worker])

    forbidden = acl(TOPICS.signals, AclPermissionType.DENY)
    for future in admin.create_acls([forbidden]).values():
        future.result()
    produce(guarded.bootstrap, TOPICS, [happened("2", "Order Completed", "me")])
    status = worker.process.wait(60)
    said = "\n".join(str(line["message"]) for line in worker.lines())
    assert status == 78, said
    assert "WRITE on every output topic" in said
    assert "docs/operations.md" in said
