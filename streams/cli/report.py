"""``journey report``: the journey owner's view of a deployment, or of a replay.

Owns the options and messages of the command.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from streams.cli.options import App, Bootstrap, Prefix, connected, fail

if TYPE_CHECKING:
    from streams.definitions.model import Definition
    from streams.tools.report.fields import AskedFields
    from streams.tools.report.spool import Spool

WRONG = 2
"""Exit code for input that cannot be used."""


def report(
    from_kafka: Annotated[
        bool, typer.Option("--from-kafka", help="Report on the deployment that the settings name.")
    ] = False,
    findings: Annotated[
        list[Path] | None, typer.Option(help="Output of `journey replay`, plain or .gz; may be repeated.")
    ] = None,
    touchpoints: Annotated[
        list[Path] | None,
        typer.Option(help="The file that was replayed: without it there is nothing on channels, value, service."),
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option(help="Mapping file of CSV touchpoints, or a shipped name: one for all or each.")
    ] = None,
    definition: Annotated[
        list[str] | None,
        typer.Option(help="Definition file, or the name of a shipped one; may be repeated. Kafka: the published one."),
    ] = None,
    journey: Annotated[list[str] | None, typer.Option(help="Only this journey; may be repeated.")] = None,
    period: Annotated[
        str | None,
        typer.Option(help="Length of the period, for example 28d, against the same length before. Default: all."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="End of the period (ISO 8601; UTC where it names no zone).")] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Split by this touchpoint field or property, too; may be repeated.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="Another definition: what would it have earned? From the logged propensities; may be repeated."
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Every table: all splits, what goes with progress, gates, emotions, reasons.")
    ] = False,
    as_json: Annotated[str | None, typer.Option("--json", help="File for all figures; - is standard output.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="File for charts and tables: one HTML page that needs no network.")
    ] = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    application: App = None,
) -> None:
    """Say how journeys went: funnel, time, effort, abandonment, friction, against target and the period before."""
    from rich.console import Console

    if from_kafka == bool(findings):
        _refuse("give --from-kafka, or --findings with the output of `journey replay`")
    if from_kafka and (touchpoints or mapping):
        _refuse("--from-kafka reads the touchpoints of the deployment: give neither --touchpoints nor --mapping")
    if findings and not definition:
        _refuse("--findings needs the --definition that was replayed")
    if mapping and not touchpoints:
        _refuse("--mapping is for --touchpoints")
    if policy and findings and not touchpoints:
        _refuse("--policy needs the --touchpoints on which the other definition decides")
    length_ms, until_ms = _length(period), _time(until)
    other = _definition(policy) if policy else None

    from streams.tools.report.fields import AskedFields
    from streams.tools.report.spool import Spool

    asked = AskedFields(by or ())
    with Spool() as spool:
        with _reading() as progress:
            if from_kafka:
                where = (bootstrap, prefix, application)
                loaded = _kafka(spool, definition or [], asked, progress, where, other)
            else:
                files = (findings or [], touchpoints or [], mapping or [])
                loaded = _files(spool, definition or [], *files, asked, progress, other)
        if spool.first is None or spool.last is None:
            _refuse("there is nothing to report on: neither signals nor touchpoints were found")
        unknown = set(journey or ()) - {one.name for one in loaded.journeys}
        if unknown:
            there = ", ".join(one.name for one in loaded.journeys)
            _refuse(f"the definition has no journey {', '.join(sorted(unknown))} (it has {there})")
        from streams.tools.report.frame import frame_of
        from streams.tools.report.offpolicy import OffPolicy
        from streams.tools.report.report import report_of

        frame = frame_of(loaded, spool.first, spool.last, length_ms=length_ms, until_ms=until_ms, by=asked.names)
        judged = OffPolicy(loaded, other) if other is not None else None
        found = report_of(loaded, frame, spool, journeys=journey or (), policy=judged, notes=asked.missing())
    if as_json is not None:
        import msgspec

        _write(as_json, msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if html is not None:
        from streams.tools.report.page import PlotlyAbsentError, page

        try:
            _write(str(html), page(found).encode())
        except PlotlyAbsentError as error:
            _refuse(f"--html: {error}")
    if as_json != "-":
        from streams.tools.report.terminal import tables

        console = Console(highlight=False)
        for part in tables(found, "full" if full else "short"):
            console.print(part)


def _files(
    spool: Spool,
    definition: list[str],
    findings: list[Path],
    touchpoints: list[Path],
    mappings: list[str],
    by: AskedFields,
    progress: Callable[[str, int], None],
    other: Definition | None,
) -> Definition:
    from streams.definitions.faults import DefinitionFaults
    from streams.tools.replay.mapping_file import load_mapping
    from streams.tools.replay.rows import InputError
    from streams.tools.replay.shipped import find
    from streams.tools.report.inputs import read_findings, read_intentions, read_touchpoints

    loaded = _definition(definition)
    try:
        models = read_findings(findings, spool, progress)
        if touchpoints:
            tables = [load_mapping(find(name, "mapping")) for name in mappings]
            _tell(read_touchpoints(touchpoints, tables, loaded, spool, progress, by))
            if other is not None:
                read_intentions(touchpoints, tables, other, models, spool, progress)
    except (DefinitionFaults, InputError, FileNotFoundError) as error:
        _refuse(str(error))
    return loaded


def _definition(names: list[str]) -> Definition:
    from streams.definitions.faults import DefinitionFaults
    from streams.definitions.load import load_files
    from streams.tools.replay.shipped import find

    try:
        return load_files([find(name, "journey") for name in names])
    except (DefinitionFaults, FileNotFoundError) as error:
        _refuse(str(error))


def _kafka(
    spool: Spool,
    definition: list[str],
    by: AskedFields,
    progress: Callable[[str, int], None],
    where: tuple[str | None, str | None, str | None],
    other: Definition | None,
) -> Definition:
    from confluent_kafka import KafkaException

    from streams.contracts.registry import RegistryError
    from streams.contracts.schemas import RegistryUnavailable
    from streams.definitions.faults import DefinitionFaults
    from streams.tools.report.inputs import newest_definition, read_live_intentions, read_topics
    from streams.tools.tail import TailError

    connection = connected(*where)
    try:
        loaded = _definition(definition) if definition else newest_definition(connection)
        if loaded is None:
            _refuse(f"{connection.topics.definitions} holds no definition yet: apply one, or name it with --definition")
        _tell(read_topics(connection, loaded, spool, progress, by))
        if other is not None:
            read_live_intentions(connection, other, spool, progress)
    except (DefinitionFaults, TailError, RegistryError, RegistryUnavailable) as error:
        _refuse(str(error))
    except KafkaException as error:
        _refuse(f"Kafka cannot be read: {error.args[0].str()}")
    return loaded


def _tell(unreadable: int) -> None:
    if unreadable:
        typer.echo(f"{unreadable:,} records could not be read and are left out.", err=True)


@contextmanager
def _reading() -> Iterator[Callable[[str, int], None]]:
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda what, n: status.update(f"reading {what}, {n:,}")


def _write(name: str, content: bytes) -> None:
    if name == "-":
        sys.stdout.buffer.write(content)
        return
    path = Path(name)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        _refuse(f"{name} cannot be written: {error.strerror}")


def _length(text: str | None) -> int | None:
    from streams.definitions.table import duration_ms

    if text is None or text == "all":
        return None
    found = duration_ms(text)
    if found is None or found <= 0:
        _refuse(f"--period: {text!r} is no length of time such as 7d or 28d")
    return found


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        _refuse(f"--until: {text!r} is no time such as 2024-05-01 or 2024-05-01T12:00:00+02:00")
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _refuse(message: str) -> NoReturn:
    fail(message, WRONG)
