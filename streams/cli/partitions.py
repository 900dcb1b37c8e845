"""``journey partitions``: resume what dead letters have paused."""

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
