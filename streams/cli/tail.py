"""``journey tail``: watch what comes out, decoded and committed.

Owns the options and when it ends; reading and wording are in ``streams.tools.tail`` and ``tail_lines``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail


class StreamName(StrEnum):
    """What can be watched (``streams.tools.tail.STREAMS``, here without the import)."""

    TRIGGERS = "triggers"
    SIGNALS = "signals"
    TOUCHPOINTS = "touchpoints"
    CUSTOMERS = "customers"
    DECISIONS = "decisions"
    DEAD_LETTERS = "dead-letters"
    JOURNAL = "journal"
    EXAMPLES = "examples"
    MODELS = "models"


def tail(
    stream: Annotated[StreamName, typer.Argument(help="What to watch.")],
    customer: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="From the oldest record on.")] = False,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop where the topic ends now.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many records.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, complete.")] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Show records as they come, until Ctrl-C; only what is committed."""
    from rich.console import Console

    from streams.contracts.registry import RegistryError
    from streams.contracts.schemas import RegistryUnavailable
    from streams.tools.tail import TailError
    from streams.tools.tail import tail as records
    from streams.tools.tail_lines import json_line, line

    connection = connected(bootstrap, prefix, application)
    console = Console(highlight=False, soft_wrap=True)
    try:
        found = records(
            connection.kafka,
            connection.topics,
            stream.value,
            connection.schemas("read"),
            customer=customer,
            since="beginning" if from_beginning else "now",
            until="end" if until_end else "stopped",
        )
        for number, record in enumerate(found, 1):
            if as_json:
                sys.stdout.write(json_line(record).decode() + "\n")
                sys.stdout.flush()
            else:
                console.print(line(record))
            if number == count:
                break
    except (TailError, RegistryError, RegistryUnavailable) as error:
        fail(str(error))
    except BrokenPipeError:
        # `journey tail … | head` has seen enough; Python flushes at its end, and that must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
