"""What one touchpoint, one customer, one partition and one process cost: measured figures, as numbers to reckon with.

Owns the figures and the meaning of each. ``python -m tests.bench.unit_costs`` measures them again and prints them in
the form in which they stand below; docs/benchmarks.md says how. They are those of the shipped shop definition: three
journeys, click presets, segments, eleven actions, two risks scored by a linear model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """Seconds of one core, bytes, and cores; per touchpoint of the input or per profile held.

    A customer who was anonymous at first leaves two profiles; ``profiles_per_customer`` is that of the simulated shop.
    Disk is what the segments of one copy take, indexes left out: with N replicas N times as much. Workers compress
    nothing, the producers of the touchpoints used lz4.
    """

    backlog_cpu_s: float
    """CPU of a worker for a touchpoint when it catches up: transactions of 4,000."""
    live_cpu_s: float
    """The same at ``live_rate`` touchpoints/s in one process with four partitions, where transactions are small. When
    CPU becomes scarce they grow, and this falls towards ``backlog_cpu_s``."""
    live_rate: float
    process_cores: float
    """CPU of a worker that has nothing to do, without its partitions, in cores."""
    partition_cores: float
    """What each idle partition adds to that: its fetches, and its look at the clock."""
    process_bytes: float
    """Resident memory of a worker without customers, one partition or none."""
    partition_bytes: float
    """What each partition adds to that: its clients and its engine."""
    profile_bytes: float
    """Resident memory for each profile kept encoded, as after a restore, with its place in the index."""
    hot_profile_bytes: float
    """Resident memory for each profile kept decoded (those touched last, up to ``JOURNEY_HOT_PROFILES`` for each
    partition), with what waits in transactions and fetches meanwhile."""
    worker_disk_bytes: float
    """Disk of a worker for each profile: state lives in memory and in the state topic, so none."""
    changelog_profile_bytes: float
    """The state topic when it is compacted, for each profile: its latest version."""
    changelog_bytes: float
    """Written to the state topic for a touchpoint, before compaction."""
    changelog_records: float
    """Records of the state topic for a touchpoint; fewer in large transactions, one for each touchpoint at most."""
    input_bytes: float
    """The touchpoint topic, for a touchpoint."""
    journal_bytes: float
    """The journal, for a touchpoint of a steady stream; each move of an idle clock adds ``journal_move_bytes``."""
    journal_move_bytes: float
    signal_bytes: float
    """This and the following: written to the output topics for a touchpoint."""
    trigger_bytes: float
    decision_bytes: float
    customer_bytes: float
    """Customer views before compaction."""
    customer_view_bytes: float
    """A customer view when its topic is compacted, for each profile."""
    example_bytes: float
    profiles_per_customer: float
    restore_record_s: float
    """CPU for a record of the state topic in a restore. A compacted topic has one for each profile."""
    broker_cpu_s: float
    """CPU of a single broker for a touchpoint: it is written, read, and all that follows from it is written."""
    learner_label_s: float
    """CPU of the learner for a label, one linear pipeline (docs/learning.md has others)."""

    @property
    def output_bytes(self) -> float:
        """Everything that a touchpoint adds to topics kept for a time: signals, triggers, decisions and examples."""
        return self.signal_bytes + self.trigger_bytes + self.decision_bytes + self.example_bytes


MEASURED: Final = UnitCosts(
    backlog_cpu_s=7.3e-05,
    live_cpu_s=1.97e-04,
    live_rate=2000,
    process_cores=0.0236,
    partition_cores=0.00035,
    process_bytes=9.59e07,
    partition_bytes=1.89e06,
    profile_bytes=2255,
    hot_profile_bytes=13_830,
    worker_disk_bytes=0,
    changelog_profile_bytes=1629,
    changelog_bytes=463,
    changelog_records=0.271,
    input_bytes=72.6,
    journal_bytes=0.041,
    journal_move_bytes=195,
    signal_bytes=161,
    trigger_bytes=52.1,
    decision_bytes=45.4,
    customer_bytes=117,
    customer_view_bytes=526,
    example_bytes=5.87,
    profiles_per_customer=1.36,
    restore_record_s=6.8e-06,
    broker_cpu_s=6.0e-05,
    learner_label_s=5e-05,
)
"""2026-11-25, two virtual CPUs (x86_64), Python 3.11.7, the broker on the same two."""
