"""Every setting of the worker and the tools: type, default, meaning; read from the environment and an optional file.

Owns the names. ``Settings.kafka.bootstrap`` is ``JOURNEY_KAFKA_BOOTSTRAP`` in the environment and ``bootstrap`` under
``kafka`` in the file that ``JOURNEY_SETTINGS`` names (TOML or YAML). The environment wins over the file, options of
the command win over both. A secret may be given as a file: ``JOURNEY_KAFKA_SASL_PASSWORD_FILE=/run/secrets/password``.
How values are parsed and refused is in ``settings_source.py``.
"""

# ruff: noqa: RUF009 - the calls in the classes make dataclass fields, with their meaning as metadata
from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from streams.engine import formats
from streams.settings_source import (
    Secret,
    SettingsError,
    choice,
    count,
    duration,
    flag,
    gather,
    moment,
    moment_ms,
    path,
    port,
    printed,
    secret,
    share,
    size,
    text,
    whole,
    without_credentials,
)

__all__ = ["KafkaSettings", "Secret", "Settings", "SettingsError", "load"]

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
LogFormat = Literal["auto", "json", "text"]

ENVIRONMENT: Final = "JOURNEY_"
FILE: Final = "JOURNEY_SETTINGS"
KEY_LEAST: Final = 32
"""Characters: 128 bits where it is hexadecimal."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach Kafka; the same for every client that the project opens."""

    bootstrap: str = text("127.0.0.1:9092", "Brokers to ask first, host:port separated by commas.")
    security_protocol: SecurityProtocol = choice(
        "PLAINTEXT", ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), "Encryption and authentication of the brokers."
    )
    sasl_mechanism: SaslMechanism = choice(
        "SCRAM-SHA-512", ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), "Used where security_protocol begins with SASL."
    )
    sasl_username: str | None = text(None, "User for SASL.")
    sasl_password: Secret | None = secret("Password for SASL.")
    ssl_ca: Path | None = path("Certificates (PEM) that sign the brokers'; without it those of the system.")
    ssl_certificate: Path | None = path("This client's certificate (PEM), for mutual TLS.")
    ssl_key: Path | None = path("Private key of ssl_certificate (PEM).")
    ssl_key_password: Secret | None = secret("Password of ssl_key.")
    ssl_check_hostname: bool = flag(True, "Refuse a broker whose certificate names another host.")
    client_id: str = text("journey", "Name of the clients in the brokers' logs and quotas.")

    @property
    def encrypted(self) -> bool:
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def authenticated(self) -> bool:
        return self.security_protocol.startswith("SASL")

    def librdkafka(self, **more: Any) -> dict[str, Any]:
        """Configuration for every confluent-kafka client; ``more`` is added (underscores as in librdkafka's dots)."""
        config: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "client.id": self.client_id}
        if self.security_protocol != "PLAINTEXT":
            config["security.protocol"] = self.security_protocol
        if self.authenticated:
            config["sasl.mechanism"] = self.sasl_mechanism
            config["sasl.username"] = self.sasl_username
            config["sasl.password"] = self.sasl_password.reveal() if self.sasl_password else ""
        if self.encrypted:
            if self.ssl_ca:
                config["ssl.ca.location"] = str(self.ssl_ca)
            if self.ssl_certificate:
                config["ssl.certificate.location"] = str(self.ssl_certificate)
            if self.ssl_key:
                config["ssl.key.location"] = str(self.ssl_key)
            if self.ssl_key_password:
                config["ssl.key.password"] = self.ssl_key_password.reveal()
            config["ssl.endpoint.identification.algorithm"] = "https" if self.ssl_check_hostname else "none"
        return config | {name.replace("_", "."): value for name, value in more.items()}

    def ssl_context(self) -> ssl.SSLContext | None:
        """What Python's own TLS needs (aiokafka); None without encryption."""
        if not self.encrypted:
            return None
        context = ssl.create_default_context(cafile=str(self.ssl_ca) if self.ssl_ca else None)
        context.check_hostname = self.ssl_check_hostname
        if self.ssl_certificate:
            password = self.ssl_key_password.reveal() if self.ssl_key_password else None
            context.load_cert_chain(str(self.ssl_certificate), str(self.ssl_key) if self.ssl_key else None, password)
        return context

    def aiokafka(self) -> dict[str, Any]:
        """Keyword arguments for an aiokafka client."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
        }
        if self.encrypted:
            arguments["ssl_context"] = self.ssl_context()
        if self.authenticated:
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_username
            arguments["sasl_plain_password"] = self.sasl_password.reveal() if self.sasl_password else ""
        return arguments

    def faust_credentials(self) -> Any:
        """Credentials object for a Faust app; None where none are needed."""
        from faust.auth import SASLCredentials, SSLCredentials  # noqa: PLC0415 - slow to import, not needed by the tools

        if self.authenticated:
            return SASLCredentials(
                username=self.sasl_username,
                password=self.sasl_password.reveal() if self.sasl_password else "",
                mechanism=self.sasl_mechanism,
                ssl_context=self.ssl_context(),
            )
        context = self.ssl_context()
        return SSLCredentials(context=context) if context else None

    def faults(self) -> list[str]:
        found = []
        if self.authenticated and not (self.sasl_username and self.sasl_password):
            found.append(
                f"JOURNEY_KAFKA_SECURITY_PROTOCOL is {self.security_protocol}: set JOURNEY_KAFKA_SASL_USERNAME and "
                "JOURNEY_KAFKA_SASL_PASSWORD (or JOURNEY_KAFKA_SASL_PASSWORD_FILE)"
            )
        if not self.authenticated and (self.sasl_username or self.sasl_password):
            found.append(
                f"JOURNEY_KAFKA_SASL_USERNAME or _PASSWORD is set, but JOURNEY_KAFKA_SECURITY_PROTOCOL is "
                f"{self.security_protocol}: expected SASL_SSL or SASL_PLAINTEXT"
            )
        if self.ssl_key and not self.ssl_certificate:
            found.append("JOURNEY_KAFKA_SSL_KEY is set without JOURNEY_KAFKA_SSL_CERTIFICATE")
        for part in self.bootstrap.split(","):
            host, _, number = part.strip().rpartition(":")
            if not host or not number.isdigit():
                found.append(f"JOURNEY_KAFKA_BOOTSTRAP: {part.strip()!r} is not host:port")
        return found


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """The schema registry; without an address the packaged schemas are used and no registry is asked."""

    url: str | None = text(None, "Address of a Confluent-compatible schema registry, for example http://registry:8081.")
    username: str | None = text(None, "User for basic authentication.")
    password: Secret | None = secret("Password for basic authentication.")
    ssl_ca: Path | None = path("Certificates (PEM) that sign the registry's; without it those of the system.")
    wait_ms: int = duration("60s", "How long a start waits for a registry that does not answer.", least="0s")

    def faults(self) -> list[str]:
        if self.url and not self.url.startswith(("http://", "https://")):
            return [f"JOURNEY_REGISTRY_URL: {without_credentials(self.url)!r} does not begin with http:// or https://"]
        return []


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Membership in the consumer group. Static: a worker that comes back within the session keeps its partitions."""

    session_timeout_ms: int = duration("10s", "Silence after which the group takes a worker for dead.", least="1s")
    heartbeat_ms: int = duration(
        "3s", "Time between two heartbeats; at most a third of session_timeout.", least="100ms"
    )
    rebalance_timeout_ms: int = duration("30s", "Time that members have to join a new generation.", least="1s")
    stalled_after_ms: int = duration(
        "60s", "A partition with lag that commits nothing for this long ends the process (it is restarted).", least="5s"
    )
    rebalance_limit_ms: int = duration("120s", "A rebalance longer than this ends the process.", least="10s")

    def faults(self) -> list[str]:
        if self.heartbeat_ms * 3 > self.session_timeout_ms:
            return ["JOURNEY_GROUP_HEARTBEAT must be at most a third of JOURNEY_GROUP_SESSION_TIMEOUT"]
        return []


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How much goes into one step and one transaction: latency against throughput."""

    chunk_records: int = count(500, "Most records that the engine takes between two turns of the event loop.")
    transaction_records: int = count(4_000, "Most touchpoints in a transaction.")
    linger_ms: int = duration("0ms", "How long a transaction waits for more touchpoints.", least="0ms")
    transaction_timeout_ms: int = duration(
        "20s", "Time after which the broker ends the transaction of a dead worker.", least="1s"
    )
    waiting_records: int = count(8_000, "Touchpoints of a partition that wait in memory before its fetching is paused.")
    fetch_pause_ms: int = duration("20ms", "Pause after a fetch that brought little; saves CPU.", least="0ms")
    fetch_wait_ms: int = duration("250ms", "How long the broker holds a fetch that has nothing to bring.", least="10ms")
    fetch_bytes: int = size("1MiB", "Most bytes of a partition in one fetch.")

    def faults(self) -> list[str]:
        found = []
        if self.transaction_records < self.chunk_records:
            found.append("JOURNEY_BATCH_TRANSACTION_RECORDS must be at least JOURNEY_BATCH_CHUNK_RECORDS")
        if self.linger_ms * 4 > self.transaction_timeout_ms:
            found.append("JOURNEY_BATCH_LINGER must be at most a quarter of JOURNEY_BATCH_TRANSACTION_TIMEOUT")
        return found


@dataclass(frozen=True, slots=True)
class DeadLetterSettings:
    """When bad records pause a partition."""

    limit: float = share(0.5, "Share of the window that must be dead letters to pause the partition; 0: never pause.")
    window_records: int = count(1_000, "Records of a partition over which the share is taken.")
    allow_json: bool = flag(False, "Touchpoints may be JSON objects instead of Avro.")
    value_bytes: int = size("1MiB", "Largest touchpoint; larger ones are dead letters.")

    def faults(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class LearnerSettings:
    """``journey learn``, and the key that proves to the workers who has made a model."""

    key: Secret | None = secret(
        "Signs the learner's state and the models that are no plain numbers: the same for learner and workers, at "
        "least 32 characters (`openssl rand -hex 32`)."
    )
    linger_ms: int = duration(
        "2s", "How long the learner collects examples for a transaction; each writes its whole state.", least="0ms"
    )
    port: int = port(9107, "Port of the learner's /metrics, /livez and /readyz.")

    def faults(self) -> list[str]:
        found = []
        if self.key is not None and len(self.key.reveal()) < KEY_LEAST:
            found.append(
                f"JOURNEY_LEARNER_KEY is shorter than {KEY_LEAST} characters; make one with `openssl rand -hex 32`"
            )
        return found


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where /metrics, /livez and /readyz answer."""

    host: str = text("127.0.0.1", "Address to listen on; 0.0.0.0 to be reached from other machines.")
    port: int = port(9108, "Port of /metrics, /livez and /readyz; with `--processes` of all workers together.")

    def faults(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Spans of transactions (docs/metrics.md); the extra ``tracing`` has what they need."""

    endpoint: str | None = text(
        None, "Where spans go: OTLP over HTTP, for example http://collector:4318/v1/traces; empty: no spans."
    )
    sample: float = share(0.01, "Share of the transactions that have a span.")

    def faults(self) -> list[str]:
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            return [f"JOURNEY_TRACING_ENDPOINT: {self.endpoint!r} does not begin with http:// or https://"]
        return []


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. ``load`` makes and checks them."""

    app: str = text(
        "journey", "Name of the application: its own topics, transactional ids; with the prefix the consumer group."
    )
    prefix: str = text("journey", "First part of the topic names.")
    partitioning: int = count(
        1, "Number in the names of the touchpoint topic and what follows its partitions; `journey reshard` raises it."
    )
    state_format: int = whole(
        formats.NEWEST, formats.OLDEST, formats.NEWEST,
        "Format in which state is written. An older one while versions are rolled, so that they can be rolled back.",
    )  # fmt: skip
    instance: str = text("", "Name of this worker, stable over restarts; empty: the host name and the process index.")
    idle_after_ms: int = duration("2s", "Silence after which the clock of a partition moves by itself.", least="100ms")
    start_issuing: str = moment(
        "first start",
        ("first start", "beginning"),
        "From which event time on triggers are issued; before it, history builds state only. Fixed by a partition's "
        "first start.",
    )
    hot_profiles: int = count(20_000, "Profiles of a partition that are kept decoded in memory.")
    accept_loss: bool = flag(False, "Go on although touchpoints or state were lost; counted. See docs/operations.md.")
    drain_within_ms: int = duration("20s", "Time to end open transactions after SIGTERM.", least="1s")
    broker_wait_ms: int = duration("60s", "How long a start waits for brokers that do not answer.", least="0s")
    restart_backoff_ms: int = duration("1s", "First pause before `--processes` restarts a dead worker.", least="0ms")
    restart_backoff_limit_ms: int = duration("30s", "Longest pause before a restart.", least="0ms")
    log_level: str = choice("INFO", ("DEBUG", "INFO", "WARNING", "ERROR"), "Least severe messages to write.")
    log_format: LogFormat = choice("auto", ("auto", "json", "text"), "auto: JSON when stderr is no terminal.")
    data: Path = path("Folder for the embedded broker and downloads.", default=Path(".journey"))
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    group: GroupSettings = field(default_factory=GroupSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    dead_letters: DeadLetterSettings = field(default_factory=DeadLetterSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    learner: LearnerSettings = field(default_factory=LearnerSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)

    @property
    def source(self) -> str:
        """CloudEvents source of everything that this application writes."""
        return f"/journey-streams/{self.app}{self._again('/')}"

    @property
    def group_id(self) -> str:
        """The consumer group: its members must all read the same topic, so the prefix is part of it."""
        return f"{self.prefix}.{self.app}{self._again('.v')}"

    def _again(self, mark: str) -> str:
        """What tells this partitioning from the first; nothing for the first."""
        return f"{mark}{self.partitioning}" if self.partitioning > 1 else ""

    def issuing_from_ms(self, now_ms: int) -> int:
        """``start_issuing`` for a partition that starts for the first time at ``now_ms``."""
        if self.start_issuing == "first start":
            return now_ms
        return 0 if self.start_issuing == "beginning" else moment_ms(self.start_issuing)

    def instance_id(self, index: int = 0) -> str:
        return f"{self.instance or socket.gethostname()}-{index}"

    def faults(self) -> list[str]:
        found = []
        for name, value in (("APP", self.app), ("PREFIX", self.prefix)):
            if not value or not all(c.isascii() and (c.isalnum() or c in "-_") for c in value) or len(value) > 60:
                found.append(f"JOURNEY_{name}: {value!r} must be 1 to 60 of the characters a-z, A-Z, 0-9, - and _")
        for group in (
            self.kafka, self.registry, self.group, self.batch, self.dead_letters, self.http, self.learner,
            self.tracing,
        ):  # fmt: skip
            found += group.faults()
        if self.learner.linger_ms * 4 > self.batch.transaction_timeout_ms:
            found.append("JOURNEY_LEARNER_LINGER must be at most a quarter of JOURNEY_BATCH_TRANSACTION_TIMEOUT")
        return found

    def printed(self) -> dict[str, str]:
        """Name in the environment -> value as text, secrets hidden."""
        return printed(self, ENVIRONMENT)


def load(
    environment: Mapping[str, str],
    *,
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Read and check the settings. ``options``: dotted names (``kafka.bootstrap``) -> texts from the command line.

    Raises ``SettingsError`` with everything that is wrong at once.
    """
    if file is None and environment.get(FILE):
        file = Path(environment[FILE])
    settings, faults = gather(
        Settings, environment=environment, file=file, options=options or {}, prefix=ENVIRONMENT, reserved=(FILE,)
    )
    faults += settings.faults()
    if faults:
        raise SettingsError(faults)
    return settings
