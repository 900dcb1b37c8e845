"""``journey partitions``: where each stands, and resuming what dead letters have paused."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.definitions_apply import deployment
from streams.cli.options import App, Bootstrap, Prefix, fail

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Partitions of the touchpoint topic.")


@app.callback()
def partitions() -> None:
    """Partitions of the touchpoint topic."""


@app.command()
def resume(
    partition: Annotated[int, typer.Argument(min=0, help="Number of the partition that is paused.")],
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Let a partition go on that was paused by too many dead letters; its owner reads the command within a second."""
    from confluent_kafka import KafkaException

    from streams.worker.definitions_topic import resume as send
    from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused

    settings, topics = deployment(bootstrap, prefix, application)
    try:
        send(settings, topics, partition)
    except (KafkaException, Fenced, OutcomeUnknown, Refused) as error:
        fail(f"Not sent to {topics.definitions} at {settings.kafka.bootstrap}: {error}")
    typer.echo(f"Partition {partition} of {topics.touchpoints} is told to go on.")


@app.command()
def show(bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """What the marker of each partition says: format of its state, definition, next offset, time, and why it stands."""
    from datetime import UTC, datetime

    from confluent_kafka import KafkaException

    from streams.tools.replay.log import partitions_of
    from streams.worker.changelog import last_marker

    settings, topics = deployment(bootstrap, prefix, application)
    try:
        for number in range(partitions_of(settings, topics.state)):
            marker = last_marker(settings, topics.state, number, lambda: False)
            if marker is None:
                typer.echo(f"{number}: never opened")
                continue
            time = "none"
            if marker.watermark is not None:
                time = datetime.fromtimestamp(marker.watermark / 1000, UTC).isoformat(timespec="milliseconds")
            why = f", paused: {marker.paused.reason}" if marker.paused is not None else ""
            why += f", moved to partitioning {marker.moved_to}" if marker.moved_to else ""
            why += f", awaits its state from partitioning {marker.awaits}" if marker.awaits else ""
            typer.echo(
                f"{number}: format {marker.format}, definition {marker.definition}, next offset {marker.next}, "
                f"watermark {time}{why}"
            )
    except (KafkaException, ValueError) as error:
        fail(f"The markers in {topics.state} at {settings.kafka.bootstrap} cannot be read: {error}")
