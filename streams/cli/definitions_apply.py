"""``journey definitions apply`` and ``show``: the definitions that a deployment's workers follow."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.definitions_group import app
from streams.cli.options import App, Bootstrap, Prefix, connected, fail

if TYPE_CHECKING:
    from streams.contracts.topics import Topics
    from streams.settings import Settings

__all__ = ["app"]


def deployment(bootstrap: str | None, prefix: str | None, application: str | None) -> tuple[Settings, Topics]:
    """Where the options, the settings or a demo that runs here point; the command ends if they are wrong."""
    found = connected(bootstrap, prefix, application)
    return found.settings, found.topics


@app.command()
def apply(
    files: Annotated[list[Path], typer.Argument(help="Definition files; together they are the definition.")],
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Check and publish a definition; workers adopt it between two batches. The same content makes no new number.

    Actions that `journey pause` has paused stay paused.
    """
    from confluent_kafka import KafkaException

    from streams.definitions.load import DefinitionFaults, load_files
    from streams.worker.definitions_topic import publish
    from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused

    try:
        definition = load_files(files)
    except DefinitionFaults as faults:
        fail(str(faults))
    settings, topics = deployment(bootstrap, prefix, application)
    try:
        found = publish(settings, topics, definition)
    except (KafkaException, Fenced, OutcomeUnknown, Refused) as error:
        fail(f"Not published to {topics.definitions} at {settings.kafka.bootstrap}: {error}")
    typer.echo(f"{found.number}  {'published' if found.new else 'unchanged: this is the content in force'}")
    for name in found.paused:
        typer.echo(f"{name} stays paused; `journey resume {name}` lets it go on.")
    for name in found.dropped:
        typer.echo(f"{name} was paused and is no action any more: its pause is dropped.")


@app.command()
def show(
    number: Annotated[int | None, typer.Argument(help="Number of a definition; without it all are listed.")] = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """List the published definitions, or print one."""
    from confluent_kafka import KafkaException

    from streams.definitions.pauses import paused_in, without_overlay
    from streams.worker.definitions_topic import published

    settings, topics = deployment(bootstrap, prefix, application)
    try:
        known = published(settings, topics)
    except KafkaException as error:
        fail(f"{topics.definitions} at {settings.kafka.bootstrap} cannot be read: {error}")
    if number is None:
        for one in known:
            files = ", ".join(name for name, _ in without_overlay(one.sources))
            paused = ", ".join(sorted(paused_in(one.sources)))
            typer.echo(f"{one.number:>4}  {one.digest[:12]}  {files}{f'  paused: {paused}' if paused else ''}")
        return
    for one in known:
        if one.number == number:
            for name, text in one.sources:
                typer.echo(f"# {name}\n{text.rstrip()}")
            return
    fail(f"There is no definition {number}. Published are: {', '.join(str(one.number) for one in known) or 'none'}")
