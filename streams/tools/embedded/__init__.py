"""A real Apache Kafka and a real schema registry from wheels and Maven artifacts: no Docker, no Java to install."""

from streams.tools.embedded.errors import EmbeddedError
from streams.tools.embedded.kafka import EmbeddedKafka
from streams.tools.embedded.registry import EmbeddedRegistry

__all__ = ["EmbeddedError", "EmbeddedKafka", "EmbeddedRegistry"]
