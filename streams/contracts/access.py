"""Which role may do what on a deployment's topics, groups and transactional ids: its access rules, as one table.

Owns the rights that docs/operations.md lists under Permissions. ``streams.worker.rights`` asks the brokers for those of
worker and learner, ``streams.tools.acls`` compares and makes them. Operations are named as Kafka's ACLs have them; READ
and WRITE imply DESCRIBE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from streams.contracts.topics import Topics

Role = Literal["worker", "learner", "producer", "consumer", "operator"]
Kind = Literal["topic", "group", "transactional id"]
Operation = Literal["READ", "WRITE", "CREATE", "ALTER", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]


@dataclass(frozen=True, slots=True)
class Right:
    """What may be done with a resource. A name that ends with a star stands for all that begin so."""

    kind: Kind
    name: str
    operations: tuple[Operation, ...]

    def covers(self, name: str) -> bool:
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name


def of_the_worker(topics: Topics, *, publishes: bool = True) -> list[Right]:
    """``publishes``: it may be started with a definition to put into its topic."""
    own: Mapping[str, tuple[Operation, ...]] = {
        topics.touchpoints: ("READ",),
        topics.definitions: ("READ", "WRITE") if publishes else ("READ",),
        topics.state: ("READ", "WRITE"),
        topics.journal: ("READ", "WRITE"),
        topics.models: ("READ",),
        topics.learner_state: ("DESCRIBE",),
    }
    names = [spec.name for spec in topics.specs() if spec.used_by == "engine"]
    return [Right("topic", name, (*own.get(name, ("WRITE",)), "DESCRIBE_CONFIGS")) for name in names] + [
        Right("group", f"{topics.prefix}.{topics.app}{_again(topics)}", ("READ",)),
        Right("transactional id", f"{topics.app}-*", ("WRITE", "DESCRIBE")),
    ]


def _again(topics: Topics) -> str:
    return f".v{topics.partitioning}" if topics.partitioning > 1 else ""


def of_the_learner(topics: Topics) -> list[Right]:
    return [
        Right("topic", topics.examples, ("READ", "DESCRIBE_CONFIGS")),
        Right("topic", topics.definitions, ("READ", "DESCRIBE_CONFIGS")),
        Right("topic", topics.models, ("READ", "WRITE", "DESCRIBE_CONFIGS")),
        Right("topic", topics.learner_state, ("READ", "WRITE", "DESCRIBE_CONFIGS")),
        Right("topic", f"{topics.prefix}.*", ("DESCRIBE", "DESCRIBE_CONFIGS")),
        Right("group", f"{topics.prefix}.{topics.app}-learner", ("READ",)),
        Right("transactional id", f"{topics.app}-{topics.examples}-0", ("WRITE", "DESCRIBE")),
    ]


def of_a_producer(topics: Topics) -> list[Right]:
    """An app that writes touchpoints and sends back outcomes."""
    return [Right("topic", topics.touchpoints, ("WRITE",))]


def of_a_consumer(topics: Topics) -> list[Right]:
    """A system that acts on triggers, or analyses what was found. Its groups begin with the prefix and a dash."""
    read = (topics.triggers, topics.signals, topics.decisions, topics.customers)
    return [*(Right("topic", name, ("READ",)) for name in read), Right("group", f"{topics.prefix}-*", ("READ",))]


def of_an_operator(topics: Topics) -> list[Right]:
    """Whoever runs the commands. Rights are given by who may ALTER the cluster, which no role of ours needs."""
    every: tuple[Operation, ...] = ("READ", "WRITE", "CREATE", "ALTER", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS")
    return [
        Right("topic", f"{topics.prefix}.*", every),
        Right("group", f"{topics.prefix}.*", ("READ", "DESCRIBE")),
        Right("group", "journey-*", ("READ",)),  # of commands that only look
        Right("transactional id", f"{topics.app}-*", ("WRITE", "DESCRIBE")),
    ]


ROLES: Final[Mapping[Role, Callable[[Topics], list[Right]]]] = {
    "worker": of_the_worker,
    "learner": of_the_learner,
    "producer": of_a_producer,
    "consumer": of_a_consumer,
    "operator": of_an_operator,
}


def on_topics(rights: Iterable[Right], topics: Topics) -> dict[str, tuple[Operation, ...]]:
    """Each topic of worker and learner -> what those rights let do with it, without what is implied."""
    granted = [right for right in rights if right.kind == "topic"]
    found: dict[str, tuple[Operation, ...]] = {}
    for spec in topics.specs():
        operations = [op for right in granted if right.covers(spec.name) for op in right.operations]
        if spec.used_by == "engine" and operations:
            found[spec.name] = tuple(dict.fromkeys(operations))
    return found
