"""``python -m tests.bench.unit_costs``: what a touchpoint, a profile, a partition and a process cost.

Measures the figures of ``streams.tools.capacity_costs`` with a broker of its own, in three minutes, and prints them
as that module holds them. Owns how each figure comes about; CPU is that of the processes, disk that of the broker's
segments.
"""

# ruff: noqa: T201 - a command that prints
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import JournalLine
from streams.contracts.schemas import PackagedSchemas
from streams.definitions.load import load_files, shipped
from streams.tools.capacity_costs import UnitCosts
from streams.tools.embedded import EmbeddedKafka
from streams.tools.topics import create_topics
from tests.bench.__main__ import RATE, contend, free_port, machine, measure_latency, measure_restore, say, wait_ready
from tests.bench.meter import cpu_of
from tests.bench.place import Place, write_input, write_models
from tests.bench.restore import PROFILES_PER_CUSTOMER

if TYPE_CHECKING:
    from collections.abc import Iterator

TOUCHPOINTS: Final = 100_000
CUSTOMERS: Final = 10_000
RESTORED: Final = 200_000
LIVE_S: Final = 15.0
FEW: Final = 4
MANY: Final = 24
"""Partitions of the two idle workers that tell what a partition costs."""
SETTLED_S: Final = 5.0
IDLE_S: Final = 10.0
RECORD_OVERHEAD: Final = 12
"""Bytes of a record in a batch beside key, value and headers: lengths, offset and time."""
LABEL_S: Final = 50e-6
"""docs/learning.md: learning a label with everything around it, one linear pipeline."""


def broker_cpu(kafka: EmbeddedKafka) -> float:
    """CPU seconds of the broker's process group."""
    group = kafka.group
    used = 0.0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            after_name = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(after_name[2]) == group:
            used += cpu_of(int(entry.name))
    return used


def segments(kafka: EmbeddedKafka, topic: str) -> int:
    """Bytes of a topic's segments, of all its partitions."""
    return sum(
        file.stat().st_size for folder in (kafka.data / "log").glob(f"{topic}-[0-9]*") for file in folder.glob("*.log")
    )


def resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


@contextmanager
def idle_worker(place: Place) -> Iterator[int]:
    """`journey run` as it is shipped, ready; its process id."""
    port = free_port()
    environment = place.environment() | {"JOURNEY_HTTP_PORT": str(port), "JOURNEY_IDLE_AFTER": "2s"}
    command = [sys.executable, "-m", "streams", "run", "--definition", str(shipped("shop"))]
    worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_ready(worker, port)
        yield worker.pid
    finally:
        worker.terminate()
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def idle(bootstrap: str, partitions: int) -> tuple[float, float]:
    """(cores, resident bytes) of a worker with so many partitions and no touchpoints."""
    place = Place(bootstrap, 0, f"idle{partitions}", f"bench-idle{partitions}")
    create_topics(place.admin, place.topics, partitions=partitions)
    with idle_worker(place) as pid:
        time.sleep(SETTLED_S)
        began, used = time.perf_counter(), cpu_of(pid)
        time.sleep(IDLE_S)
        return (cpu_of(pid) - used) / (time.perf_counter() - began), resident(pid)


def journal_move_bytes() -> float:
    """A line of the journal that says how far an idle clock moved, as a record."""
    line = OutputCodec(PackagedSchemas(), "/journey-streams/journey").journal(
        JournalLine(1_000_000, "idle", {"to": 1_800_000_000_000}), 1
    )
    marks = sum(len(name) + len(value) + 2 for name, value in line.headers)
    return float(len(line.value or b"") + marks + RECORD_OVERHEAD)


def measure(kafka: EmbeddedKafka) -> UnitCosts:
    place = Place(kafka.bootstrap, TOUCHPOINTS, "costs", "bench-costs")
    place.create()
    say(f"a backlog of {TOUCHPOINTS:,} touchpoints")
    began = broker_cpu(kafka)
    write_input(place, CUSTOMERS)
    write_models(place, load_files([shipped("shop")]))
    backlog = contend(place, "worker", shipped("shop"))
    broker = broker_cpu(kafka) - began
    topics = place.topics
    written = {
        topic: segments(kafka, topic) / TOUCHPOINTS
        for topic in (
            topics.touchpoints, topics.state, topics.journal, topics.signals, topics.triggers, topics.decisions,
            topics.customers, topics.examples,
        )
    }  # fmt: skip
    engine = contend(place, "engine_alone", shipped("shop"))
    say(f"{RATE:,} touchpoints/s for {LIVE_S:.0f} s")
    live = measure_latency(Place(kafka.bootstrap, 0, "live", "bench-costs-live"), LIVE_S)
    say(f"restoring {RESTORED:,} customers")
    restored = measure_restore(Place(kafka.bootstrap, 0, "restore", "bench-costs-restore"), RESTORED)
    say("idle workers")
    few_cores, few_bytes = idle(kafka.bootstrap, FEW)
    many_cores, many_bytes = idle(kafka.bootstrap, MANY)
    partition_cores = max(0.0, (many_cores - few_cores) / (MANY - FEW))
    partition_bytes = max(0.0, (many_bytes - few_bytes) / (MANY - FEW))
    views = segments_of_views(kafka, place, engine)
    return UnitCosts(
        backlog_cpu_s=backlog["cpu_us"] / 1e6,
        live_cpu_s=live["worker_cores"] / live["rate"],
        live_rate=live["rate"],
        process_cores=few_cores - FEW * partition_cores,
        partition_cores=partition_cores,
        process_bytes=few_bytes - FEW * partition_bytes,
        partition_bytes=partition_bytes,
        profile_bytes=restored["memory_bytes"],
        # Every profile of the backlog is still decoded: there are fewer than JOURNEY_HOT_PROFILES in each partition.
        hot_profile_bytes=(backlog["resident_mb"] * 2**20 - few_bytes) / engine["profiles"],
        worker_disk_bytes=0.0,
        changelog_profile_bytes=restored["profile_bytes"] + RECORD_OVERHEAD,
        changelog_bytes=written[topics.state],
        changelog_records=backlog["state_records"] / TOUCHPOINTS,
        input_bytes=written[topics.touchpoints],
        journal_bytes=written[topics.journal],
        journal_move_bytes=journal_move_bytes(),
        signal_bytes=written[topics.signals],
        trigger_bytes=written[topics.triggers],
        decision_bytes=written[topics.decisions],
        customer_bytes=written[topics.customers],
        customer_view_bytes=views,
        example_bytes=written[topics.examples],
        profiles_per_customer=PROFILES_PER_CUSTOMER,
        restore_record_s=restored["cpu_s"] / restored["records"],
        broker_cpu_s=broker / TOUCHPOINTS,
        learner_label_s=LABEL_S,
    )


def segments_of_views(kafka: EmbeddedKafka, place: Place, engine: dict[str, Any]) -> float:
    """Mean bytes of a customer view: all that were written, by their number."""
    return segments(kafka, place.topics.customers) / max(1.0, float(engine["customers_per_1000"]) * TOUCHPOINTS / 1000)


def text(costs: UnitCosts) -> str:
    rows = [f"    {field.name}={getattr(costs, field.name):.4g}," for field in fields(costs)]
    return "\n".join(["UnitCosts(", *rows, ")"])


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.bench.unit_costs", description=__doc__).parse_args()
    described = f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}"
    with tempfile.TemporaryDirectory(prefix="journey-bench-") as folder, EmbeddedKafka(Path(folder) / "kafka") as kafka:
        costs = measure(kafka)
    print(f"# {described}\n{text(costs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
