"""How large a deployment must be for a rate and a number of customers: reckoned from what one of each costs.

Owns the arithmetic, line by line, so that each figure can be checked with a pencil. The unit costs are in
``capacity_costs`` and were measured with the shipped shop on the machine named there; another definition or machine
costs another amount, and ``python -m tests.bench.unit_costs`` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Final

from streams.contracts.topics import HOUR_MS, SEGMENT_MS
from streams.tools.capacity_costs import MEASURED, UnitCosts

PARTITIONS_EACH: Final = 4
"""Partitions for each worker: few enough to be cheap, enough that one worker more or less shifts work evenly."""
DIRTY: Final = 0.1
"""``min.cleanable.dirty.ratio`` of the state topic: up to this share is old versions that wait for the cleaner."""
VIEWS_DIRTY: Final = 0.5
"""The brokers' default, which the topic of customer views has."""
IDLE_S: Final = 2.0
"""``JOURNEY_IDLE_AFTER``: a partition that is silent for longer moves its clock by itself, a journal line a time."""
GIB: Final = 1 << 30


class CapacityError(ValueError):
    """Figures that make no deployment; says which and what is possible."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for."""

    rate: float
    """Touchpoints a second, on average."""
    customers: int
    """Known at once, until ``time.forget_after`` forgets them."""
    peak: float = 3.0
    """Rate of the busiest minutes, as a multiple of the average."""
    headroom: float = 0.4
    """Share of a core, of a worker's memory and of the disk that stays free: for a worker that is gone, a backlog,
    growth until somebody looks."""
    growth: float = 2.0
    """Workers that the partitions must suffice for, as a multiple of those needed now: their number is moved with
    effort."""
    replication: int = 3
    retention_ms: int = 30 * 24 * HOUR_MS
    worker_bytes: int = 2 * GIB
    """Memory of one worker."""
    hot_profiles: int = 20_000
    """``JOURNEY_HOT_PROFILES``."""

    def faults(self) -> list[str]:
        rules = (
            (self.rate > 0, f"the rate must be more than 0 touchpoints/s, not {self.rate:g}"),
            (self.customers >= 1, f"there must be at least one customer, not {self.customers}"),
            (self.peak >= 1, f"the peak is a multiple of the average, at least 1, not {self.peak:g}"),
            (0 <= self.headroom < 1, f"the headroom is a share from 0 to less than 1, not {self.headroom:g}"),
            (self.growth >= 1, f"the growth is at least 1, not {self.growth:g}"),
            (self.replication >= 1, f"there is at least one copy, not {self.replication}"),
            (self.retention_ms > 0, "the retention must be a time: what is kept for ever needs a disk without end"),
            (self.hot_profiles >= 1, f"at least one profile is kept decoded, not {self.hot_profiles}"),
        )
        return [fault for holds, fault in rules if not holds]


@dataclass(frozen=True, slots=True)
class Line:
    """One figure and how it came about."""

    name: str
    value: float
    unit: str
    reckoned: str

    def __str__(self) -> str:
        return f"{self.name:34}{shown(self.value, self.unit):>14}   {self.reckoned}"


@dataclass(frozen=True, slots=True)
class Capacity:
    workers: int
    partitions: int
    worker_cores: float
    """Of all workers at the peak, used."""
    memory_bytes: float
    """Of all workers, used."""
    worker_memory_bytes: float
    """Of one, used."""
    disk_bytes: float
    """Of all brokers, with the headroom."""
    changelog_bytes: float
    """The state topic, one copy, at its largest."""
    restore_s: float
    """Until all partitions are restored when all workers start at once."""
    broker_cores: float
    """Of all brokers at the peak, used."""
    lines: list[Line] = field(default_factory=list)


def capacity(load: Load, costs: UnitCosts = MEASURED) -> Capacity:
    """Raises ``CapacityError`` with everything that is wrong with the load."""
    if faults := load.faults():
        raise CapacityError("\n".join(faults))
    return _Reckoning(load, costs).capacity()


class _Reckoning:
    def __init__(self, load: Load, costs: UnitCosts) -> None:
        self.load, self.costs = load, costs
        self.lines: list[Line] = []
        self.profiles = load.customers * costs.profiles_per_customer
        self.peak = load.rate * load.peak
        self.free = 1 - load.headroom

    def line(self, name: str, value: float, unit: str, reckoned: str) -> float:
        self.lines.append(Line(name, value, unit, reckoned))
        return value

    def capacity(self) -> Capacity:
        load, costs = self.load, self.costs
        self.line("touchpoints/s at the peak", self.peak, "/s", f"{load.rate:g}/s x peak {load.peak:g}")
        self.line("profiles", self.profiles, "", f"{load.customers:,} customers x {costs.profiles_per_customer:g}")
        workers = self._workers()
        partitions = self._partitions(workers)
        hot = min(self.profiles, float(partitions * load.hot_profiles))
        memory = self._memory(workers, partitions)
        self.line(
            "memory of all workers", memory, "B",
            f"{workers} x {costs.process_bytes / 1e6:.0f} MB + {partitions} partitions x "
            f"{costs.partition_bytes / 1e6:.2f} MB + {self.profiles - hot:,.0f} encoded profiles x "
            f"{costs.profile_bytes:,.0f} B + {hot:,.0f} decoded ones x {costs.hot_profile_bytes:,.0f} B",
        )  # fmt: skip
        each = self.line("memory of a worker", memory / workers, "B", f"/ {workers} workers")
        cores = self.line(
            "cores of all workers at the peak", self._cores(workers, partitions), "",
            f"the larger of {load.rate:g}/s x {costs.live_cpu_s * 1e6:.0f} us (small transactions) and {self.peak:g}/s "
            f"x {costs.backlog_cpu_s * 1e6:.0f} us (large ones), + {workers} x {costs.process_cores:g} + {partitions} "
            f"x {costs.partition_cores:g}",
        )  # fmt: skip
        changelog = self._changelog()
        restore = self._restore(workers)
        disk = self._disk(partitions, changelog)
        broker = self.line(
            "cores of all brokers at the peak", self.peak * costs.broker_cpu_s * load.replication, "",
            f"{self.peak:g}/s x {costs.broker_cpu_s * 1e6:.0f} us x {load.replication} copies",
        )  # fmt: skip
        return Capacity(workers, partitions, cores, memory, each, disk, changelog, restore, broker, self.lines)

    # -- workers -----------------------------------------------------------------------------------------------------

    def _partitions_of(self, workers: int) -> int:
        return PARTITIONS_EACH * ceil(workers * self.load.growth)

    def _cores(self, workers: int, partitions: int) -> float:
        """Small transactions cost more for a touchpoint, large ones come with the load; both must find room."""
        costs = self.costs
        work = max(self.load.rate * costs.live_cpu_s, self.peak * costs.backlog_cpu_s)
        return work + workers * costs.process_cores + partitions * costs.partition_cores

    def _memory(self, workers: int, partitions: int) -> float:
        costs = self.costs
        hot = min(self.profiles, float(partitions * self.load.hot_profiles))
        held = (self.profiles - hot) * costs.profile_bytes + hot * costs.hot_profile_bytes
        return workers * costs.process_bytes + partitions * costs.partition_bytes + held

    def _workers(self) -> int:
        """The fewest that find room; a worker is one process, which uses at most one core."""
        most = self.load.worker_bytes * self.free
        least = self.costs.process_bytes + self._partitions_of(1) * self.costs.partition_bytes
        if most <= least:
            raise CapacityError(
                f"a worker of {shown(self.load.worker_bytes, 'B')} has {shown(most, 'B')} to use, and takes "
                f"{shown(least, 'B')} before it knows a customer: give it more memory or less headroom"
            )

        def enough(workers: int) -> bool:
            partitions = self._partitions_of(workers)
            return (
                self._cores(workers, partitions) <= workers * self.free
                and self._memory(workers, partitions) <= workers * most
            )

        # More workers hold more decoded profiles, so more may be too few where fewer were enough.
        workers = next((n for n in range(1, 10_001) if enough(n)), None)
        if workers is None:
            raise CapacityError(
                "not even 10,000 workers find room: give each more memory (--worker-memory), keep fewer profiles "
                "decoded (--hot-profiles), or ask for less headroom"
            )
        self.line(
            "workers", workers, "",
            f"the fewest whose cores and memory stay within {self.free:.0%} of 1 core and "
            f"{shown(self.load.worker_bytes, 'B')} each",
        )  # fmt: skip
        return workers

    def _partitions(self, workers: int) -> int:
        partitions = self._partitions_of(workers)
        self.line(
            "partitions",
            partitions,
            "",
            f"{PARTITIONS_EACH} x {workers} workers x growth {self.load.growth:g}, rounded up",
        )
        return partitions

    # -- state -------------------------------------------------------------------------------------------------------

    def _changelog(self) -> float:
        costs, hour = self.costs, self.load.rate * 3600
        size = self.profiles * costs.changelog_profile_bytes / (1 - DIRTY) + hour * costs.changelog_bytes
        return self.line(
            "changelog, one copy", size, "B",
            f"{self.profiles:,.0f} profiles x {costs.changelog_profile_bytes:,.0f} B / {1 - DIRTY:g} (old versions) + "
            f"an hour that is not compacted: {hour:,.0f} x {costs.changelog_bytes:g} B",
        )  # fmt: skip

    def _restore(self, workers: int) -> float:
        costs, hour = self.costs, self.load.rate * 3600
        records = self.profiles / (1 - DIRTY) + hour * costs.changelog_records
        return self.line(
            "restore of all partitions", records / workers * costs.restore_record_s, "s",
            f"({self.profiles:,.0f} profiles / {1 - DIRTY:g} + {hour:,.0f} x {costs.changelog_records:g} records) / "
            f"{workers} workers x {costs.restore_record_s * 1e6:.1f} us",
        )  # fmt: skip

    # -- brokers -----------------------------------------------------------------------------------------------------

    def _disk(self, partitions: int, changelog: float) -> float:
        load, costs = self.load, self.costs
        kept = load.rate * load.retention_ms / 1000
        days = load.retention_ms / (24 * HOUR_MS)
        made = f"{kept:,.0f} touchpoints in {days:g} d"
        input_ = self.line("touchpoints, one copy", kept * costs.input_bytes, "B", f"{made} x {costs.input_bytes:g} B")
        output = self.line("outputs, one copy", kept * costs.output_bytes, "B", f"{made} x {costs.output_bytes:.0f} B")
        longer = load.rate * (load.retention_ms + SEGMENT_MS) / 1000
        moved = load.rate / partitions * IDLE_S < 1
        per = costs.journal_bytes + (costs.journal_move_bytes if moved else 0)
        journal = self.line(
            "journal, one copy", longer * per, "B",
            f"{longer:,.0f} touchpoints in {(load.retention_ms + SEGMENT_MS) / (24 * HOUR_MS):g} d x {per:g} B"
            + (" (partitions are often silent: a move of the clock for each, at most)" if moved else ""),
        )  # fmt: skip
        views = self.line(
            "customer views, one copy", self.profiles * costs.customer_view_bytes / (1 - VIEWS_DIRTY), "B",
            f"{self.profiles:,.0f} x {costs.customer_view_bytes:g} B / {1 - VIEWS_DIRTY:g} (old versions)",
        )  # fmt: skip
        copy = input_ + output + journal + views + changelog
        return self.line(
            "disk of all brokers", copy * load.replication / self.free, "B",
            f"{shown(copy, 'B')} x {load.replication} copies / {self.free:g}",
        )  # fmt: skip


def shown(value: float, unit: str) -> str:
    """``1.5 GiB``, ``0.42``, ``12 s``."""
    if unit == "B":
        for name, size in (("TiB", 1 << 40), ("GiB", GIB), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value >= size:
                return f"{value / size:.1f} {name}"
        return f"{value:.0f} B"
    text = f"{value:,.0f}" if value >= 100 or float(value).is_integer() else f"{value:.2f}"
    return f"{text} {unit}".strip() if unit != "/s" else f"{text}/s"
