"""When a worker is ready, live, or stands still (semantics, rule 21)."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors

from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.worker.kafka_thread import FencedInstanceIdError
from streams.worker.metrics import Metrics
from streams.worker.phase import Phase
from streams.worker.shell import Peak, Shell

LONG_S = 10_000.0


def shell(**partition: Any) -> Shell:
    """A shell with one partition at offset 5 of a log that ends at 10, without progress for long."""

    async def make() -> Shell:
        return Shell(Settings())

    made = asyncio.run(make())
    state = {
        "phase": Phase.RUNNING,
        "ready": True,
        "number": 0,
        "busy": True,
        "progress_at": time.monotonic() - LONG_S,
        "committed": 5,
    } | partition
    made.partitions[0] = SimpleNamespace(**state)  # type: ignore[assignment]  # what the judgement reads of a partition
    end = SimpleNamespace(last_stable=10, answered_at=time.time())
    made.feed = SimpleNamespace(
        end=lambda _: end, next_offset=lambda _: 7, group_generation=lambda: 3, group_reachable=lambda: True
    )
    made._suspended_since = None
    return made


def test_lag_without_progress_is_told() -> None:
    found = shell().standing_still()
    assert found is not None
    assert "partition 0 stands still at 5" in found


def test_progress_or_no_lag_is_fine() -> None:
    assert shell(progress_at=time.monotonic()).standing_still() is None
    assert shell(committed=10, busy=False).standing_still() is None
    # Only control records are left: the feed has stepped over them.
    idle = shell(busy=False)
    idle.feed.next_offset = lambda _: 10
    assert idle.standing_still() is None


def test_what_is_read_but_cannot_be_committed_is_no_progress() -> None:
    all_read = shell(busy=True)
    all_read.feed.next_offset = lambda _: 10
    assert "stands still at 5" in str(all_read.standing_still())
    # As the transactions of the idle clock: nothing is left to read, and yet they must come through.
    assert "stands still at 10" in str(shell(busy=True, committed=10).standing_still())


def test_who_restores_is_paused_or_has_no_broker_is_left_alone() -> None:
    for phase in (Phase.OPENING, Phase.PAUSED, Phase.WAITING, Phase.REGISTRY, Phase.DEFINITION):
        assert shell(phase=phase).standing_still() is None
    cut = shell()
    cut.feed.end = lambda _: SimpleNamespace(last_stable=10, answered_at=time.time() - LONG_S)
    assert cut.standing_still() is None
    cut.feed.end = lambda _: None
    assert cut.standing_still() is None


def test_a_rebalance_without_end_is_told_and_a_short_one_is_not() -> None:
    made = shell()
    made._suspended_since = time.monotonic()
    assert made.standing_still() is None
    made._suspended_since = time.monotonic() - LONG_S
    assert "in a rebalance" in str(made.standing_still())
    # While no broker answers, it cannot end.
    made.feed.group_reachable = lambda: False
    assert made.standing_still() is None
    made.feed.group_reachable = lambda: True
    assert made.standing_still() is None


def test_ready_means_member_and_restored() -> None:
    assert shell().not_ready() is None
    assert shell(ready=False, phase=Phase.OPENING).not_ready() == "partition 0: restoring"
    none = shell()
    none.partitions.clear()
    assert none.not_ready() is None
    away = shell()
    away._suspended_since = time.monotonic()
    assert away.not_ready() == "not a stable member of the group"


def test_an_event_loop_that_hangs_is_not_live() -> None:
    made = shell(progress_at=time.monotonic())
    assert made.not_live() is None
    made._looped_at = time.monotonic() - 60
    assert "event loop" in str(made.not_live())


@pytest.mark.parametrize(
    ("failure", "status", "says"),
    [
        (errors.GroupAuthorizationFailedError("g"), 78, "READ on the group journey.journey"),
        (errors.KafkaError("Unexpected exception in heartbeat task: FencedInstanceIdError()"), 78, "JOURNEY_INSTANCE"),
        (errors.InvalidSessionTimeoutError(), 78, "JOURNEY_GROUP_SESSION_TIMEOUT=10000ms"),
        (errors.KafkaError("UnknownError()"), 5, "UnknownError"),
        (RuntimeError("fetching has ended: None"), 5, "fetching has ended"),
    ],
)
def test_a_consumer_that_has_stopped_ends_the_worker(failure: Exception, status: int, says: str) -> None:
    made = shell()
    made.on_consumer_failure(failure)
    assert made.ended.is_set()
    assert made.status == status
    assert says in made.why


def test_aiokafka_knows_when_another_member_has_this_ones_name() -> None:
    assert errors.for_code(82) is FencedInstanceIdError


@pytest.mark.parametrize(("now", "ends"), [(6, True), (4, False), (None, False)])
def test_an_input_that_has_got_more_partitions_ends_the_worker(now: int | None, ends: bool) -> None:
    made = shell()
    made.partitions.clear()
    made.runtime = SimpleNamespace(metrics=Metrics(), topics=Topics(), partitions=4)  # type: ignore[assignment]  # what it reads
    made.feed.partitions = lambda: now
    made.on_assigned(set(), 4)
    assert made.ended.is_set() == ends
    if ends:
        assert made.status == 78
        assert "had 4 partitions when this worker started and has 6 now" in made.why


def test_the_longest_delay_is_shown_until_a_scrape_must_have_seen_it() -> None:
    peak = Peak(15.0)
    assert peak.seen(-0.1, 100.0) == 0.0
    assert peak.seen(2.0, 101.0) == 2.0
    for at in (102.0, 110.0, 115.0, 129.9):
        assert peak.seen(0.1, at) == 2.0
    assert peak.seen(0.2, 130.1) == 0.2
    assert peak.seen(40.0, 200.0) == 40.0
    assert peak.seen(0.0, 300.0) == 0.0
