"""``journey pause`` and ``journey resume``: stop an action of the definition in force at once, and let it go on."""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.definitions_apply import deployment
from streams.cli.options import App, Bootstrap, Prefix, fail

if TYPE_CHECKING:
    from streams.contracts.topics import Topics
    from streams.settings import Settings

Name = Annotated[str, typer.Argument(metavar="ACTION", help="Name of the action in the definition.")]


def pause(action: Name, bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Stop an action at once: it is not chosen any more, and what is open of it is cancelled.

    It stays paused until it is resumed, whatever definition is applied meanwhile.
    """
    from streams.worker.paused_actions import pause_action

    number, new = _published(pause_action, action, bootstrap, prefix, application)
    typer.echo(f"{number}  {action} is paused{'' if new else ' already'}; `journey resume {action}` lets it go on.")


def resume(action: Name, bootstrap: Bootstrap = None, prefix: Prefix = None, application: App = None) -> None:
    """Let an action go on that `journey pause` has paused."""
    from streams.worker.paused_actions import resume_action

    number, new = _published(resume_action, action, bootstrap, prefix, application)
    typer.echo(f"{number}  {action} {'goes on.' if new else 'was not paused.'}")


def _published(
    change: Callable[[Settings, Topics, str], tuple[int, bool]],
    action: str,
    bootstrap: str | None,
    prefix: str | None,
    application: str | None,
) -> tuple[int, bool]:
    from confluent_kafka import KafkaException

    from streams.worker.outcomes import Fenced, OutcomeUnknown, Refused

    settings, topics = deployment(bootstrap, prefix, application)
    try:
        return change(settings, topics, action)
    except (KafkaException, Fenced, OutcomeUnknown, Refused) as error:
        fail(f"Not published to {topics.definitions} at {settings.kafka.bootstrap}: {error}")
