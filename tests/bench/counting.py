"""``python -m tests.bench.counting``: what metrics and traces cost, as a share of a worker's CPU.

The worker (c) of docs/benchmarks.md with clocks around everything that tells of the work: counting a chunk and a
transaction, the gauges of each second, spans (a hundredth of the transactions, sent to a collector that takes them),
and the scrapes, here one each second. Once with a backlog, where transactions are large, and once at a steady rate,
where they are small and what is done for each weighs most. CPU of the threads that do it, over that of the whole
process: both of one run, so that what else loads the machine loads both.
"""

# ruff: noqa: T201 - a command that prints
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from streams.contracts.output_codec import OutputCodec
from streams.contracts.schemas import PackagedSchemas
from streams.definitions.load import load_files, shipped
from streams.tools.embedded import EmbeddedKafka
from streams.tools.simulator import generate
from tests.bench.__main__ import LIMIT_S, free_port, machine, say, wait_ready
from tests.bench.meter import told
from tests.bench.place import SEED, Place, write_input, write_models
from tests.support.collector import Collector

AIM: Final = 0.02
TOLD: Final = ("counting", "gauges", "spans", "spans sent (in threads)", "scrapes (in threads)")
SCRAPE_S: Final = 1.0
SCRAPED_S: Final = 15.0
"""What Prometheus does with the shipped configuration: the share is that of so many scrapes."""


class Scraper(threading.Thread):
    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(SCRAPE_S):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                    answer.read()
            except OSError:
                pass  # not there yet, or not any more


def produce(place: Place, touchpoints: int, rate: int) -> None:
    """At the rate, as they happen."""
    codec = OutputCodec(PackagedSchemas(), "/journey-streams/simulator")
    made = list(generate(SEED, touchpoints // 10, touchpoints))
    producer = Producer({**place.admin, "partitioner": "murmur2_random", "compression.type": "lz4"})
    began = time.perf_counter()
    for n, touchpoint in enumerate(made):
        if (ahead := began + n / rate - time.perf_counter()) > 0.005:
            producer.poll(0)
            time.sleep(ahead)
        record = codec.touchpoint(touchpoint)
        producer.produce(place.topics.touchpoints, record.value, record.key, headers=record.headers)
    producer.flush(30)


def run(place: Place, collector: Collector, rate: int | None) -> dict[str, Any]:
    """``rate``: touchpoints a second; None: they are all there."""
    port = free_port()
    environment = place.environment() | {
        "JOURNEY_HTTP_PORT": str(port),
        "JOURNEY_TRACING_ENDPOINT": collector.endpoint,
    }
    command = [sys.executable, "-m", "tests.bench.worker", str(shipped("shop"))]
    with tempfile.TemporaryFile() as output:
        worker = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        scraper = Scraper(port)
        scraper.start()
        try:
            if rate is not None:
                wait_ready(worker, port)
                produce(place, place.touchpoints, rate)
            worker.wait(LIMIT_S)
        finally:
            scraper.stopping.set()
            worker.kill()
            worker.wait()
        output.seek(0)
        return told(output.read().decode())


def lines(name: str, figures: dict[str, Any]) -> list[str]:
    stages = {stage: float(figures["stages_us"].get(stage, 0.0)) for stage in TOLD}
    stages["scrapes (in threads)"] *= SCRAPE_S / SCRAPED_S
    whole = float(figures["cpu_us"])
    share = sum(stages.values()) / whole
    each = figures["touchpoints"] / figures["transactions"]
    verdict = "reached" if share <= AIM else "not reached"
    return [
        f"{name}: {whole:.1f} us CPU a touchpoint, {figures['transactions']} transactions of {each:.0f} touchpoints",
        "    " + ", ".join(f"{stage} {us:.3f} us" for stage, us in stages.items()),
        f"    metrics and traces: {share:.2%} of the CPU, <= {AIM:.0%}: {verdict}",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counting", description=__doc__)
    parser.add_argument("--touchpoints", type=int, default=60_000, help="Of the backlog; half of it at the rate.")
    parser.add_argument("--rate", type=int, default=2_000, help="Touchpoints a second.")
    given = parser.parse_args()
    touchpoints, rate = given.touchpoints, given.rate
    described = f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}"
    with (
        tempfile.TemporaryDirectory(prefix="journey-bench-") as folder,
        EmbeddedKafka(Path(folder) / "kafka") as kafka,
        Collector() as collector,
    ):
        backlog = Place(kafka.bootstrap, touchpoints, "backlog", "bench-backlog")
        live = replace(backlog, touchpoints=touchpoints // 2, run="live", prefix="bench-live")
        for place in (backlog, live):
            place.create()
            write_models(place, load_files([shipped("shop")]))
        say(f"a backlog of {touchpoints:,} touchpoints")
        write_input(backlog, touchpoints // 10)
        found = lines("backlog", run(backlog, collector, None))
        say(f"{rate:,} touchpoints/s")
        found += lines(f"{rate:,}/s", run(live, collector, rate))
        spans = sum(span.name == "journey.transaction" for span in collector.spans)
    print("\n".join([described, *found, f"{spans} spans arrived"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
