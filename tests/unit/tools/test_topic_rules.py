"""What is said of topics that differ, without a broker."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from streams.contracts.topics import DAY_MS, HOUR_MS, MODEL_MAX_BYTES, Topics
from streams.tools.topics import Found, Problem, compare

TOPICS = Topics()


def as_created(partitions: int = 4) -> dict[str, Found]:
    defaults = {"retention.ms": str(7 * DAY_MS), "max.message.bytes": "1048588", "retention.bytes": "-1"}
    return {
        spec.name: Found(partitions if spec.partitions == "input" else 1, 1, {**defaults, **spec.configs()})
        for spec in TOPICS.specs()
    }


def changed(topic: str, **settings: str) -> list[Problem]:
    found = as_created()
    configs = {**found[topic].configs, **{name.replace("_", "."): value for name, value in settings.items()}}
    found[topic] = dataclasses.replace(found[topic], configs=configs)
    return compare(TOPICS, TOPICS.specs(), found)


def test_topics_as_created_are_right() -> None:
    assert compare(TOPICS, TOPICS.specs(), as_created()) == []


def test_names_carry_prefix_and_app() -> None:
    topics = Topics(app="shop", prefix="emea")
    assert topics.touchpoints == "emea.touchpoints.v1"
    assert topics.state == "emea.shop-state.v1"
    assert topics.journal == "emea.shop-journal.v1"
    assert topics.learner_state == "emea.shop-learner-state.v1"
    assert len({spec.name for spec in topics.specs()}) == 13


def test_the_journal_outlives_the_touchpoints() -> None:
    for retention in (HOUR_MS, 30 * DAY_MS):
        by_name = {spec.name: spec for spec in TOPICS.specs(retention_ms=retention)}
        kept = by_name[TOPICS.journal].retention_ms
        assert kept is not None
        assert kept > retention
    for_ever = {spec.name: spec for spec in TOPICS.specs(retention_ms=-1)}
    assert for_ever[TOPICS.journal].retention_ms == -1


Change = Callable[[], list[Problem]]


@pytest.mark.parametrize(
    ("change", "gravity", "says", "command"),
    [
        (
            lambda: changed(TOPICS.touchpoints, message_timestamp_type="CreateTime"),
            "refused",
            "CreateTime",
            "journey topics set journey.touchpoints.v1 message.timestamp.type=LogAppendTime",
        ),
        (
            lambda: changed(TOPICS.state, cleanup_policy="delete"),
            "refused",
            "the last value of each key must stay",
            "journey topics set journey.journey-state.v1 cleanup.policy=compact",
        ),
        (
            lambda: changed(TOPICS.state, cleanup_policy="compact,delete"),
            "refused",
            "compact,delete",
            "journey topics set journey.journey-state.v1 cleanup.policy=compact",
        ),
        (
            lambda: changed(TOPICS.touchpoints, cleanup_policy="compact"),
            "refused",
            "every record is needed",
            "journey topics set journey.touchpoints.v1 cleanup.policy=delete",
        ),
        (
            lambda: changed(TOPICS.touchpoints, max_message_bytes="2000000"),
            "refused",
            "1114124",
            "journey topics set journey.dead-letters.v1 max.message.bytes=2065536",
        ),
        (
            lambda: changed(TOPICS.journal, retention_ms=str(DAY_MS)),
            "refused",
            "the journal as long as",
            f"journey topics set journey.journey-journal.v1 retention.ms={30 * DAY_MS}",
        ),
        (
            lambda: changed(TOPICS.touchpoints, retention_ms="-1"),
            "refused",
            "the journal as long as",
            "journey topics set journey.journey-journal.v1 retention.ms=-1",
        ),
        (
            lambda: changed(TOPICS.journal, retention_bytes="1000"),
            "refused",
            "retention.bytes",
            "journey topics set journey.journey-journal.v1 retention.bytes=-1",
        ),
        (
            lambda: changed(TOPICS.models, max_message_bytes="1048588"),
            "refused",
            "a model of the largest size",
            f"journey topics set journey.models.v1 max.message.bytes={MODEL_MAX_BYTES}",
        ),
        (
            lambda: changed(TOPICS.learner_state, cleanup_policy="delete"),
            "refused",
            "the last value of each key must stay",
            "journey topics set journey.journey-learner-state.v1 cleanup.policy=compact",
        ),
        (
            lambda: changed(TOPICS.state, segment_bytes="1073741824"),
            "advice",
            "segment.bytes",
            "journey topics set journey.journey-state.v1 segment.bytes=67108864",
        ),
    ],
)
def test_each_difference_has_its_command(change: Change, gravity: str, says: str, command: str) -> None:
    (problem,) = change()
    assert problem.gravity == gravity
    assert says in problem.message
    assert problem.command == command
    assert command in str(problem)


def test_numbers_are_compared_as_numbers() -> None:
    assert changed(TOPICS.state, min_cleanable_dirty_ratio="0.10") == []
    assert changed(TOPICS.dead_letters, max_message_bytes="9000000") == []
    assert changed(TOPICS.journal, retention_ms="-1") == []


def test_partitions_that_differ() -> None:
    found = as_created(8)
    for name, partitions in ((TOPICS.state, 4), (TOPICS.signals, 4), (TOPICS.triggers, 16), (TOPICS.definitions, 2)):
        found[name] = dataclasses.replace(found[name], partitions=partitions)
    by_topic = {problem.topic: problem for problem in compare(TOPICS, TOPICS.specs(), found)}
    assert set(by_topic) == {TOPICS.state, TOPICS.signals, TOPICS.triggers, TOPICS.definitions}
    assert all(problem.gravity == "refused" for problem in by_topic.values())
    assert "--alter --topic journey.signals.v1 --partitions 8" in by_topic[TOPICS.signals].command
    assert "--delete --topic journey.triggers.v1" in by_topic[TOPICS.triggers].command
    assert "create --partitions 8 --app journey-2" in by_topic[TOPICS.state].command


def test_fewer_replicas_than_the_input_are_advice_and_come_after_what_is_refused() -> None:
    found = as_created()
    found[TOPICS.touchpoints] = dataclasses.replace(found[TOPICS.touchpoints], replication=3)
    del found[TOPICS.journal]
    problems = compare(TOPICS, TOPICS.specs(), found)
    assert [problem.topic for problem in problems if problem.gravity == "refused"] == [TOPICS.journal]
    assert problems[0].gravity == "refused"
    assert any(problem.topic == TOPICS.state and "replica" in problem.message for problem in problems[1:])
