"""Bounds: duplicates, misrouted touchpoints, the size of a profile, what is forgotten, and that all are counted."""

from __future__ import annotations

from typing import Any

import pytest

from streams.contracts.routing import partition_for
from streams.engine.state import MAX_BYTES, SEEN
from tests.support.engines import T0, D, H, M, Run, S, define, touchpoint

SHOP = """
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages: {cart: {on: Product Added}}
    abandonment: {cart: {after: 20m}}
    friction:
      - {name: thrice, count: {event: Payment Failed, at_least: 3, within: 10m}}
      - {name: by_item, count: {event: Item Failed, at_least: 60, within: 30d, same: [item]}}
actions: {nudge: {when: {signal: stage_entered}, channel: agent, expires_after: 400d}}
"""

# -- duplicates ------------------------------------------------------------------------------------------------------


def test_duplicate_changes_nothing_and_is_counted() -> None:
    run = Run(SHOP)
    for one in [touchpoint(n, "Payment Failed") for n in range(2)]:
        run.hear(one, one)
    assert run.signals == []
    assert (run.totals["processed"], run.totals["duplicate"], run.totals["conflicting"]) == (2, 2, 0)


def test_same_id_with_other_contents_is_a_duplicate_counted_as_conflicting() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page", event_id="1"), touchpoint(0, "Product Added", event_id="1"))
    assert run.signals == []
    assert (run.totals["duplicate"], run.totals["conflicting"]) == (1, 1)


def test_sent_again_at_another_time_is_no_conflict() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page", event_id="1", sent_at=T0), touchpoint(0, "page", event_id="1", sent_at=T0 + 10))
    assert (run.totals["duplicate"], run.totals["conflicting"]) == (1, 0)


def test_deduplication_is_per_profile() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page", "a", event_id="1"), touchpoint(0, "page", "b", event_id="1"))
    assert run.totals["duplicate"] == 0


@pytest.mark.parametrize("length", [1, 15, 16, 500])
def test_ids_of_any_length_are_told_apart(length: int) -> None:
    run = Run(SHOP)
    run.hear(*(touchpoint(0, "page", event_id="x" * (length - 1) + end) for end in "aba"))
    assert run.totals["duplicate"] == 1


def test_deduplication_is_exact_for_the_last_1000_ids() -> None:
    run = Run(SHOP)
    run.hear(*(touchpoint(n, "page", event_id=str(n)) for n in range(SEEN)))
    run.hear(touchpoint(0, "page", event_id="0"))
    assert run.totals["duplicate"] == 1
    run.hear(touchpoint(SEEN, "page", event_id="one more"), touchpoint(0, "page", event_id="0"))
    assert run.totals["duplicate"] == 1


def test_deduplication_is_exact_within_24h_of_event_time() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page", event_id="1"), touchpoint(24 * H, "page"), touchpoint(0, "page", event_id="1"))
    assert run.totals["duplicate"] == 1


def test_ids_older_than_a_day_are_freed() -> None:
    run = Run(SHOP)
    run.hear(*(touchpoint(n, "page", event_id=str(n)) for n in range(100)), touchpoint(2 * D, "page"))
    run.hear(touchpoint(2 * D + 1, "page"))
    profile = run.engine.store.get("c")
    assert profile is not None
    assert len(profile.seen) == 2


def test_deduplication_survives_a_restart() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page"))
    run.restart()
    run.hear(touchpoint(0, "page"))
    assert run.totals["duplicate"] == 1


# -- misrouted (rule 2) ----------------------------------------------------------------------------------------------


def routed(partition: int, key: bytes | None, customer: str = "c") -> Run:
    run = Run(SHOP, partition=partition, partitions=4)
    run.hear(touchpoint(0, "Product Added", customer, key=key, offset=7))
    return run


def test_right_key_in_the_right_partition_is_taken() -> None:
    assert routed(partition_for("ü".encode(), 4), "ü".encode(), "ü").rejections == []


@pytest.mark.parametrize("key", [None, b"", b"C", b"other"])
def test_other_key_is_misrouted(key: bytes | None) -> None:
    run = routed(partition_for(b"c", 4), key)
    assert [(r.offset, r.reason) for r in run.rejections] == [(7, "misrouted")]
    assert (run.totals["rejected"], run.totals["processed"], run.engine.profiles) == (1, 0, 0)


def test_other_partition_is_misrouted_and_says_what_to_do() -> None:
    run = routed((partition_for(b"c", 4) + 1) % 4, b"c")
    assert "murmur2_random" in run.rejections[0].detail
    assert run.engine.watermark is None, "what is rejected moves no time"
    assert run.signals == []


def test_key_of_an_anonymous_visitor_is_the_anonymous_id() -> None:
    run = Run(SHOP, partition=partition_for(b"a1", 4), partitions=4)
    run.hear(touchpoint(0, "page", None, anonymous_id="a1", key=b"a1"))
    assert run.rejections == []


def test_key_and_partition_are_looked_at_when_a_profile_is_first_seen() -> None:
    run = routed(partition_for(b"c", 4), b"c")
    run.hear(touchpoint(1, "page", key=b"wrong"))
    assert run.rejections == []


# -- a profile is bounded (rule 25) ----------------------------------------------------------------------------------


def heavy() -> Run:
    """A customer who fills everything that has no smaller bound."""
    run = Run(SHOP)
    run.hear(touchpoint(0, "Product Added"))
    run.hear(touchpoint(0, "identify", traits={f"trait {n}": "x" * 250 for n in range(100)}))
    for batch in range(40):
        t = M + batch * 100
        run.hear(*(touchpoint(t + n, "Item Failed", event_id=f"{batch}-{n}" * 4, item=str(n)) for n in range(100)))
    return run


def test_profile_is_at_most_64_kib_and_what_is_shed_is_counted() -> None:
    run = heavy()
    assert all(len(blob) <= MAX_BYTES for blob in run.save().values())
    assert run.engine._step.out.counts.shed + run.totals["shed"] > 0


def test_open_journeys_deadlines_and_triggers_are_never_shed() -> None:
    run = heavy()
    run.restart()
    run.until(1 * H)
    assert [s.name for s in run.signals if s.kind == "abandonment"] == ["cart"]
    run.hear(touchpoint(2 * H, "Order Completed"))
    assert run.statuses() == [("nudge", "issued", None), ("nudge", "cancelled", "goal_reached")]


def test_customer_with_very_many_touchpoints_stays_small_and_exact() -> None:
    run = Run(SHOP)
    many = 30_000
    kinds = ("page", "Product Added", "Payment Failed", "Product Viewed")
    run.hear(
        *(
            touchpoint(n * 20 * S, kinds[n % 4], channel=f"ch{n % 50}", product_id=f"p{n}", path=f"/{n}")
            for n in range(many)
        )
    )
    (blob,) = run.save().values()
    assert len(blob) <= MAX_BYTES
    assert run.totals["processed"] == many
    profile = run.engine.store.get("c")
    assert profile is not None
    assert profile.touchpoints == many
    assert len(run.engine.store.heap) < 3000


def test_traits_consents_channels_and_cart_lines_are_bounded() -> None:
    run = Run(SHOP)
    run.hear(
        *(
            touchpoint(
                n, "Product Added", product_id=f"p{n}", channel=f"ch{n}", traits={f"t{n}": n}, consent={f"c{n}": True}
            )
            for n in range(500)
        )
    )
    profile = run.engine.store.get("c")
    assert profile is not None
    assert len(profile.traits) == 100
    assert len(profile.consent) == 100
    assert len(profile.channels) == 24
    assert len(profile.cart) == 200


def test_absences_cool_downs_and_windows_of_very_many_cases_are_bounded() -> None:
    run = Run(
        """
journeys:
  help:
    type: support
    instance_by: case_id
    goal: Case Resolved
    stages: {asking: {on: Message Sent}}
    friction:
      - {name: no_reply, absence: {of: Agent Replied, within: 2d, after: Message Sent}}
      - {name: again, count: {event: Message Sent, at_least: 1, within: 1h}, cool_down: 1h}
"""
    )
    run.hear(*(touchpoint(n, "Message Sent", case_id=str(n)) for n in range(1000)))
    profile = run.engine.store.get("c")
    assert profile is not None
    assert len(profile.open) == 20
    assert max(len(profile.absences), len(profile.cooling), len(profile.windows)) <= 200
    assert run.totals["shed"] > 0


def test_customer_with_very_many_signals_has_at_most_20_open_triggers() -> None:
    run = Run(SHOP.replace("stage_entered", "friction").replace("at_least: 3", "at_least: 1"))
    for n in range(60):
        run.hear(touchpoint(n * 11 * M, "Payment Failed"))
        told = {"trigger_id": run.triggers[-1].trigger_id, "outcome": "sent"}
        run.hear(touchpoint(n * 11 * M + 1, "Message Handled", actor="system", **told))
    assert run.statuses() == [("nudge", "issued", None)] * 20
    assert run.decisions[-1].reason == "limit"
    run.hear(touchpoint(60 * 11 * M, "Order Completed"), touchpoint(61 * 11 * M, "Payment Failed"))
    assert run.statuses()[20:] == [("nudge", "cancelled", "goal_reached")] * 20 + [("nudge", "issued", None)]


LARGE = """
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages: {cart: {on: Product Added}}
    friction:
      - {name: failed, count: {event: Payment Failed, at_least: 1, within: 1s}}
actions:
  help:
    when: {signal: friction}
    channel: agent
    expires_after: 30d
    content: {key: k, with: {items: cart.items_list}}
"""


def test_open_triggers_of_one_customer_are_not_larger_than_a_profile_may_be() -> None:
    """A cart of 200 lines travels with each trigger."""
    run = Run(LARGE)
    run.hear(*(touchpoint(n, "Product Added", product_id=f"{n:-<60}", price=1.5) for n in range(200)))
    for n in range(5):
        run.hear(touchpoint(n * H, "Payment Failed"))
        told = {"trigger_id": run.triggers[0].trigger_id, "outcome": "sent"}
        run.hear(touchpoint(n * H + 1, "Message Handled", actor="system", **told))
    assert [(d.outcome, d.reason) for d in run.decisions] == [("issued", "issued"), *[("none", "too_large")] * 4]
    assert run.decisions[1].trigger_id is None
    assert all(len(blob) <= MAX_BYTES for blob in run.save().values())
    run.hear(touchpoint(6 * H, "Order Completed"), touchpoint(7 * H, "Payment Failed"))
    assert run.statuses() == [
        ("help", "issued", None),
        ("help", "cancelled", "goal_reached"),
        ("help", "issued", None),
    ]


def test_a_trigger_too_large_replaces_none() -> None:
    more = """  more:
    when: {signal: segment_entered}
    channel: agent
    value: 9
    expires_after: 30d
    content: {with: {a: cart.items_list, b: cart.items_list}}
segments: {known: {where: "has(traits.name)"}}
"""
    run = Run(LARGE + more)
    run.hear(*(touchpoint(n, "Product Added", product_id=f"{n:-<60}", price=1.5) for n in range(130)))
    run.hear(touchpoint(1 * H, "Payment Failed"))
    run.hear(touchpoint(2 * H, "identify", traits={"name": "Ada"}))
    assert [(d.chosen, d.reason) for d in run.decisions] == [("help", "issued"), ("more", "too_large")]
    assert run.statuses() == [("help", "issued", None)]


ABSURD = [float("nan"), float("inf"), 1e308, -1e308, 10**18, True, "much", [1], None]


@pytest.mark.parametrize("amount", ABSURD, ids=str)
def test_absurd_amounts_neither_stop_the_partition_nor_count(amount: Any) -> None:
    run = Run(SHOP + 'segments: {rich: {where: "lifetime_value > 0"}, full: {where: "cart.items > 1"}}\n')
    run.hear(
        touchpoint(0, "Product Added", product_id="p", quantity=amount, price=amount),
        touchpoint(1, "Order Completed", value=amount if isinstance(amount, float) else None, total=amount),
        touchpoint(2, "Order Refunded", total=amount),
        touchpoint(3, "Survey Answered", survey="nps", score=amount if isinstance(amount, float) else None),
        touchpoint(4, "Chatted", sentiment=amount if isinstance(amount, float) else None),
    )
    run.drain()
    run.restart()
    assert [name for kind, name in run.kinds() if kind == "segment_entered"] == []


def test_lifetime_value_stays_within_what_can_be_stored() -> None:
    run = Run(SHOP)
    run.hear(*(touchpoint(n, "Order Completed", value=1e12) for n in range(40)))
    run.restart()
    run.hear(*(touchpoint(100 + n, "Order Refunded", value=1e12) for n in range(40)))
    run.restart()
    assert run.engine.profiles == 1


# -- forgetting ------------------------------------------------------------------------------------------------------


def test_profile_idle_for_exactly_forget_after_is_kept_and_then_a_tombstone() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page"), touchpoint(400 * D + 30 * S, "page", "x"))
    assert run.engine.profiles == 2
    run.hear(touchpoint(400 * D + 30 * S + 1, "page", "x"))
    assert run.engine.profiles == 1
    assert run.customers["c"] is None
    assert run.totals["evicted"] == 1
    assert b"pc" not in run.save()


def test_forgetting_ends_open_triggers_as_expired() -> None:
    run = Run(SHOP.replace("stage_entered", "abandonment"))
    run.hear(touchpoint(0, "Product Added"))
    run.until(400 * D + 1)
    assert run.statuses() == [("nudge", "issued", None), ("nudge", "expired", None)]
    assert run.triggers[1].ended_at == T0 + 400 * D


def test_forgetting_leaves_open_stages_with_reason_forgotten_and_decides_nothing() -> None:
    run = Run(SHOP.replace("stage_entered", "stage_left"))
    run.hear(touchpoint(0, "Product Added"))
    run.until(400 * D + 1)
    left = run.signals[-1]
    assert (left.kind, left.name, left.reason, left.time - T0) == ("stage_left", "cart", "forgotten", 400 * D)
    assert run.decisions == []
    assert run.customers["c"] is None


def test_profile_that_returns_starts_clean() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page"), touchpoint(1, "Payment Failed"), touchpoint(2, "Payment Failed"))
    run.hear(touchpoint(401 * D, "page"))
    profile = run.engine.store.get("c")
    assert profile is not None
    assert (profile.touchpoints, profile.first_seen, profile.windows) == (1, T0 + 401 * D, {})


def test_forget_after_is_a_setting_and_each_touchpoint_begins_it_anew() -> None:
    run = Run("time: {forget_after: 10d}\n" + SHOP.replace("400d", "5d").replace("30d", "5d"))
    run.hear(touchpoint(0, "page"), touchpoint(9 * D, "page"))
    run.until(15 * D)
    assert run.engine.profiles == 1
    run.until(19 * D + 1)
    assert run.engine.profiles == 0


# -- the sum (rule 26) -----------------------------------------------------------------------------------------------


def test_every_touchpoint_is_processed_duplicate_too_late_or_rejected() -> None:
    right = partition_for(b"c", 4)
    run = Run(define(SHOP), partition=right, partitions=4)
    touchpoints = [
        touchpoint(3 * D, "Product Added", key=b"c"),
        touchpoint(3 * D, "Product Added", key=b"c"),
        touchpoint(3 * D + 30 * M, "page", key=b"c"),
        touchpoint(3 * D + 1 * M, "Product Added", key=b"c", event_id="late"),
        touchpoint(0, "page", key=b"c"),
        touchpoint(0, "journey.import_started", "anyone"),
        touchpoint(3 * D, "page", "wrong", key=b"other"),
    ]
    run.hear(*touchpoints)
    counted = {name: run.totals[name] for name in ("processed", "duplicate", "too_late", "rejected")}
    assert counted == {"processed": 4, "duplicate": 1, "too_late": 1, "rejected": 1}
    assert sum(counted.values()) == len(touchpoints)
    assert run.totals["late"] == 1
