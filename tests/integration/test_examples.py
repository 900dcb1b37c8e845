"""The examples, run as a reader would run them, on a real broker; their triggers come from the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Trigger
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files
from streams.engine.engine import Engine
from streams.tools.embedded import EmbeddedRegistry
from streams.tools.tail import tail

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "examples"
IDLE_S = "3"


def run(script: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("JOURNEY_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def touchpoints_of(kafka: Any, topics: Topics, customer: str) -> list[Touchpoint]:
    found = []
    config = {"bootstrap.servers": kafka.bootstrap}
    for read in tail(
        config, topics, "touchpoints", PackagedSchemas(), customer=customer, since="beginning", until="end"
    ):
        assert isinstance(read.value, Touchpoint), read.value
        found.append(read.value)
    return found


def publish(kafka: Any, topics: Topics, triggers: list[Trigger]) -> None:
    codec = OutputCodec(PackagedSchemas(), "/test")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "partitioner": "murmur2_random"})
    for trigger in triggers:
        record = codec.trigger(trigger)
        producer.produce(topics.triggers, record.value, record.key, headers=record.headers)
    assert producer.flush(30) == 0


def consume(kafka: Any, topics: Topics, folder: Path) -> list[str]:
    """What the consumer printed."""
    return run(
        "consumer.py", folder, "--bootstrap", kafka.bootstrap, "--prefix", topics.prefix, "--until-idle", IDLE_S
    ).splitlines()


@pytest.mark.timeout(180)
def test_from_the_producer_over_the_definition_to_the_campaign_tool(kafka: Any, topics: Topics, tmp_path: Path) -> None:
    said = run(
        "producer.py", tmp_path, "--bootstrap", kafka.bootstrap, "--topic", topics.touchpoints, "--customer", "me"
    )
    assert said == f"7 touchpoints of me are in {topics.touchpoints}\n"

    engine = Engine(load_files([EXAMPLES / "campaign.journey.yaml"]))
    visit = touchpoints_of(kafka, topics, "me")
    (issued,) = engine.process(visit, int(time.time() * 1000)).triggers
    assert (issued.action, issued.status, issued.channel) == ("payment_help", "issued", "email")
    assert issued.external == {"campaign": 4711, "template": "payment-help-en", "workspace": "shop-uk"}

    # The same record twice, as after a crash of the engine's reader or a rebalance of the consumer's group.
    publish(kafka, topics, [issued, issued])
    assert [line.rpartition("-> ")[2] for line in consume(kafka, topics, tmp_path)] == ["sent", "repeated"]
    (request,) = outbox(tmp_path)
    assert request == {
        "verb": "send",
        "idempotency_key": f"{issued.trigger_id}/send",
        "campaign": 4711,
        "template": "payment-help-en",
        "recipient": "ada@example.com",
        "merge_fields": {"cart_value": 49.0},
    }

    # The consumer's outcome comes back to the engine; the order then ends the trigger, and the message is withdrawn.
    outcome = touchpoints_of(kafka, topics, "me")[-1]
    assert (outcome.outcome, outcome.trigger_id, outcome.actor) == ("sent", issued.trigger_id, "system")
    engine.process([outcome], None)
    order = Touchpoint("order-1", "Order Completed", outcome.occurred_at + 1_000, len(visit) + 1, customer_id="me")
    (ended,) = engine.process([order], None).triggers
    assert (ended.status, ended.end_reason) == ("cancelled", "goal_reached")
    publish(kafka, topics, [ended, issued])
    assert [line.rpartition("-> ")[2] for line in consume(kafka, topics, tmp_path)] == ["ended", "repeated"]
    assert [request["verb"] for request in outbox(tmp_path)] == ["send", "withdraw"]


def test_the_consumer_does_nothing_that_is_too_late_or_was_taken_back(
    kafka: Any, topics: Topics, tmp_path: Path
) -> None:
    now = int(time.time() * 1000)

    def trigger(number: int, **changes: Any) -> Trigger:
        fields: dict[str, Any] = {
            "trigger_id": f"t{number}", "revision": 1, "status": "issued", "customer": "me", "action": "help",
            "purpose": "service", "channel": "web", "issued_at": now, "expires_at": now + 3_600_000,
        }  # fmt: skip
        return Trigger(**{**fields, **changes})

    cancelled = trigger(2, revision=2, status="cancelled", end_reason="goal_reached", ended_at=now)
    publish(
        kafka,
        topics,
        [trigger(1, expires_at=now - 1), cancelled, trigger(2), trigger(3), trigger(3, revision=2, status="fulfilled")],
    )
    done = [line.rpartition("-> ")[2] for line in consume(kafka, topics, tmp_path)]
    assert done == ["expired", "ended", "repeated", "sent", "ended"]
    assert [(request["verb"], request["recipient"]) for request in outbox(tmp_path)] == [("send", "me")]


def test_the_producer_with_a_registry(kafka: Any, topics: Topics, registry: EmbeddedRegistry, tmp_path: Path) -> None:
    run(
        "producer.py", tmp_path,
        "--bootstrap", kafka.bootstrap, "--topic", topics.touchpoints, "--registry", registry.url,
    )  # fmt: skip
    from streams.contracts.registry import RegistryOptions, RegistrySchemas, subjects  # noqa: PLC0415 - slow to import

    schemas = RegistrySchemas(RegistryOptions(registry.url), subjects(topics), mode="lookup")
    config = {"bootstrap.servers": kafka.bootstrap}
    try:
        read = [r.value for r in tail(config, topics, "touchpoints", schemas, since="beginning", until="end")]
    finally:
        schemas.close()
    assert len(read) == 7
    assert all(isinstance(value, Touchpoint) for value in read)


def outbox(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "outbox.jsonl").read_text(encoding="utf-8").splitlines()]
