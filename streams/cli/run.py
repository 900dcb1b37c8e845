"""``journey run``: the worker.

Owns the options and what is said before the worker logs by itself.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, fail


def run(
    definition: Annotated[
        list[Path] | None, typer.Option(help="Definition file to publish before starting; several make one definition.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Worker processes under one parent.")] = 1,
    settings: Annotated[Path | None, typer.Option(help="File with settings (TOML or YAML); JOURNEY_SETTINGS.")] = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on although touchpoints or state were lost.")
    ] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
    index: Annotated[int, typer.Option(hidden=True, help="Which of --processes this is.")] = 0,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Process without which this one ends.")] = None,
    door: Annotated[int | None, typer.Option(hidden=True, help="Socket on which the parent asks.")] = None,
) -> None:
    """Run the worker until SIGTERM or Ctrl-C: touchpoints in, triggers out.

    Settings come from JOURNEY_* in the environment and from a file; they are printed at the start, secrets hidden.
    Exit status: 0 ended as asked, 78 refused (the message says what to do), 69 no broker or registry answered,
    5 stood still, 4 a defect.
    """
    from streams.settings import FILE, SettingsError, load

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
    files = definition or []
    if processes == 1:
        from streams.worker.run import run_worker

        raise typer.Exit(run_worker(loaded, index=index, definitions=files, parent=parent, door=door))

    from streams.worker.front import Front
    from streams.worker.logs import configure
    from streams.worker.outcomes import Refused
    from streams.worker.supervisor import Supervisor, command

    configure(loaded, loaded.instance or "supervisor")
    try:
        front = Front(loaded.http.host, loaded.http.port, processes)
    except Refused as refusal:
        fail(str(refusal), 78)
    passed: list[str] = []
    for name, value in (("--bootstrap", bootstrap), ("--prefix", prefix), ("--app", application)):
        passed += [name, value] if value is not None else []
    passed += ["--accept-loss"] if accept_loss else []
    for file in files:
        passed += ["--definition", str(file)]
    environment = {**os.environ, **({FILE: str(settings)} if settings else {})}

    def spawn(number: int) -> subprocess.Popen[bytes]:
        door = front.door(number)
        arguments = [*passed, "--index", str(number), "--parent", str(os.getpid()), "--door", str(door)]
        # A session of its own: Ctrl-C reaches the parent only, which passes it on.
        return subprocess.Popen(  # noqa: S603 - our own command
            command(arguments, sys.executable), env=environment, start_new_session=True, pass_fds=[door]
        )

    front.start()
    status = Supervisor(loaded, processes, spawn, front).run()
    front.stop()
    raise typer.Exit(status)
