"""Dashboards, recording rules and alerts before a real Prometheus that scrapes a real worker and a real learner.

Every query of every panel, and every recording rule, must give figures; every series that an alert reads must be there.
What a quiet run has not is provoked: dead letters, repeated and late touchpoints, refused models and labels, changed
behaviour. What is not provoked is in ``NOT_HERE``, with the reason.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer

from deploy.grafana.dashboards import ALL, as_sent
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from tests.conftest import Kafka
from tests.deploy.queries import DEPLOY, names, read_yaml, recorded
from tests.support.produce import happened, now_ms, produce, produce_bytes, write
from tests.support.prometheus import Prometheus, installed
from tests.support.workers import KEY, Worker, Workers, ready, running, until

pytestmark = pytest.mark.integration

SUPPORT: Final = Path(__file__).parents[1] / "support"
NOT_HERE: Final = {
    "node_filesystem_avail_bytes": "of the node exporter, which watches the machines of the brokers",
    "node_filesystem_size_bytes": "of the node exporter, which watches the machines of the brokers",
}
"""Series that this run has not."""
CUSTOMERS: Final = re.compile(r"\b[ce]\d+\b")
"""Ids of this run's customers and touchpoints."""
WITHIN_S: Final = 60.0
STEP_MS: Final = 100
LATE_MS: Final = 10_000
ROUND: Final = 900
ORDER: Final = "Order Completed"


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    shop = (SUPPORT / "shop.journey.yaml").read_text(encoding="utf-8")
    risk = (SUPPORT / "churn.journey.yaml").read_text(encoding="utf-8").partition("\nrisks:")[2]
    definition = tmp_path / "watched.journey.yaml"
    definition.write_text(f"{shop}\nrisks:{risk}", encoding="utf-8")
    settings = {
        "JOURNEY_LEARNER_KEY": KEY,
        "JOURNEY_LEARNER_LINGER": "200ms",
        "JOURNEY_IDLE_AFTER": "10m",  # time moves with the touchpoints alone: theirs is an hour old
    }
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[definition], settings=settings)


class Traffic:
    """A shop in event time. Half of the customers buy often, the others fail to pay and leave; then it is the other
    way round, which the learner must notice."""

    def __init__(self) -> None:
        self.random = random.Random(7)
        self.now = now_ms() - 3_600_000
        self.number = 0

    def next(self, touchpoints: int, *, turned: bool = False) -> list[Touchpoint]:
        found = []
        for _ in range(touchpoints):
            self.now += STEP_MS
            self.number += 1
            who = self.random.randrange(60)
            buys = who % 2 == turned
            name = self.random.choices(
                ("Product Viewed", "Product Added", "Payment Info Entered", "Payment Failed", ORDER, "Waved"),
                (8, 4, 2, 1, 6, 1) if buys else (8, 4, 2, 6, 0, 1),
            )[0]  # fmt: skip
            at = self.now - (LATE_MS if self.number % 20 == 0 else 0)
            found.append(happened(f"e{self.number}", name, f"c{who}", at))
        found.append(happened(f"e{self.number}", ORDER, f"c{who}", self.now))  # that id, other contents
        return found


def fence(bootstrap: str, topics: Topics) -> None:
    """Another owner of partition 0 comes and goes: the worker is fenced and takes the partition over again."""
    other = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": f"{topics.app}-{topics.touchpoints}-0"},
        logger=logging.getLogger("tests.silent"),
    )
    other.init_transactions(30)


def consumed(worker: Worker, number: int) -> None:
    until(lambda: worker.total("journey_events_processed_total") >= number, 60, f"{number} are processed", [worker])


def queries() -> dict[str, str]:
    """Where it stands -> query, of all panels and recording rules."""
    found = {
        f"{dashboard.uid}, {panel.title}, {legend or '-'}": as_sent(query, dashboard)
        for dashboard in ALL
        for panel in dashboard.panels
        for legend, query in panel.queries
    }
    return found | {name: name for name in recorded()}


@pytest.mark.timeout(240)
def test_every_query_of_dashboards_and_rules_gives_figures(
    kafka: Kafka, topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    command = installed("that the queries of dashboards and rules give figures is")
    worker, learner = workers.start(), workers.learner()
    ready(worker, learner)
    targets = {"journey-worker": f"127.0.0.1:{worker.port}", "journey-learner": f"127.0.0.1:{learner.port}"}
    prometheus = Prometheus(command, tmp_path, targets)
    try:
        prometheus.started()
        until(lambda: prometheus.values("min(up)") == [1.0], 30, "both are scraped", [worker, learner])
        traffic, sent = Traffic(), 0
        fence(kafka.bootstrap, topics)
        # Twice: a rate needs a series that is there before it rises.
        for turned in (False, True):
            produce(kafka.bootstrap, topics, batch := traffic.next(ROUND, turned=turned))
            produce_bytes(kafka.bootstrap, topics.touchpoints, [b"no touchpoint"] * 5, 1)
            for topic in (topics.models, topics.examples):
                write(kafka.bootstrap, topic, [(b"churn@1", b"neither model nor label")])
            sent += len(batch) + 5
            consumed(worker, sent)
            time.sleep(2.5)  # two scrapes

        wanted, silent = queries(), {}
        limit = time.monotonic() + WITHIN_S
        while wanted:
            silent = {where: query for where, query in wanted.items() if not prometheus.values(query)}
            if not silent or time.monotonic() > limit:
                break
            wanted = silent
            produce(kafka.bootstrap, topics, traffic.next(30))
            time.sleep(1.0)
        assert not silent, json.dumps(silent, indent=1)

        rules: list[dict[str, Any]] = [rule for group in prometheus.asked("rules")["groups"] for rule in group["rules"]]
        alerts = [rule for rule in rules if rule["type"] == "alerting"]
        assert len(alerts) == sum(len(g["rules"]) for g in read_yaml(DEPLOY / "prometheus" / "alerts.yml")["groups"])
        assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}
        read = {name for rule in alerts for name in names(rule["query"])}
        assert {name for name in read if not prometheus.values(f"count({name})")} == set(NOT_HERE)
        for one in (worker, learner):
            for page in ("/metrics", "/livez", "/readyz"):
                assert not CUSTOMERS.search(one.get(page)[1]), "no page shows a customer or a touchpoint"
            assert KEY not in one.log.read_text(encoding="utf-8"), "secrets are not logged"
    finally:
        prometheus.end()
