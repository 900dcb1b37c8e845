"""``journey explain``: why something was done for a customer, or why not.

Owns the options; the search is in ``streams.tools.explain.stories``, the wording in ``words``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail


def explain(
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="A trigger's, decision's or signal's id, or a customer's.")
    ],
    file: Annotated[
        Path | None,
        typer.Option("--file", exists=True, dir_okay=False, help="Output of `journey replay` instead of Kafka."),
    ] = None,
    newest: Annotated[int | None, typer.Option(min=1, help="Only so many of the newest decisions.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each decision, complete.")] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Tell in plain words what could have been done for a customer, what was chosen and why, and what became of it."""
    from rich.console import Console
    from rich.text import Text

    from streams.contracts.registry import RegistryError
    from streams.contracts.schemas import RegistryUnavailable
    from streams.tools.explain.stories import File, Log, NotFoundError, stories
    from streams.tools.explain.words import as_json as whole
    from streams.tools.explain.words import tell
    from streams.tools.tail import TailError

    if file is not None:
        source: File | Log = File(file)
    else:
        connection = connected(bootstrap, prefix, application)
        source = Log(connection.kafka, connection.topics, connection.schemas("read"))
    console = Console(highlight=False)
    try:
        for number, story in enumerate(stories(source, wanted, newest=newest)):
            if as_json:
                sys.stdout.write(whole(story).decode() + "\n")
                continue
            if number:
                console.print()
            for part in tell(story):
                console.print(part, soft_wrap=isinstance(part, Text))
    except (NotFoundError, TailError, RegistryError, RegistryUnavailable, ValueError) as error:
        fail(str(error.args[0]) if isinstance(error, NotFoundError) else str(error))
