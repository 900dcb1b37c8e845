"""``journey capacity``: cases reckoned by hand from round unit costs, and what must not fall when more is asked for."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.topics import DAY_MS
from streams.tools.capacity import GIB, CapacityError, Load, capacity, shown
from streams.tools.capacity_costs import MEASURED, UnitCosts

ROUND = UnitCosts(
    **{
        **{field.name: 0.0 for field in fields(UnitCosts)},
        "backlog_cpu_s": 100e-6,
        "live_cpu_s": 200e-6,
        "live_rate": 1000,
        "process_cores": 0.02,
        "process_bytes": 100_000_000,
        "partition_bytes": 1_000_000,
        "profile_bytes": 2_000,
        "hot_profile_bytes": 10_000,
        "changelog_profile_bytes": 900,
        "changelog_bytes": 500,
        "changelog_records": 0.25,
        "input_bytes": 100,
        "journal_bytes": 1,
        "journal_move_bytes": 99,
        "signal_bytes": 150,
        "customer_view_bytes": 500,
        "profiles_per_customer": 1.5,
        "restore_record_s": 10e-6,
        "broker_cpu_s": 50e-6,
    }
)


def test_a_deployment_reckoned_by_hand() -> None:
    load = Load(
        1_000, 200_000, peak=4, headroom=0.5, growth=2, replication=2, retention_ms=10 * DAY_MS, worker_bytes=4 * GIB,
        hot_profiles=10_000,
    )  # fmt: skip
    found = capacity(load, ROUND)
    # Peak 4,000/s x 100 us = 0.4 cores, more than 1,000/s x 200 us; + 0.02 = 0.42 of the 0.5 that one may use.
    assert (found.workers, found.partitions) == (1, 8)
    assert found.worker_cores == pytest.approx(0.42)
    # 300,000 profiles, 80,000 of them decoded: 220,000 x 2,000 + 80,000 x 10,000 + 100 MB + 8 MB.
    assert found.memory_bytes == pytest.approx(440e6 + 800e6 + 108e6)
    assert found.worker_memory_bytes == found.memory_bytes
    # 300,000 x 900 / 0.9 + 3,600,000 x 500.
    assert found.changelog_bytes == pytest.approx(300e6 + 1_800e6)
    # (333,333 + 900,000) records x 10 us.
    assert found.restore_s == pytest.approx(12.333, abs=0.001)
    # 864,000,000 touchpoints x (100 + 150) B; 17 d of journal x 1 B; views 300,000 x 500 / 0.5; the changelog.
    copy = 216e9 + 1_468.8e6 + 300e6 + 2_100e6
    assert found.disk_bytes == pytest.approx(copy * 2 / 0.5)
    assert found.broker_cores == pytest.approx(4_000 * 50e-6 * 2)
    by_name = {line.name: line for line in found.lines}
    assert by_name["profiles"].reckoned == "200,000 customers x 1.5"
    assert by_name["partitions"].value == 8
    assert by_name["journal, one copy"].reckoned == "1,468,800,000 touchpoints in 17 d x 1 B"


def test_more_work_than_a_core_takes_more_workers() -> None:
    # 10,000/s x 100 us = 1 core; n x (0.5 - 0.02) must hold it: 3 hold 1.44, 2 only 0.96.
    assert capacity(Load(10_000, 1, peak=1, headroom=0.5, growth=1), replace(ROUND, live_cpu_s=0)).workers == 3


def test_more_customers_than_a_worker_has_memory_for_take_more_workers() -> None:
    # 3,000,000 profiles x 2,000 B = 6 GB beside 0.108 GB a worker (100 + 8 x 1 MB): n x 0.892 GB >= 6 GB.
    load = Load(1, 2_000_000, headroom=0, growth=2, worker_bytes=10**9, hot_profiles=1)
    assert capacity(load, replace(ROUND, hot_profile_bytes=2_000)).workers == 7


def test_a_quiet_deployment_moves_its_clocks() -> None:
    # A touchpoint every 10 s over 8 partitions: each may be followed by a move of the clock, 100 B in all.
    found = capacity(Load(0.1, 1, retention_ms=DAY_MS), ROUND)
    (journal,) = [line for line in found.lines if line.name == "journal, one copy"]
    assert journal.value == pytest.approx(0.1 * 8 * 86_400 * 100)
    assert "often silent" in journal.reckoned


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"rate": 0}, "the rate must be more than 0 touchpoints/s, not 0"),
        ({"customers": 0}, "at least one customer, not 0"),
        ({"peak": 0.5}, "the peak is a multiple of the average, at least 1, not 0.5"),
        ({"headroom": 1}, "the headroom is a share from 0 to less than 1, not 1"),
        ({"growth": 0}, "the growth is at least 1, not 0"),
        ({"replication": 0}, "there is at least one copy, not 0"),
        ({"retention_ms": 0}, "needs a disk without end"),
        ({"hot_profiles": 0}, "at least one profile is kept decoded, not 0"),
        ({"worker_bytes": 100 << 20}, "before it knows a customer: give it more memory or less headroom"),
    ],
)
def test_what_makes_no_deployment_is_said(more: dict[str, Any], says: str) -> None:
    with pytest.raises(CapacityError) as failure:
        capacity(Load(**{"rate": 10, "customers": 10, **more}))
    assert says in str(failure.value)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(CapacityError, match=r"(?s)the rate.*customer.*peak"):
        capacity(Load(-1, 0, peak=0))


loads = st.builds(
    Load,
    rate=st.floats(0.01, 20_000),
    customers=st.integers(1, 5_000_000),
    peak=st.floats(1, 10),
    headroom=st.floats(0, 0.7),
    growth=st.floats(1, 4),
    replication=st.integers(1, 3),
    hot_profiles=st.integers(1, 20_000),
)
LARGER = ("workers", "partitions", "worker_cores", "memory_bytes", "disk_bytes", "changelog_bytes", "broker_cores")


@given(load=loads, more=st.floats(1, 4))
def test_more_of_it_never_takes_less(load: Load, more: float) -> None:
    small = capacity(load)
    for larger in (
        replace(load, rate=load.rate * more),
        replace(load, customers=int(load.customers * more)),
        replace(load, peak=load.peak * more),
    ):
        large = capacity(larger)
        # Less often silent, a faster stream may need less journal: the disk is compared where none is silent.
        fast = load.rate > 1_000
        assert all(getattr(large, name) >= getattr(small, name) for name in LARGER if name != "disk_bytes" or fast)
    assert capacity(replace(load, growth=load.growth * more)).partitions >= small.partitions
    assert capacity(replace(load, replication=load.replication + 1)).disk_bytes > small.disk_bytes


@given(load=loads)
def test_what_was_reckoned_keeps_the_headroom(load: Load) -> None:
    found = capacity(load)
    assert found.worker_cores <= found.workers * (1 - load.headroom) + 1e-9
    assert found.worker_memory_bytes <= load.worker_bytes * (1 - load.headroom) + 1
    assert found.partitions >= 4 * found.workers


def test_the_command_explains_itself_and_speaks_json() -> None:
    words = ["capacity", "--rate", "2000", "--customers", "1000000"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "1,000,000 customers x " in result.output
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert found["workers"] == capacity(Load(2000, 1_000_000)).workers
    assert {line["name"] for line in found["lines"]} >= {"workers", "partitions", "disk of all brokers"}
    for wrong, says in (
        (["--retention", "forever"], "no duration"),
        (["--worker-memory", "much"], "no size"),
        (["--headroom", "2"], "the headroom is a share"),
    ):
        failed = CliRunner().invoke(app, [*words, *wrong])
        assert failed.exit_code == 2
        assert says in failed.output


def test_sizes_are_shown_so_that_they_can_be_read() -> None:
    assert [shown(n, "B") for n in (12, 2048, 3 * GIB)] == ["12 B", "2.0 KiB", "3.0 GiB"]
    assert [shown(1234.5, ""), shown(0.123, ""), shown(3.0, "s"), shown(6000, "/s")] == [
        "1,234",
        "0.12",
        "3 s",
        "6,000/s",
    ]
    assert MEASURED.output_bytes > 0
