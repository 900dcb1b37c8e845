"""``python -m tests.bench``: the contenders of docs/benchmarks.md, interleaved, each in a process of its own.

Owns the order of things and the processes it starts; what is measured is in the contenders' modules.
"""

# ruff: noqa: T201 - a command that prints
from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from confluent_kafka.admin import AdminClient, NewTopic

from streams.definitions.load import load_files, shipped
from streams.tools.embedded import EmbeddedKafka
from tests.bench import compiled, report, stock_faust
from tests.bench.meter import told
from tests.bench.place import PARTITIONS, PAYMENT, Place, write_input, write_models
from tests.bench.restore import write as write_changelog

LIMIT_S: Final = 300.0
READY_S: Final = 60.0
RATE: Final = 2_000


@dataclass(frozen=True)
class Sizes:
    runs: int
    touchpoints: int
    customers: int
    stock: int
    """Touchpoints for stock Faust, which takes some 0.7 ms for each."""
    restored: int
    latency_s: float


FULL: Final = Sizes(5, 200_000, 20_000, 15_000, 200_000, 40.0)
QUICK: Final = Sizes(1, 40_000, 4_000, 4_000, 20_000, 15.0)


class ContenderError(Exception):
    """A contender ended without figures; the text is what it said."""


def contend(place: Place, module: str, *arguments: object, streams: Path | None = None) -> dict[str, Any]:
    """Runs a contender to its end; its figures. ``streams``: the folder of another build of it."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]
    env = place.environment() if streams is None else place.environment() | compiled.paths(streams)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    try:
        return told(done.stdout)
    except LookupError as error:
        said = (done.stdout + done.stderr)[-3_000:]
        raise ContenderError(f"{module} ended with status {done.returncode}:\n{said}") from error


def create_for_faust(place: Place) -> None:
    """What Faust would create, made before: topics of a moment ago make about one start in four hang."""
    new = [
        NewTopic(stock_faust.signals_topic(place.run), PARTITIONS, 1),
        NewTopic(stock_faust.table_topic(place.run), PARTITIONS, 1, config={"cleanup.policy": "compact"}),
    ]
    # The client must outlive the answers: without a reference it ends, and the request with it.
    admin = AdminClient(place.admin)
    for future in admin.create_topics(new).values():
        future.result()
    time.sleep(1.0)


def run_one(letter: str, place: Place, stock: int, built: Path) -> dict[str, Any]:
    """One run of one contender. ``built``: where the compiled engine is, if it was made."""
    if letter == "a":
        return contend(place, "bare_loop")
    if letter == "d":
        place = replace(place, touchpoints=stock)
        create_for_faust(place)
        return contend(place, "stock_faust")
    if letter == "e":
        return contend(place, "engine_alone", shipped("shop"))
    if letter == "f":
        return contend(place, "engine_alone", shipped("shop"), streams=built)
    place.create()
    return contend(place, "worker", PAYMENT if letter == "b" else shipped("shop"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure_latency(place: Place, seconds: float) -> dict[str, Any]:
    """`journey run` as it is shipped, beside it a process that produces and listens."""
    place.create()
    port = free_port()
    environment = place.environment() | {
        "JOURNEY_HTTP_PORT": str(port),
        "JOURNEY_START_ISSUING": "first start",
        "JOURNEY_IDLE_AFTER": "2s",
    }
    command = [sys.executable, "-m", "streams", "run", "--definition", str(shipped("shop"))]
    with tempfile.TemporaryFile() as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_ready(worker, port)
            return contend(place, "latency", worker.pid, RATE, seconds)
        except ContenderError as failure:
            log.seek(0)
            raise ContenderError(f"{failure}\nthe worker:\n{log.read().decode()[-2_000:]}") from failure
        finally:
            worker.terminate()
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def wait_ready(worker: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and worker.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise ContenderError("the worker did not become ready")


def measure_restore(place: Place, customers: int) -> dict[str, Any]:
    place.create()
    write_changelog(place, shipped("shop"), customers)
    return contend(place, "restore", shipped("shop"))


def measure_decision(quick: bool) -> dict[str, Any]:
    return contend(Place("", 0, "decision"), "decision", *(["--quick"] if quick else []))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def compile_engine(folder: Path) -> None:
    """Where there is a C compiler; what it makes must do what the engine in Python does."""
    say("compiling the engine")
    try:
        compiled.build(folder)
    except compiled.BuildError as failure:
        raise ContenderError(f"the engine could not be compiled:\n{failure}") from failure
    difference = compiled.differ(folder)
    if difference is not None:
        raise ContenderError(difference)


def bench(bootstrap: str, sizes: Sizes, only: str, built: Path) -> dict[str, list[dict[str, Any]]]:
    # Names of this invocation: on a broker that goes on running, what an earlier one wrote must not be read again.
    prefix = f"bench-{int(time.time())}"
    place = Place(bootstrap, sizes.touchpoints, "input", prefix)
    results: dict[str, list[dict[str, Any]]] = {}
    letters = [letter for letter in report.CONTENDERS if letter in only]
    if "f" in letters and not compiled.possible():
        say("(f) is left out: there is no C compiler")
        letters.remove("f")
    if "f" in letters:
        compile_engine(built)
    if letters:
        say(f"writing {sizes.touchpoints:,} touchpoints")
        place.create()
        write_input(place, sizes.customers)
        # One topic for all: what serves none of a definition's risks is left alone.
        write_models(place, load_files([shipped("shop")]))
    for turn in range(sizes.runs):
        for letter in letters:
            found = run_one(letter, replace(place, run=f"{letter}{turn}"), sizes.stock, built)
            results.setdefault(letter, []).append(found)
            say(f"run {turn + 1} of {sizes.runs} ({letter}): {found['cpu_us']:.1f} us, {found['rate']:,.0f}/s")
    if "l" in only:
        say(f"latency at {RATE:,} touchpoints/s for {sizes.latency_s:.0f} s")
        results["latency"] = [measure_latency(Place(bootstrap, 0, "latency", f"{prefix}-latency"), sizes.latency_s)]
    if "n" in only:
        results["decision"] = [measure_decision(sizes == QUICK)]
    if "r" in only:
        say(f"writing the changelog of {sizes.restored:,} customers")
        results["restore"] = [measure_restore(Place(bootstrap, 0, "restore", prefix), sizes.restored)]
    return results


def machine() -> str:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    name = platform.processor() or platform.machine()
    return f"{os.cpu_count()} CPUs ({name}), Python {platform.python_version()}, load before {load:.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="One small run of each: a look, no measurement.")
    parser.add_argument("--runs", type=int, help="Interleaved runs of each contender.")
    parser.add_argument(
        "--only", default="abcdeflnr", help="Which: letters of the contenders, l latency, n decisions, r restore."
    )
    parser.add_argument("--json", type=Path, help="File for all figures of all runs.")
    parser.add_argument("--kafka", help="A broker that runs (host:port) instead of one started for this.")
    chosen = parser.parse_args(arguments)
    sizes = QUICK if chosen.quick else FULL
    if chosen.runs:
        sizes = replace(sizes, runs=chosen.runs)
    began = time.monotonic()
    described = f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {machine()}"
    try:
        with tempfile.TemporaryDirectory(prefix="journey-bench-") as folder:
            built = Path(folder) / "compiled"
            if set(chosen.only) == {"n"}:
                results = {"decision": [measure_decision(chosen.quick)]}  # needs no broker
            elif chosen.kafka:
                results = bench(chosen.kafka, sizes, chosen.only, built)
            else:
                with EmbeddedKafka(Path(folder) / "kafka") as kafka:
                    results = bench(kafka.bootstrap, sizes, chosen.only, built)
    except ContenderError as failure:
        say(f"make bench: {failure}")
        return 1
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": described, "results": results}, indent=1), encoding="utf-8")
    print(described)
    print("\n".join(report.lines(results)))
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
