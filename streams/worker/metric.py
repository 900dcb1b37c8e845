"""What a metric says of itself: name, type, unit, labels, meaning, and what to do when it looks wrong.

Owns the shape; ``metric_catalogue`` holds all that there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for
PREFIX: Final = "journey_"

Kind = Literal["counter", "gauge", "histogram"]
Side = Literal["worker", "learner", "supervisor"]
"""worker: workers and learners; learner: learners beside those; supervisor: the parent of ``--processes`` beside those
of its workers."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``name`` is that of the client library: without the prefix, and a counter's without ``_total``."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    wrong: str
    """What to do when it looks wrong, and how that looks."""
    buckets: tuple[float, ...] = ()
    side: Side = "worker"

    @property
    def full_name(self) -> str:
        """As it is scraped (histograms without ``_bucket``, ``_sum``, ``_count``)."""
        return f"{PREFIX}{self.name}{'_total' if self.kind == 'counter' else ''}"

    @property
    def text(self) -> str:
        """As it is said beside the series."""
        return f"{self.meaning} Unit: {self.unit}. {self.wrong}"

    @property
    def series(self) -> dict[str, frozenset[str]]:
        """Every series' name -> its labels."""
        labels = frozenset(self.labels)
        if self.kind != "histogram":
            return {self.full_name: labels}
        return {
            f"{self.full_name}_bucket": labels | {"le"},
            f"{self.full_name}_sum": labels,
            f"{self.full_name}_count": labels,
        }
