"""``journey import``: a file into the touchpoint topic, as history.

Owns the options and messages of the command.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail

WRONG = 2


def import_(
    input: Annotated[  # noqa: A002 - the name of the option
        list[Path] | None, typer.Option(help="JSON lines or CSV, plain or .gz; may be repeated.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option(help="Mapping file of the CSV inputs, or a shipped name: one for all or each.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Touchpoints a second; default: no limit.")] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Only end an import that was killed: workers wait for its end.")
    ] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Write a file into the touchpoint topic in time order; the workers take it as history."""
    from confluent_kafka import KafkaException
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from streams.contracts.registry import RegistryError
    from streams.contracts.schemas import RegistryUnavailable
    from streams.definitions.faults import DefinitionFaults
    from streams.tools.importer import ImportRefused, end_import, import_touchpoints
    from streams.tools.replay.mapping_file import load_mapping
    from streams.tools.replay.rows import InputError
    from streams.tools.replay.shipped import find
    from streams.tools.replay.sources import merged, open_inputs

    console = Console(stderr=True)
    connection = connected(bootstrap, prefix, application)
    try:
        settings, topics = connection.settings, connection.topics
        if finish:
            console.print(f"ended the import on {end_import(settings, topics)} partitions of {topics.touchpoints}")
            return
        if not input:
            raise InputError("give --input (or --finish)")
        files = open_inputs(input, [load_mapping(find(name, "mapping")) for name in mapping or []])
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        with ExitStack() as closing, Progress(*columns, console=console, transient=True) as bar:
            for file in files:
                closing.callback(file.close)
            task = bar.add_task("import", total=sum(file.size for file in files) or None)

            def progress(written: int) -> None:
                done = sum(file.position for file in files)
                bar.update(task, completed=done, description=f"import, {written:,} touchpoints")

            report = import_touchpoints(
                settings, topics, merged(files), rate=rate, schemas=connection.schemas("write"), progress=progress
            )
    except (DefinitionFaults, InputError, ImportRefused, FileNotFoundError) as error:
        fail(str(error), WRONG)
    except (RegistryError, RegistryUnavailable, KafkaException) as error:
        fail(f"The import stopped: {error}")
    filtered = sum(file.filtered for file in files)
    console.print(f"{report.written:,} touchpoints into {topics.touchpoints}; {filtered:,} rows filtered out")
    for reason, number in report.refused.items():
        console.print(f"{number:,} rows left out: {reason}")
