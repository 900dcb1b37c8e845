"""The Faust application: group membership, rebalances and one agent that hands chunks to the shell.

Owns the Faust settings and the services that are left out: Faust's web server, its producer, its leader election and
the second that its table manager sleeps at every start.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import faust
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager

from streams.settings import KafkaSettings, Settings
from streams.worker.shell import Shell

BUFFERED_CHUNKS: Final = 16
COMMIT_S: Final = 2.0


class _Boot(BootStrategy):  # type: ignore[misc]  # Faust publishes no types
    enable_kafka_producer = False
    enable_web = False


class _Tables(TableManager):  # type: ignore[misc]
    async def on_start(self) -> None:
        """As Faust's, without the second it waits for tables: there are none."""
        await self._update_channels()
        await self.recovery.start()


class JourneyApp(faust.App):  # type: ignore[misc]
    BootStrategy = _Boot
    owner: Shell
    intake: str
    """The topic that is consumed."""

    def _create_directories(self) -> None:
        """Nothing is kept on disk."""


def broker_urls(kafka: KafkaSettings) -> list[str]:
    return [f"journey://{address.strip()}" for address in kafka.bootstrap.split(",")]


def make_app(settings: Settings, shell: Shell, instance: str, intake: str) -> JourneyApp:
    group = settings.group
    app = JourneyApp(
        settings.group_id,
        broker=broker_urls(settings.kafka),
        broker_credentials=settings.kafka.faust_credentials(),
        broker_client_id=settings.kafka.client_id,
        # Static membership: a worker that is back within the session keeps its partitions, nobody else notices.
        consumer_group_instance_id=instance,
        broker_session_timeout=group.session_timeout_ms / 1000,
        broker_heartbeat_interval=group.heartbeat_ms / 1000,
        broker_rebalance_timeout=group.rebalance_timeout_ms / 1000,
        broker_request_timeout=max(30.0, group.session_timeout_ms / 500),
        broker_max_poll_interval=1_000.0,
        broker_commit_interval=COMMIT_S,
        broker_commit_every=1_000_000_000,
        store="memory://",
        TableManager=_Tables,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_CHUNKS,
        stream_recovery_delay=0.0,
        datadir=str(Path(tempfile.gettempdir()) / f"journey-{settings.app}-{instance}"),
        autodiscover=False,
    )
    app.owner = shell
    app.intake = intake
    topic = app.topic(intake, key_type=bytes, value_type=bytes, value_serializer="raw")

    @app.agent(topic, concurrency=1, name="journey-intake")  # type: ignore[untyped-decorator]
    async def deliver(stream: Any) -> None:
        # Not acknowledged here: a chunk is done when its transaction is, and owners report that themselves.
        async for event in stream.noack().events():
            shell.deliver(event.message)

    return app
