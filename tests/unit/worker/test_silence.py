"""When a partition is silent: all is read, the brokers have answered, and nothing is on its way."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from streams.worker.processing import Processing
from streams.worker.silence import REFRESH_S, Silence
from tests.unit.worker.test_processing import begin, feed, runtime, touched

WALL = 1_800_000_000.0
IDLE_AFTER_S = 2.0


@dataclass
class Reading:
    """How far the feed is: where the next fetch begins, what was handed over, where the log ends."""

    position: int | None = 2
    handed_over: int = 2
    last_stable: int = 2
    answered_ago_s: float = 0.0
    now: float = 0.0

    def next_offset(self, partition: int) -> int | None:
        return self.position

    def delivered(self, partition: int) -> int:
        return self.handed_over

    def end(self, partition: int) -> SimpleNamespace:
        return SimpleNamespace(last_stable=self.last_stable, answered_at=WALL + self.now - self.answered_ago_s)

    def read_from(self, partition: int, offset: int) -> None: ...
    def stop_partition(self, partition: int) -> None: ...
    def hold(self, partition: int) -> None: ...
    def release(self, partition: int) -> None: ...
    def finished(self, partition: int, next_offset: int) -> None: ...


def at_two() -> Processing:
    """A partition that has applied two touchpoints."""
    processing = begin(runtime())
    feed(processing, [touched(0, "Product Added"), touched(1, "Product Added")], 2)
    return processing


def limit(reading: Reading, now: float = IDLE_AFTER_S) -> int | None:
    reading.now = now
    silence = Silence(0, reading, int(IDLE_AFTER_S * 1000), 0.0)
    return silence.limit_ms(at_two(), now, WALL + now)


def test_who_has_read_all_may_move_time_to_now_less_the_lateness() -> None:
    lateness = at_two().engine.definition.time.allowed_lateness_ms
    assert limit(Reading()) == int((WALL + IDLE_AFTER_S) * 1000) - lateness
    assert limit(Reading(), now=IDLE_AFTER_S - 0.1) is None


def test_control_records_at_the_end_are_stepped_over() -> None:
    assert limit(Reading(position=5, last_stable=5)) is not None


def test_a_backlog_a_chunk_on_its_way_and_an_outage_are_no_silence() -> None:
    assert limit(Reading(last_stable=3)) is None
    assert limit(Reading(position=4, handed_over=4, last_stable=4)) is None
    assert limit(Reading(answered_ago_s=1.1)) is None
    assert limit(Reading(position=None)) is None


def refresh_due(reading: Reading, now: float) -> bool:
    silence = Silence(0, reading, 2_000, 0.0)
    silence.written(2, 0.0)
    return silence.refresh_due(at_two(), now)


def test_a_position_that_only_stepped_over_control_records_is_written_hourly() -> None:
    assert not refresh_due(Reading(position=5), REFRESH_S)
    assert refresh_due(Reading(position=5), REFRESH_S + 1)
    assert not refresh_due(Reading(position=2), REFRESH_S + 1)
    assert not refresh_due(Reading(position=5, handed_over=4), REFRESH_S + 1)
    assert not refresh_due(Reading(position=None), REFRESH_S + 1)
