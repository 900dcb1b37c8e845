"""``journey replay``: the engine over files, or over the log and journal of a running deployment.

Owns the options and messages of the command.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn, cast

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail

if TYPE_CHECKING:
    from streams.tools.connection import Connection
    from streams.tools.replay.run import Ending
    from streams.tools.replay.summary import Summary

WRONG = 2
"""Exit code for input that cannot be used."""
UNEQUAL = 1


def replay(
    definition: Annotated[
        list[str] | None, typer.Option(help="Definition file, or the name of a shipped one; may be repeated.")
    ] = None,
    input: Annotated[  # noqa: A002 - the name of the option
        list[Path] | None, typer.Option(help="JSON lines or CSV, plain or .gz; may be repeated.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option(help="Mapping file of the CSV inputs, or a shipped name: one for all or each.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="File for the outputs, JSON lines; .gz compresses; - is standard output.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop at this time (ISO 8601; UTC where it names no zone).")] = None,
    no_drain: Annotated[bool, typer.Option("--no-drain", help="Leave open deadlines undecided at the end.")] = False,
    start_issuing_at: Annotated[
        str | None, typer.Option(help="Triggers begin at this time; before it is warm-up. Default: the beginning.")
    ] = None,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn", help="Learn the definition's risks and actions from labels as they mature, in the same pass."
        ),
    ] = False,
    from_kafka: Annotated[
        bool, typer.Option("--from-kafka", help="Replay log and journal of the deployment that the settings name.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="With --from-kafka: exit 1 unless the live topics hold the same bytes.")
    ] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Replay touchpoints through the engine and say what came of them."""
    if from_kafka:
        if definition or input or mapping or until or start_issuing_at or no_drain or learn:
            _refuse(
                "--from-kafka takes definitions, models, start and end from the journal: "
                "give only --output and --compare"
            )
        _from_kafka(connected(bootstrap, prefix, application), output, compare=compare)
        return
    if compare:
        _refuse("--compare needs --from-kafka")
    if not definition or not input:
        _refuse("give --definition and --input (or --from-kafka)")
    _files(
        definition,
        input,
        mapping or [],
        output,
        until_ms=_time("--until", until),
        start_issuing_at=_time("--start-issuing-at", start_issuing_at),
        ending="stop" if no_drain else "drain",
        learn=learn,
    )


def _files(
    definition: list[str],
    inputs: list[Path],
    mappings: list[str],
    output: str | None,
    *,
    until_ms: int | None,
    start_issuing_at: int | None,
    ending: Ending,
    learn: bool,
) -> None:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from streams.definitions.faults import DefinitionFaults
    from streams.definitions.load import load_files
    from streams.tools.replay.mapping_file import load_mapping
    from streams.tools.replay.rows import InputError
    from streams.tools.replay.run import replay as run
    from streams.tools.replay.shipped import find
    from streams.tools.replay.sources import merged, open_inputs

    try:
        loaded = load_files([find(name, "journey") for name in definition])
        if learn and not loaded.risks and not loaded.actions:
            _refuse("--learn needs a definition with risks or actions")
        files = open_inputs(inputs, [load_mapping(find(name, "mapping")) for name in mappings])
        size = sum(file.size for file in files)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with (
            ExitStack() as closing,
            _sink(output) as sink,
            Progress(*columns, console=_console(), transient=True) as bar,
        ):
            for file in files:
                closing.callback(file.close)
            task = bar.add_task("replay", total=size or None)

            def progress(touchpoints: int) -> None:
                done = sum(file.position for file in files)
                bar.update(task, completed=done, description=f"replay, {touchpoints:,} touchpoints")

            summary = run(
                loaded,
                merged(files),
                sink,
                until_ms=until_ms,
                ending=ending,
                start_issuing_at=start_issuing_at,
                learn=learn,
                progress=progress,
            )
        summary.filtered = sum(file.filtered for file in files)
    except (DefinitionFaults, InputError, FileNotFoundError) as error:
        _refuse(str(error))
    _show(summary, loaded)


def _from_kafka(connection: Connection, output: str | None, *, compare: bool) -> None:
    from confluent_kafka import KafkaException

    from streams.contracts.registry import RegistryError
    from streams.contracts.schemas import RegistryUnavailable
    from streams.tools.replay.compare import LiveMoved, compare_with_live
    from streams.tools.replay.kafka import Reading, ReplayError, replay_kafka
    from streams.tools.replay.published import published_definitions
    from streams.tools.replay.write import dead_letter_line, lines

    try:
        settings, topics = connection.settings, connection.topics
        definitions = published_definitions(settings, topics)
        reading = Reading(settings.source, connection.schemas("read"), settings.dead_letters.allow_json)
        with _sink(output) as sink, _console().status("replaying the log") as status:

            def each(outputs: Any, letters: Any) -> None:
                if sink is not None:
                    for letter in letters:
                        sink.write(dead_letter_line(letter))
                    for line in lines(outputs):
                        sink.write(line)

            result = replay_kafka(
                settings,
                topics,
                definitions,
                reading,
                each=each,
                progress=lambda partition, n: status.update(f"partition {partition}, {n:,} touchpoints"),
                keep="encoded" if compare else "nothing",
            )
        newest = max(partition.marker.definition for partition in result.partitions)
        _show(result.summary, definitions(newest))
        if compare:
            comparison = compare_with_live(settings, topics, result)
            _console().print(str(comparison), markup=False)
            if not comparison.equal:
                raise typer.Exit(UNEQUAL)
    except (RegistryError, RegistryUnavailable, ReplayError, KafkaException) as error:
        _refuse(str(error))
    except LiveMoved as error:
        _refuse(f"{error}: a worker is still writing; try again when it is idle or stopped")


@contextmanager
def _sink(output: str | None) -> Iterator[BinaryIO | None]:
    """The output file; it appears under its name only when it is complete."""
    if output is None or output == "-":
        with nullcontext(None if output is None else sys.stdout.buffer) as stream:
            yield stream
        return
    path = Path(output)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb", buffering=1 << 20) as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield raw
        part.replace(path)
    except OSError as error:
        _refuse(f"{output} cannot be written: {error.strerror}")
    finally:
        part.unlink(missing_ok=True)


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def _show(summary: Summary, definition: Any) -> None:
    from streams.tools.replay.tables import tables

    for table in tables(summary, definition):
        _console().print(table)


def _time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        _refuse(f"{option}: {text!r} is no time such as 2024-05-01 or 2024-05-01T12:00:00+02:00")
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _refuse(message: str) -> NoReturn:
    fail(message, WRONG)
