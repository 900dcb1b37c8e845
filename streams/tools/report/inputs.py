"""Where a report's records come from: the output of a replay with its touchpoints, or the topics of a deployment.

Owns reading them into the spool, one source after the other. Topics are read committed, from their beginning to where
they end when they are opened.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from streams.contracts.outputs import Decision, Model, Signal, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.tools.connection import Connection
from streams.tools.replay.log import partitions_of
from streams.tools.replay.mapping import Mapping
from streams.tools.replay.rows import InputError
from streams.tools.replay.sources import GZIP, merged, open_inputs
from streams.tools.report.fields import AskedFields
from streams.tools.report.intentions import OtherPolicy
from streams.tools.report.records import RecordError, of_output, of_touchpoint, read_line
from streams.tools.report.spool import Spool
from streams.tools.tail import Stream, tail
from streams.worker.definitions_topic import published

Progress = Callable[[str, int], None]
"""(what is read, number of records so far)."""
OFTEN: Final = 5_000
TOPICS: Final[tuple[Stream, ...]] = ("signals", "decisions", "triggers", "touchpoints")


def read_findings(paths: Sequence[Path], spool: Spool, progress: Progress) -> list[Model]:
    """Outputs of ``journey replay``, plain or .gz; raises ``InputError`` naming file and line. Returns the models."""
    models: list[Model] = []
    for path in paths:
        try:
            with path.open("rb") as raw:
                packed = raw.read(2) == GZIP
                raw.seek(0)
                stream: BinaryIO = gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw  # type: ignore[assignment]  # a GzipFile reads like a BinaryIO
                for number, line in enumerate(stream, 1):
                    if not line.strip():
                        continue
                    try:
                        record = read_line(line)
                    except RecordError as error:
                        raise InputError(f"{path.name}: line {number}: {error}") from None
                    if isinstance(record, Model):
                        models.append(record)
                    elif record is not None:
                        spool.add(record)
                    if number % OFTEN == 0:
                        progress(path.name, number)
        except (EOFError, gzip.BadGzipFile) as error:
            raise InputError(f"{path}: {error}") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
    return models


def read_touchpoints(
    paths: Sequence[Path],
    mappings: Sequence[Mapping],
    definition: Definition,
    spool: Spool,
    progress: Progress,
    by: AskedFields,
) -> int:
    """Files of touchpoints as ``journey replay`` reads them; returns how many lines cannot be read."""
    refused = read = 0
    for file in open_inputs(paths, mappings):
        for item in file:
            read += 1
            if isinstance(item, Touchpoint):
                _keep(item, definition, spool, by)
            else:
                refused += 1
            if read % OFTEN == 0:
                progress(file.path.name, read)
    return refused


def _keep(tp: Touchpoint, definition: Definition, spool: Spool, by: AskedFields) -> None:
    touch = of_touchpoint(tp, definition, by.names)
    if touch is not None:
        spool.add(touch)
        by.saw(tp, touch)


def read_intentions(
    paths: Sequence[Path],
    mappings: Sequence[Mapping],
    other: Definition,
    models: Sequence[Model],
    spool: Spool,
    progress: Progress,
) -> None:
    """What ``other`` would have decided on the touchpoints of these files, by the models of the findings."""
    policy = OtherPolicy(other, models, spool.add)
    offset = -1
    for item in merged(open_inputs(paths, mappings)):
        if isinstance(item, Touchpoint):
            offset += 1
            item.offset = offset
            policy.process(item)
            if offset % OFTEN == 0:
                progress("other policy", offset)


def read_live_intentions(connection: Connection, other: Definition, spool: Spool, progress: Progress) -> None:
    """The same on the touchpoints of a deployment, each partition by its own engine."""
    schemas = connection.schemas("read")
    live = (connection.kafka, connection.topics)
    models = [record.value for record in tail(*live, "models", schemas, since="beginning", until="end")]
    plain = [model for model in models if isinstance(model, Model)]
    partitions = partitions_of(connection.settings, connection.topics.touchpoints)
    policies: dict[int, OtherPolicy] = {}
    for read, record in enumerate(tail(*live, "touchpoints", schemas, since="beginning", until="end")):
        if isinstance(record.value, Touchpoint):
            policy = policies.get(record.partition)
            if policy is None:
                policy = policies[record.partition] = OtherPolicy(
                    other, plain, spool.add, partition=record.partition, partitions=partitions
                )
            policy.process(record.value)
        if read % OFTEN == 0:
            progress("other policy", read)


def newest_definition(connection: Connection) -> Definition | None:
    """The published one with the highest number; None where none is."""
    found = published(connection.settings, connection.topics)
    return load_texts(found[-1].sources, found[-1].number) if found else None


def read_topics(
    connection: Connection, definition: Definition, spool: Spool, progress: Progress, by: AskedFields
) -> int:
    """Everything that the topics of a deployment hold now; returns how many records cannot be read."""
    unreadable = read = 0
    schemas = connection.schemas("read")
    for stream in TOPICS:
        for record in tail(connection.kafka, connection.topics, stream, schemas, since="beginning", until="end"):
            read += 1
            value = record.value
            if isinstance(value, (Signal, Trigger, Decision)):
                spool.add(of_output(value))
            elif isinstance(value, Touchpoint):
                value.record_time = record.timestamp
                _keep(value, definition, spool, by)
            else:
                unreadable += 1
            if read % OFTEN == 0:
                progress(stream, read)
    return unreadable
