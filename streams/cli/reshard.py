"""``journey reshard``: move a deployment to another number of partitions, step by step.

Owns the options and the messages; the steps are in ``streams.tools.reshard``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail

if TYPE_CHECKING:
    from streams.tools.reshard.survey import Survey

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Move to another number of partitions: plan, prepare, switch, drain, fence, copy, verify. "
    "JOURNEY_PARTITIONING names the partitioning that is left.",
)

Partitions = Annotated[int, typer.Option(min=1, help="How many partitions the touchpoints are to have.")]
Within = Annotated[float, typer.Option(min=0.0, help="Seconds to wait for the workers.")]


@app.command()
def plan(partitions: Partitions, bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Say what would be done, and whether anything keeps the deployment from moving. Nothing is changed."""
    from streams.tools.reshard import steps
    from streams.tools.reshard.survey import ends, survey, unread

    connection = connected(bootstrap, prefix, application)
    with _told():
        found = survey(connection.settings)
        steps.check_movable(found, partitions)
        old, new = found.old, found.new
        typer.echo(f"{old.topics.touchpoints}: {old.partitions} partitions, {sum(ends(old).values())} offsets")
        typer.echo(f"{new.topics.touchpoints}: {partitions} partitions, with topics of its own for all that follows")
        typer.echo(f"not processed yet: {sum(unread(old).values())} touchpoints")
        typer.echo("one-partition topics (definitions, models, examples) and the learner stay as they are")
        for line in (
            "1. prepare   makes the topics; nothing else notices",
            "2. switch    holds the old idle clocks, opens the new touchpoints; then point producers there",
            "3. drain     closes the old touchpoints when nobody writes there, waits until all are processed",
            "4. fence     with the old workers stopped: nobody goes on with the old state",
            "5. copy      every profile and customer view to where its key belongs",
            f"6. verify    then start the workers with JOURNEY_PARTITIONING={new.topics.partitioning}",
        ):
            typer.echo(line)
        _next(found)


@app.command()
def prepare(
    partitions: Partitions, bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None
) -> None:
    """Make the new topics, closed to producers and to workers."""
    from streams.tools.reshard import steps

    connection = connected(bootstrap, prefix, application)
    with _told():
        found = steps.prepare(connection.settings, partitions, typer.echo)
        # Producers ask the registry for the subjects of the new topics before any worker has registered them.
        replace(connection, settings=found.new.settings).schemas("write")
        _next(found)


@app.command()
def switch(within: Within = 60.0, bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Hold the old idle clocks and open the new touchpoints. From here on there is no way back."""
    from streams.tools.reshard import steps

    connection = connected(bootstrap, prefix, application)
    with _told():
        _next(steps.switch(connection.settings, connection.schemas("write"), typer.echo, within_s=within))


@app.command()
def drain(
    quiet: Annotated[float, typer.Option(min=0.0, help="Seconds in which nobody may have written.")] = 10.0,
    within: Within = 300.0,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Close the old touchpoints and wait until all of them are processed."""
    from streams.tools.reshard import steps

    connection = connected(bootstrap, prefix, application)
    with _told():
        _next(steps.drain(connection.settings, typer.echo, quiet_s=quiet, within_s=within))


@app.command()
def fence(bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Take the old state out of use, for good. The old workers must be stopped."""
    from streams.tools.reshard import steps

    connection = connected(bootstrap, prefix, application)
    with _told():
        _next(steps.fence(connection.settings, typer.echo))


@app.command()
def copy(bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Bring the state into the new partitions; killed, it is run again."""
    from streams.tools.reshard.copy import copy as copied
    from streams.tools.reshard.survey import survey

    connection = connected(bootstrap, prefix, application)
    with _told():
        copied(connection.settings, connection.schemas("write"), typer.echo)
        _next(survey(connection.settings))


@app.command()
def verify(bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Compare what was copied with its source; exit 1 if anything differs."""
    from streams.tools.reshard.verify import verify as verified

    connection = connected(bootstrap, prefix, application)
    with _told():
        verdict = verified(connection.settings)
        source = verdict.source
        typer.echo(f"{source.profiles} profiles, {source.timers} with a timer, {source.triggers} open triggers")
        for fault in verdict.faults:
            typer.echo(fault)
        if not verdict.equal:
            fail("The copy is not its source. Keep all topics and report it.")
        typer.echo("The copy is its source, byte by byte, each profile where it belongs.")


@app.command()
def status(bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """How far the move has come, and what is next."""
    from streams.tools.reshard.survey import survey

    connection = connected(bootstrap, prefix, application)
    with _told():
        found = survey(connection.settings)
        typer.echo(f"done: {found.stage.name.lower()}")
        _next(found)


def _next(found: Survey) -> None:
    typer.echo(f"next: {found.next}")


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong, in words; each step can be run again."""
    import logging

    from confluent_kafka import KafkaException

    from streams.contracts.registry import RegistryError
    from streams.tools.replay.kafka import ReplayError
    from streams.tools.reshard.merge import Unlike
    from streams.tools.reshard.survey import ReshardError
    from streams.tools.topics import TopicsError
    from streams.worker.logs import LIBRDKAFKA
    from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused

    # What goes wrong is said below; what the client repeats by itself is nobody's business.
    LIBRDKAFKA.addHandler(logging.NullHandler())
    try:
        yield
    except Fenced as error:
        fail(f"Another such command has taken over: {error}")
    except OutcomeUnknown as error:
        fail(f"It is not certain whether the last transaction was committed ({error}). Run the command again.")
    except (ReshardError, TopicsError, RegistryError, ReplayError, Unlike, Refused, ValueError) as error:
        fail(str(error))
    except KafkaException as error:
        fail(
            f"Kafka does not answer as it should: {error.args[0].name()} {error.args[0].str()}. Run the command again."
        )
