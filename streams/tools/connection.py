"""Which Kafka a command speaks to: what the settings say, else the demo that runs beside it.

Owns that choice and the source of schemas that goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from streams.contracts.schemas import PackagedSchemas, SchemaSource
from streams.contracts.topics import Topics
from streams.settings import ENVIRONMENT, FILE, Settings, load
from streams.tools import home
from streams.tools.home import Demo


@dataclass(frozen=True)
class Connection:
    """A deployment that can be reached."""

    settings: Settings
    demo: Demo | None = None
    """The demo it was found by; None where the settings name it."""

    @property
    def topics(self) -> Topics:
        return Topics(self.settings.app, self.settings.prefix, self.settings.partitioning)

    @property
    def kafka(self) -> dict[str, Any]:
        """Configuration for a confluent-kafka client."""
        return self.settings.kafka.librdkafka()

    def schemas(self, purpose: Literal["read", "write"]) -> SchemaSource:
        """The registry of the settings, else the packaged schemas."""
        registry = self.settings.registry
        if registry.url is None or self.demo is not None:
            return PackagedSchemas()
        from streams.contracts.registry import RegistryOptions, RegistrySchemas, subjects  # noqa: PLC0415 - slow to import

        options = RegistryOptions(
            registry.url,
            registry.username,
            registry.password.reveal() if registry.password else None,
            registry.ssl_ca,
            wait_s=registry.wait_ms / 1000,
        )
        # Commands find what the workers registered; they add nothing.
        source = RegistrySchemas(options, subjects(self.topics), mode="lookup")
        if purpose == "write":
            source.register()
        return source


def connect(
    environment: Mapping[str, str],
    *,
    bootstrap: str | None = None,
    prefix: str | None = None,
    app: str | None = None,
) -> Connection:
    """Raises ``SettingsError`` with everything that is wrong. A demo counts only where no address was given."""
    options = {"kafka.bootstrap": bootstrap, "prefix": prefix, "app": app}
    settings = load(environment, options=options)
    addressed = bootstrap is not None or FILE in environment or f"{ENVIRONMENT}KAFKA_BOOTSTRAP" in environment
    demo = None if addressed else home.read(settings.data)
    if demo is None:
        return Connection(settings)
    found = {"kafka.bootstrap": demo.bootstrap, "prefix": prefix or demo.prefix, "app": app or demo.app}
    return Connection(load(environment, options=found), demo)
