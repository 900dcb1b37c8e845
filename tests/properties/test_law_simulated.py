"""The laws over simulated customers: the shipped definitions, everyday disorder, thousands of touchpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from streams.contracts.routing import partition_for
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files, shipped
from streams.definitions.model import Band, Definition
from streams.engine import formats
from streams.engine.state import MAX_BYTES, decode
from streams.tools.reshard.merge import Sources, Waits, record_of
from streams.tools.simulator import Disturbance, generate
from streams.worker.marker import Marker
from tests.support.compare import said, said_of, stored
from tests.support.engines import T0, D, H, Run
from tests.support.risks import linear, risk, with_risks

pytestmark = pytest.mark.usefixtures("scoring")

TOUCHPOINTS = 4_000


BANDS = (Band("low", 0.0), Band("high", 0.5))
STANDARD = risk("leaving", horizon_ms=1 * D, every_ms=4 * H, spread=True, features=(), bands=BANDS)
MODEL = linear(STANDARD, {"days_since_touchpoint": 3.0, "orders": -0.5, "friction_30d": 0.2, "view_30d": -0.1})


@pytest.fixture(scope="module")
def definition(scoring: bool) -> Definition:
    found = load_files([shipped("shop"), shipped("service")])
    return with_risks(found, STANDARD) if scoring else with_risks(found)


def begun(definition: Definition, **options: Any) -> Run:
    run = Run(definition, **options)
    if definition.risks:
        run.adopt_model(MODEL)
    return run


@pytest.fixture(scope="module")
def log() -> Sequence[Touchpoint]:
    disturbance = Disturbance(duplicates=0.02, late=0.02, shuffle_ms=8_000, skewed=0.05)
    return list(generate(11, 150, TOUCHPOINTS, disturbance=disturbance))


def test_batches_restarts_and_cold_profiles_change_nothing(definition: Definition, log: Sequence[Touchpoint]) -> None:
    whole, each, restarting = begun(definition), begun(definition), begun(definition, hot_profiles=20)
    whole.hear(*log)
    each.hear_each(log)
    for start in range(0, len(log), 150):
        restarting.hear(*log[start : start + 150])
        if start % 900 == 0:
            restarting.restart(hot_profiles=20)
        else:
            restarting.save()
    assert stored(whole) == stored(each) == stored(restarting)
    for run in (whole, each, restarting):
        run.drain()
    assert said(whole) == said(each) == said(restarting)
    assert whole.totals["duplicate"] > 20
    assert whole.totals["skew_corrected"] > 20
    kinds = {s.kind for s in whole.signals}
    assert {"stage_entered", "stage_left", "goal_reached", "abandonment", "friction", "milestone"} <= kinds
    if definition.risks:
        assert "churn_risk" in kinds
        assert {e.label for e in whole.examples} == {False, True}
    assert {"issued", "cancelled", "expired"} <= {t.status for t in whole.triggers}


def test_the_books_balance(definition: Definition, log: Sequence[Touchpoint]) -> None:
    run = begun(definition)
    run.hear(*log)
    totals = run.totals
    assert len(log) == totals["processed"] + totals["duplicate"] + totals["too_late"] + totals["rejected"]
    assert all(len(blob) <= MAX_BYTES for blob in run.save().values())
    run.drain()
    assert [i for i, n in Counter(s.signal_id for s in run.signals).items() if n > 1] == []
    assert set(Counter(t.trigger_id for t in run.triggers).values()) == {2}


def test_an_idle_clock_between_batches_is_repeated_by_its_journal(
    definition: Definition, log: Sequence[Touchpoint]
) -> None:
    live, replay = begun(definition, hot_profiles=20), begun(definition)
    journal: dict[int, list[int]] = {}
    for start in range(0, len(log), 200):
        live.hear(*log[start : start + 200])
        journal[start] = []
        while (due := live.engine.next_due_ms) is not None and len(journal[start]) < 5:
            live.until(due - T0)
            journal[start].append(due)
        live.save()
    for start, moves in journal.items():
        replay.hear(*log[start : start + 200])
        for to in moves:
            replay.until(to - T0)
    assert said(live) == said(replay)
    assert stored(live) == stored(replay)


@pytest.fixture(scope="module")
def orderly() -> Sequence[Touchpoint]:
    """In the order of their times, and some twice: who is late depends on who else is in the partition."""
    found = list(generate(12, 80, 1_800, disturbance=Disturbance(duplicates=0.02)))
    for tp in found:
        tp.key = whose(tp).encode()
    return sorted(found, key=lambda tp: tp.occurred_at)


def whose(tp: Touchpoint) -> str:
    return tp.customer_id or tp.anonymous_id or ""


def dealt(log: Sequence[Touchpoint], partitions: int) -> list[list[Touchpoint]]:
    found: list[list[Touchpoint]] = [[] for _ in range(partitions)]
    for tp in log:
        found[partition_for(whose(tp).encode(), partitions)].append(tp)
    return found


@pytest.mark.parametrize(("before", "after", "share"), [(3, 5, 0.5), (4, 1, 0.3)])
def test_another_number_of_partitions_in_the_middle_changes_nothing_for_anybody(
    definition: Definition, orderly: Sequence[Touchpoint], before: int, after: int, share: float
) -> None:
    """State moves byte by byte, what is a partition's own as ``reshard`` merges it."""
    cut = int(len(orderly) * share)
    end = orderly[-1].occurred_at - T0 + 1 * H
    whole = [begun(definition, partition=n, partitions=before) for n in range(before)]
    halves = [begun(definition, partition=n, partitions=before) for n in range(before)]
    for number in range(before):
        whole[number].hear(*dealt(orderly, before)[number])
        whole[number].until(end)
        halves[number].hear(*dealt(orderly[:cut], before)[number])
    state = [dict(run.save()) for run in halves]
    sources = Sources.of(
        {
            number: Marker(
                format=formats.NEWEST, sequence=1, offset=0, next=1, topic_id="", definition=definition.number,
                start_issuing_at=0, models=dict(run.engine.models), engine=run.engine.partition_record(),
            )
            for number, run in enumerate(halves)
        }
    )  # fmt: skip
    sources.check_alike()
    moved = []
    for number in range(after):
        mine = {
            key: blob for records in state for key, blob in records.items() if partition_for(key[1:], after) == number
        }
        waits = Waits()
        for blob in mine.values():
            waits.add(decode(blob))
        run = begun(definition, partition=number, partitions=after)
        run.engine.restore(mine, formats.write(record_of(sources, definition, number, after, waits), formats.NEWEST))
        assert run.engine.labels_waiting == waits.snapshots
        run.hear(*dealt(orderly[cut:], after)[number])
        run.until(end)
        moved.append(run)
    for customer in {whose(tp) for tp in orderly}:
        old = partition_for(customer.encode(), before)
        new = partition_for(customer.encode(), after)
        assert joined(said_of(halves[old], customer), said_of(moved[new], customer)) == said_of(whole[old], customer)
    assert (
        sum(run.totals["duplicate"] for run in (*halves, *moved)) == sum(run.totals["duplicate"] for run in whole) > 0
    )


def joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    lists = {name: first[name] + second[name] for name in first if name != "view"}
    return lists | {"view": second["view"] if second["view"] != "never shown" else first["view"]}
