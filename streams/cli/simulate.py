"""``journey simulate``: made-up customers into a file or a topic, at once or at the pace of the real clock.

Owns the options and the messages; what the customers do is in ``streams.tools.simulator``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import connected

if TYPE_CHECKING:
    from streams.contracts.touchpoint import Touchpoint
    from streams.tools.simulator import Fact, Simulation
    from streams.tools.simulator.sinks import Sink

BEAT_S = 0.05
BATCH = 10_000


def simulate(
    output: Annotated[Path | None, typer.Option(help="File of JSON lines; .gz compresses.")] = None,
    to_kafka: Annotated[bool, typer.Option("--to-kafka", help="Into the touchpoint topic of the settings.")] = False,
    truth: Annotated[Path | None, typer.Option(help="File for what really happened (JSON lines).")] = None,
    customers: Annotated[int, typer.Option(min=1, help="How many there are.")] = 1_000,
    touchpoints: Annotated[
        int | None, typer.Option(min=1, help="How many to make; default 10000, with --time-scale until Ctrl-C.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same touchpoints.")] = 1,
    start: Annotated[
        str | None, typer.Option(help="Time of the first touchpoint (ISO 8601); not with --time-scale.")
    ] = None,
    run: Annotated[str, typer.Option(help="In front of every event_id: another word makes other ids.")] = "e",
    duplicates: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of touchpoints that come twice.")] = 0.0,
    late: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of touchpoints that come later than allowed.")
    ] = 0.0,
    late_by: Annotated[str, typer.Option(help="Most delay of a late touchpoint.")] = "1h",
    shuffle: Annotated[str, typer.Option(help="Each touchpoint comes up to this much later: disorder.")] = "0s",
    keep_order: Annotated[
        bool, typer.Option("--keep-order", help="Shuffling keeps each customer's own order.")
    ] = False,
    skewed: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of customers whose device has a wrong clock.")
    ] = 0.0,
    garbage: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Records that are no touchpoints, for each touchpoint.")
    ] = 0.0,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Touchpoints a second; default as fast as possible.")
    ] = None,
    time_scale: Annotated[
        float | None, typer.Option(min=0.001, help="Live: the real clock, with all pauses divided by this.")
    ] = None,
) -> None:
    """Simulate customers of the shipped shop and service definitions, with the truth about who was stuck where."""
    from streams.contracts.registry import RegistryError
    from streams.contracts.schemas import RegistryUnavailable
    from streams.tools.simulator import DEFAULT_START_MS, Disturbance, Garbage, Pace, Simulation, arrivals_for
    from streams.tools.simulator.sinks import DeliveryError, write_truth

    if (output is None) == (not to_kafka):
        raise typer.BadParameter("say where to: either --output FILE or --to-kafka")
    if time_scale is not None and (start is not None or rate is not None):
        raise typer.BadParameter("--time-scale follows the real clock: it takes neither --start nor --rate")
    count = 10_000 if touchpoints is None and time_scale is None else touchpoints
    start_ms = _now() if time_scale is not None else DEFAULT_START_MS if start is None else _moment(start)
    disturbance = Disturbance(
        duplicates=duplicates,
        late=late,
        late_most_ms=max(_duration("--late-by", late_by), 30_000),
        shuffle_ms=_duration("--shuffle", shuffle),
        shuffle="between customers" if keep_order else "any",
        skewed=skewed,
        garbage=garbage,
    )
    pace = Pace() if time_scale is None else Pace().scaled(time_scale)
    simulation = Simulation(
        seed,
        customers,
        start_ms,
        pace=pace,
        disturbance=disturbance,
        arrivals_ms=None if count is None or time_scale is not None else arrivals_for(customers, count, pace),
        run=run,
        keep_truth=truth is not None,
    )
    written = 0
    facts: list[Fact] = []
    rubbish = Garbage(seed, garbage)
    with ExitStack() as stack:
        try:
            sink = _sink(stack, output)
            for t in _paced(simulation, sink, count, rate, live=time_scale is not None):
                record = rubbish.next()
                if record is not None:
                    sink.garbage(record)
                sink.write(t)
                written += 1
            sink.flush()
        except KeyboardInterrupt:  # the usual end of a live simulation: what was made is kept
            pass
        except (DeliveryError, OSError, RegistryUnavailable, RegistryError) as error:
            typer.echo(f"journey simulate: {error}", err=True)
            raise typer.Exit(1) from error
    typer.echo(f"{written:,} touchpoints written to {output or 'the touchpoint topic'}")
    if truth is not None:
        facts = list(simulation.facts(simulation.now_ms))
        write_truth(truth, facts)
        kinds = Counter(fact.kind for fact in facts)
        typer.echo(
            f"{len(facts):,} facts written to {truth}: " + ", ".join(f"{n:,} {k}" for k, n in sorted(kinds.items()))
        )


def _now() -> int:
    return time.time_ns() // 1_000_000


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"--start {text!r}: expected a time like 2026-01-01T08:00:00+00:00") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _duration(option: str, text: str) -> int:
    from streams.settings_source import milliseconds

    try:
        return milliseconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r}: expected a duration like 20s, 5m or 1h") from error


def _sink(stack: ExitStack, output: Path | None) -> Sink:
    from streams.tools.simulator.sinks import JsonLines, TopicSink

    if output is not None:
        return stack.enter_context(JsonLines(output))
    from streams.contracts.output_codec import OutputCodec

    connection = connected(None)
    codec = OutputCodec(connection.schemas("write"), "/journey-streams/simulator")
    return TopicSink(connection.kafka, connection.topics.touchpoints, codec)


def _paced(
    simulation: Simulation, sink: Sink, count: int | None, rate: float | None, *, live: bool
) -> Iterator[Touchpoint]:
    """Touchpoints when they are due: by the real clock, at a rate, or at once."""
    left = count
    if live:
        while left is None or left > 0:
            for t in simulation.events(_now()):
                yield t
                if left is not None:
                    left -= 1
                    if left == 0:
                        return
            sink.flush()
            time.sleep(BEAT_S)
        return
    began = time.monotonic()
    for n, t in enumerate(simulation.events(1 << 62)):
        if n == count:
            return
        if rate is not None:
            ahead = n / rate - (time.monotonic() - began)
            if ahead > BEAT_S:
                sink.flush()
                time.sleep(ahead)
        yield t
