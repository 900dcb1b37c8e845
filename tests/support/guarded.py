"""A broker with locks: passwords (SASL/PLAIN), encryption (TLS by a certificate made here) and rights (ACLs).

Owns its server settings, its users and its certificate. By ``inside`` the tests come in unasked and may do everything;
by ``password`` and ``encrypted`` a user comes in with a password and may do what an ACL allows.
"""

from __future__ import annotations

import datetime
import ipaddress
import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.tools.embedded import EmbeddedKafka
from streams.tools.embedded.process import free_port

Door = Literal["password", "encrypted"]
PROTOCOLS: Final[dict[Door, str]] = {"password": "SASL_PLAINTEXT", "encrypted": "SASL_SSL"}
PASSWORDS: Final = {
    "operator": "all-of-it",
    "worker": "its-own-part",
    "learner": "only-labels",
    "reader": "only-looking",
}
SILENT: Final = logging.getLogger("tests.silent")
LOGIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key and certificate in one) for 127.0.0.1, signed by itself, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority, both = folder / "authority.pem", folder / "broker.pem"
    authority.write_bytes(public)
    both.write_bytes(private + public)
    return authority, both


class GuardedKafka:
    """Started and stopped as an ``EmbeddedKafka``; ``inside``, ``password`` and ``encrypted`` are addresses."""

    def __init__(self, folder: Path) -> None:
        ports = [free_port() for _ in range(4)]
        inside, password, encrypted, controller = (f"127.0.0.1:{port}" for port in ports)
        users = " ".join(f'user_{name}="{secret}"' for name, secret in PASSWORDS.items())
        self.authority, both = certificate(folder)
        doors = f"PLAINTEXT://{inside},PASSWORD://{password},ENCRYPTED://{encrypted}"
        self.kafka = EmbeddedKafka(
            folder / "kafka",
            ports[0],
            properties={
                "listeners": f"{doors},CONTROLLER://{controller}",
                "advertised.listeners": doors,
                "controller.quorum.voters": f"1@{controller}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "PASSWORD:SASL_PLAINTEXT,ENCRYPTED:SASL_SSL",
                "inter.broker.listener.name": "PLAINTEXT",
                "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.password.plain.sasl.jaas.config": f"{LOGIN} required {users};",
                "listener.name.encrypted.plain.sasl.jaas.config": f"{LOGIN} required {users};",
                "listener.name.encrypted.ssl.keystore.type": "PEM",
                "listener.name.encrypted.ssl.keystore.location": str(both),
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS;User:operator",
            },
        )
        self.inside = inside
        self.doors: dict[Door, str] = {"password": password, "encrypted": encrypted}

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.inside}, logger=SILENT)

    def settings(self, user: str, door: Door, **instead: str) -> dict[str, str]:
        """What a process of ours is given in its environment."""
        given = {
            "BOOTSTRAP": self.doors[door],
            "SECURITY_PROTOCOL": PROTOCOLS[door],
            "SASL_MECHANISM": "PLAIN",
            "SASL_USERNAME": user,
            "SASL_PASSWORD": PASSWORDS[user],
        } | ({"SSL_CA": str(self.authority)} if door == "encrypted" else {})
        return {f"JOURNEY_KAFKA_{name}": value for name, value in (given | instead).items()}

    def allow(self, user: str, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """A name that ends with a star stands for all that begin so."""
        pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
        self._create(
            AclBinding(kind, name.rstrip("*"), pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
            for operation in operations
        )

    def deny(self, user: str, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """Whatever else is allowed."""
        literal = ResourcePatternType.LITERAL
        self._create([AclBinding(kind, name, literal, f"User:{user}", "*", operation, AclPermissionType.DENY)])

    def forget(self, user: str) -> None:
        """Every right of the user, and everything that is denied."""
        every = AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            f"User:{user}",
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for future in self.admin.delete_acls([every]).values():
            future.result()

    def _create(self, bindings: Iterable[AclBinding]) -> None:
        for future in self.admin.create_acls(list(bindings)).values():
            future.result()
