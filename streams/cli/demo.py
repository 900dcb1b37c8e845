"""``journey demo``: the options, and what is said when something is in the way."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import fail

WITHOUT_TERMINAL = 6_000


def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Where data are kept between starts. Default: JOURNEY_DATA, else .journey.")
    ] = None,
    time_scale: Annotated[
        float,
        typer.Option(min=1, max=3_600, help="The definition's durations and the customers' pace, divided by this."),
    ] = 60.0,
    customers: Annotated[int, typer.Option(min=1, max=1_000_000, help="Simulated customers.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 1,
    touchpoints: Annotated[
        int | None,
        typer.Option(min=1, help=f"Stop after so many and check. Without a terminal: {WITHOUT_TERMINAL}."),
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Of the topics, at the first start.")] = 4,
    definition: Annotated[
        list[Path] | None, typer.Option(help="Definition file; default: the shipped shop and service desk.")
    ] = None,
) -> None:
    """A whole deployment on this machine: a real Kafka, the worker, simulated customers, and a live view.

    Ctrl-C stops everything in order. Another start goes on with the state it had; delete the folder to begin anew.
    """
    from rich.console import Console

    from streams.definitions.load import DefinitionFaults
    from streams.settings import SettingsError, load
    from streams.tools.demo.run import Options, run
    from streams.tools.embedded.errors import EmbeddedError
    from streams.tools.topics import TopicsError

    console = Console(highlight=False)
    limit = touchpoints
    if limit is None and not (console.is_terminal and sys.stdin.isatty()):
        limit = WITHOUT_TERMINAL
    try:
        data = folder or load(os.environ).data
    except SettingsError as error:
        fail(f"The settings are wrong:\n{error}", 2)
    os.environ["JOURNEY_DATA"] = str(data)
    # A polite end is an end in order, however it is asked for.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(data, time_scale, customers, seed, limit, partitions, tuple(definition or ()))
    try:
        status = run(options, console)
    except KeyboardInterrupt:
        console.print("stopped before it was complete")
        status = 130
    except (EmbeddedError, TopicsError, DefinitionFaults) as error:
        fail(str(error))
    raise typer.Exit(status)
