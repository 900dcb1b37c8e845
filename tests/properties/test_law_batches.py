"""Laws: how touchpoints are cut into batches, stored, restored and spread over partitions changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.compare import said, said_of, stored
from tests.support.engines import T0, plain, touchpoint
from tests.support.worlds import CUSTOMERS, Log, Run, carried_out, law, loaded, logs

pytestmark = pytest.mark.usefixtures("scoring")


@law()
@given(logs(), st.lists(st.integers(1, 9), max_size=8))
def test_a_batch_of_n_is_n_batches_of_one(log: Log, sizes: list[int]) -> None:
    log = carried_out(log, loaded())
    whole, cut, each = Run(loaded()), Run(loaded()), Run(loaded())
    whole.hear(*log)
    rest = log
    for size in sizes:
        cut.hear(*rest[:size])
        cut.save()
        rest = rest[size:]
    cut.hear(*rest)
    each.hear_each(log)
    assert said(whole) == said(cut) == said(each)
    assert stored(whole) == stored(cut) == stored(each)
    for run in (whole, cut, each):
        run.drain()
    assert said(whole) == said(cut) == said(each)


@law()
@given(logs(), st.data())
def test_snapshot_and_restore_at_any_point_changes_nothing(log: Log, data: st.DataObject) -> None:
    log = carried_out(log, loaded())
    cuts = data.draw(st.sets(st.integers(0, len(log)), max_size=4))
    live, restored = Run(loaded()), Run(loaded())
    for i, one in enumerate(log):
        if i in cuts:
            restored.restart()
        live.hear(one)
        restored.hear(one)
        assert live.engine.next_due_ms == restored.engine.next_due_ms
    assert said(live) == said(restored)
    assert stored(live) == stored(restored)
    assert live.engine.partition_record() == restored.engine.partition_record()
    restored.restart()
    live.drain()
    restored.drain()
    assert said(live) == said(restored)


@law()
@given(logs(), st.integers(1, 3))
def test_profiles_kept_as_bytes_behave_like_objects(log: Log, hot: int) -> None:
    log = carried_out(log, loaded())
    warm, cold = Run(loaded()), Run(loaded(), hot_profiles=hot)
    for one in log:
        warm.hear(one)
        cold.hear(one)
        assert stored(warm) == stored(cold)
        assert warm.engine.profiles == cold.engine.profiles
    warm.drain()
    cold.drain()
    assert said(warm) == said(cold)


@law()
@given(logs(25), logs(25), st.lists(st.booleans(), max_size=60))
def test_partitions_know_nothing_of_each_other(one: Log, other: Log, turns: list[bool]) -> None:
    alone = Run(loaded())
    alone.hear(*one)
    beside, neighbour = Run(loaded()), Run(loaded(), partition=1)
    mine, theirs = list(one), list(other)
    for turn in turns:
        log, run = (mine, beside) if turn else (theirs, neighbour)
        if log:
            run.hear(log.pop(0))
    neighbour.hear(*theirs)
    beside.hear(*mine)
    neighbour.drain()
    assert said(alone) == said(beside)
    assert stored(alone) == stored(beside)


@law()
@given(logs(30))
def test_customers_of_a_partition_know_nothing_of_each_other(log: Log) -> None:
    """Each is compared with a partition in which a stranger moves the watermark in the place of the others."""
    log = carried_out(log, loaded())
    together = Run(loaded())
    together.hear(*log)
    for customer in CUSTOMERS:
        alone = Run(loaded())
        for one in log:
            mine = one.customer_id == customer
            alone.hear(one if mine else touchpoint(one.occurred_at - T0, "Nobody Listens", "z", event_id=one.event_id))
        assert said_of(together, customer) == said_of(alone, customer)
        key = f"p{customer}"
        assert stored(together).get(key) == stored(alone).get(key)


@law()
@given(logs(), st.integers(1, 9))
def test_adopting_the_same_definition_changes_nothing_and_ids_do_not_know_its_number(log: Log, every: int) -> None:
    log = carried_out(log, loaded())
    plain_run, adopting = Run(loaded()), Run(loaded(number=4))
    for i, one in enumerate(log):
        if i % every == 0:
            adopting.save()
            out = adopting.adopt(loaded(number=5 + i % 2))
            assert plain(out) == plain(Run(loaded()).hear())
            assert adopting.engine.changed() == []
        plain_run.hear(one)
        adopting.hear(one)
    for listed in (adopting.signals, adopting.triggers, adopting.decisions, adopting.examples):
        for found in listed:
            assert found.definition >= 4
            found.definition = 0
    for triggers in [i.trigger for p in adopting.engine.store.hot.values() for i in p.triggers]:
        triggers.definition = 0
    assert said(plain_run) == said(adopting)
