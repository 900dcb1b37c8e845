"""Laws of time: it does not matter what tells that time has come, nor in which steps it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.engine import Engine
from streams.engine.timers import next_due
from tests.support.compare import said, said_of, stored
from tests.support.engines import T0, D, H, M, touchpoint
from tests.support.worlds import CUSTOMERS, LATENESS, Log, Run, carried_out, law, loaded, logs

pytestmark = pytest.mark.usefixtures("scoring")


def earliest(engine: Engine) -> int | None:
    """By looking at every profile: the smallest watermark at which a timer fires."""
    everyone = [engine.store.get(name) for name in [*engine.store.hot, *engine.store.cold]]
    due = [next_due(engine._step, p) for p in everyone if p is not None]
    return min(due) + 1 if due else None


@law(100)
@given(logs())
def test_the_next_due_time_is_known_exactly_after_each_touchpoint(log: Log) -> None:
    log = carried_out(log, loaded())
    run = Run(loaded(), hot_profiles=2)
    for one in log:
        run.hear(one)
        assert run.engine.next_due_ms == earliest(run.engine)
        due, now = run.engine.next_due_ms, run.engine.watermark
        assert due is not None
        assert now is not None
        assert due > now, "whatever is due has fired"


@law(100)
@given(logs(25), st.sampled_from([0, 1, 5 * M, 30 * M, 3 * H, 5 * D]))
def test_the_idle_clock_in_steps_is_one_big_step(log: Log, beyond: int) -> None:
    log = carried_out(log, loaded())
    stepping, leaping, halving = Run(loaded(), hot_profiles=1), Run(loaded()), Run(loaded())
    for run in (stepping, leaping, halving):
        run.hear(*log)
    now = stepping.engine.watermark
    assert now is not None
    to = now + beyond
    moves = 0
    while (due := stepping.engine.next_due_ms) is not None and due <= to:
        before = said(stepping)
        stepping.until(due - 1 - T0)
        assert said(stepping) == before, "nothing fires before it is due"
        stepping.until(due - T0)
        stepping.save()
        moves += 1
        assert said(stepping) != before or stepping.engine.next_due_ms != due
        assert moves < 1000
    stepping.until(to - T0)
    leaping.until(to - T0)
    for part in range(1, 8):
        halving.until(now + beyond * part // 7 - T0)
    assert said(stepping) == said(leaping) == said(halving)
    assert stored(stepping) == stored(leaping) == stored(halving)


@law(100)
@given(logs(30), st.data())
def test_a_replay_of_log_and_journal_is_what_was_live(log: Log, data: st.DataObject) -> None:
    """Live, the idle clock moves now and then, and the partition restarts; the replay knows the journal only."""
    log = carried_out(log, loaded())
    live = Run(loaded(), hot_profiles=1)
    journal: list[tuple[int, int]] = []
    pauses = data.draw(st.dictionaries(st.integers(0, len(log) - 1), st.integers(0, 3), max_size=5))
    for i, one in enumerate(log):
        live.hear(one)
        for _ in range(pauses.get(i, 0)):
            due = live.engine.next_due_ms
            # Not past the present: what is still to come happens later than that.
            ahead = log[i + 1].occurred_at if i + 1 < len(log) else one.occurred_at + D
            if due is not None and due <= ahead:
                live.until(due - T0)
                journal.append((i, due))
        if i in pauses:
            live.restart()
    replay = Run(loaded())
    for i, one in enumerate(log):
        replay.hear(one)
        for after, to in journal:
            if after == i:
                replay.until(to - T0)
    assert said(live) == said(replay)
    assert stored(live) == stored(replay)


@law(100)
@given(logs(30, delays=(0,)), st.lists(st.integers(0, 30), max_size=12))
def test_the_record_of_a_timer_is_the_same_whichever_way_it_fired(log: Log, moved: list[int]) -> None:
    """By the watermark (a stranger speaks, or the idle clock moves it) or by the customer's own next touchpoint."""
    log = carried_out(log, loaded())
    own, moving = Run(loaded()), Run(loaded())
    own.hear(*log)
    for i, one in enumerate(log):
        if i in moved:
            before = one.occurred_at - T0
            if i % 2:
                moving.until(before)
            else:
                moving.hear(touchpoint(before + LATENESS, "Nobody Listens", "z", event_id=f"z{i}"))
        moving.hear(one)
    for run in (own, moving):
        # Nobody is scored after the end of the log, and the stranger has moved the end.
        run.until(max(one.occurred_at for one in log) - T0)
        run.drain()
    for customer in CUSTOMERS:
        assert said_of(own, customer) == said_of(moving, customer)
