"""``journey kafka``: the embedded Kafka by itself, to fetch it beforehand or to work against.

Owns the options and the progress bar; the broker is ``streams.tools.embedded``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import fail

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The embedded Apache Kafka by itself.")


@app.command()
def fetch(
    registry: Annotated[bool, typer.Option("--registry", help="The schema registry of the tests, too.")] = False,
) -> None:
    """Download what the embedded Kafka needs, for later starts without a network."""
    from streams.tools.embedded import EmbeddedError
    from streams.tools.embedded.artifacts import fetch as fetch_files
    from streams.tools.embedded.artifacts import java, unpack
    from streams.tools.embedded.progress import downloads

    try:
        with downloads() as show:
            typer.echo(f"Java: {java()}")
            typer.echo(f"Kafka: {len(fetch_files('kafka', show))} files")
            if registry:
                typer.echo(f"Registry: {unpack('registry', show)}")
    except EmbeddedError as error:
        fail(str(error))


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="Folder that keeps topics and records.")] = Path(".journey/kafka"),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0: any free one.")] = 9092,
) -> None:
    """Run a broker until Ctrl-C, for trying things out. Not for production: one broker, one copy, no password."""
    from streams.tools.embedded import EmbeddedError, EmbeddedKafka
    from streams.tools.embedded.progress import downloads

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with downloads() as show:
            kafka = EmbeddedKafka(data, port, progress=show)
            kafka.start()
    except EmbeddedError as error:
        fail(str(error))
    typer.echo(f"Kafka at {kafka.bootstrap}, data in {data}, log in {kafka.log}. Ctrl-C ends it.")
    try:
        while not ended.wait(0.5):
            if failure := kafka.failure():
                fail(str(failure))
    finally:
        kafka.stop()
