"""Fixtures that several tests share: one real broker for all processes of a run, a real registry, topics for a test.

Owns what an integration test may assume: the broker runs when the test begins, and its topics are its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

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
    """A broker that is not this process's: of the whole run, or JOURNEY_TEST_KAFKA. It is not stopped."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def start(self) -> None:
        return

    def stop(self) -> None:
        pytest.fail("this broker is used by others: a test that stops one takes own_broker for its fixture kafka")

    kill = restart = stop


LONGEST_FIRST = (
    "test_worker.py", "test_reshard.py", "test_readme.py", "test_kills.py", "test_embedded.py", "/replay/",
    "/integration/", "/deploy/", "test_no_broker.py", "test_health.py",
)  # fmt: skip
"""Files that decide how long all takes, then all that need a broker or wait: what ends last has begun early."""

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
    """With pytest-xdist: a file is for one process, in the order above. Integration tests mostly wait, so more of them
    than cores get through sooner."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only there with the plugin

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # typed as Any where the plugin is not installed
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((shared for shared in SHARED if shared in file), file)

    config.option.loadscopereorder = False
    return ByFile(config, log)


SHARED_BROKER: Final = pytest.StashKey[EmbeddedKafka]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """With pytest-xdist, before a process is made: it is told of the broker that all of them use. One that idles takes
    3 % of a core."""
    if os.environ.get("JOURNEY_TEST_KAFKA"):
        return
    stash = node.config.stash
    if SHARED_BROKER not in stash:
        rehearse()
        stash[SHARED_BROKER] = EmbeddedKafka(Path(tempfile.mkdtemp(prefix="journey-kafka-")))
        stash[SHARED_BROKER].start()
    node.workerinput["kafka"] = stash[SHARED_BROKER].bootstrap


def pytest_unconfigure(config: pytest.Config) -> None:
    if SHARED_BROKER in config.stash:
        broker = config.stash[SHARED_BROKER]
        broker.stop()
        shutil.rmtree(broker.data, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    told: dict[str, Any] = getattr(request.config, "workerinput", {})
    address = os.environ.get("JOURNEY_TEST_KAFKA") or told.get("kafka")
    if address:
        yield RunningKafka(address)
        return
    yield from own_broker(tmp_path_factory)


def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """For tests that stop, kill or fill their broker."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as embedded:
        yield embedded


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
