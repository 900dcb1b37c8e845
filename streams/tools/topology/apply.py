"""Makes what a plan says can be made in place; what it refuses is left as it is.

Owns the order: topics that are missing, more partitions, settings, then rights. Each step may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions

from streams.contracts.topics import Topics
from streams.tools.topics import TIMEOUT_S, TopicsError, admin_client, make_topics, read_topics, set_config, wait, words
from streams.tools.topology import acls, changes
from streams.tools.topology.acls import RightsPlan
from streams.tools.topology.changes import TopicPlan
from streams.tools.topology.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Plan:
    topics: TopicPlan
    rights: RightsPlan

    @property
    def empty(self) -> bool:
        """Nothing to make. What is refused, and rights beyond the roles, may be left."""
        return not (self.topics.changes or self.rights.missing)


def plan(admin_config: Mapping[str, Any], topics: Topics, wanted: Wanted) -> Plan:
    """What is there against what is wanted. Raises ``TopicsError``."""
    found = read_topics(admin_config, [spec.name for spec in topics.specs()])
    rights = RightsPlan()
    if wanted.principals:
        rights = acls.compare(topics, wanted, acls.read_grants(admin_config))
    return Plan(changes.compare(topics, wanted, found), rights)


def apply(
    admin_config: Mapping[str, Any],
    made: Plan,
    *,
    revoke: bool = False,
    told: Callable[[str], None] = lambda _line: None,
) -> None:
    """Raises ``TopicsError``; what was done before stays done, and the command can be run again. ``revoke``: take back
    rights beyond the roles."""
    topics = made.topics
    missing = [topics.specs[change.topic] for change in topics.changes if change.what == "create"]
    if missing:
        make_topics(
            admin_config,
            {spec.name: (topics.number(spec), topics.configs(spec)) for spec in missing},
            replication=topics.replication,
        )
    for change in topics.changes:
        if change.what == "partitions":
            _more_partitions(admin_config, change.topic, int(change.want))
        elif change.what == "config":
            set_config(admin_config, change.topic, {change.setting: change.want})
        told(str(change))
    if made.rights.missing:
        acls.grant_all(admin_config, made.rights.missing)
        for grant in made.rights.missing:
            told(f"+ {grant}")
    if revoke and made.rights.surplus:
        acls.revoke_all(admin_config, made.rights.surplus)
        for grant in made.rights.surplus:
            told(f"- {grant}")


def _more_partitions(admin_config: Mapping[str, Any], topic: str, number: int) -> None:
    admin = admin_client(admin_config)
    try:
        futures = admin.create_partitions(
            [NewPartitions(topic, number)], operation_timeout=TIMEOUT_S, request_timeout=TIMEOUT_S
        )
        for future in futures.values():
            future.result()
    except KafkaException as error:
        raise TopicsError(f"{topic} could not be given more partitions: {words(error, admin_config)}") from error
    wait(
        lambda: read_topics(admin_config, [topic])[topic].partitions >= number,
        f"{topic} was given more partitions, but the brokers do not show them yet. Is every broker up?",
    )
