"""``journey learn``: the learner.

Owns the options and what is said before the learner logs by itself.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, fail


def learn(
    settings: Annotated[Path | None, typer.Option(help="File with settings (TOML or YAML); JOURNEY_SETTINGS.")] = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on although examples or what was learned are lost.")
    ] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
    index: Annotated[int, typer.Option(min=0, help="Number of this learner on its host: a second one stands by.")] = 0,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Process without which this one ends.")] = None,
) -> None:
    """Learn until SIGTERM or Ctrl-C: labels that have matured in, models out.

    One learner learns, further ones stand by and take over. It needs JOURNEY_LEARNER_KEY (or JOURNEY_LEARNER_KEY_FILE),
    the same as the workers. Exit status as of `journey run`.
    """
    from streams.settings import SettingsError, load

    options = {
        "kafka.bootstrap": bootstrap,
        "prefix": prefix,
        "app": application,
        "accept_loss": "true" if accept_loss else None,
    }
    try:
        loaded = load(os.environ, file=settings, options=options)
    except SettingsError as error:
        fail(f"The settings are wrong:\n{error}", 78)
    from streams.learner.process.run import run_learner

    raise typer.Exit(run_learner(loaded, index=index, parent=parent))
