"""The ``journey`` command: one module for each group of commands, imported only when it is called.

Owns the table of commands; each module owns its options and messages.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: Final[dict[str, str]] = {
    # command: module:typer app or function
    "demo": "streams.cli.demo:demo",
    "run": "streams.cli.run:run",
    "learn": "streams.cli.learn:learn",
    "partitions": "streams.cli.partitions:app",
    "dead-letters": "streams.cli.dead_letters:app",
    "validate": "streams.cli.definitions_validate:validate",
    "definitions": "streams.cli.definitions_apply:app",
    "pause": "streams.cli.pause:pause",
    "resume": "streams.cli.pause:resume",
    "features": "streams.cli.features:features",
    "emit": "streams.cli.emit:emit",
    "tail": "streams.cli.tail:tail",
    "explain": "streams.cli.explain:explain",
    "topics": "streams.cli.topics:app",
    "backup": "streams.cli.backup:backup",
    "restore": "streams.cli.backup:restore",
    "capacity": "streams.cli.capacity:capacity",
    "reshard": "streams.cli.reshard:app",
    "kafka": "streams.cli.kafka:app",
    "replay": "streams.cli.replay:replay",
    "report": "streams.cli.report:report",
    "import": "streams.cli.import_:import_",
    "simulate": "streams.cli.simulate:simulate",
}


class LazyGroup(TyperGroup):
    """Imports a command's module when the command is named, so that ``journey --help`` is quick."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is click's
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is click's
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        found: Any = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command(name=cmd_name)(found)
            found = app
        command = get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def journey() -> None:
    """Follow customers through their journeys on Kafka: find who is stuck, decide what helps, say so once."""


def main() -> None:
    app()
