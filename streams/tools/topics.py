"""Creates the topics of a deployment and checks them: each difference with the command that mends it.

The worker calls ``check_topics`` at its start, ``journey topics`` both. Nothing here changes a topic that exists,
except ``set_config``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from streams.contracts.topics import DEAD_LETTER_ALLOWANCE, MODEL_MAX_BYTES, Topics, TopicSpec

TIMEOUT_S: Final = 15.0

# What librdkafka says goes to whoever configures logging, not straight to the terminal.
_log = logging.getLogger("streams.kafka.admin")
_log.addHandler(logging.NullHandler())

Gravity = Literal["refused", "advice"]
"""``refused``: a promise does not hold, the worker does not start. ``advice``: it works, at a cost."""


@dataclass(frozen=True)
class Problem:
    """One difference between what a topic is and what it must be."""

    topic: str
    gravity: Gravity
    message: str
    command: str
    """What mends it."""

    def __str__(self) -> str:
        return f"{self.topic}: {self.message}\n    {self.command}"


class TopicsError(Exception):
    """The topics could not be read or made; the text says why and what to do."""


@dataclass(frozen=True)
class Found:
    """A topic as the broker has it."""

    partitions: int
    replication: int
    configs: Mapping[str, str]


def create_topics(
    admin_config: Mapping[str, Any],
    topics: Topics,
    *,
    partitions: int = 4,
    replication: int = 1,
    retention_ms: int | None = None,
) -> dict[str, bool]:
    """Make what is missing; topic -> whether it was made (else it was there). What is there is left alone."""
    specs = topics.specs() if retention_ms is None else topics.specs(retention_ms=retention_ms)
    # Two of three: one broker may be down, and what was acknowledged is on two.
    safety = {"min.insync.replicas": "2"} if replication >= 3 else {}
    wanted = {
        spec.name: (partitions if spec.partitions == "input" else 1, {**spec.configs(), **safety}) for spec in specs
    }
    return make_topics(admin_config, wanted, replication=replication)


def make_topics(
    admin_config: Mapping[str, Any], wanted: Mapping[str, tuple[int, dict[str, str]]], *, replication: int
) -> dict[str, bool]:
    """Topic -> whether it was made (else it was there). ``wanted``: name -> (partitions, settings)."""
    admin = admin_client(admin_config)
    topics = [
        NewTopic(name, num_partitions=number, replication_factor=replication, config=configs)
        for name, (number, configs) in wanted.items()
    ]
    made: dict[str, bool] = {}
    for name, future in admin.create_topics(topics, operation_timeout=TIMEOUT_S, request_timeout=TIMEOUT_S).items():
        try:
            future.result()
            made[name] = True
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsError(f"{name} could not be created: {words(error, admin_config)}") from error
            made[name] = False
    new = {topic.topic: topic.num_partitions for topic in topics if made[topic.topic]}
    wait(lambda: not new or _usable(admin, new), "The topics were created, but have no leader yet. Is every broker up?")
    return made


def delete_topics(admin_config: Mapping[str, Any], topics: Topics) -> None:
    """Every topic of the deployment that exists, with all its records."""
    admin = admin_client(admin_config)
    names = [spec.name for spec in topics.specs()]
    for future in admin.delete_topics(names, operation_timeout=TIMEOUT_S, request_timeout=TIMEOUT_S).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicsError(f"A topic could not be deleted: {words(error, admin_config)}") from error


def set_config(admin_config: Mapping[str, Any], topic: str, settings: Mapping[str, str]) -> None:
    """Change settings of one topic and leave its others."""
    admin = admin_client(admin_config)
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    try:
        for future in admin.incremental_alter_configs([resource], request_timeout=TIMEOUT_S).values():
            future.result()
    except KafkaException as error:
        raise TopicsError(f"{topic} could not be changed: {words(error, admin_config)}") from error

    def seen() -> bool:
        have = read_topics(admin_config, [topic])[topic].configs
        return all(same(have.get(name), value) for name, value in settings.items())

    wait(seen, f"{topic} was changed, but the brokers do not show it yet. Is every broker up?")


def check_topics(
    admin_config: Mapping[str, Any], topics: Topics, *, used_by: Literal["engine", "anyone"] = "anyone"
) -> list[Problem]:
    """Every difference, those that keep a worker from starting first. TopicsError if the broker does not tell.
    ``used_by="engine"``: only the topics that worker and learner need."""
    specs = [spec for spec in topics.specs() if used_by == "anyone" or spec.used_by == "engine"]
    return compare(topics, specs, read_topics(admin_config, [spec.name for spec in specs]))


def read_topics(admin_config: Mapping[str, Any], names: list[str], *, timeout_s: float = TIMEOUT_S) -> dict[str, Found]:
    """Those of ``names`` that exist."""
    admin = admin_client(admin_config)
    try:
        metadata = admin.list_topics(timeout=timeout_s).topics
        there = [name for name in names if name in metadata]
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
        futures = admin.describe_configs(resources, request_timeout=timeout_s) if resources else {}
        configs = {
            resource.name: {name: str(entry.value) for name, entry in future.result().items()}
            for resource, future in futures.items()
        }
    except KafkaException as error:
        raise TopicsError(f"The topics could not be read: {words(error, admin_config)}") from error
    return {
        name: Found(
            len(metadata[name].partitions),
            min((len(partition.replicas) for partition in metadata[name].partitions.values()), default=0),
            configs[name],
        )
        for name in there
    }


def compare(topics: Topics, specs: list[TopicSpec], found: Mapping[str, Found]) -> list[Problem]:
    """The rules, without a broker."""
    source = found.get(topics.touchpoints)
    problems: list[Problem] = []
    for spec in specs:
        topic = found.get(spec.name)
        if topic is None:
            partitions = source.partitions if source is not None else 4
            gravity: Gravity = "refused" if spec.used_by == "engine" else "advice"
            problems.append(
                Problem(spec.name, gravity, "does not exist.", _journey(topics, f"create --partitions {partitions}"))
            )
            continue
        problems += _partitions(topics, spec, topic, source)
        problems += _settings(topics, spec, topic, source)
        if source is not None and topic.replication < source.replication:
            problems.append(
                Problem(
                    spec.name,
                    "advice",
                    f"has {topic.replication} replica(s), {topics.touchpoints} has {source.replication}.",
                    "kafka-reassign-partitions.sh (with a plan that names more replicas)",
                )
            )
    problems.sort(key=lambda problem: problem.gravity != "refused")
    return problems


def _partitions(topics: Topics, spec: TopicSpec, topic: Found, source: Found | None) -> list[Problem]:
    if spec.partitions == "one":
        if topic.partitions == 1:
            return []
        return [
            Problem(
                spec.name,
                "refused",
                f"has {topic.partitions} partitions; its order is only defined with 1.",
                f"kafka-topics.sh --delete --topic {spec.name}; then {_journey(topics, 'create')}",
            )
        ]
    if source is None or topic.partitions == source.partitions:
        return []
    message = f"has {topic.partitions} partitions, {topics.touchpoints} has {source.partitions}."
    if spec.name in {topics.state, topics.journal}:
        # More partitions of the input send known customers to other partitions than their state.
        return [
            Problem(
                spec.name,
                "refused",
                message + " The state was made for another partitioning and cannot be divided anew.",
                f"{_journey(topics, f'create --partitions {source.partitions}', app=topics.app + '-2')}"
                f"; then run the workers with JOURNEY_APP={topics.app}-2 (they build the state from the touchpoints)",
            )
        ]
    if topic.partitions < source.partitions:
        mend = f"kafka-topics.sh --alter --topic {spec.name} --partitions {source.partitions}"
    else:
        mend = f"kafka-topics.sh --delete --topic {spec.name}; then {_journey(topics, 'create')}"
    return [Problem(spec.name, "refused", message, mend)]


def _settings(topics: Topics, spec: TopicSpec, topic: Found, source: Found | None) -> list[Problem]:
    problems: list[Problem] = []

    def differs(gravity: Gravity, name: str, want: str, why: str) -> None:
        have = topic.configs.get(name, "not set")
        problems.append(
            Problem(
                spec.name,
                gravity,
                f"{name} is {have}, not {want}: {why}",
                _journey(topics, f"set {spec.name} {name}={want}"),
            )
        )

    if topic.configs.get("cleanup.policy") != spec.cleanup:
        why = "the last value of each key must stay." if spec.cleanup == "compact" else "every record is needed."
        differs("refused", "cleanup.policy", spec.cleanup, why)
    for name, want in spec.required.items():
        if name == "max.message.bytes":
            continue
        if topic.configs.get(name) != want:
            differs("refused", name, want, "the record's time bounds event time, and a producer must not set it.")
    for name, want in spec.advised.items():
        if name not in {"max.message.bytes", "retention.bytes"} and not same(topic.configs.get(name), want):
            differs("advice", name, want, "a restart reads more of the changelog than it needs to.")
    if spec.name == topics.dead_letters and source is not None:
        want_bytes = _number(source, "max.message.bytes") + DEAD_LETTER_ALLOWANCE
        if _number(topic, "max.message.bytes") < want_bytes:
            differs("refused", "max.message.bytes", str(want_bytes), "a touchpoint of the largest size must fit in.")
    if spec.name == topics.models and _number(topic, "max.message.bytes") < MODEL_MAX_BYTES:
        differs("refused", "max.message.bytes", str(MODEL_MAX_BYTES), "a model of the largest size must fit in.")
    if spec.name == topics.journal and source is not None:
        if shorter(_number(topic, "retention.ms"), _number(source, "retention.ms")):
            want_ms = source.configs["retention.ms"]
            differs("refused", "retention.ms", want_ms, "a replay needs the journal as long as the touchpoints.")
        if _number(topic, "retention.bytes") >= 0:
            differs("refused", "retention.bytes", "-1", "a replay needs the journal as long as the touchpoints.")
    return problems


def _number(topic: Found, name: str) -> int:
    return int(topic.configs.get(name, "-1"))


def shorter(one: int, other: int) -> bool:
    """Of two retentions, where a negative one means for ever."""
    return one >= 0 and (other < 0 or one < other)


def same(have: str | None, want: str) -> bool:
    """Of two values of a setting, which brokers may write differently."""
    if have is None:
        return False
    try:
        return float(have) == float(want)
    except ValueError:
        return have == want


def admin_client(config: Mapping[str, Any]) -> AdminClient:
    return AdminClient(dict(config), logger=_log)


def _usable(admin: AdminClient, wanted: Mapping[str, int]) -> bool:
    """Whether every partition's leader answers for it: known to all is a leader before it has begun to lead."""
    places = {
        TopicPartition(name, number): OffsetSpec.earliest()
        for name, partitions in wanted.items()
        for number in range(partitions)
    }
    try:
        for future in admin.list_offsets(places, request_timeout=TIMEOUT_S).values():
            future.result()
    except KafkaException:
        return False  # of several kinds while a leader settles; the wait ends with a time limit
    return True


def wait(done: Callable[[], bool], otherwise: str) -> None:
    """A change reaches the brokers a moment after the controller took it."""
    until = time.monotonic() + TIMEOUT_S
    while not done():
        if time.monotonic() > until:
            raise TopicsError(otherwise)
        time.sleep(0.02)


def _journey(topics: Topics, rest: str, app: str | None = None) -> str:
    """A command line of ours that names the same deployment."""
    standard = Topics()
    name = app or topics.app
    options = f" --app {name}" if name != standard.app else ""
    options += f" --prefix {topics.prefix}" if topics.prefix != standard.prefix else ""
    return f"journey topics {rest}{options}"


def words(error: KafkaException, admin_config: Mapping[str, Any]) -> str:
    """What a broker said, with the address that was asked and never a secret."""
    cause = error.args[0]
    where = admin_config.get("bootstrap.servers", "?")
    code = cause.code()
    if code in {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}:
        return f"no Kafka answers at {where}. Is it running, and is the address right (JOURNEY_KAFKA_BOOTSTRAP)?"
    if code in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}:
        return f"{where} refuses it to this user ({cause.str()}). The rights that are needed: docs/operations.md"
    return f"{where} says: {cause.str()}"
