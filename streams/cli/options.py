"""Options that several commands have, and how a command ends with an error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from streams.tools.connection import Connection

Bootstrap = Annotated[
    str | None,
    typer.Option(help="Brokers, host:port with commas. Default: JOURNEY_KAFKA_BOOTSTRAP, else a running demo."),
]
Prefix = Annotated[str | None, typer.Option(help="First part of the topic names. Default: JOURNEY_PREFIX.")]
App = Annotated[str | None, typer.Option("--app", help="Name of the application. Default: JOURNEY_APP.")]


def fail(message: str, code: int = 1) -> NoReturn:
    """Say it on stderr and end."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def connected(bootstrap: str | None, prefix: str | None = None, app: str | None = None) -> Connection:
    """The deployment that the options and settings name; the command ends if they are wrong or no broker answers."""
    from streams.settings import SettingsError  # noqa: PLC0415 - keeps `journey --help` quick
    from streams.tools.brokers import wait_for_brokers  # noqa: PLC0415
    from streams.tools.connection import connect  # noqa: PLC0415
    from streams.worker.outcomes import Refused  # noqa: PLC0415

    try:
        found = connect(os.environ, bootstrap=bootstrap, prefix=prefix, app=app)
        wait_for_brokers(found.settings.kafka, 0.0)
    except SettingsError as error:
        fail(f"The settings are wrong:\n{error}", 2)
    except Refused as refusal:
        fail(str(refusal))
    return found
