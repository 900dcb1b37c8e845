"""What has to change so that topics are as wanted: made in place, or refused with what to do instead.

Pure: topics as they are and as they are to be go in, changes and refusals come out. Refused is what Kafka cannot change
in place, and what would let a broker delete records that it would keep now (a shorter retention).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from streams.contracts.topics import CLOSED_BYTES, DAY_MS, INPUT_MAX_BYTES, Topics, TopicSpec
from streams.tools.topics import Found, same, shorter
from streams.tools.topology.wanted import Wanted

What = Literal["create", "partitions", "config"]
ABSENT: Final = "absent"
PARTITIONS: Final = 4
RETENTION_MS: Final = 30 * DAY_MS
SAFE: Final = 2
"""Copies that must have a record where there are three or more: one broker may be down."""


@dataclass(frozen=True, slots=True)
class Change:
    """One that can be made in place."""

    topic: str
    what: What
    setting: str
    have: str
    want: str

    def __str__(self) -> str:
        if self.what == "create":
            return f"+ {self.topic}: {self.want}"
        return f"~ {self.topic}: {self.setting} {self.have} -> {self.want}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A difference that is left, why, and what mends it."""

    topic: str
    setting: str
    have: str
    want: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"! {self.topic}: {self.setting} is {self.have}, wanted {self.want}: {self.why}.\n    {self.remedy}"


@dataclass(frozen=True, slots=True)
class TopicPlan:
    specs: dict[str, TopicSpec]
    """Name -> spec with the wanted settings."""
    partitions: int
    replication: int
    least: int | None
    """``min.insync.replicas``; None: the brokers' own."""
    changes: list[Change] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def number(self, spec: TopicSpec) -> int:
        return self.partitions if spec.partitions == "input" else 1

    def configs(self, spec: TopicSpec) -> dict[str, str]:
        """Everything to set when that topic is made."""
        return {**spec.configs(), **({} if self.least is None else {"min.insync.replicas": str(self.least)})}


def compare(topics: Topics, wanted: Wanted, found: Mapping[str, Found]) -> TopicPlan:
    """``found``: those topics of the deployment that exist."""
    source = found.get(topics.touchpoints)
    # What exists decides how many partitions the others have: they follow record by record.
    partitions = source.partitions if source is not None else wanted.partitions or PARTITIONS
    replication = wanted.replication or (source.replication if source is not None else 1)
    retention, largest = wanted.retention_ms, wanted.input_max_bytes
    if retention is None:
        retention = _number(source, "retention.ms", RETENTION_MS)
    if largest is None:
        largest = _number(source, "max.message.bytes", INPUT_MAX_BYTES)
    specs = {spec.name: spec for spec in topics.specs(retention_ms=retention, input_max_bytes=largest)}
    least = wanted.min_insync_replicas or (SAFE if replication > SAFE else None)
    plan = TopicPlan(specs, partitions, replication, least)
    if wanted.partitions is not None and wanted.partitions != partitions:
        plan.refusals.append(
            Refusal(
                topics.touchpoints, "partitions", str(partitions), str(wanted.partitions),
                "customers would hash to other partitions than those that their state is in",
                f"journey reshard plan --partitions {wanted.partitions}",
            )
        )  # fmt: skip
    for spec in specs.values():
        topic = found.get(spec.name)
        if topic is None:
            settings = ", ".join(f"{name}={value}" for name, value in sorted(plan.configs(spec).items()))
            text = f"{plan.number(spec)} partition(s), {replication} replica(s), {settings}"
            plan.changes.append(Change(spec.name, "create", "topic", ABSENT, text))
        else:
            _shape(plan, topics, spec, topic)
            _Settings(plan, topics, spec, topic, wanted, retention).compare()
    return plan


def _shape(plan: TopicPlan, topics: Topics, spec: TopicSpec, topic: Found) -> None:
    have, want = topic.partitions, plan.number(spec)
    if have < want and spec.name not in {topics.state, topics.journal}:
        plan.changes.append(Change(spec.name, "partitions", "partitions", str(have), str(want)))
    elif have != want:
        if spec.name in {topics.state, topics.journal}:
            why, remedy = "the state was made for another number of partitions", "journey reshard plan"
        else:
            why = "Kafka takes no partition away"
            remedy = f"kafka-topics.sh --delete --topic {spec.name} (with all its records); then journey topics apply"
        plan.refusals.append(Refusal(spec.name, "partitions", str(have), str(want), why, remedy))
    if topic.replication != plan.replication:
        plan.refusals.append(
            Refusal(
                spec.name, "replicas", str(topic.replication), str(plan.replication),
                "brokers move replicas by a plan of their own",
                "kafka-reassign-partitions.sh --execute (with a plan that names the replicas of each partition)",
            )
        )  # fmt: skip


@dataclass(slots=True)
class _Settings:
    """The settings of one topic that exists."""

    plan: TopicPlan
    topics: Topics
    spec: TopicSpec
    topic: Found
    wanted: Wanted
    retention: int
    """Of the touchpoints as wanted."""

    def compare(self) -> None:
        for name, want in self.plan.configs(self.spec).items():
            match name:
                case "cleanup.policy":
                    self._cleanup(want)
                case "retention.ms":
                    self._retention(want)
                case "max.message.bytes":
                    self._largest(int(want))
                case "min.insync.replicas":
                    self._least(int(want))
                case "retention.bytes":
                    if _number(self.topic, name, -1) >= 0:
                        self._change(name, want)
                case _:
                    if not same(self.topic.configs.get(name), want):
                        self._change(name, want)

    def _change(self, name: str, want: str) -> None:
        have = self.topic.configs.get(name, ABSENT)
        self.plan.changes.append(Change(self.spec.name, "config", name, have, want))

    def _refuse(self, name: str, want: str, why: str) -> None:
        have = self.topic.configs.get(name, ABSENT)
        remedy = f"journey topics set {self.spec.name} {name}={want} (if that is meant)"
        self.plan.refusals.append(Refusal(self.spec.name, name, have, want, why, remedy))

    def _cleanup(self, want: str) -> None:
        have = self.topic.configs.get("cleanup.policy")
        if have == "compact" and want == "delete":
            self._refuse("cleanup.policy", want, "the brokers would begin to delete records by their age")
        elif have != want:
            self._change("cleanup.policy", want)

    def _retention(self, want: str) -> None:
        have = _number(self.topic, "retention.ms", RETENTION_MS)
        journal, asked = self.spec.name == self.topics.journal, self.wanted.retention is not None
        if shorter(have, int(want)):
            if asked or (journal and shorter(have, self.retention)):
                self._change("retention.ms", want)
        elif shorter(int(want), have) and asked and not journal:
            self._refuse("retention.ms", want, "the brokers would delete records that they keep now")

    def _largest(self, want: int) -> None:
        have = _number(self.topic, "max.message.bytes", INPUT_MAX_BYTES)
        exact = self.spec.name == self.topics.touchpoints
        if exact and have == CLOSED_BYTES:
            # By whoever moves the deployment to another number of partitions: who opens it, loses what is sent there.
            if self.wanted.touchpoint_bytes is not None:
                self._refuse("max.message.bytes", str(want), "it was closed by journey reshard")
            return
        if (exact and have != want and self.wanted.touchpoint_bytes is not None) or (not exact and have < want):
            self._change("max.message.bytes", str(want))

    def _least(self, want: int) -> None:
        have = _number(self.topic, "min.insync.replicas", 1)
        if have < want or (have > want and self.wanted.min_insync_replicas is not None):
            self._change("min.insync.replicas", str(want))


def _number(topic: Found | None, name: str, otherwise: int) -> int:
    return otherwise if topic is None else int(topic.configs.get(name, otherwise))
