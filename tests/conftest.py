"""Fixtures that several tests share: one real broker and one real registry for a session, topics for a test.

Owns what an integration test may assume: the broker runs when the test begins, and its topics are its own.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from streams.contracts.topics import Topics
from streams.tools.embedded import EmbeddedKafka, EmbeddedRegistry
from streams.tools.embedded.rehearsal import rehearse
from streams.tools.topics import create_topics, delete_topics

PARTITIONS = 4
# Read by Java's launcher. Brokers of tests live too briefly for the second compiler.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


class Kafka(Protocol):
    """What a test may do with the broker."""

    @property
    def bootstrap(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...


class RunningKafka:
    """A broker that somebody else runs (JOURNEY_TEST_KAFKA): it can be used, not stopped."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def start(self) -> None:
        return

    def stop(self) -> None:
        pytest.skip("JOURNEY_TEST_KAFKA is set: that broker is not ours to stop")

    kill = restart = stop


LONGEST_FIRST = (
    "test_worker.py",
    "test_kills.py",
    "test_embedded.py",
    "test_readme.py",
    "/replay/",
    "/chaos/",
    "/integration/",
)
"""Files that decide how long all takes, then everything that needs a broker: what ends last has begun early."""

SHARED = ("/replay/test_online_retail",)
"""Files of one process, because what they look at takes long to make."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((n for n, part in enumerate(LONGEST_FIRST) if part in path), len(LONGEST_FIRST))

    items.sort(key=rank)
    if any(part in item.path.as_posix() for item in items for part in ("/integration/", "/chaos/")):
        rehearse()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With pytest-xdist: a file is for one process, in the order above. Each process that needs a broker has its own:
    integration tests mostly wait, so more processes than cores get through sooner."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only there with the plugin

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # typed as Any where the plugin is not installed
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((shared for shared in SHARED if shared in file), file)

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    address = os.environ.get("JOURNEY_TEST_KAFKA")
    if address:
        yield RunningKafka(address)
        return
    embedded = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(autouse=True)
def _kafka_runs(request: pytest.FixtureRequest) -> None:
    """Whatever the test before did to the broker."""
    if "kafka" in request.fixturenames:
        request.getfixturevalue("kafka").start()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def topics(kafka: Kafka) -> Iterator[Topics]:
    """All topics of a deployment of its own, four partitions each."""
    mine = Topics(app="test", prefix=f"t{uuid.uuid4().hex[:10]}")
    admin = {"bootstrap.servers": kafka.bootstrap}
    create_topics(admin, mine, partitions=PARTITIONS)
    yield mine
    kafka.start()
    delete_topics(admin, mine)
