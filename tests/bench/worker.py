"""(b), (c) The worker, exactly once: the product's own parts in its own process, with clocks around its stages.

Owns what differs from ``journey run``: the process ends by itself after the last touchpoint is committed, and nothing
is stale: the simulated touchpoints are days old, and triggers that only ever came too late would cost less than those
that are issued. The clocks cost one call for each chunk or transaction, none for a touchpoint.

``BENCH_PROFILE=file`` profiles the event loop's thread with cProfile (which about doubles the cost);
``BENCH_GC=off|freeze|N`` changes Python's garbage collector: not at all, frozen at the first chunk, first threshold N.
"""

from __future__ import annotations

import cProfile
import gc
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from streams.contracts.codec import TouchpointCodec
from streams.contracts.outputs import Outputs
from streams.contracts.touchpoint import Touchpoint
from streams.engine.engine import Engine
from streams.settings import load
from streams.worker.batch import BatchBuilder, Tally
from streams.worker.health import HealthServer
from streams.worker.metrics import Metrics
from streams.worker.run import run_worker
from streams.worker.shell import Shell
from streams.worker.tracing import Tracing
from streams.worker.transactions import PartitionProducer
from tests.bench.meter import Mark, between, cpu_by_thread, peak_mb, resident_mb, tell
from tests.bench.place import Place


class Watch:
    """Clocks from the first chunk to the last commit."""

    def __init__(self, touchpoints: int) -> None:
        self.touchpoints: Final = touchpoints
        self.stages: defaultdict[str, float] = defaultdict(float)
        """CPU seconds of the thread that a stage runs in; no stage contains another one."""
        self.begin: Mark | None = None
        self.threads: dict[str, float] = {}
        self.consumed = 0
        self.transactions = 0
        self.state_records = 0
        self.state_bytes = 0
        self.profile: cProfile.Profile | None = None

    def start(self) -> None:
        setting = os.environ.get("BENCH_GC", "")
        if setting == "off":
            gc.disable()
        elif setting == "freeze":
            gc.collect()
            gc.freeze()
        elif setting:
            gc.set_threshold(int(setting), 20, 100)
        self.threads = cpu_by_thread()
        self.begin = Mark.now()
        if os.environ.get("BENCH_PROFILE"):
            self.profile = cProfile.Profile()
            self.profile.enable()

    def settled(self, tally: Tally) -> None:
        self.consumed += tally.consumed + tally.already_applied
        self.transactions += 1
        self.state_records += tally.state_records
        self.state_bytes += tally.state_bytes
        if self.consumed >= self.touchpoints and self.begin is not None:
            self.tell(self.begin)

    def tell(self, begin: Mark) -> None:
        end = Mark.now()
        if self.profile is not None:
            self.profile.disable()
            self.profile.dump_stats(os.environ["BENCH_PROFILE"])
        each = 1e6 / self.consumed
        threads = {name: (cpu - self.threads.get(name, 0.0)) * each for name, cpu in cpu_by_thread().items()}
        tell(
            {
                **between(begin, end, self.consumed),
                "stages_us": {name: cpu * each for name, cpu in self.stages.items()},
                "threads_us": threads,
                "transactions": self.transactions,
                "state_records": self.state_records,
                "state_bytes": self.state_bytes,
                "resident_mb": resident_mb(),
                "peak_mb": peak_mb(),
            }
        )
        os.kill(os.getpid(), signal.SIGTERM)

    def time(self, owner: type, name: str, stage: str) -> None:
        """Puts a clock around a method."""
        inner: Callable[..., Any] = getattr(owner, name)
        stages, clock = self.stages, time.thread_time

        def timed(*arguments: Any, **named: Any) -> Any:
            began = clock()
            try:
                return inner(*arguments, **named)
            finally:
                stages[stage] += clock() - began

        setattr(owner, name, timed)


def main(definition: Path) -> None:
    watch = Watch(Place.given().touchpoints)

    class Backlog(Engine):
        def process(self, touchpoints: Sequence[Touchpoint], now_ms: int | None) -> Outputs:
            if watch.begin is None:
                watch.start()
            return super().process(touchpoints, None)

    # What is told about the work, apart from the work.
    for name in ("taken", "settled", "fold"):
        watch.time(Metrics, name, "counting")
    watch.time(Shell, "_gauges", "gauges")
    watch.time(Tracing, "committed", "spans")
    if os.environ.get("JOURNEY_TRACING_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra

        watch.time(OTLPSpanExporter, "export", "spans sent (in threads)")
    watch.time(HealthServer, "scraped", "scrapes (in threads)")
    settle = Metrics.settled

    def settled(self: Metrics, tally: Tally, wall_s: float) -> None:
        settle(self, tally, wall_s)
        watch.settled(tally)

    Metrics.settled = settled  # type: ignore[method-assign]  # in this process only
    watch.time(TouchpointCodec, "decode", "decode")
    watch.time(Backlog, "process", "engine")
    watch.time(Engine, "changed", "changed profiles")
    watch.time(BatchBuilder, "outputs", "encode outputs")
    watch.time(BatchBuilder, "close", "encode customers, marker")
    watch.time(PartitionProducer, "send", "produce")
    watch.time(PartitionProducer, "finish", "commit (in threads)")
    sys.exit(run_worker(load(os.environ), definitions=[definition], make_engine=Backlog))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
