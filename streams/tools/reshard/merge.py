"""What becomes of a partition's own state when its customers are dealt out anew: time, shares of limits, models.

Pure. Customers' state moves as it is, byte by byte; everything here belongs to partitions:

- *watermark*: the furthest of all. It never goes back for anybody; what is due before it fires at the first step of the
  new partition, with its own due time.
- *capacity and budgets*: what is left of the newest window or period over all partitions is dealt out in equal shares,
  so that no more is used than the definition allows, and no less can be.
- *turns of those who wait for a full channel*: who waits keeps the time given to them, and the turns of a new partition
  are those of its own customers, as many in a window as its share; who comes later comes after them.
- *start of issuing*: the latest of all. *Definition, models, withdrawn actions*: the same in all, or nothing is merged.
- *marks of an import*: none; the old partitions are between such marks only because the move holds their clocks.
- *names of unused events*: with their numbers in partition 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.definitions.model import Definition
from streams.engine import formats
from streams.engine.decisions.shares import Queue, Shares, Used
from streams.engine.decisions.state import Held
from streams.engine.plan import Plan
from streams.engine.state import PartitionRecord, Profile
from streams.worker.marker import Marker


class Unlike(ValueError):  # noqa: N818 - a state of the world that passes
    """The partitions have not adopted the same definition and models; says which."""


@dataclass(frozen=True, slots=True)
class Sources:
    """All partitions that have a state, as they were fenced."""

    markers: Mapping[int, Marker]
    records: Mapping[int, PartitionRecord]

    @classmethod
    def of(cls, markers: Mapping[int, Marker]) -> Sources:
        records = {number: formats.read(marker.engine, marker.format) for number, marker in markers.items()}
        return cls(markers, records)

    def check_alike(self) -> None:
        """Raises ``Unlike``."""
        first = min(self.markers)
        for number, marker in self.markers.items():
            reference = self.markers[first]
            for what, one, other in (
                ("definition", reference.definition, marker.definition),
                ("models", reference.models, marker.models),
                ("withdrawn actions", self.records[first].withdrawn, self.records[number].withdrawn),
            ):
                if one != other:
                    raise Unlike(f"partition {number} has the {what} {other}, partition {first} has {one}")

    @property
    def watermark(self) -> int | None:
        return max((r.watermark for r in self.records.values() if r.watermark is not None), default=None)

    @property
    def start_issuing_at(self) -> int:
        return max(marker.start_issuing_at for marker in self.markers.values())

    @property
    def unused(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for record in self.records.values():
            found.update(record.unused)
        return dict(sorted(found.items()))


@dataclass(slots=True)
class Waits:
    """What waits among the customers of a new partition."""

    snapshots: int = 0
    """Of scores, for their labels."""
    held: list[Held] = field(default_factory=list)
    """Decisions."""

    def add(self, profile: Profile) -> None:
        self.snapshots += sum(len(risk.waiting) for risk in profile.risks.values())
        if profile.dealings is not None:
            self.held += profile.dealings.held


def record_of(
    sources: Sources, definition: Definition, partition: int, partitions: int, waits: Waits
) -> PartitionRecord:
    """The engine's record of a new partition."""
    any_record = sources.records[min(sources.records)]
    return PartitionRecord(
        watermark=sources.watermark,
        start_issuing_at=sources.start_issuing_at,
        definition=definition.number,
        unused=sources.unused if partition == 0 else {},
        waiting=waits.snapshots,
        used=used_of(
            [record.used for record in sources.records.values()], Plan(definition), partition, partitions, waits.held
        ),
        withdrawn=list(any_record.withdrawn),
    )


def used_of(before: Sequence[Used], plan: Plan, partition: int, partitions: int, held: Sequence[Held] = ()) -> Used:
    """What a new partition is to take for used: its share less its share of what is left. ``held``: the decisions that
    wait among its customers."""
    shares = Shares(partition, partitions)
    found = Used()
    for name, channel in plan.policy.channels.items():
        capacity = channel.capacity
        contacts = newest([used.capacity[name] for used in before if name in used.capacity])
        if capacity is not None and contacts is not None:
            left = max(0, capacity.at_most - contacts[1])
            found.capacity[name] = [contacts[0], shares.share(capacity.at_most) - shares.share(left)]
        queues = [used.queues[name] for used in before if name in used.queues]
        if capacity is not None and queues:
            first, last = min(queue.head for queue in queues), max(queue.tail for queue in queues)
            dues = [one.due // capacity.per_ms * capacity.per_ms for one in held if one.channel == name]
            windows = Counter(window for window in dues if first <= window <= last)
            if windows:
                head, tail, most = min(windows), max(windows), shares.share(capacity.at_most)
                found.queues[name] = Queue(head, min(most, windows[head]), tail, min(most, windows[tail]))
    for name, action in plan.actions.items():
        budget = action.action.budget
        spent = newest([used.budgets[name] for used in before if name in used.budgets])
        if budget is not None and spent is not None:
            amount = round(budget.amount * 1e6)
            left = max(0, amount - spent[1])
            found.budgets[name] = [spent[0], shares.share(amount) - shares.share(left)]
    return found


def newest(held: Sequence[list[int]]) -> tuple[int, int] | None:
    """(start, sum) of the newest window or period: earlier ones are over."""
    if not held:
        return None
    start = max(window[0] for window in held)
    return start, sum(window[1] for window in held if window[0] == start)
