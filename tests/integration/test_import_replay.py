"""A public file through Kafka and the worker gives what a replay of the file gives; and log and journal give it again.

Owns the proof for ``journey import`` and ``journey replay --from-kafka`` on a real broker.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import TopicPartition
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Decision, JournalLine, Outputs, Signal, Trigger
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import IMPORT_ENDED, IMPORT_STARTED, Touchpoint
from streams.definitions.load import load_files
from streams.settings import Settings, load
from streams.tools.connection import Connection
from streams.tools.importer import ImportRefused, end_import, import_touchpoints
from streams.tools.replay import log
from streams.tools.replay.compare import compare_with_live
from streams.tools.replay.kafka import Reading, replay_kafka
from streams.tools.replay.mapping_file import load_mapping, read_mapping
from streams.tools.replay.published import published_definitions
from streams.tools.replay.rows import InputError
from streams.tools.replay.run import replay
from streams.tools.replay.shipped import find
from streams.tools.replay.sources import InputFile, merged, open_inputs
from streams.tools.report.fields import AskedFields
from streams.tools.report.frame import frame_of
from streams.tools.report.inputs import read_intentions, read_live_intentions, read_touchpoints
from streams.tools.report.records import of_output
from streams.tools.report.report import Report, report_of
from streams.tools.report.spool import Spool
from streams.worker.changelog import end_offset, last_marker, reader
from streams.worker.definitions_topic import publish
from streams.worker.marker import Marker

pytestmark = pytest.mark.integration

PATIENCE_S = 120
NEVER = 9_999_999_999_999


def settings_for(bootstrap: str, topics: Topics) -> Settings:
    options = {"kafka.bootstrap": bootstrap, "prefix": topics.prefix, "app": topics.app}
    return load({}, options=options)


@contextlib.contextmanager
def worker(settings: Settings, definition: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JOURNEY_")},
        "JOURNEY_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "JOURNEY_PREFIX": settings.prefix,
        "JOURNEY_APP": settings.app,
        "JOURNEY_HTTP_PORT": "0",
        "JOURNEY_IDLE_AFTER": "500ms",
    }
    command = [sys.executable, "-m", "streams", "run", "--definition", str(definition)]
    with (folder / "worker.log").open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_idle(settings: Settings, topics: Topics, process: subprocess.Popen[bytes], until_ms: int) -> None:
    """All is read, and the idle clock has brought each partition past ``until_ms``."""
    consumer = reader(settings)
    try:
        partitions = log.partitions_of(settings, topics.touchpoints)
        ends = [end_offset(consumer, TopicPartition(topics.touchpoints, n))[1] for n in range(partitions)]
    finally:
        consumer.close()
    deadline = time.monotonic() + PATIENCE_S
    sequences: list[int] | None = None
    while time.monotonic() < deadline:
        assert process.poll() is None, "the worker ended"
        markers = [last_marker(settings, topics.state, n, lambda: False) for n in range(partitions)]
        if all(
            m is not None and m.next >= end and (m.watermark or 0) > until_ms
            for m, end in zip(markers, ends, strict=True)
        ):
            now = [m.sequence for m in markers if m is not None]
            if now == sequences:
                return
            sequences = now
        time.sleep(1)
    pytest.fail(f"not idle after {PATIENCE_S} s: {markers}, ends {ends}")


def wait_until(
    process: subprocess.Popen[bytes], topics: Topics, settings: Settings, holds: Callable[[Marker], bool]
) -> None:
    """Every partition has a marker for which it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the worker ended"
        markers = [last_marker(settings, topics.state, n, lambda: False) for n in range(4)]
        if all(marker is not None and holds(marker) for marker in markers):
            return
        time.sleep(0.5)
    pytest.fail(f"not so after {PATIENCE_S} s: {markers}")


def wait_for_abandonment(process: subprocess.Popen[bytes], topics: Topics, settings: Settings, number: int) -> None:
    reading = OutputReader(PackagedSchemas())
    deadline = time.monotonic() + PATIENCE_S
    found = 0
    while found < number:
        assert process.poll() is None, "the worker ended"
        assert time.monotonic() < deadline, f"{found} of {number}"
        time.sleep(0.5)
        found = sum(
            reading.read(Signal, record.value or b"").kind == "abandonment"
            for partition in range(4)
            for record in log.read(settings, topics.signals, partition)
        )


@pytest.fixture(scope="module")
def ecom_file() -> Path:
    folder = Path(os.environ.get("JOURNEY_TEST_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    path = folder / "ecom.csv.gz"
    if not path.exists():
        message = f"{path.name} is not in {folder}: it is inside the PyPI package retentioneering 5.2.4"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def ecom(path: Path) -> list[InputFile]:
    return open_inputs([path], [load_mapping(find("ecom", "mapping"))])


def test_a_file_through_kafka_is_the_file_replayed(kafka: Any, topics: Topics, tmp_path: Path, ecom_file: Path) -> None:
    settings = settings_for(kafka.bootstrap, topics)
    definition = find("ecom", "journey")
    with worker(settings, definition, tmp_path) as process:
        report = import_touchpoints(settings, topics, merged(ecom(ecom_file)))
        assert report.written == 31_106
        assert not report.refused
        assert report.last is not None
        wait_until_idle(settings, topics, process, report.last + 24 * 3_600_000)

        (again,) = ecom(ecom_file)
        says = r"first touchpoint is of 2024-01-04T11:45:38.*partition 0 has come to 202\d-"
        with contextlib.closing(again), pytest.raises(ImportRefused, match=says):
            import_touchpoints(settings, topics, again)

    # From the file: the same signals and decisions, whatever partition a customer is in.
    signals: dict[str, Signal] = {}
    decisions: dict[str, Decision] = {}

    def each(outputs: Outputs) -> None:
        signals.update((s.signal_id, s) for s in outputs.signals)
        decisions.update((d.decision_id, d) for d in outputs.decisions)

    replay(load_files([definition], 1), merged(ecom(ecom_file)), start_issuing_at=NEVER, each=each)
    decoder = OutputReader(PackagedSchemas())
    live_signals = [
        decoder.read(Signal, record.value or b"")
        for partition in range(4)
        for record in log.read(settings, topics.signals, partition)
    ]
    live_decisions = [
        decoder.read(Decision, record.value or b"")
        for partition in range(4)
        for record in log.read(settings, topics.decisions, partition)
    ]
    assert len(live_signals) == len(signals) > 10_000
    assert {s.signal_id: s for s in live_signals} == signals
    assert len(live_decisions) == len(decisions) > 50
    assert {d.decision_id: d for d in live_decisions} == decisions
    assert not [*log.read(settings, topics.triggers, 0)]  # history issues nothing

    # From log and journal: the same bytes.
    definitions = published_definitions(settings, topics)
    result = replay_kafka(settings, topics, definitions, Reading(settings.source))
    assert len(result.partitions) == 4
    assert result.count("signals") == len(signals)
    assert result.summary.touchpoints == 31_106 + 8  # and the marks of the import
    comparison = compare_with_live(settings, topics, result)
    assert comparison.equal, str(comparison)
    assert sum(partition.journal for partition in result.partitions) > 0

    # The journey owner reads the same in the topics as in the file.
    assert live_report(settings) == file_report(definition, ecom_file)
    # And another definition decides the same on both.
    other, mapping = load_files([definition]), load_mapping(find("ecom", "mapping"))
    with Spool() as live, Spool() as file:
        read_live_intentions(Connection(settings), other, live, lambda _what, _n: None)
        read_intentions([ecom_file], [mapping], other, [], file, lambda _what, _n: None)
        assert dict(live) == dict(file)
        assert live.outputs == len(decisions)

    # The comparison finds what is wrong: a record that somebody else wrote, and one that is missing.
    result.partitions[0].outputs["signals"].pop()
    result.partitions[1].customers.clear()
    spoilt = compare_with_live(settings, topics, result)
    assert not spoilt.equal
    assert spoilt.topics[0].unexpected == 1


def live_report(settings: Settings) -> Report:
    where = ["--bootstrap", settings.kafka.bootstrap, "--prefix", settings.prefix, "--app", settings.app]
    done = CliRunner().invoke(app, ["report", "--from-kafka", *where, "--period", "28d", "--json", "-"])
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(done.stdout, type=Report)


def file_report(definition: Path, touchpoints: Path) -> Report:
    loaded = load_files([definition], 1)
    with Spool() as spool:

        def each(outputs: Outputs) -> None:
            made: list[Signal | Decision | Trigger] = [*outputs.signals, *outputs.decisions, *outputs.triggers]
            for record in made:
                spool.add(of_output(record))

        replay(loaded, merged(ecom(touchpoints)), start_issuing_at=NEVER, each=each)
        read_touchpoints(
            [touchpoints], [load_mapping(find("ecom", "mapping"))], loaded, spool, lambda _what, _n: None, AskedFields()
        )
        assert spool.first is not None
        assert spool.last is not None
        return report_of(loaded, frame_of(loaded, spool.first, spool.last, length_ms=28 * 86_400_000), spool)


LIVE = """
version: 1
time: {timezone: UTC, allowed_lateness: 500ms, session_gap: 30m}
journeys:
  purchase:
    type: purchase
    goal: {event: Order Completed, within: 1d}
    stages:
      cart: {on: [Product Added]}
    abandonment:
      cart: {after: 2s}
    friction:
      - {name: failed_twice, count: {event: Payment Failed, at_least: 2, within: 10m}}
actions:
  help:
    purpose: service
    when: {signal: friction, name: failed_twice}
    channel: store
    expires_after: 1h
"""


def shoppers(who: str) -> list[Touchpoint]:
    """Ten customers whose payment fails twice; half of them buy at last."""
    now = int(time.time() * 1000) - 200
    told = []
    for n in range(10):
        types = ["Product Added", "Payment Failed", "Payment Failed", *(["Order Completed"] if n % 2 else [])]
        told += [
            Touchpoint(f"{who}-{n}-{at}", type_, now + at, customer_id=f"{who}-{n}", channel="web")
            for at, type_ in enumerate(types)
        ]
    return sorted(told, key=lambda touchpoint: touchpoint.occurred_at)


def test_live_triggers_idle_moves_and_another_definition_are_replayed(
    kafka: Any, topics: Topics, tmp_path: Path
) -> None:
    settings = settings_for(kafka.bootstrap, topics)
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(LIVE)
    second.write_text(LIVE[: LIVE.index("actions:")])
    with worker(settings, first, tmp_path) as process:
        wait_until(process, topics, settings, lambda marker: marker.definition == 1)
        for who, abandoned in (("a", 5), ("b", 10)):
            import_touchpoints(settings, topics, shoppers(who))
            # Nobody says anything: the idle clock finds the abandoned carts, and the journal says so.
            wait_for_abandonment(process, topics, settings, abandoned)
            if who == "a":
                assert publish(settings, topics, load_files([second]))[:2] == (2, True)
                wait_until(process, topics, settings, lambda marker: marker.definition == 2)

    result = replay_kafka(settings, topics, published_definitions(settings, topics), Reading(settings.source))
    assert result.summary.triggers == {
        ("help", "issued"): 10,
        ("help", "cancelled (goal_reached)"): 5,
        ("help", "cancelled (definition)"): 5,
    }
    assert result.summary.journeys["purchase"].abandoned == {"cart": 10}
    assert result.summary.journeys["purchase"].friction == {"failed_twice": 20}
    comparison = compare_with_live(settings, topics, result)
    assert comparison.equal, str(comparison)
    assert comparison.topics[1].live == 20
    assert comparison.topics[-1].live == 20

    again = CliRunner().invoke(
        app,
        ["replay", "--from-kafka", "--compare", "--bootstrap", kafka.bootstrap, "--prefix", topics.prefix,
         "--app", topics.app, "--output", str(tmp_path / "out.jsonl")],
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert kinds.count("trigger") == 20


MAPPING = """
version: 1
time: {column: at}
touchpoints: [{event_id: {row: true}, fields: {customer_id: {column: who}, type: Product Viewed}}]
"""


def test_an_import_lies_between_its_marks(kafka: Any, topics: Topics, tmp_path: Path) -> None:
    settings = settings_for(kafka.bootstrap, topics)
    table = tmp_path / "f.csv"
    table.write_text("at,who\n" + "".join(f"2024-01-{day:02},c{day % 9}\n" for day in range(1, 29)) + "2024-02-01,\n")
    mapping = read_mapping("m.yaml", MAPPING)
    report = import_touchpoints(settings, topics, merged(open_inputs([table], [mapping])), rate=500)
    assert report.written == 28
    assert report.refused == {"no_customer": 1}
    reading = OutputReader(PackagedSchemas())
    for partition in range(4):
        records = list(log.read(settings, topics.touchpoints, partition))
        types = [reading.read(Touchpoint, record.value or b"").type for record in records]
        inside = report.by_partition[partition]
        assert types == [IMPORT_STARTED, *["Product Viewed"] * inside, IMPORT_ENDED]
        times = [reading.read(Touchpoint, record.value or b"").occurred_at for record in records[1:-1]]
        assert times == sorted(times)
        assert [("journey_command", b"1") in record.headers for record in records] == [True, *[False] * inside, True]


def test_a_broken_import_is_ended(kafka: Any, topics: Topics, tmp_path: Path) -> None:
    """Whatever goes wrong on the way, the closing marks are written; after a kill, by hand."""
    settings = settings_for(kafka.bootstrap, topics)
    table = tmp_path / "f.csv"
    table.write_text("at,who\n2024-01-02,a\n2024-01-01,a\n")
    (file,) = open_inputs([table], [read_mapping("m.yaml", MAPPING)])
    with contextlib.closing(file), pytest.raises(InputError, match="row 2 is earlier"):
        import_touchpoints(settings, topics, file)
    assert end_import(settings, topics) == 4
    reading = OutputReader(PackagedSchemas())
    for partition in range(4):
        types = [
            reading.read(Touchpoint, record.value or b"").type
            for record in log.read(settings, topics.touchpoints, partition)
        ]
        assert types[0] == IMPORT_STARTED
        assert types[-2:] == [IMPORT_ENDED, IMPORT_ENDED]


def test_without_topics_nothing_is_written(kafka: Any) -> None:
    settings = settings_for(kafka.bootstrap, Topics(prefix="nothing"))
    touchpoint = Touchpoint("e", "page", 1, customer_id="a")
    with pytest.raises(ImportRefused, match="journey topics create"):
        import_touchpoints(settings, Topics(prefix="nothing"), [touchpoint])


def test_the_journal_reads_as_written() -> None:
    line = JournalLine(7, "stale", {"triggers": ["a", "b"]})
    encoded = OutputCodec(PackagedSchemas(), "/s").journal(line, 2)
    assert OutputReader(PackagedSchemas()).read(JournalLine, encoded.value or b"") == line


def test_the_import_command(kafka: Any, topics: Topics, tmp_path: Path) -> None:
    table, mapping = tmp_path / "f.csv", tmp_path / "m.yaml"
    table.write_text("at,who\n2024-01-01,a\n2024-01-02,\n")
    mapping.write_text(MAPPING)
    reach = ["--bootstrap", kafka.bootstrap, "--prefix", topics.prefix, "--app", topics.app]
    result = CliRunner().invoke(app, ["import", "--input", str(table), "--mapping", str(mapping), *reach])
    assert result.exit_code == 0, result.output
    assert "1 touchpoints into" in result.stderr
    assert "1 rows left out: no_customer" in result.stderr
    result = CliRunner().invoke(app, ["import", "--finish", *reach])
    assert result.exit_code == 0
    assert "4 partitions" in result.stderr
    for wrong, says in (([], "give --input"), (["--input", str(table)], "--mapping")):
        result = CliRunner().invoke(app, ["import", *wrong, *reach])
        assert result.exit_code == 2
        assert says in result.stderr
    result = CliRunner().invoke(app, ["replay", "--from-kafka", *reach])
    assert result.exit_code == 2
    assert "has committed anything" in result.stderr
