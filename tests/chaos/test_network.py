"""The network between one worker and the broker is cut and mended; the other worker and the producers keep theirs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from streams.contracts.topics import Topics
from streams.tools.embedded import EmbeddedKafka
from streams.tools.embedded.process import free_port
from streams.tools.topics import create_topics
from tests.chaos.form import PATIENCE, SEED
from tests.chaos.link import Link
from tests.chaos.traffic import Traffic
from tests.chaos.trial import SMALL_TRANSACTIONS, UNHURRIED, WHOLE, Trial
from tests.support.workers import SESSION_S, Workers, running

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(900 * PATIENCE)]


class Linked(EmbeddedKafka):
    """A broker with a second listener, which it advertises at the near end of a link."""

    def __init__(self, data: Path) -> None:
        port, controller, linked = free_port(), free_port(), free_port()
        self.link = Link(linked)
        super().__init__(
            data,
            port,
            properties={
                "controller.quorum.voters": f"1@127.0.0.1:{controller}",
                "listeners": f"PLAINTEXT://127.0.0.1:{port},LINK://127.0.0.1:{linked},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},LINK://127.0.0.1:{self.link.port}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,LINK:PLAINTEXT,CONTROLLER:PLAINTEXT",
            },
        )


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Linked]:
    broker = Linked(tmp_path / "kafka")
    try:
        broker.start()
        yield broker
    finally:
        broker.link.close()
        broker.stop()


@pytest.fixture
def workers(linked: Linked, tmp_path: Path) -> Iterator[Workers]:
    topics = Topics(app="test", prefix=f"t{uuid.uuid4().hex[:10]}")
    create_topics({"bootstrap.servers": linked.bootstrap}, topics, partitions=WHOLE)
    settings = SMALL_TRANSACTIONS | UNHURRIED
    yield from running(linked.bootstrap, topics, tmp_path, definitions=[SHOP], settings=settings)


def test_network_cut(linked: Linked, workers: Workers) -> None:
    traffic = Traffic(linked.bootstrap, workers.topics, 200_000, 1_000, 600, SEED)
    run = Trial("network cut", linked.bootstrap, workers.topics, workers, traffic)
    # Worker 0 reaches the broker through the link, the other one directly.
    run.own[0] = {"JOURNEY_KAFKA_BOOTSTRAP": f"127.0.0.1:{linked.link.port}"}
    run.begin()
    cuts = (5.0, 30.0, 2 * SESSION_S)
    took = []
    for seconds in cuts:
        run.wait(5)
        linked.link.cut()
        run.wait(seconds)
        linked.link.mend()
        took.append(run.recover())
    run.end_traffic(early=True)
    run.settle()
    said = ", ".join(f"{cut:.0f} s (back after {after:.1f} s)" for cut, after in zip(cuts, took, strict=True))
    run.conclude(f"one of 2 workers cut off for {said}; session timeout {SESSION_S:.0f} s; {run.fenced()} fenced")
