"""A channel that is full or closed: who waits has a turn, is recorded once, and nobody who comes later goes first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from streams.definitions.model import Channel, Definition
from streams.definitions.policy import Capacity, Hours
from tests.support.engines import T0, D, H, M, Run, touchpoint
from tests.support.policies import SHOP, failed, quiet, reasons, with_channel, with_policy


def shop_of(at_most: int, *, valid: str = "1d", opens: tuple[Hours, ...] = ()) -> Definition:
    """Each failure asks for a message in the store, which takes so many an hour."""
    text = SHOP.replace("channel: email", "channel: store").replace("expires_after: 1d", f"expires_after: {valid}")
    store = Channel("store", opt_in=False, capacity=Capacity(at_most, H))
    return with_channel(with_policy(text), replace(store, open=opens, timezone="UTC") if opens else store)


def issued(run: Run) -> list[tuple[str, int]]:
    return [(t.customer, t.issued_at - T0) for t in run.triggers if t.status == "issued"]


def test_capacity_is_of_all_customers_and_the_next_window_is_fresh() -> None:
    text = SHOP.replace("channel: email", "channel: store").replace("expires_after: 1d", "expires_after: 1m")
    run = Run(with_channel(with_policy(text), Channel("store", opt_in=False, capacity=Capacity(2, H))))
    for who in "abc":
        failed(run, 1000, who)
    failed(run, H, "d")
    assert reasons(run) == ["issued", "issued", "capacity", "issued"]


def test_partitions_share_a_capacity_and_a_restart_remembers() -> None:
    text = SHOP.replace("channel: email", "channel: store").replace("expires_after: 1d", "expires_after: 1m")
    definition = with_channel(with_policy(text), Channel("store", opt_in=False, capacity=Capacity(7, H)))
    total = 0
    for n in range(3):
        run = Run(definition, partition=n, partitions=3)
        run.engine.partitions = None  # whose customers they are is not what is tested
        for i in range(9):
            failed(run, 1000, f"c{i}")
            if i == 1:
                run.restart(partition=n, partitions=3)
                run.engine.partitions = None
        total += reasons(run).count("issued")
    assert total == 7


def test_channel_at_capacity_for_hours_lets_out_a_window_at_a_time() -> None:
    text = SHOP.replace("channel: email", "channel: store")
    definition = with_channel(
        with_policy(text, quiet_hours=(quiet(),)), Channel("store", opt_in=False, capacity=Capacity(2, H))
    )
    run = Run(definition)
    for i in range(7):
        failed(run, 1 * H + i, f"c{i}")
    run.restart()
    run.until(14 * H)
    issued = [(t.issued_at - T0) // H for t in run.triggers]
    assert issued == [8, 8, 9, 9, 10, 10, 11]
    waited = [(d.tries, d.outcome, d.reason) for d in run.decisions if d.customer == "c6"]
    assert waited == [(0, "held", "quiet_hours"), (1, "held", "capacity"), (2, "issued", "issued")]


def test_who_waits_for_a_full_channel_has_a_turn_before_who_came_later() -> None:
    text = SHOP.replace("channel: email", "channel: store")
    run = Run(with_channel(with_policy(text), Channel("store", opt_in=False, capacity=Capacity(1, H))))
    for i, who in enumerate("dcba"):
        failed(run, 1 * H + i, who)
    run.restart()
    failed(run, 2 * H + 30 * M, "A")
    run.until(8 * H)
    assert [(t.customer, (t.issued_at - T0) // H) for t in run.triggers if t.status == "issued"] == [
        ("d", 1), ("c", 2), ("b", 3), ("a", 4), ("A", 5),
    ]  # fmt: skip
    queued = [d.held_until for d in run.decisions if d.tries == 0 and d.held_until is not None]
    assert queued == [T0 + 2 * H, T0 + 3 * H, T0 + 4 * H, T0 + 5 * H]


def test_channel_at_capacity_for_hours_is_recorded_once_for_everyone_who_waits() -> None:
    run = Run(shop_of(10, valid="5d", opens=(Hours(9 * 60, 17 * 60, frozenset(range(5))),)))
    for i in range(300):
        failed(run, 15 * H + i, f"c{i}")
    run.until(3 * H + 5 * D)
    # Monday 15 and 16 h, then from 9 to 17 h on each of the next days, until everybody had a turn.
    hours = [(15, 0), (16, 0), *((h, day) for day in (1, 2, 3, 4) for h in range(9, 17))][:30]
    assert Counter(at // H for _, at in issued(run)) == {h + 24 * day: 10 for h, day in hours}
    assert [who for who, _ in issued(run)] == [f"c{i}" for i in range(300)]
    records = Counter(d.customer for d in run.decisions)
    assert [records[f"c{i}"] for i in range(300)] == [1] * 10 + [2] * 290
    waited = {d.customer: d for d in run.decisions if d.outcome == "held"}
    assert {d.reason for d in waited.values()} == {"capacity"}
    assert all(at == (waited[who].held_until or 0) - T0 for who, at in issued(run)[10:])


def test_who_comes_while_it_is_closed_has_a_turn_when_it_opens() -> None:
    run = Run(shop_of(2, opens=(Hours(9 * 60 + 30, 17 * 60, frozenset(range(5))),)))
    for i in range(5):
        failed(run, 1 * H + i, f"c{i}")
    run.restart()
    run.until(14 * H)
    assert issued(run) == [
        ("c0", 9 * H + 30 * M), ("c1", 9 * H + 30 * M + 1), ("c2", 10 * H), ("c3", 10 * H + 1), ("c4", 11 * H),
    ]  # fmt: skip
    assert reasons(run) == ["closed"] * 5 + ["issued"] * 5


def test_turn_that_is_not_used_is_free_for_who_comes_later_in_that_window() -> None:
    run = Run(shop_of(2))
    for i in range(6):
        failed(run, 1 * H + i, f"c{i}")
    run.hear(touchpoint(1 * H + 30 * M, "Order Completed", "c2"))
    failed(run, 2 * H + 10, "new")
    failed(run, 2 * H + 11, "newer")
    run.until(9 * H)
    assert issued(run) == [
        ("c0", 1 * H), ("c1", 1 * H + 1), ("c3", 2 * H + 1), ("new", 2 * H + 10),
        ("c4", 3 * H), ("c5", 3 * H + 1), ("newer", 4 * H),
    ]  # fmt: skip


def test_turn_is_kept_though_its_time_is_heard_of_late() -> None:
    definition = shop_of(1)
    run = Run(replace(definition, time=replace(definition.time, allowed_lateness_ms=5 * M)))
    for i in range(3):
        failed(run, 1 * H + i, f"c{i}")
    failed(run, 2 * H + 1 * M, "quick")  # the watermark has not passed the turn of c1 yet
    run.until(9 * H)
    assert issued(run) == [("c0", 1 * H), ("c1", 2 * H), ("c2", 3 * H), ("quick", 4 * H)]


def test_whose_turn_would_come_too_late_does_not_wait() -> None:
    run = Run(shop_of(1, valid="2h"))
    for i in range(4):
        failed(run, 1 * H + i, f"c{i}")
    run.until(9 * H)
    assert [(d.customer, d.outcome) for d in run.decisions] == [
        ("c0", "issued"), ("c1", "held"), ("c2", "held"), ("c3", "none"), ("c1", "issued"), ("c2", "issued"),
    ]  # fmt: skip
    assert run.decisions[3].reason == "capacity"


def test_those_who_wait_and_are_gone_hold_nobody_up_for_longer_than_a_window() -> None:
    run = Run(shop_of(1, valid="3d"))
    for i in range(3):
        failed(run, 1 * H + i, f"c{i}")
    run.adopt(replace(shop_of(1), actions=(), digest="none"))
    run.adopt(shop_of(1, valid="3d"))
    failed(run, 5 * H, "new")
    failed(run, 6 * H + M, "newer")
    run.until(12 * H)
    assert issued(run)[1:] == [("new", 6 * H), ("newer", 7 * H)]
