"""``journey capacity``: how many partitions, workers, cores, memory and disk a rate and a number of customers take.

Owns the options and the table; the arithmetic is in ``streams.tools.capacity``.
"""

# ruff: noqa: PLC0415 - heavy modules are imported where they are used, so that `journey --help` is quick
from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from streams.cli.options import fail


def capacity(
    rate: Annotated[float, typer.Option(help="Touchpoints a second, on average.")],
    customers: Annotated[int, typer.Option(help="Customers known at once.")],
    peak: Annotated[float, typer.Option(help="Rate of the busiest minutes, as a multiple of the average.")] = 3.0,
    headroom: Annotated[float, typer.Option(help="Share of cores, memory and disk that stays free.")] = 0.4,
    growth: Annotated[float, typer.Option(help="Workers that the partitions must suffice for, as a multiple.")] = 2.0,
    replication: Annotated[int, typer.Option(help="Copies of each record.")] = 3,
    retention: Annotated[str, typer.Option(help="How long touchpoints and outputs are kept, as 30d.")] = "30d",
    worker_memory: Annotated[str, typer.Option(help="Memory of one worker, as 2GiB.")] = "2GiB",
    hot_profiles: Annotated[int, typer.Option(help="JOURNEY_HOT_PROFILES.")] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Reckon a deployment from measured unit costs, and show how each figure came about."""
    from streams.settings_source import bytes_of, milliseconds
    from streams.tools.capacity import CapacityError, Load
    from streams.tools.capacity import capacity as reckoned

    try:
        retention_ms = milliseconds(retention)
    except ValueError:
        raise typer.BadParameter(f"{retention!r} is no duration such as 12h or 30d") from None
    try:
        memory = bytes_of(worker_memory)
    except ValueError:
        raise typer.BadParameter(f"{worker_memory!r} is no size such as 512MiB or 2GiB") from None
    load = Load(rate, customers, peak, headroom, growth, replication, retention_ms, memory, hot_profiles)
    try:
        found = reckoned(load)
    except CapacityError as error:
        fail(str(error), 2)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    for line in found.lines:
        typer.echo(str(line))
    typer.echo(
        "\nUnit costs: the shipped shop on the machine of docs/benchmarks.md. Not reckoned: the learner (one process), "
        "the registry, dead letters."
    )
