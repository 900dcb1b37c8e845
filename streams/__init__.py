"""journey-streams: a real-time engine for customer journeys on Kafka."""

__version__ = "0.1.0"
