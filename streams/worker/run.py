"""One process from start to end: checks, the parts put together, signals, draining, the exit status.

Owns the course of the worker's process and of the learner's, which is the same; ``Side`` is what tells them apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.contracts.codec import TouchpointCodec
from streams.contracts.limits import Limits
from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.schemas import SchemaSource
from streams.contracts.topics import Topics
from streams.definitions.load import DefinitionFaults, load_files
from streams.engine.engine import Engine
from streams.settings import Settings
from streams.tools.brokers import wait_for_brokers
from streams.worker import rights, startup
from streams.worker.app import JourneyApp, make_app
from streams.worker.beginning import begin
from streams.worker.definitions_topic import DefinitionsTopic, publish
from streams.worker.health import HealthServer
from streams.worker.logs import configure
from streams.worker.metrics import Metrics
from streams.worker.models_topic import ModelsTopic
from streams.worker.outcomes import (
    EXIT_BUG,
    EXIT_REFUSED,
    EXIT_STALLED,
    EXIT_UNAVAILABLE,
    Fenced,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from streams.worker.ports import Begin, Decoder, Intake, MakeEngine, Runtime
from streams.worker.shell import Shell
from streams.worker.tracing import Tracing

log = logging.getLogger(__name__)

THREADS_SPARE: Final = 4
"""Beside one for each partition, which opens or commits: ending clients that are not needed any more."""
THREADS_MOST: Final = 128
YOUNG_OBJECTS: Final = 100_000
"""Allocations between two runs of the garbage collector. Chunks make thousands of objects that reference counting
frees; Python's 700 made looking at them a third of the cost of a touchpoint (measured: 70 us against 52)."""
STOP_S: Final = 10.0
"""After draining, how long Faust may take to stop before the process ends anyway."""
SPANS_S: Final = 3.0
"""How long the end waits for a collector of spans."""
WATCH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a process knows once brokers, topics and schemas are as they must be."""

    partitions: int
    codec: Decoder
    schemas: SchemaSource
    begin: Begin


@dataclass(frozen=True, slots=True)
class Side:
    """What tells the worker from the learner."""

    intake: Intake
    port: int
    """Of /metrics, /livez and /readyz; 0: any that is free."""
    metrics: Metrics
    prepare: Callable[[], Prepared]
    """What may take a while before the group is joined; in a thread. Raises ``Refused``."""
    follows_models: bool
    make_engine: MakeEngine = Engine
    door: int | None = None
    """Descriptor of a socket that the parent of several workers has made: it is answered on instead of ``port``."""


def run_worker(
    settings: Settings,
    *,
    index: int = 0,
    definitions: Sequence[Path] = (),
    make_engine: MakeEngine = Engine,
    parent: int | None = None,
    door: int | None = None,
) -> int:
    """Runs until SIGTERM or SIGINT or until it must not go on; the exit status. Call it from the main thread.

    ``parent``: a process without which this one ends as if it were asked to. ``door``: as ``Side`` has it.
    """
    topics = Topics(settings.app, settings.prefix, settings.partitioning)
    side = Side(
        intake=Intake(topics.touchpoints, topics.state, topics.journal),
        port=settings.http.port + index if settings.http.port else 0,
        metrics=Metrics(),
        prepare=lambda: _prepare(settings, topics, definitions),
        follows_models=True,
        make_engine=make_engine,
        door=door,
    )
    return run_process(settings, side, instance=settings.instance_id(index), parent=parent)


def run_process(settings: Settings, side: Side, *, instance: str, parent: int | None = None) -> int:
    """As ``run_worker``, for either side."""
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="parent", daemon=True).start()
    configure(settings, instance)
    try:
        return asyncio.run(_run(settings, side, instance))
    except Refused as refusal:
        log.critical("%s", refusal)
        return EXIT_UNAVAILABLE if isinstance(refusal, Unavailable) else EXIT_REFUSED
    except Exception:
        log.exception("A defect; the worker ends")
        return EXIT_BUG


async def _run(settings: Settings, side: Side, instance: str) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    for name, value in settings.printed().items():
        log.info("%s=%s", name, value)
    topics = Topics(settings.app, settings.prefix, settings.partitioning)
    shell, metrics = Shell(settings), side.metrics
    tracing = Tracing(settings, instance) if settings.tracing.endpoint else None
    health = HealthServer(
        settings.http.host, side.port, metrics.registry, shell.not_live, shell.not_ready, inherited=side.door
    )
    health.start()
    if side.door is None:
        log.info("http://%s:%d has /metrics, /livez and /readyz", settings.http.host, health.port)
    preparing = asyncio.ensure_future(asyncio.to_thread(side.prepare))
    await asyncio.wait([preparing, asyncio.ensure_future(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not preparing.done():
        # Whatever the thread waits for, nothing has begun yet.
        os._exit(0)
    prepared = preparing.result()
    pool = ThreadPoolExecutor(min(THREADS_MOST, prepared.partitions + THREADS_SPARE), "partition")

    def news() -> None:
        loop.call_soon_threadsafe(shell.wake)

    known = DefinitionsTopic(settings, topics, news)
    models = ModelsTopic(
        settings,
        topics,
        OutputReader(prepared.schemas),
        definition=lambda: known.latest,
        changed=news,
        refused=lambda reason: metrics.models_refused.labels(reason).inc(),
    )
    shell.runtime = Runtime(
        settings=settings,
        topics=topics,
        intake=side.intake,
        partitions=prepared.partitions,
        codec=prepared.codec,
        outputs=OutputCodec(prepared.schemas, settings.source),
        begin=prepared.begin,
        make_engine=side.make_engine,
        definitions=known,
        models=models,
        metrics=metrics,
        pool=pool,
        group=shell,
        feed=None,  # type: ignore[arg-type]  # the app makes it below
        tracing=tracing,
    )
    known.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)
    await asyncio.to_thread(known.caught_up.wait, settings.broker_wait_ms / 1000)
    if known.latest is None:
        log.warning(
            "No definition is published yet: `journey definitions apply FILE`, or `journey run --definition FILE`."
        )
    if side.follows_models:
        models.start()
    app = make_app(settings, shell, instance, side.intake.topic)
    shell.feed = shell.runtime.feed = app.consumer
    threading.Thread(target=_watchdog, args=(shell,), name="watchdog", daemon=True).start()
    ticker = asyncio.ensure_future(shell.tick_forever())
    try:
        await _serve(app, shell, stopping, ticker)
    finally:
        known.stop()
        models.stop()
        health.stop()
        if tracing is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(tracing.stop), SPANS_S)
    # Faust and librdkafka leave threads behind that an ordinary exit would wait for.
    logging.shutdown()
    os._exit(shell.status)


def _prepare(settings: Settings, topics: Topics, definitions: Sequence[Path]) -> Prepared:
    """What may take a while before the group is joined."""
    loaded = None
    if definitions:
        try:
            loaded = load_files(definitions)
        except DefinitionFaults as faults:
            raise Refused(f"the definition is not usable:\n{faults}") from faults
    wait_for_brokers(
        settings.kafka, settings.broker_wait_ms / 1000, " JOURNEY_BROKER_WAIT sets how long a start waits."
    )
    # First: brokers hide what a user may not describe, and a hidden topic looks like none.
    startup.check_rights(settings, rights.of_the_worker(topics, publishes=loaded is not None))
    partitions = startup.check(settings, topics)
    schemas = startup.schema_source(settings, topics)
    if loaded is not None:
        try:
            found = publish(settings, topics, loaded)
        except (Fenced, OutcomeUnknown) as error:
            raise Refused(f"the definition could not be published: {error}") from error
        log.info("The definition is number %d%s", found.number, "" if found.new else " (unchanged)")
        if found.paused:
            log.warning("Paused: %s. `journey resume ACTION` lets one go on.", ", ".join(found.paused))
    letters = settings.dead_letters
    codec = TouchpointCodec(schemas, allow_json=letters.allow_json, limits=Limits(value_bytes=letters.value_bytes))
    return Prepared(partitions, codec, schemas, begin)


async def _serve(app: JourneyApp, shell: Shell, stopping: asyncio.Event, ticker: asyncio.Future[None]) -> None:
    starting = asyncio.ensure_future(app.start())
    stop, ended = asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(shell.ended.wait())
    await asyncio.wait([starting, stop, ended, ticker], return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception() is not None:
        log.critical("The Faust application could not start", exc_info=starting.exception())
        shell.give_up("the Faust application could not start")
    elif starting.done():
        crashed = asyncio.ensure_future(app.wait_until_stopped())
        await asyncio.wait([stop, ended, ticker, crashed], return_when=asyncio.FIRST_COMPLETED)
        if crashed.done() and not stop.done():
            shell.stalled(f"the Faust application has stopped: {app.crash_reason!r}")
    if ticker.done() and ticker.exception() is not None:
        log.critical("The ticker ended", exc_info=ticker.exception())
        shell.give_up("the ticker ended")
    if stop.done():
        log.info("Asked to end: open transactions are finished.")
    began = time.monotonic()
    await shell.drain()
    with contextlib.suppress(Exception):
        await asyncio.wait_for(app.consumer.commit(), 2.0)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(app.stop(), STOP_S)
    log.info("Ended after %.1f s", time.monotonic() - began)


def _follow(parent: int) -> None:
    """A parent that was killed could not pass anything on."""
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _watchdog(shell: Shell) -> None:
    """Faust and aiokafka can die in silence; a process that ends is started again (rule 21)."""
    while not shell.ended.is_set():
        time.sleep(WATCH_S)
        try:
            why = shell.not_live()
        except Exception:
            log.exception("The watchdog could not judge")
            continue
        if why is not None:
            log.critical("The worker ends with status %d: %s", EXIT_STALLED, why)
            logging.shutdown()
            os._exit(EXIT_STALLED)


__all__ = ["EXIT_BUG", "run_worker"]
