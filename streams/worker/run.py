"""One worker process from start to end: checks, the parts put together, signals, draining, the exit status."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from streams.contracts.codec import TouchpointCodec
from streams.contracts.limits import Limits
from streams.contracts.output_codec import OutputCodec
from streams.contracts.topics import Topics
from streams.definitions.load import DefinitionFaults, load_files
from streams.engine.engine import Engine
from streams.settings import Settings
from streams.tools.brokers import wait_for_brokers
from streams.worker import startup
from streams.worker.app import JourneyApp, make_app
from streams.worker.definitions_topic import DefinitionsTopic, publish
from streams.worker.health import HealthServer
from streams.worker.logs import configure
from streams.worker.metrics import Metrics
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
from streams.worker.ports import MakeEngine, Runtime
from streams.worker.shell import Shell

log = logging.getLogger(__name__)

THREADS_SPARE: Final = 4
"""Beside one for each partition, which opens or commits: ending clients that are not needed any more."""
THREADS_MOST: Final = 128
YOUNG_OBJECTS: Final = 100_000
"""Allocations between two runs of the garbage collector. Chunks make thousands of objects that reference counting
frees; Python's 700 made looking at them a third of the cost of a touchpoint (measured: 70 us against 52)."""
STOP_S: Final = 10.0
"""After draining, how long Faust may take to stop before the process ends anyway."""
WATCH_S: Final = 1.0


def run_worker(
    settings: Settings,
    *,
    index: int = 0,
    definitions: Sequence[Path] = (),
    make_engine: MakeEngine = Engine,
    parent: int | None = None,
) -> int:
    """Runs until SIGTERM or SIGINT or until it must not go on; the exit status. Call it from the main thread.

    ``parent``: a process without which this one ends as if it were asked to.
    """
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="parent", daemon=True).start()
    instance = settings.instance_id(index)
    configure(settings, instance)
    try:
        return asyncio.run(_run(settings, index, instance, definitions, make_engine))
    except Refused as refusal:
        log.critical("%s", refusal)
        return EXIT_UNAVAILABLE if isinstance(refusal, Unavailable) else EXIT_REFUSED
    except Exception:
        log.exception("A defect; the worker ends")
        return EXIT_BUG


async def _run(
    settings: Settings, index: int, instance: str, definitions: Sequence[Path], make_engine: MakeEngine
) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    for name, value in settings.printed().items():
        log.info("%s=%s", name, value)
    topics = Topics(app=settings.app, prefix=settings.prefix)
    shell, metrics = Shell(settings), Metrics()
    port = settings.http.port + index if settings.http.port else 0
    health = HealthServer(settings.http.host, port, metrics.registry, shell.not_live, shell.not_ready)
    health.start()
    log.info("http://%s:%d has /metrics, /livez and /readyz", settings.http.host, health.port)
    prepared = asyncio.ensure_future(asyncio.to_thread(_prepare, settings, topics, definitions))
    await asyncio.wait([prepared, asyncio.ensure_future(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not prepared.done():
        # Whatever the thread waits for, nothing has begun yet.
        os._exit(0)
    partitions, runtime_parts = prepared.result()
    pool = ThreadPoolExecutor(min(THREADS_MOST, partitions + THREADS_SPARE), "partition")

    def news() -> None:
        loop.call_soon_threadsafe(shell.wake)

    known = DefinitionsTopic(settings, topics, news)
    shell.runtime = Runtime(
        settings=settings,
        topics=topics,
        partitions=partitions,
        codec=runtime_parts[0],
        outputs=runtime_parts[1],
        make_engine=make_engine,
        definitions=known,
        metrics=metrics,
        pool=pool,
        group=shell,
        feed=None,  # type: ignore[arg-type]  # the app makes it below
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
    app = make_app(settings, shell, instance, topics.touchpoints)
    shell.feed = shell.runtime.feed = app.consumer
    threading.Thread(target=_watchdog, args=(shell,), name="watchdog", daemon=True).start()
    ticker = asyncio.ensure_future(shell.tick_forever())
    try:
        await _serve(app, shell, stopping, ticker)
    finally:
        known.stop()
        health.stop()
    # Faust and librdkafka leave threads behind that an ordinary exit would wait for.
    logging.shutdown()
    os._exit(shell.status)


def _prepare(
    settings: Settings, topics: Topics, definitions: Sequence[Path]
) -> tuple[int, tuple[TouchpointCodec, OutputCodec]]:
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
    startup.check_rights(settings, topics, publishes=loaded is not None)
    partitions = startup.check(settings, topics)
    schemas = startup.schema_source(settings, topics)
    if loaded is not None:
        try:
            number, new = publish(settings, topics, loaded)
        except (Fenced, OutcomeUnknown) as error:
            raise Refused(f"the definition could not be published: {error}") from error
        log.info("The definition is number %d%s", number, "" if new else " (unchanged)")
    letters = settings.dead_letters
    codec = TouchpointCodec(schemas, allow_json=letters.allow_json, limits=Limits(value_bytes=letters.value_bytes))
    return partitions, (codec, OutputCodec(schemas, settings.source))


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
