"""Topics on a real broker: created, checked, broken in each way that matters, and mended by the stated command."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from streams.contracts.topics import DAY_MS, Topics
from streams.tools.topics import (
    Problem,
    TopicsError,
    check_topics,
    create_topics,
    delete_topics,
    read_topics,
    set_config,
)
from streams.tools.topology.apply import apply, plan
from streams.tools.topology.wanted import Wanted
from tests.support.produce import happened, produce, records

pytestmark = pytest.mark.integration


@pytest.fixture
def admin_config(kafka: Any) -> dict[str, str]:
    return {"bootstrap.servers": kafka.bootstrap}


@pytest.fixture
def nothing(admin_config: dict[str, str]) -> Iterator[Topics]:
    """Names of topics that do not exist."""
    names = Topics(app="shop", prefix=f"t{uuid.uuid4().hex[:10]}")
    yield names
    delete_topics(admin_config, names)


def refused(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.gravity == "refused"]


def test_created_topics_have_no_problem(admin_config: dict[str, str], topics: Topics) -> None:
    assert check_topics(admin_config, topics) == []


def test_creating_again_leaves_all_as_it_is(admin_config: dict[str, str], nothing: Topics) -> None:
    first = create_topics(admin_config, nothing, partitions=3, retention_ms=5 * DAY_MS)
    again = create_topics(admin_config, nothing, partitions=8)
    assert set(first.values()) == {True}
    assert set(again.values()) == {False}
    found = read_topics(admin_config, [nothing.touchpoints, nothing.state, nothing.examples])
    assert {name: topic.partitions for name, topic in found.items()} == {
        nothing.touchpoints: 3,
        nothing.state: 3,
        nothing.examples: 1,
    }
    assert found[nothing.touchpoints].configs["retention.ms"] == str(5 * DAY_MS)
    assert found[nothing.touchpoints].configs["message.timestamp.type"] == "LogAppendTime"
    assert found[nothing.state].configs["cleanup.policy"] == "compact"


def test_missing_topics_are_each_a_problem_with_one_command(admin_config: dict[str, str], nothing: Topics) -> None:
    problems = check_topics(admin_config, nothing)
    assert {problem.topic for problem in problems} == {spec.name for spec in nothing.specs()}
    assert {problem.command for problem in problems} == {
        f"journey topics create --partitions 4 --app shop --prefix {nothing.prefix}"
    }


def test_a_setting_that_breaks_a_promise_is_refused_and_its_command_mends_it(
    admin_config: dict[str, str], topics: Topics
) -> None:
    set_config(admin_config, topics.touchpoints, {"message.timestamp.type": "CreateTime"})
    (problem,) = check_topics(admin_config, topics)
    assert (problem.topic, problem.gravity) == (topics.touchpoints, "refused")
    assert problem.command.startswith(f"journey topics set {topics.touchpoints} message.timestamp.type=LogAppendTime")
    set_config(admin_config, topics.touchpoints, {"message.timestamp.type": "LogAppendTime"})
    assert check_topics(admin_config, topics) == []


def test_an_input_topic_with_more_partitions_than_the_state_is_refused(
    admin_config: dict[str, str], topics: Topics
) -> None:
    admin = AdminClient(admin_config)
    for future in admin.create_partitions([NewPartitions(topics.touchpoints, 6)]).values():
        future.result()
    while read_topics(admin_config, [topics.touchpoints])[topics.touchpoints].partitions < 6:
        time.sleep(0.02)
    by_topic = {problem.topic: problem for problem in refused(check_topics(admin_config, topics))}
    assert "has 4 partitions" in by_topic[topics.state].message
    assert "JOURNEY_APP=test-2" in by_topic[topics.state].command
    assert f"--alter --topic {topics.signals} --partitions 6" in by_topic[topics.signals].command
    assert topics.examples not in by_topic


def test_a_larger_input_needs_larger_dead_letters(admin_config: dict[str, str], topics: Topics) -> None:
    set_config(admin_config, topics.touchpoints, {"max.message.bytes": "4000000"})
    (problem,) = check_topics(admin_config, topics)
    assert problem.topic == topics.dead_letters
    assert f"max.message.bytes={4_000_000 + 65_536}" in problem.command


def test_no_broker_is_said_with_the_address_that_was_asked() -> None:
    with pytest.raises(TopicsError, match=r"no Kafka answers at 127\.0\.0\.1:1\b"):
        read_topics({"bootstrap.servers": "127.0.0.1:1"}, [Topics().touchpoints], timeout_s=1)


def test_a_plan_is_applied_without_losing_a_record_and_then_there_is_none(
    admin_config: dict[str, str], nothing: Topics
) -> None:
    """On a broker without an authorizer, so principals cannot be kept and it says so."""
    wanted = Wanted(partitions=3, retention="5d")
    apply(admin_config, plan(admin_config, nothing, wanted))
    assert plan(admin_config, nothing, wanted).empty
    assert check_topics(admin_config, nothing) == []
    produce(admin_config["bootstrap.servers"], nothing, [happened("1", "Product Added")])
    found = plan(admin_config, nothing, Wanted(partitions=6, retention="9d", min_insync_replicas=1, replication=1))
    assert {(change.topic, change.setting) for change in found.topics.changes} == {
        (topic, "retention.ms")
        for topic in (
            nothing.touchpoints, nothing.signals, nothing.triggers, nothing.decisions, nothing.examples,
            nothing.dead_letters, nothing.journal,
        )
    }  # fmt: skip
    assert [refusal.remedy for refusal in found.topics.refusals] == ["journey reshard plan --partitions 6"]
    said: list[str] = []
    apply(admin_config, found, told=said.append)
    assert len(said) == len(found.topics.changes)
    after = read_topics(admin_config, [nothing.touchpoints])[nothing.touchpoints]
    assert (after.partitions, after.configs["retention.ms"]) == (3, str(9 * DAY_MS))
    shorter = plan(admin_config, nothing, Wanted(retention="1d"))
    apply(admin_config, shorter)
    assert read_topics(admin_config, [nothing.touchpoints])[nothing.touchpoints] == after
    assert len(records(admin_config["bootstrap.servers"], nothing.touchpoints, partitions=3)) == 1
    with pytest.raises(TopicsError, match="no authorizer"):
        apply(admin_config, plan(admin_config, nothing, Wanted(principals={"worker": ["engine"]})))
