"""Laws of contact policies: limits hold under any order, and random histories do meet every part of a policy."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.outputs import Trigger
from streams.definitions.model import Channel, Definition
from streams.definitions.policy import Budget, Capacity
from streams.engine.decisions.hours import day_start, zones
from tests.support.compare import said, stored
from tests.support.engines import H, M
from tests.support.policies import POLICY
from tests.support.worlds import LARGEST, MIXES, Log, Run, Scoring, carried_out, law, loaded, logs
from tests.support.worlds import decode as touchpoints_of


@pytest.fixture(scope="module", autouse=True)
def _policies() -> Iterator[None]:
    Scoring.policies = True
    yield
    Scoring.policies = False


def sent(run: Run) -> dict[str, list[Trigger]]:
    """Customer -> triggers that were issued and not taken back: what somebody may have received."""
    ends = {t.trigger_id: t for t in run.triggers if t.status != "issued"}
    found: dict[str, list[Trigger]] = {}
    for trigger in run.triggers:
        if trigger.status != "issued":
            continue
        end = ends.get(trigger.trigger_id)
        unsent = end is not None and end.outcome in {"not_sent", "bounced"}
        if unsent or (end is not None and in_time(end)):
            continue
        found.setdefault(trigger.customer, []).append(trigger)
    return found


def in_time(end: Trigger) -> bool:
    """Cancelled so soon that it cannot have been sent: the contact is given back."""
    at = end.ended_at or 0
    soon = at - max(end.issued_at, end.not_before or 0) < loaded().contact_policy.unsent_for_ms
    return end.status == "cancelled" and end.end_reason != "late" and end.outcome is None and soon


@law(150)
@given(logs(60), st.sets(st.integers(0, 60), max_size=4), st.lists(st.integers(1, 9), max_size=8))
def test_limits_are_never_exceeded(log: Log, cuts: set[int], sizes: list[int]) -> None:
    """Whatever the order of arrival, batches and restarts: no window holds more than is allowed."""
    log = carried_out(log, loaded())
    run = Run(loaded())
    at = 0
    for size in [*sizes, len(log)]:
        if at in cuts:
            run.restart()
        run.hear(*log[at : at + size])
        at += size
    run.drain()
    zone = zones()["UTC"]
    for triggers in sent(run).values():
        for limit in POLICY.limits:
            counted = [
                t.not_before or t.issued_at
                for t in triggers
                if limit.channel in (None, t.channel) and limit.action in (None, t.action)
            ]
            for t in triggers:
                if t.purpose not in limit.purposes or not (
                    limit.channel in (None, t.channel) and limit.action in (None, t.action)
                ):
                    continue
                when = t.not_before or t.issued_at
                start = day_start(when, limit.days, zone) if limit.days else when - limit.within_ms + 1
                # What service adds later is its own affair.
                own = [x for x in counted if start <= x <= when]
                assert len(own) <= limit.at_most + (
                    0 if len(limit.purposes) == 2 else _later(triggers, t, limit.purposes)
                )


def _later(triggers: list[Trigger], t: Trigger, purposes: tuple[str, ...]) -> int:
    """Contacts of other purposes that were decided after this one, though for an earlier time."""
    after = triggers[triggers.index(t) + 1 :]
    return sum(one.purpose not in purposes for one in after)


@law(60)
@given(logs(50), st.data())
def test_held_decisions_survive_restarts_and_are_released_as_they_would_have_been(
    log: Log, data: st.DataObject
) -> None:
    log = carried_out(log, loaded())
    cuts = data.draw(st.sets(st.integers(0, len(log)), max_size=3))
    live, restored = Run(loaded()), Run(loaded())
    for i, one in enumerate(log):
        if i in cuts:
            restored.restart()
        live.hear(one)
        restored.hear(one)
    for t in (30 * H, 60 * H):
        live.until(t)
        restored.restart()
        restored.until(t)
    assert said(live) == said(restored)


SHARED = (
    Channel("agent", opt_in=False, capacity=Capacity(2, 30 * M)),
    Channel("store", opt_in=False, capacity=Capacity(1, 2 * H)),
)


def shared() -> Definition:
    """With what the customers of a partition share."""
    found = loaded()
    channels = {**found.channels, **{channel.name: channel for channel in SHARED}}
    priced = tuple(replace(a, cost=0.5, budget=Budget(2.0, "day")) if a.name == "also" else a for a in found.actions)
    return replace(found, channels=channels, actions=priced, digest=f"{found.digest}/shared")


@law(60)
@given(logs(60), st.data())
def test_capacities_and_budgets_are_kept_and_survive_batches_and_restarts(log: Log, data: st.DataObject) -> None:
    log = carried_out(log, shared())
    cuts = data.draw(st.sets(st.integers(0, len(log)), max_size=3))
    whole, cut = Run(shared()), Run(shared())
    whole.hear(*log)
    for i, one in enumerate(log):
        if i in cuts:
            cut.restart()
        cut.hear(one)
    assert said(whole) == said(cut)
    assert stored(whole) == stored(cut)
    assert whole.engine.partition_record() == cut.engine.partition_record()
    whole.drain()
    issued = [t for t in whole.triggers if t.status == "issued"]
    for channel in SHARED:
        capacity = channel.capacity
        assert capacity is not None
        booked = booked_to([t for t in issued if t.channel == channel.name], capacity.per_ms)
        assert all(n <= capacity.at_most for n in booked.values())
    back = {t.trigger_id for t in whole.triggers if in_time(t)}
    days = booked_to([t for t in issued if t.action == "also" and t.trigger_id not in back], 24 * H)
    assert all(n <= 4 for n in days.values())


def booked_to(issued: list[Trigger], per_ms: int) -> Counter[int]:
    """Window -> how many: what is of an earlier time than the newest window is work of the newest."""
    newest = 0
    found: Counter[int] = Counter()
    for trigger in issued:
        newest = max(newest, trigger.issued_at // per_ms)
        found[newest] += 1
    return found


def test_the_laws_are_about_something() -> None:
    met: Counter[str] = Counter()
    rng = random.Random(11)
    for _ in range(90):
        log = touchpoints_of([rng.randrange(LARGEST) for _ in range(80)], MIXES[rng.randrange(len(MIXES))])
        run = Run(loaded())
        run.hear(*carried_out(log, loaded()))
        run.drain()
        for d in run.decisions:
            met[d.outcome] += 1
            met["released"] += d.tries > 0 and d.outcome == "issued"
            met["step"] += d.step > 0 and d.outcome == "issued"
            met["drawn"] += d.draw is not None
            met["together"] += bool(d.signals)
            met.update(c.closed_by or "chosen" for c in d.candidates)
            met.update(f"arm {d.arm}" for _ in range(d.outcome in {"issued", "held_out"}))
        met["examples"] += sum(e.risk.startswith("action.") for e in run.examples)
        met["delayed"] += sum(t.not_before is not None and t.not_before - t.issued_at == 5 * M for t in run.triggers)
    wanted = (
        "issued", "held", "held_out", "none", "released", "step", "drawn", "together", "not_drawn", "contact_limit",
        "quiet_hours", "marketing_pause", "suppression", "rollout", "answered", "goal_reached", "arm early", "arm late",
        "examples", "delayed",
    )  # fmt: skip
    assert [name for name in wanted if not met[name]] == []
