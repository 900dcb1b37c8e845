"""``journey emit`` and ``journey tail`` on a real broker: one shows what the other writes, once it is committed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.dead_letter import DeadLetter
from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Customer, Decision, JournalLine, OpenStage, Signal, Trigger
from streams.contracts.record import Encoded
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.tools import home

pytestmark = pytest.mark.integration

CODEC = OutputCodec(PackagedSchemas(), "/test")
START = 1_700_000_000_000


@pytest.fixture
def journey(kafka: Any, topics: Topics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the command on the test's own topics; returns its result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOURNEY_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("JOURNEY_PREFIX", topics.prefix)
    monkeypatch.setenv("JOURNEY_APP", topics.app)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments))

    return run


def lines(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def trigger(customer: str, number: int, status: str = "issued") -> Trigger:
    return Trigger(
        trigger_id=f"{customer}-{number}",
        revision=1 if status == "issued" else 2,
        status=status,
        customer=customer,
        action="payment_help",
        purpose="service",
        channel="web",
        issued_at=START + number,
        expires_at=START + 7_200_000,
        reason_words="Payment failed twice within 10 minutes",
        end_reason=None if status == "issued" else "goal_reached",
        ended_at=None if status == "issued" else START + number + 1_000,
    )


def produce(kafka: Any, topic: str, records: list[Encoded], *, committed: bool = True) -> None:
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": topic, "partitioner": "murmur2_random"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for record in records:
        producer.produce(topic, record.value, record.key, headers=record.headers)
    assert producer.flush(30) == 0
    if committed:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_what_is_emitted_is_in_the_customers_partition_in_order(journey: Any) -> None:
    emitted = lines(
        journey("emit", "Payment Failed", "Payment Failed", "Order Completed", "--customer", "mé", "--json",
                "--channel", "web", "--value", "0", "--property", "amount=12.5", "--property", "code=x1",
                "--field", "case_id=c-7", "--trait", "tier=gold", "--consent", "email=true")
    )  # fmt: skip
    assert {line["partition"] for line in emitted} == {partition_for("mé".encode(), 4)}
    shown = lines(journey("tail", "touchpoints", "--customer", "mé", "--from-beginning", "--until-end", "--json"))
    assert [line["value"]["event_id"] for line in shown] == [line["event_id"] for line in emitted]
    assert [line["offset"] for line in shown] == [line["offset"] for line in emitted]
    times = [line["value"]["occurred_at"] for line in shown]
    assert times == [line["occurred_at"] for line in emitted]
    assert times == sorted(set(times))
    first = shown[0]["value"]
    assert first["type"] == "Payment Failed"
    assert first["properties"] == {"amount": 12.5, "code": "x1"}
    assert (first["channel"], first["value"], first["case_id"]) == ("web", 0.0, "c-7")
    assert (first["traits"], first["consent"]) == ({"tier": "gold"}, {"email": True})


def test_emit_prints_ids_and_offsets(journey: Any) -> None:
    result = journey("emit", "Product Viewed", "--anonymous", "visitor")
    assert result.exit_code == 0
    assert f"Product Viewed  (partition {partition_for(b'visitor', 4)}, offset 0)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Order Completed"], "--customer"),
        (["journey.import_started", "--customer", "me"], "commands of the workers"),
        (["A", "--customer", "me", "--property", "amount"], "'amount' is not name=value"),
        (["A", "--customer", "me", "--field", "chanel=web"], "did you mean channel"),
        (["A", "--customer", "me", "--field", "wait_ms=soon"], "Expected `int | null`"),
    ],
)
def test_emit_refuses_what_would_be_a_dead_letter(journey: Any, arguments: list[str], says: str) -> None:
    result = journey("emit", *arguments)
    assert result.exit_code == 1
    assert says in result.stderr
    assert lines(journey("tail", "touchpoints", "--from-beginning", "--until-end", "--json")) == []


def test_a_running_demo_is_found_without_options(
    journey: Any, kafka: Any, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JOURNEY_KAFKA_BOOTSTRAP", "JOURNEY_PREFIX", "JOURNEY_APP"):
        monkeypatch.delenv(name)
    home.write(tmp_path / ".journey", home.Demo(kafka.bootstrap, topics.prefix, topics.app, pid=os.getpid()))
    (emitted,) = lines(journey("emit", "Product Viewed", "--customer", "me", "--json"))
    (shown,) = lines(journey("tail", "touchpoints", "--from-beginning", "--count", "1", "--json"))
    assert shown["value"]["event_id"] == emitted["event_id"]


def test_only_committed_triggers_of_the_customer_are_shown(journey: Any, kafka: Any, topics: Topics) -> None:
    produce(kafka, topics.triggers, [CODEC.trigger(trigger("me", 1)), CODEC.trigger(trigger("you", 1))])
    produce(kafka, topics.triggers, [CODEC.trigger(trigger("me", 2))], committed=False)
    produce(kafka, topics.triggers, [CODEC.trigger(trigger("me", 1, "cancelled"))])
    shown = lines(journey("tail", "triggers", "--customer", "me", "--from-beginning", "--until-end", "--json"))
    assert [(line["value"]["trigger_id"], line["value"]["status"]) for line in shown] == [
        ("me-1", "issued"),
        ("me-1", "cancelled"),
    ]
    assert [line["type"].rpartition("trigger.")[2] for line in shown] == ["issued", "cancelled"]
    assert {line["key"] for line in shown} == {"me"}
    everyone = lines(journey("tail", "triggers", "--from-beginning", "--until-end", "--json"))
    assert sorted(line["key"] for line in everyone) == ["me", "me", "you"]
    readable = journey("tail", "triggers", "--customer", "me", "--from-beginning", "--count", "2").stdout
    assert "issued  payment_help on web  because Payment failed twice within 10 minutes" in readable
    assert "cancelled  payment_help on web  goal_reached" in readable


def test_every_stream_is_decoded(journey: Any, kafka: Any, topics: Topics) -> None:
    records = {
        "signals": (topics.signals, CODEC.signal(Signal("s1", "me", "friction", "rage_click", START, "purchase", ""))),
        "decisions": (topics.decisions, CODEC.decision(Decision("d1", "me", START, "none", "warm_up", "s1"))),
        "customers": (
            topics.customers,
            CODEC.customer(Customer("me", START, stages=[OpenStage("purchase", "", "cart", START)])),
        ),
        "dead-letters": (
            topics.dead_letters,
            CODEC.dead_letter(DeadLetter("malformed", topics.touchpoints, 3, 17, key=b"me", value=b"\x00\xff")),
        ),
        "journal": (topics.journal, CODEC.journal(JournalLine(4, "idle", {"to": START}))),
    }
    wording = {
        "signals": "friction rage_click  in purchase",
        "decisions": "none  warm_up",
        "customers": "purchase: cart",
        "dead-letters": "malformed",
        "journal": "idle  after offset 4",
    }
    for stream, (topic, record) in records.items():
        produce(kafka, topic, [record])
        (shown,) = lines(journey("tail", stream, "--from-beginning", "--until-end", "--json"))
        assert shown["topic"] == topic
        assert wording[stream] in journey("tail", stream, "--from-beginning", "--until-end").stdout


def test_a_forgotten_customer_and_bytes_that_are_no_record(journey: Any, kafka: Any, topics: Topics) -> None:
    produce(kafka, topics.customers, [CODEC.customer_forgotten("me"), Encoded(b"me", b"[garbage]", [])])
    output = journey("tail", "customers", "--from-beginning", "--until-end").stdout
    assert "me  forgotten" in output
    assert "me  cannot be read" in output


def test_contents_are_never_taken_as_markup(journey: Any) -> None:
    assert journey("emit", "[bold]A[/bold]", "--customer", "[red]me").exit_code == 0
    shown = journey("tail", "touchpoints", "--from-beginning", "--until-end").stdout
    assert "[red]me  [bold]A[/bold]" in shown


def test_a_topic_that_does_not_exist_is_named(journey: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEY_PREFIX", "nowhere")
    result = journey("tail", "signals")
    assert result.exit_code == 1
    assert "nowhere.signals.v1 does not exist" in result.stderr


def test_topics_commands(journey: Any, topics: Topics) -> None:
    assert "All topics are as they should be." in journey("topics", "check").stdout
    assert journey("topics", "set", topics.touchpoints, "message.timestamp.type=CreateTime").exit_code == 0
    refused = journey("topics", "check")
    assert refused.exit_code == 1
    assert f"journey topics set {topics.touchpoints} message.timestamp.type=LogAppendTime" in refused.stdout
    assert journey("topics", "create").stdout.count("exists ") == len(topics.specs())
    assert journey("topics", "set", "other", "a=b").exit_code == 2
    assert journey("topics", "set", topics.touchpoints, "nonsense=1").exit_code == 1
