"""The rights of each role as ACLs of Kafka: those that are missing, those beyond the role, and making them.

Owns the translation of ``contracts.access`` and the look at what the brokers have. Only rights of the given users on
this deployment's names are compared; what others may do is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from streams.contracts.access import ROLES, Right
from streams.contracts.topics import Topics
from streams.tools.topics import TIMEOUT_S, TopicsError, admin_client, words
from streams.tools.topology.wanted import Wanted, principal

KINDS: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}
KIND_NAMES: Final = {kind: name for name, kind in KINDS.items()}
NO_AUTHORIZER: Final = (
    "The brokers have no authorizer (authorizer.class.name): whoever reaches them may do everything, and rights cannot "
    "be kept. Set one, or leave out the principals."
)


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One operation that one user may do (or is denied) on one resource, from any host."""

    user: str
    kind: str
    name: str
    """With a star at its end: all that begin so."""
    operation: str
    denied: bool = False

    def __str__(self) -> str:
        what = "denied" if self.denied else "may"
        return f"{self.user} {what} {self.operation} on {self.kind} {self.name}"

    def binding(self) -> AclBinding:
        pattern = ResourcePatternType.PREFIXED if self.name.endswith("*") else ResourcePatternType.LITERAL
        permission = AclPermissionType.DENY if self.denied else AclPermissionType.ALLOW
        name, operation = self.name.removesuffix("*"), AclOperation[self.operation]
        return AclBinding(KINDS[self.kind], name, pattern, self.user, "*", operation, permission)


@dataclass(frozen=True, slots=True)
class RightsPlan:
    missing: list[Grant] = field(default_factory=list)
    surplus: list[Grant] = field(default_factory=list)
    """Beyond the roles of their users."""
    denied: list[Grant] = field(default_factory=list)
    """What a role needs and an ACL denies: a denial wins over every right."""


def wanted_grants(topics: Topics, wanted: Wanted) -> set[Grant]:
    """Every right that the users of the roles need."""
    found = set()
    for role, users in wanted.principals.items():
        rights = ROLES[role](topics)
        if role == "consumer":
            rights += [Right("group", name, ("READ",)) for name in wanted.consumer_groups]
        for user in users:
            found |= {Grant(principal(user), r.kind, r.name, operation) for r in rights for operation in r.operations}
    return found


def compare(topics: Topics, wanted: Wanted, present: set[Grant]) -> RightsPlan:
    """``present``: what the brokers have for any user."""
    needed = wanted_grants(topics, wanted)
    users = {grant.user for grant in needed}
    ours = {grant for grant in present if grant.user in users and _is_ours(topics, grant)}
    needs = [Right(grant.kind, grant.name, ()) for grant in needed]  # type: ignore[arg-type]  # kinds of our own table
    return RightsPlan(
        sorted(needed - present),
        sorted(grant for grant in ours - needed if not grant.denied),
        sorted(
            grant
            for grant in present
            if grant.denied
            and grant.user in users
            and any(r.kind == grant.kind and r.covers(grant.name) for r in needs)
        ),
    )


def _is_ours(topics: Topics, grant: Grant) -> bool:
    begins = f"{topics.app}-" if grant.kind == "transactional id" else topics.prefix
    return grant.name.startswith(begins)


def read_grants(admin_config: Mapping[str, Any]) -> set[Grant]:
    """All that the brokers have on topics, groups and transactional ids; nothing where they have no authorizer (the
    client does not tell, ``grant_all`` does)."""
    every = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    # The client must outlive the answer: without a reference it ends, and the request with it.
    admin = admin_client(admin_config)
    try:
        found = admin.describe_acls(every, request_timeout=TIMEOUT_S).result()
    except KafkaException as error:
        raise _failed("The rights could not be read", error, admin_config) from error
    return {
        Grant(
            acl.principal,
            KIND_NAMES[acl.restype],
            acl.name + ("*" if acl.resource_pattern_type is ResourcePatternType.PREFIXED else ""),
            acl.operation.name,
            acl.permission_type is AclPermissionType.DENY,
        )
        for acl in found
        if acl.restype in KIND_NAMES and acl.host == "*"
    }


def grant_all(admin_config: Mapping[str, Any], grants: Sequence[Grant]) -> None:
    """Raises ``TopicsError``, as where the brokers have no authorizer."""
    admin = admin_client(admin_config)
    bindings = [grant.binding() for grant in grants]
    try:
        for future in admin.create_acls(bindings, request_timeout=TIMEOUT_S).values():
            future.result()
    except KafkaException as error:
        raise _failed("Rights could not be given", error, admin_config) from error


def revoke_all(admin_config: Mapping[str, Any], grants: Sequence[Grant]) -> None:
    """Exactly these."""
    admin = admin_client(admin_config)
    filters = []
    for grant in grants:
        acl = grant.binding()
        filters.append(
            AclBindingFilter(
                acl.restype, acl.name, acl.resource_pattern_type, acl.principal, acl.host, acl.operation,
                acl.permission_type,
            )
        )  # fmt: skip
    try:
        for future in admin.delete_acls(filters, request_timeout=TIMEOUT_S).values():
            future.result()
    except KafkaException as error:
        raise _failed("Rights could not be taken back", error, admin_config) from error


def _failed(what: str, error: KafkaException, admin_config: Mapping[str, Any]) -> TopicsError:
    code = error.args[0].code()
    if code == KafkaError.SECURITY_DISABLED:
        return TopicsError(NO_AUTHORIZER)
    if code == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        return TopicsError(f"{what}: this user may not ALTER or DESCRIBE the cluster, which whoever gives rights must.")
    return TopicsError(f"{what}: {words(error, admin_config)}")
