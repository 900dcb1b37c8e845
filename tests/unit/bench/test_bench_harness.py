"""The benchmark's harness: its figures and verdicts, and the contenders that need no broker."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice

import pytest

from streams.definitions.load import load_files, shipped
from streams.engine.engine import Engine
from streams.tools.simulator import generate
from tests.bench import report
from tests.bench.__main__ import ContenderError, contend
from tests.bench.latency import percentile, with_probes
from tests.bench.meter import Mark, between, cpu_by_thread, told
from tests.bench.place import PARTITIONS, PAYMENT, SEED, Place
from tests.bench.restore import versions
from tests.bench.stock_faust import new_customer, observe


def test_what_one_process_tells_another_reads() -> None:
    program = "from tests.bench.meter import tell; print('before'); tell({'cpu_us': 1.5}); print('after')"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told(said) == {"cpu_us": 1.5}


def test_a_contender_without_figures_is_a_failure_that_says_why() -> None:
    nowhere = Place("127.0.0.1:1", 1, "none")
    with pytest.raises(ContenderError, match="IndexError"):
        contend(nowhere, "restore")


def test_figures_are_for_each_touchpoint() -> None:
    found = between(Mark(10.0, 1.0), Mark(12.0, 1.5), 1_000)
    assert found == {"touchpoints": 1_000, "cpu_us": 500.0, "rate": 500.0}


def test_threads_are_told_apart() -> None:
    threads = cpu_by_thread()
    assert not threads or threads["main"] > 0


def runs(*cpu_us: float) -> list[dict[str, float]]:
    return [{"touchpoints": 100, "cpu_us": cpu, "rate": 1e6 / cpu} for cpu in cpu_us]


def test_ratios_are_taken_between_neighbouring_runs() -> None:
    # The machine was twice as slow in the second turn: that is no difference between the contenders.
    results = {"a": runs(10.0, 20.0, 10.0), "b": runs(20.0, 40.0, 20.0)}
    assert report.paired(results, "a", "b", "cpu_us") == 0.5


@pytest.mark.parametrize(
    ("cpu_a", "verdict"),
    [(10.0, ">= 0.4, aim 0.5: reached"), (7.9, ">= 0.4, aim 0.5: not reached"), (8.0, ">= 0.4, aim 0.5: reached")],
)
def test_a_verdict_stands_beside_each_aim(cpu_a: float, verdict: str) -> None:
    aims = [str(aim) for aim in report.aims({"a": runs(cpu_a), "b": runs(20.0)})]
    assert len(aims) == 1, "what did not run has no verdict"
    assert aims[0].endswith(verdict)


def test_the_report_names_every_contender_and_says_what_was_reached() -> None:
    results = {letter: runs(10.0) for letter in "ad"}
    lines = list(report.lines(results))
    assert [line[:3] for line in lines[1:6]] == ["(a)", "(b)", "(c)", "(d)", "(e)"]


def test_percentiles_are_members_of_the_sample() -> None:
    values = [float(n) for n in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 99.0)


def test_every_probe_fails_to_pay_twice_and_gets_its_trigger_at_once() -> None:
    touchpoints = list(with_probes(generate(SEED, 20, 300), 300))
    engine = Engine(load_files([shipped("shop")]))
    issued: dict[str, str] = {}
    for n, touchpoint in enumerate(touchpoints):
        touchpoint.occurred_at = 1_767_225_600_000 + n
        touchpoint.sent_at = touchpoint.record_time = None
        for trigger in engine.process([touchpoint], None).triggers:
            if trigger.action == "payment_help" and trigger.status == "issued":
                issued[trigger.customer] = touchpoint.event_id
                assert touchpoint.event_id in trigger.reason_touchpoints
                assert trigger.issued_at == touchpoint.occurred_at
    assert issued == {f"probe-{n}": f"probe-{n * 100 + 1}" for n in range(3)}


def test_versions_of_the_restored_changelog_are_one_for_each_change() -> None:
    touchpoints = list(islice(generate(SEED, 30, 300), 300))
    found = list(versions(load_files([shipped("shop")]), iter(touchpoints)))
    assert {profile for _, profile, _ in found} >= {
        (t.customer_id or t.anonymous_id or "").encode() for t in touchpoints
    }
    for partition, profile, value in found:
        assert 0 <= partition < PARTITIONS
        assert profile in value
        copy = b"Z" + profile[1:]
        engine = Engine(load_files([shipped("shop")]))
        engine.restore({b"p" + copy: value.replace(profile, copy)}, None)
        assert engine.store.get(copy.decode()) is not None
        break


def test_stock_faust_finds_what_the_payment_definition_finds() -> None:
    touchpoints = list(generate(SEED, 200, 4_000))
    customers: dict[str, dict[str, object]] = {}
    by_hand = []
    for t in touchpoints:
        profile = t.customer_id or t.anonymous_id or ""
        found = {"type": t.type, "occurred_at": t.occurred_at}
        if observe(customers.setdefault(profile, new_customer()), found):
            by_hand.append((profile, t.occurred_at))
    out = Engine(load_files([PAYMENT])).process(touchpoints, None)
    signals = [(s.customer, s.time) for s in out.signals if s.name == "payment_failed_twice"]
    assert signals
    assert sorted(by_hand) == sorted(signals)
