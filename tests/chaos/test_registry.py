"""Schemas evolve and the registry goes away: a new version in mid-stream while workers roll, two minutes without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from streams.contracts import schemas
from streams.contracts.topics import Topics
from streams.tools.embedded import EmbeddedRegistry
from tests.chaos.form import PATIENCE, SEED
from tests.chaos.traffic import Traffic
from tests.chaos.trial import SMALL_TRANSACTIONS, UNHURRIED, Trial
from tests.conftest import Kafka
from tests.support.outlet import Outlet
from tests.support.workers import Workers, ready, running, until

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
AWAY_S: Final = 120.0
RAIN: Final = b"\x02\x08rain"
"""The second branch of a union, a text of four bytes."""
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(900 * PATIENCE)]


@pytest.fixture
def outlet(registry: EmbeddedRegistry) -> Iterator[Outlet]:
    opened = Outlet(registry.url)
    yield opened
    opened.cut()


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, outlet: Outlet, tmp_path: Path) -> Iterator[Workers]:
    settings = SMALL_TRANSACTIONS | UNHURRIED | {"JOURNEY_REGISTRY_URL": outlet.url}
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=settings)


def newer() -> str:
    """The contract with a field more, at its end."""
    schema = json.loads(schemas.text("touchpoint"))
    schema["fields"].append({"name": "weather", "type": ["null", "string"], "default": None})
    return json.dumps(schema)


def test_schema_evolution_and_a_registry_away(
    kafka: Kafka, topics: Topics, workers: Workers, registry: EmbeddedRegistry, outlet: Outlet
) -> None:
    writes: dict[str, tuple[int, bytes]] = {}
    subject = f"{topics.touchpoints}-value"

    def wrap(value: bytes) -> bytes:
        number, more = writes["now"]
        return schemas.prefix_of(number) + value[5:] + more

    traffic = Traffic(kafka.bootstrap, topics, 500_000, 1_000, 400, SEED, wrap=wrap)
    run = Trial("schema evolution, registry away", kafka.bootstrap, topics, workers, traffic)

    # Unreachable at the start: refused after the wait that is set, used as soon as it is there.
    outlet.cut()
    said = workers.refused(more={"JOURNEY_REGISTRY_WAIT": "2s"}, status=69, within=90 * PATIENCE)
    assert "does not answer" in said
    early = workers.start(0)
    until(lambda: early.said("does not answer") or early.said("registry"), 60 * PATIENCE, "it waits", [early])
    outlet.mend()
    ready(early, within=90 * PATIENCE)
    assert early.end() == 0

    with SchemaRegistryClient({"url": registry.url}) as client:
        writes["now"] = (
            int(client.lookup_schema(subject, Schema(schemas.text("touchpoint"), "AVRO")).schema_id or 0),
            b"",
        )
        run.begin()
        run.wait(5)
        writes["now"] = (int(client.register_schema(subject, Schema(newer(), "AVRO"))), RAIN)
    for place in (0, 1):
        run.wait(5)
        assert run.current[place].end(60 * PATIENCE) == 0
        run.revive()
        ready(run.current[place], within=90 * PATIENCE)
    run.recover()

    outlet.cut()
    run.wait(AWAY_S)
    lag = run.lag()
    assert lag is not None
    assert lag <= traffic.rate, "known schemas go on without the registry"
    # A third version is written while nobody can be asked: it waits, is no dead letter, and goes on by itself.
    with SchemaRegistryClient({"url": registry.url}) as client:
        third = newer().replace('"doc":', '"note": "of a third version", "doc":', 1)
        writes["now"] = (int(client.register_schema(subject, Schema(third, "AVRO"))), RAIN)
    run.wait(10)
    waits = sum(worker.total("journey_registry_waits_total") for worker in run.current)
    outlet.mend()
    run.recover()
    run.end_traffic(early=True)
    letters = sum(worker.total("journey_dead_letters_total") for worker in run.current)
    run.settle()
    run.conclude(
        f"3 versions of the touchpoint, 2 workers rolled, registry away for {AWAY_S + 10:.0f} s and at the start; "
        f"{waits:.0f} waits for a schema, {letters:.0f} dead letters",
        JOURNEY_REGISTRY_URL=registry.url,
    )
    assert waits
    assert letters == 0
