"""Medians, ratios and whether the aims are reached: results of the contenders in, text out.

Owns the aims. Nothing here fails: a figure that is missed is printed as such, for machines differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

Result = Mapping[str, Any]
Results = Mapping[str, Sequence[Result]]
"""Contender -> what each of its runs told."""

CONTENDERS: Final[dict[str, str]] = {
    "a": "bare loop: confluent-kafka, fastavro",
    "b": "worker, payment definition, exactly once",
    "c": "worker, shop definition with risks",
    "d": "stock Faust, agent and table",
    "e": "engine alone, shop definition",
    "f": "engine alone, compiled to C",
}


@dataclass(frozen=True)
class Aim:
    """A figure and the bound that it should keep."""

    what: str
    value: float
    bound: float
    better: str
    """``>=`` or ``<=``."""
    unit: str = ""
    beyond: float | None = None
    """What is aimed at beyond the bound."""

    @property
    def reached(self) -> bool:
        return self.value >= self.bound if self.better == ">=" else self.value <= self.bound

    def __str__(self) -> str:
        aimed = "" if self.beyond is None else f", aim {self.beyond:g}"
        verdict = "reached" if self.reached else "not reached"
        return f"{self.what:<58}{self.value:>10.2f} {self.unit:<6}{self.better} {self.bound:g}{aimed}: {verdict}"


def of(results: Results, contender: str, figure: str) -> list[float]:
    return [float(result[figure]) for result in results.get(contender, ())]


def middle(results: Results, contender: str, figure: str = "cpu_us") -> float:
    found = of(results, contender, figure)
    return median(found) if found else float("nan")


def spread(values: Sequence[float], form: str) -> str:
    """Median (least - most)."""
    if not values:
        return "-"
    return f"{median(values):{form}} ({min(values):{form}} - {max(values):{form}})"


def paired(results: Results, over: str, under: str, figure: str) -> float:
    """Median of the ratios of runs that followed each other: what loads the machine loads both."""
    pairs = zip(of(results, over, figure), of(results, under, figure), strict=False)
    ratios = [a / b for a, b in pairs]
    return median(ratios) if ratios else float("nan")


def aims(results: Results) -> list[Aim]:
    made = [
        Aim("(d) / (b), CPU: cheaper than stock Faust by", paired(results, "d", "b", "cpu_us"), 15, ">=", "times"),
        Aim("(a) / (b), CPU: share of the bare loop", paired(results, "a", "b", "cpu_us"), 0.4, ">=", beyond=0.5),
        Aim("(a) / (c), CPU: share of the bare loop", paired(results, "a", "c", "cpu_us"), 0.17, ">=", beyond=0.25),
        Aim("(e) process() without the risks", middle(results, "e", "unscored_us"), 15, "<=", "us", 10),
        Aim("(f) process() without the risks", middle(results, "f", "unscored_us"), 15, "<=", "us", 10),
        Aim("(e) a linear score", middle(results, "e", "score_us"), 3, "<=", "us"),
    ]
    if results.get("restore"):
        made.append(Aim("restore of the state", middle(results, "restore", "seconds"), 20, "<=", "s"))
    if results.get("decision"):
        made.append(Aim("a decision over 20 actions, drawn", middle(results, "decision", "drawn_us"), 100, "<=", "us"))
    if results.get("latency"):
        made += [
            Aim("produce -> trigger readable, p99", middle(results, "latency", "p99_ms"), 250, "<=", "ms"),
            Aim("worker's CPU at that rate", middle(results, "latency", "worker_cores"), 0.6, "<=", "cores"),
        ]
    return [aim for aim in made if aim.value == aim.value]  # nan where a contender did not run


def lines(results: Results) -> Iterator[str]:
    yield f"{'contender':<48}{'CPU us/touchpoint':>28}{'touchpoints/s':>36}{'of':>9}"
    for letter, name in CONTENDERS.items():
        runs = results.get(letter, ())
        count = f"{int(runs[0]['touchpoints']):,}" if runs else "-"
        cpu, rate = spread(of(results, letter, "cpu_us"), ".1f"), spread(of(results, letter, "rate"), ",.0f")
        yield f"({letter}) {name:<44}{cpu:>28}{rate:>36}{count:>9}"
    yield ""
    yield from map(str, aims(results))
    rates = {f"({over})/({under})": paired(results, over, under, "rate") for over, under in ("bd", "ba", "ca")}
    told = [f"{name} {ratio:.2f}" for name, ratio in rates.items() if ratio == ratio]
    if told:
        yield f"for comparison, wall rates: {', '.join(told)}"
    for letter in "bc":
        yield from _worker(letter, results.get(letter, ()))
    yield from _engine(results)
    yield from _rest(results)


def _worker(letter: str, runs: Sequence[Result]) -> Iterator[str]:
    """Of the run in the middle: where its time went."""
    if not runs:
        return
    run = sorted(runs, key=lambda r: float(r["cpu_us"]))[len(runs) // 2]
    stages, threads = run["stages_us"], run["threads_us"]
    inside = sum(us for name, us in stages.items() if "threads" not in name)
    yield ""
    yield f"({letter}) {run['cpu_us']:.1f} us: " + ", ".join(f"{name} {us:.1f}" for name, us in stages.items())
    if threads:
        rest = threads.get("main", 0.0) - inside
        yield f"    threads: {', '.join(f'{name} {us:.1f}' for name, us in threads.items())}; loop and Faust {rest:.1f}"
    each = run["touchpoints"] / max(1, run["transactions"])
    yield (
        f"    {run['transactions']} transactions of {each:.0f} touchpoints; "
        f"{run['state_records'] / run['touchpoints']:.2f} changelog records and "
        f"{run['state_bytes'] / run['touchpoints']:.0f} bytes a touchpoint; "
        f"{run['resident_mb']:.0f} MB resident, {run['peak_mb']:.0f} at most"
    )


def _engine(results: Results) -> Iterator[str]:
    runs = results.get("e", ())
    if not runs:
        return
    run = runs[-1]
    yield ""
    compiled = paired(results, "f", "e", "cpu_us")
    if compiled == compiled:
        yield (
            f"(f) takes {compiled:.2f} of (e), without the risks {paired(results, 'f', 'e', 'unscored_us'):.2f}; with "
            f"the encoding of changed profiles {middle(results, 'f', 'with_changed_us'):.1f} us"
        )
    yield (
        f"(e) with the encoding of changed profiles {middle(results, 'e', 'with_changed_us'):.1f} us; decoding with "
        f"the worker's codec {middle(results, 'e', 'decode_us'):.1f} us"
    )
    yield "    for 1,000 touchpoints: " + ", ".join(
        f"{run[name + '_per_1000']:.0f} {name}"
        for name in ("signals", "triggers", "decisions", "customers", "scores", "examples")
    )
    yield (
        f"    {run['profiles']:,} profiles of {run['profile_bytes']:.0f} bytes in the mean; of them "
        f"{run['feature_bytes']:.0f} for features and {run['waiting_bytes']:.0f} for {run['waiting']:.1f} scores that "
        "wait for their labels"
    )


def _rest(results: Results) -> Iterator[str]:
    for run in results.get("restore", ()):
        yield ""
        yield (
            f"restore: {run['customers']:,} customers in {run['seconds']:.1f} s ({run['cpu_s']:.1f} s CPU) from "
            f"{run['records']:,} records, {run['bytes_read'] / 2**20:,.0f} MiB (what was not compacted)"
        )
        yield (
            f"    a customer takes {run['profile_bytes']:.0f} bytes in the changelog and {run['memory_bytes']:.0f} in "
            f"memory; {run['peak_mb']:.0f} MB at most while restoring"
        )
    for run in results.get("decision", ()):
        yield (
            f"a decision over {run['actions']} actions with its record: {run['drawn_us']:.0f} us drawn, "
            f"{run['by_priority_us']:.0f} by priority alone; over one action {run['one_action_us']:.0f}; "
            f"drawn and with its trigger {run['issued_us']:.0f}"
        )
    for run in results.get("latency", ()):
        yield (
            f"latency at {run['rate']:,.0f} touchpoints/s over {run['samples']:,} triggers: p50 {run['p50_ms']:.0f}, "
            f"p90 {run['p90_ms']:.0f}, p99 {run['p99_ms']:.0f}, most {run['max_ms']:.0f} ms; worker "
            f"{run['worker_cores']:.2f} cores; the producer was late by {run['producer_late_ms']:.0f} ms at most"
        )
