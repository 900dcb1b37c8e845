"""The demo from start to end: what is started in which order, stopped in the opposite one, and checked at the end.

Owns the order and the verdict of a run without a terminal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn

from streams.definitions.load import load_files, shipped
from streams.definitions.model import Definition
from streams.tools import home
from streams.tools.connection import Connection, connect
from streams.tools.demo.board import Board, risk_faults
from streams.tools.demo.scale import scaled_files
from streams.tools.demo.screen import Screen, helped, quality
from streams.tools.demo.service import Service, key_file
from streams.tools.demo.traffic import Traffic
from streams.tools.embedded.kafka import EmbeddedKafka
from streams.tools.embedded.process import free_port
from streams.tools.embedded.progress import downloads
from streams.tools.home import Demo
from streams.tools.replay.compare import Comparison, LiveMoved, compare_with_live
from streams.tools.replay.kafka import Reading, ReplayResult, replay_kafka
from streams.tools.replay.published import published_definitions
from streams.tools.replay.tables import tables
from streams.tools.topics import create_topics

SETTLE_S = 20.0
"""Without a terminal: so long after the last touchpoint the idle clock decides what is due."""
CAUGHT_UP_S = 120.0


@dataclass(frozen=True)
class Options:
    folder: Path
    scale: float
    customers: int
    seed: int
    touchpoints: int | None
    """Stop after so many; None: until Ctrl-C."""
    partitions: int
    definitions: tuple[Path, ...] = ()
    """None given: the shipped shop, its visits and the service desk."""


def run(options: Options, console: Console) -> int:
    """Exit status: 0 if all went well and, with a number of touchpoints, what was seen is right."""
    folder = options.folder
    originals = list(options.definitions) or [shipped("shop"), shipped("visit"), shipped("service")]
    load_files(originals)  # what is wrong is told with its place in the owner's own files
    files = scaled_files(originals, options.scale, folder / "definitions")
    definition = load_files(files)
    with ExitStack() as stack:
        kafka = _start_kafka(options, console, stack)
        port, learner_port = free_port(), free_port()
        os.environ.update(
            JOURNEY_KAFKA_BOOTSTRAP=kafka.bootstrap,
            JOURNEY_HTTP_PORT=str(port),
            JOURNEY_LEARNER_PORT=str(learner_port),
            JOURNEY_LEARNER_KEY_FILE=str(key_file(folder)),
            JOURNEY_LOG_FORMAT="text",
            JOURNEY_INSTANCE="demo",
        )
        connection = connect(os.environ)
        with console.status("topics"):
            create_topics(connection.kafka, connection.topics, partitions=options.partitions)
        worker = Service("the worker", "run", folder, port)
        learner = Service("the learner", "learn", folder, learner_port)
        services = (worker, learner)
        stack.callback(worker.stop)
        stack.callback(learner.stop)
        learner.begin()
        _start_worker(worker, files, console)
        # Only now: what is emitted before the worker's first start is history and triggers nothing.
        home.write(
            folder,
            Demo(kafka.bootstrap, connection.settings.prefix, connection.settings.app, worker.metrics, os.getpid()),
        )
        stack.callback(home.clear, folder)
        traffic = Traffic(connection, options.customers, options.scale, options.seed, options.touchpoints)
        board = Board(connection, definition, worker.metrics, traffic.hear)
        stack.callback(board.stop)
        board.start()
        stack.callback(traffic.stop)
        traffic.start()
        if options.touchpoints is None:
            return _watch(options, console, board, traffic, services)
        _until_done(console, board, traffic, services)
        traffic.stop()
        board.stop()
        for service in services:
            service.stop()
        return _verdict(console, connection, definition, board)


def _start_kafka(options: Options, console: Console, stack: ExitStack) -> EmbeddedKafka:
    with downloads(console) as progress:
        kafka = EmbeddedKafka(options.folder / "kafka", progress=progress)
        stack.callback(kafka.stop)
        kafka.start()
    console.print(f"Kafka at {kafka.bootstrap}, its data in {options.folder / 'kafka'}")
    return kafka


def _start_worker(worker: Service, files: list[Path], console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} records"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("the worker reads its state", total=0)
        most = 0

        def recovering(left: int) -> None:
            nonlocal most
            most = max(most, left)
            bar.update(task, total=most, completed=most - left)

        worker.start(files, recovering)
    console.print(f"The worker is ready; metrics: {worker.metrics}")


def _watch(options: Options, console: Console, board: Board, traffic: Traffic, services: Sequence[Service]) -> int:
    """The live view until Ctrl-C."""
    screen = Screen(board, traffic, options.scale, services[0].metrics)
    try:
        with Live(screen, console=console, screen=True, refresh_per_second=4):
            while True:
                time.sleep(0.5)
                _check(services)
                if traffic.error is not None:
                    raise traffic.error
    except KeyboardInterrupt:
        pass
    console.print("stopping: customers, learner, worker, Kafka; another start goes on from here")
    return 0


def _until_done(console: Console, board: Board, traffic: Traffic, services: Sequence[Service]) -> None:
    """All touchpoints produced, processed, and the silences after them decided."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"), console=console
    ) as bar:
        task = bar.add_task("touchpoints", total=traffic.limit)
        while not traffic.done.wait(0.5):
            bar.update(task, completed=traffic.produced)
            _check(services)
        bar.update(task, completed=traffic.produced)
    if traffic.error is not None:
        raise traffic.error
    until = time.monotonic() + CAUGHT_UP_S
    while (board.lag is None or board.lag > 0) and time.monotonic() < until:
        _check(services)
        time.sleep(0.5)
    with console.status("silence: the idle clock decides what is due"):
        time.sleep(SETTLE_S)
        _check(services)


def _check(services: Sequence[Service]) -> None:
    """Raise if one has ended by itself."""
    for service in services:
        service.check()


def _verdict(console: Console, connection: Connection, definition: Definition, board: Board) -> int:
    settings = connection.settings
    with console.status("replaying log and journal"):
        definitions = published_definitions(settings, connection.topics)
        result = replay_kafka(settings, connection.topics, definitions, Reading(settings.source))
        comparison = _compared(connection, result)
    for table in tables(result.summary, definition):
        console.print(table)
    for risk in definition.risks:
        if (line := quality(board, risk.name)) is not None:
            rose, fell = board.moves[risk.name, "rose"], board.moves[risk.name, "fell"]
            console.print(line.append(f"; it rose {rose:,} times and fell {fell:,} times"))
    for effect in board.helped():
        console.print(helped(effect))
    console.print(str(comparison), markup=False)
    ends = result.summary.triggers
    issued = sum(n for (_, status), n in ends.items() if status == "issued")
    cancelled = sum(n for (_, status), n in ends.items() if status.startswith("cancelled"))
    faults = []
    if issued == 0:
        faults.append("no trigger was issued")
    if cancelled == 0:
        faults.append("no trigger was cancelled")
    if not comparison.equal:
        faults.append("what was live differs from the replay of log and journal")
    faults += risk_faults(board)
    for fault in faults:
        console.print(f"[bold red]wrong:[/] {fault}")
    if not faults:
        moved = (
            f"{sum(board.moves.values()):,} times a risk rose or fell, {sum(board.labels.values()):,} labels matured"
        )
        console.print(
            f"[bold green]right:[/] {issued} triggers issued, {cancelled} cancelled; {moved}; live equals the replay"
        )
    return 1 if faults else 0


def _compared(connection: Connection, result: ReplayResult) -> Comparison:
    """The worker has stopped, so the topics stand still; its last transaction may just be ending."""
    for attempt in range(10):
        try:
            return compare_with_live(connection.settings, connection.topics, result)
        except LiveMoved:
            if attempt == 9:
                raise
            time.sleep(0.5)
    raise AssertionError  # the loop returns or raises
