"""``journey definitions``: the group of commands about definitions, with those that need no broker.

Owns ``schema`` and ``variables``. Commands that talk to Kafka register themselves on ``app`` from their own module.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Definitions: their schema, variables, publication.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of definition files, for editors."""
    from streams.definitions.schema import json_schema  # noqa: PLC0415 - only this command needs it

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command()
def variables(
    scope: Annotated[
        str | None, typer.Option(help="event (in `where`), customer (segments, leave_when, dates) or action.")
    ] = None,
) -> None:
    """Print every variable that a CEL condition may read: type, scope, meaning and an example."""
    from rich.console import Console  # noqa: PLC0415 - only this command draws a table
    from rich.table import Table  # noqa: PLC0415

    from streams.definitions.variables import VARIABLES, visible  # noqa: PLC0415

    rows = list(VARIABLES.values())
    match scope:
        case None:
            pass
        case "event" | "customer" | "action":
            rows = list(visible(scope).values())
        case _:
            raise typer.BadParameter(f"{scope!r} is no scope; it is event, customer or action", param_hint="--scope")
    table = Table("variable", "type", "scope", "example", "meaning", box=None, pad_edge=False)
    for variable in rows:
        table.add_row(variable.name, variable.type, variable.scope, variable.example, variable.meaning)
    console = Console(highlight=False)
    if not console.is_terminal:
        # Into a file or a pipe: as wide as it needs to be, one variable a line.
        console = Console(highlight=False, width=200)
    console.print(table, markup=False)
