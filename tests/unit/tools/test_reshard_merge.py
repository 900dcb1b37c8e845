"""What becomes of limits, time and adopted things of partitions when their customers are dealt out anew."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.decisions.shares import Queue, Shares, Used
from streams.engine.decisions.state import Held
from streams.engine.engine import Engine
from streams.engine.plan import Plan
from streams.engine.state import PartitionRecord
from streams.tools.reshard.merge import Sources, Unlike, Waits, newest, record_of, used_of
from streams.worker.marker import Marker
from tests.support.engines import D, H, define

LIMITED = define(
    """
    channels:
      phone: {at_most: 10, per: 1h, opt_in: false}
    journeys:
      purchase: {type: purchase, goal: Order Completed, stages: {cart: {on: Product Added}}}
    actions:
      call:
        purpose: service
        when: {signal: goal_reached}
        channel: phone
        value: 5
        cost: 0.3
        budget: {amount: 7.5, per: day}
        expires_after: 1d
    """,
    number=3,
)
PLAN = Plan(LIMITED)
PHONE = PLAN.policy.channels["phone"]
CALL = PLAN.actions["call"].action
partitions = st.integers(1, 40)


def always_open(t: int) -> int:
    return t


def marker(record: PartitionRecord, **more: Any) -> Marker:
    fields = {"sequence": 7, "offset": 3, "next": 4, "topic_id": "t", "definition": 3, "start_issuing_at": 0, **more}
    return Marker(engine=msgspec.msgpack.encode(record), **fields)


@given(used=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 14)), min_size=1, max_size=12), after=partitions)
def test_what_is_left_of_a_capacity_is_dealt_out_whole(used: list[tuple[int, int]], after: int) -> None:
    before = [Used(capacity={"phone": [window * H, contacts]}) for window, contacts in used]
    last = max(window for window, _ in used)
    left = max(0, 10 - sum(contacts for window, contacts in used if window == last))
    taken = 0
    for number in range(after):
        shares = Shares(number, after)
        shares.used = used_of(before, PLAN, number, after)
        t = last * H + 5
        while shares.free_from(PHONE, t, always_open) == t:
            shares.take(PHONE, t)
            taken += 1
            assert taken <= left
    assert taken == left


@given(spent=st.lists(st.integers(0, 4_000_000), min_size=1, max_size=12), after=partitions)
def test_what_is_left_of_a_budget_is_dealt_out_whole(spent: list[int], after: int) -> None:
    assert CALL.budget is not None
    before = [Used(budgets={"call": [D, amount]}) for amount in spent]
    shares = [Shares(number, after) for number in range(after)]
    for number, share in enumerate(shares):
        share.used = used_of(before, PLAN, number, after)
    left = [s.share(7_500_000) - s.used.budgets["call"][1] for s in shares]
    assert all(amount >= 0 for amount in left)
    assert sum(left) == max(0, 7_500_000 - sum(spent))
    assert max(left) - min(left) <= 1


def test_an_older_window_is_over_and_a_limit_that_is_gone_is_forgotten() -> None:
    assert newest([[H, 5], [2 * H, 1], [2 * H, 2]]) == (2 * H, 3)
    assert newest([]) is None
    gone = Used(capacity={"fax": [0, 1]}, budgets={"letter": [0, 1]}, queues={"fax": Queue(0, 1, 0, 1)})
    assert used_of([gone], PLAN, 0, 2) == Used()


def test_who_comes_later_is_decided_after_those_who_wait() -> None:
    before = [
        Used(queues={"phone": Queue(H, 3, 2 * H, 1)}),
        Used(queues={"phone": Queue(2 * H, 2, 3 * H, 4)}),
        Used(queues={"phone": Queue(H, 1, 3 * H, 1)}),
    ]
    waiting = [
        Held(due, [], [], 0, ["call"], channel=channel)
        for due, channel in ((H, "phone"), (H + 1, "phone"), (3 * H, "phone"), (2 * H, "fax"), (9 * H, "phone"))
    ]
    queue = used_of(before, PLAN, 0, 3, waiting).queues["phone"]
    assert (queue.head, queue.left, queue.tail, queue.booked) == (H, 2, 3 * H, 1)
    shares = Shares(0, 3)
    shares.used = Used(capacity={"phone": [0, 10]}, queues={"phone": queue})
    turn = shares.free_from(PHONE, 5, always_open)
    assert turn is not None
    assert turn > 3 * H
    # Where nobody waits nobody is waited for.
    assert used_of(before, PLAN, 1, 3).queues == {}


def test_time_never_goes_back_and_what_is_of_no_customer_is_kept_once() -> None:
    sources = Sources.of(
        {
            0: marker(PartitionRecord(5 * H, 9, 1, 3, {"A": 1, "B": 2}, 4, withdrawn=["call"]), start_issuing_at=9),
            1: marker(PartitionRecord(None, 2, 1, 3, {"A": 1}, 0, withdrawn=["call"]), start_issuing_at=2),
            2: marker(PartitionRecord(7 * H, 4, 1, 3, {}, 1, withdrawn=["call"]), start_issuing_at=4),
        }
    )
    sources.check_alike()
    records = [record_of(sources, LIMITED, number, 2, Waits(snapshots=number)) for number in range(2)]
    for number, record in enumerate(records):
        engine = Engine(LIMITED, partition=number, partitions=2)
        engine.restore({}, msgspec.msgpack.encode(record))
        assert (engine.watermark, engine.start_issuing_at, engine.importing) == (7 * H, 9, False)
        assert engine.labels_waiting == number
        assert record.withdrawn == ["call"]
    assert [record.unused for record in records] == [{"A": 2, "B": 2}, {}]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"definition": 4}, "partition 1 has the definition 4, partition 0 has 3"),
        ({"models": {"churn": "churn@2"}}, "partition 1 has the models {'churn': 'churn@2'}, partition 0 has {}"),
    ],
)
def test_partitions_that_have_not_adopted_the_same_are_not_merged(more: dict[str, Any], says: str) -> None:
    sources = Sources.of({0: marker(PartitionRecord(1)), 1: marker(PartitionRecord(1), **more)})
    with pytest.raises(Unlike, match=says.replace("{", r"\{").replace("}", r"\}")):
        sources.check_alike()


def test_an_action_withdrawn_in_one_partition_only_is_not_merged() -> None:
    sources = Sources.of({0: marker(PartitionRecord(1)), 1: marker(PartitionRecord(1, withdrawn=["call"]))})
    with pytest.raises(Unlike, match="withdrawn"):
        sources.check_alike()
