"""Transactions and the changelog on a real broker: fenced, aborted, sent again, restored to the very end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from streams.cli import app as cli
from streams.contracts.topics import Topics
from streams.definitions.load import load_files, load_texts
from streams.settings import Settings, load
from streams.worker import marker as markers
from streams.worker.changelog import last_marker, restore
from streams.worker.definitions_topic import publish, published, resume
from streams.worker.marker import Marker
from streams.worker.outcomes import Fenced, OpenCancelled, OutcomeUnknown, Refused
from streams.worker.transactions import Message, Outcome, PartitionProducer
from tests.conftest import Kafka, own_broker
from tests.support.engines import define
from tests.support.produce import records

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """It is killed."""
    yield from own_broker(tmp_path_factory)


@pytest.fixture
def settings(kafka: Kafka, topics: Topics) -> Settings:
    return load(
        {"JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap, "JOURNEY_APP": topics.app, "JOURNEY_PREFIX": topics.prefix}
    )


def producer(settings: Settings, name: str = "p") -> PartitionProducer:
    made = PartitionProducer(settings.kafka, settings.batch, f"{settings.prefix}-{name}")
    made.init()
    return made


def marker(sequence: int) -> Message:
    value = markers.encode(
        Marker(sequence=sequence, offset=sequence, next=sequence + 1, topic_id="t", definition=1, start_issuing_at=0)
    )
    return Message("", 0, markers.KEY, value)


def write(made: PartitionProducer, topic: str, sequence: int, *profiles: tuple[bytes, bytes | None]) -> Outcome:
    messages = [Message(topic, 0, markers.PROFILE + key, value) for key, value in profiles]
    made.send([*messages, marker(sequence)._replace(topic=topic)])
    return made.finish()


def test_a_restore_reads_what_is_committed_to_the_very_end(settings: Settings, topics: Topics) -> None:
    made = producer(settings)
    for sequence in range(1, 30):
        write(made, topics.state, sequence, (b"a", b"%d" % sequence), (b"b%d" % sequence, b"x"))
    write(made, topics.state, 30, (b"b1", None), (b"b2", None))
    other = Producer({"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": f"{settings.prefix}-other"})
    other.init_transactions()
    other.begin_transaction()
    other.produce(topics.state, b"never", b"pz", 0)
    other.flush()
    other.abort_transaction()
    found = restore(settings, topics.state, 0)
    assert found.marker is not None
    assert found.marker.sequence == 30
    assert found.profiles == {b"pa": b"29"} | {b"pb%d" % n: b"x" for n in range(3, 30)}
    assert found.records == 29 * 3 + 3
    assert restore(settings, topics.state, 1).marker is None


def test_the_marker_is_found_however_far_from_the_end_it_is(settings: Settings, topics: Topics) -> None:
    made = producer(settings)
    write(made, topics.state, 1)
    made.send([Message(topics.state, 0, b"p%d" % n, b"x") for n in range(3_000)])
    assert made.finish() is Outcome.COMMITTED
    found = last_marker(settings, topics.state, 0, lambda: False)
    assert found is not None
    assert found.sequence == 1
    assert last_marker(settings, topics.state, 2, lambda: False) is None


def test_a_restore_can_be_cancelled(settings: Settings, topics: Topics) -> None:
    with pytest.raises(OpenCancelled):
        restore(settings, topics.state, 0, cancelled=lambda: True)


def test_the_former_owner_can_commit_nothing_more(settings: Settings, topics: Topics) -> None:
    former = producer(settings)
    former.send([Message(topics.state, 0, b"pa", b"former"), marker(1)._replace(topic=topics.state)])
    owner = producer(settings)
    assert write(owner, topics.state, 2, (b"a", b"owner")) is Outcome.COMMITTED
    with pytest.raises(Fenced):
        former.finish()
    former.send([Message(topics.state, 0, b"pa", b"again")])
    with pytest.raises(Fenced):
        former.finish()
    assert restore(settings, topics.state, 0).profiles == {b"pa": b"owner"}


def test_the_same_bytes_go_out_again_after_a_definite_abort(settings: Settings, topics: Topics, kafka: Kafka) -> None:
    made = producer(settings)
    messages = [Message(topics.state, 0, b"p%d" % n, b"value") for n in range(50)]
    made.send(messages)
    # What the broker never answered for: the transaction cannot be committed.
    made._producer.purge()
    assert made.finish() is Outcome.ABORTED
    made.send(messages)
    assert made.finish() is Outcome.COMMITTED
    assert len(records(kafka.bootstrap, topics.state)) == 50


def test_a_broker_that_is_killed_in_the_middle_leaves_the_marker_to_decide(
    settings: Settings, topics: Topics, kafka: Kafka
) -> None:
    made = producer(settings)
    assert write(made, topics.state, 1, (b"a", b"1")) is Outcome.COMMITTED
    made.send([Message(topics.state, 0, b"pa", b"2"), marker(2)._replace(topic=topics.state)])
    kafka.kill()
    kafka.start()
    try:
        committed = made.finish() is Outcome.COMMITTED
    except (OutcomeUnknown, Fenced):
        producer(settings)
        found = last_marker(settings, topics.state, 0, lambda: False)
        committed = found is not None and found.sequence == 2
    state = restore(settings, topics.state, 0).profiles
    assert state == {b"pa": b"2" if committed else b"1"}


def test_definitions_get_growing_numbers_and_the_same_content_no_new_one(settings: Settings, topics: Topics) -> None:
    one = define("journeys: {j: {type: use, goal: {event: G}, stages: {s: {on: [A]}}}}")
    two = define("journeys: {j: {type: use, goal: {event: G}, stages: {s: {on: [B]}}}}")
    assert publish(settings, topics, one)[:2] == (1, True)
    assert publish(settings, topics, one)[:2] == (1, False)
    assert publish(settings, topics, two)[:2] == (2, True)
    assert publish(settings, topics, one)[:2] == (3, True)
    assert [(p.number, p.digest) for p in published(settings, topics)] == [
        (1, one.digest), (2, two.digest), (3, one.digest),
    ]  # fmt: skip


ACTIONS = """
journeys: {j: {type: use, goal: {event: G}, stages: {s: {on: [A]}}}}
actions:
  a: {when: {signal: stage_entered}, channel: email, value: 2, expires_after: 1h}
"""
MORE = "  b: {when: {signal: goal_reached}, channel: email, value: 1, expires_after: 1h}\n"


def test_an_action_is_paused_until_it_is_resumed_whatever_is_applied(
    settings: Settings, topics: Topics, tmp_path: Path
) -> None:
    def command(*words: str, ends: int = 0) -> list[str]:
        options = ["--bootstrap", settings.kafka.bootstrap, "--prefix", topics.prefix, "--app", topics.app]
        result = CliRunner().invoke(cli, [*words, *options])
        assert result.exit_code == ends, result.output
        return str(result.output).splitlines()

    def paused() -> list[str]:
        newest = published(settings, topics)[-1]
        definition = load_texts(newest.sources, newest.number)
        assert definition.digest == newest.digest
        return [action.name for action in definition.actions if action.paused]

    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(f"version: 1\n{ACTIONS}")
    two.write_text(f"version: 1\n{ACTIONS}{MORE}")
    assert "holds no definition" in command("pause", "a", ends=1)[0]
    command("definitions", "apply", str(two))
    assert "has no action 'aa' (did you mean 'a'?)" in command("pause", "aa", ends=1)[0]
    assert command("resume", "a") == ["1  a was not paused."]
    assert command("pause", "a") == ["2  a is paused; `journey resume a` lets it go on."]
    assert command("pause", "a") == ["2  a is paused already; `journey resume a` lets it go on."]
    command("pause", "b")
    assert paused() == ["a", "b"]
    listed = [line.split(maxsplit=2)[-1] for line in command("definitions", "show")]
    assert listed == [
        "two.yaml",
        "two.yaml  paused: a",
        "two.yaml  paused: a, b",
    ]
    assert command("definitions", "show", "2")[-4:] == [
        "# journey pause", "# `journey resume ACTION` lets it go on.", "version: 1", 'paused: ["a"]',
    ]  # fmt: skip
    # The same files again are what is in force; others keep the pauses of actions that they have.
    assert command("definitions", "apply", str(two))[0].startswith("3  unchanged")
    assert command("definitions", "apply", str(one)) == [
        "4  published",
        "a stays paused; `journey resume a` lets it go on.",
        "b was paused and is no action any more: its pause is dropped.",
    ]
    assert paused() == ["a"]
    assert command("resume", "a") == ["5  a goes on."]
    assert paused() == []
    assert published(settings, topics)[-1].digest == load_files([one]).digest
    one.write_text(one.read_text().replace("value: 2", "value: 2, paused: true"))
    command("definitions", "apply", str(one))
    assert "is paused by its own file" in command("resume", "a", ends=1)[0]


def test_a_partition_that_is_none_cannot_be_resumed(settings: Settings, topics: Topics) -> None:
    with pytest.raises(Refused, match="has the partitions 0 to 3"):
        resume(settings, topics, 4)
    nowhere = Topics(app=topics.app, prefix="nowhere")
    with pytest.raises(Refused, match=r"nowhere\.touchpoints\.v1"):
        resume(settings, nowhere, 0)
