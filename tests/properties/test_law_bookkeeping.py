"""Laws of the books: nothing is counted, said or decided twice, nothing is lost, and what is unheard moves nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from copy import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.outputs import Decision, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.engine.decisions.recompute import recompute
from streams.engine.state import Profile, decode
from streams.engine.step import derived_id
from tests.support.compare import said, stored
from tests.support.engines import T0, D, plain, touchpoint
from tests.support.policies import models_of
from tests.support.worlds import CUSTOMERS, FORGET, STRESS, UNHEARD, Log, Run, carried_out, law, loaded, logs

pytestmark = pytest.mark.usefixtures("scoring")

LONG_LIVED = STRESS.replace("forget_after: 2d", "forget_after: 400d")


@law()
@given(logs(), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 12), st.booleans()), max_size=12))
def test_duplicates_change_nothing(log: Log, repeats: list[tuple[int, int, bool]]) -> None:
    log = carried_out(log, loaded())
    repeated: list[tuple[int, Touchpoint]] = [(i, one) for i, one in enumerate(log)]
    for which, later, other in repeats:
        if which < len(log):
            again = copy(log[which])
            if other:
                again.properties = {"and": "now for something completely different"}
            again.sent_at = again.occurred_at
            repeated.append((which + later, again))
    once, twice = Run(loaded()), Run(loaded())
    once.hear(*log)
    twice.hear(*(one for _, one in sorted(repeated, key=lambda pair: pair[0])))
    assert once.totals["duplicate"] == 0
    assert twice.totals["duplicate"] + twice.totals["too_late"] - once.totals["too_late"] == len(repeated) - len(log)
    assert twice.totals["conflicting"] <= sum(other for _, _, other in repeats)
    for run in (once, twice):
        for name in ("duplicate", "conflicting", "too_late"):
            run.totals[name] = 0
    assert said(once) == said(twice)
    assert stored(once) == stored(twice)


@law()
@given(logs(50), st.sampled_from([None, 1, 4]))
def test_what_was_consumed_is_accounted_for(log: Log, partitions: int | None) -> None:
    run = Run(loaded(), partitions=partitions)
    for one in log:
        one.key = one.customer_id.encode() if one.customer_id and int(one.event_id[1:]) % 5 else b"somebody else"
    log.append(touchpoint(0, "journey.import_started", "a", event_id="mark"))
    for i, one in enumerate([*log, *log]):
        run.hear(one)
        totals = run.totals
        assert i + 1 == totals["processed"] + totals["duplicate"] + totals["too_late"] + totals["rejected"]
    assert run.totals["rejected"] == len(run.rejections)
    assert run.totals["late"] <= run.totals["processed"] * 3
    assert run.engine.importing


def lives(triggers: list[Trigger]) -> dict[str, list[Trigger]]:
    found: dict[str, list[Trigger]] = defaultdict(list)
    for trigger in triggers:
        found[trigger.trigger_id].append(trigger)
    return found


@law(150)
@given(logs(60))
def test_a_trigger_is_issued_once_and_ends_once(log: Log) -> None:
    log = carried_out(log, loaded())
    run = Run(loaded())
    run.hear(*log)
    open_now = {i.trigger.trigger_id for p in run.engine.store.hot.values() for i in p.triggers}
    for trigger_id, records in lives(run.triggers).items():
        assert [r.status for r in records][:1] == ["issued"]
        assert len(records) == (1 if trigger_id in open_now else 2)
    run.drain()
    for records in lives(run.triggers).values():
        first, last = records
        assert (first.revision, last.revision) == (1, 2)
        assert last.status in {"fulfilled", "cancelled", "expired"}
        assert (last.end_reason is not None) == (last.status == "cancelled")
        assert (last.replaced_by is not None) == (last.end_reason == "replaced")
        assert first.expires_at > first.issued_at
        same = {"revision", "status", "end_reason", "ended_at", "replaced_by"}
        same |= {"outcome", "outcome_at", "outcome_match"}
        a, b = plain(first), plain(last)
        assert {k: v for k, v in a.items() if k not in same} == {k: v for k, v in b.items() if k not in same}
    issued = {d.trigger_id: d for d in run.decisions if d.outcome == "issued"}
    assert set(issued) == set(lives(run.triggers))


@law(150)
@given(logs(60))
def test_no_signal_decision_or_trigger_is_said_twice(log: Log) -> None:
    log = carried_out(log, loaded())
    run = Run(loaded())
    run.hear(*log)
    run.drain()
    for many in (
        [s.signal_id for s in run.signals],
        [d.decision_id for d in run.decisions],
        [t.trigger_id for t in run.triggers if t.status == "issued"],
    ):
        assert [i for i, n in Counter(many).items() if n > 1] == []
    signals = {s.signal_id for s in run.signals}
    assert all(d.signal_id in signals for d in run.decisions)


@law(100)
@given(logs(60))
def test_a_channel_has_at_most_one_trigger_that_is_not_yet_sent(log: Log) -> None:
    log = carried_out(log, loaded())
    run = Run(loaded())
    for one in log:
        run.hear(one)
        for p in run.engine.store.hot.values():
            taken = [i.trigger.channel for i in p.triggers if not i.freed]
            assert len(taken) == len(set(taken))


GATES = {
    "paused", "rollout", "eligibility", "suitability", "value", "channel", "already_open", "marketing_pause",
    "contact_limit", "quiet_hours", "suppression", "slot", "lower_value", "not_drawn", "goal_reached", "late",
    "cancel_on", "answered", "expired", "replaced",
}  # fmt: skip


REASONS = {"issued", "holdout", "warm_up", "stale", "session_over", "too_large"}


def recomputed(d: Decision) -> dict[str, Any]:
    """What the record's candidates lead to, by the rules alone."""
    best = recompute(d, loaded(), {model.key: model for model in models_of(loaded())})
    if best is None:
        if d.outcome == "held":
            assert d.held_until is not None
            assert d.held_until > d.time
            return {"chosen": None, "channel": None, "trigger_id": None}
        known = [c for c in d.candidates if c.v is not None]
        best = max(known, key=lambda c: c.v or 0.0) if known else d.candidates[0]
        return {"chosen": None, "channel": None, "trigger_id": None, "outcome": "none", "reason": best.closed_by}
    signal_id = best.signal_id or d.signal_id
    trigger_id = derived_id(d.customer, d.journey or "", d.instance or "", best.action, signal_id, str(d.step))
    issued = d.reason in {"issued", "holdout"}
    return {
        "chosen": best.action,
        "channel": best.channel,
        "trigger_id": trigger_id if issued else None,
        "outcome": {"issued": "issued", "holdout": "held_out"}.get(d.reason, "none"),
        "reason": d.reason if d.reason in REASONS else "?",
        "propensity": best.propensity,
        "value": best.v,
    }


@law(100)
@given(logs(50), st.sampled_from([None, T0 + 30 * 60_000, T0 + 9 * D]), st.sampled_from([None, T0 + 40 * 60_000]))
def test_a_decision_can_be_recomputed_from_its_record(log: Log, begin: int | None, now_ms: int | None) -> None:
    run = Run(loaded(), start_issuing_at=begin)
    run.hear(*carried_out(log, loaded()), now_ms=now_ms)
    for d in run.decisions:
        facts = plain(d)
        assert {name: facts[name] for name in recomputed(d)} == recomputed(d)
        assert all(c.closed_by in GATES for c in d.candidates if c.closed_by is not None)
        signal = next(s for s in run.signals if s.signal_id == d.signal_id)
        again = [d.candidates[0].action if d.step else "", str(d.step), str(d.tries)] if d.tries or d.step else []
        assert d.decision_id == derived_id(d.customer, "decision", d.signal_id, *again)
        assert d.signals == [] or (len(d.signals) > 1 and d.signals[0] == d.signal_id)
        asked = {s.signal_id: s for s in run.signals}
        chosen = next((c.signal_id for c in d.candidates if c.action == d.chosen and c.signal_id), d.signal_id)
        assert (d.journey, d.instance) == (asked[chosen].journey, asked[chosen].instance)
        assert d.tries or d.step or d.time == max(asked[s].time for s in d.signals or [d.signal_id])
        assert sum(c.propensity or 0.0 for c in d.candidates) == pytest.approx(float(d.chosen is not None))
        assert signal.historical == (begin is not None and signal.time < begin)
        if signal.historical:
            assert d.outcome == "none"
    stale = [d for d in run.decisions if d.reason == "stale"]
    assert len(run.stale) == len(stale)
    assert not set(run.stale) & {t.trigger_id for t in run.triggers}


def without_bookkeeping(p: Profile) -> Any:
    """A profile without what an unheard touchpoint may move."""
    p.trail = []
    p.seen = {}
    p.arrivals = p.last_seen = p.next_due = p.room = 0
    for inst in p.open.values():
        inst.touched = 0
    for issued in p.triggers:
        issued.trigger.last_touchpoints = []
    return plain(p)


def without_trails(found: Any) -> Any:
    if isinstance(found, dict):
        return {k: without_trails(v) for k, v in found.items() if k != "last_touchpoints"}
    return [without_trails(v) for v in found] if isinstance(found, list) else found


@law(100)
@given(logs(30), st.lists(st.tuples(st.integers(0, 30), st.sampled_from(CUSTOMERS)), max_size=40))
def test_what_no_rule_names_moves_the_trail_and_the_watermark_only(log: Log, unheard: list[tuple[int, str]]) -> None:
    """The same touchpoints of the company, once about a customer and once about a stranger."""
    definition = loaded(LONG_LIVED)
    log = carried_out([one for one in log if one.type not in UNHEARD], definition)
    about, beside = Run(definition), Run(definition)
    for i, one in enumerate(log):
        for k, (at, customer) in enumerate(unheard):
            if at == i:
                for run, who in ((about, customer), (beside, "z")):
                    run.hear(
                        touchpoint(one.occurred_at - T0 - 5, UNHEARD[k % 2], who, event_id=f"u{k}", actor="system")
                    )
        about.hear(one)
        beside.hear(one)
    about.drain()
    beside.drain()
    a, b = without_trails(said(about)), without_trails(said(beside))
    for found in (a, b):
        del found["totals"]
    assert a == b
    for customer in CUSTOMERS:
        key = f"p{customer}".encode()
        one_blob, other_blob = about.save().get(key), beside.save().get(key)
        if other_blob is not None:
            assert one_blob is not None
            assert without_bookkeeping(decode(one_blob)) == without_bookkeeping(decode(other_blob))
        elif one_blob is not None:
            assert without_bookkeeping(decode(one_blob)) == without_bookkeeping(Profile(customer, customer))


@law()
@given(logs(30))
def test_an_idle_profile_is_freed_and_one_that_returns_starts_clean(log: Log) -> None:
    again = [copy(one) for one in log]
    for one in again:
        one.occurred_at += 100 * D
    used, fresh = Run(loaded(), hot_profiles=2), Run(loaded(), hot_profiles=2)
    used.hear(*log)
    used.save()
    known = {one.customer_id for one in log}
    watermark = used.engine.watermark
    assert watermark is not None
    alive = used.engine.profiles
    used.until(watermark - T0 + FORGET + D)
    assert used.engine.profiles == 0
    assert {key for key, blob in used.engine.changed() if blob is None} <= {f"p{who}".encode() for who in known}
    used.changelog.clear()
    assert used.engine.next_due_ms is None
    assert used.engine.store.first() is None
    assert all(used.customers[who] is None for who in known if who in used.customers)
    assert all(len(records) == 2 for records in lives(used.triggers).values())
    assert used.totals["evicted"] >= alive
    for run in (used, fresh):
        run.signals, run.triggers, run.decisions, run.examples, run.customers = [], [], [], [], {}
        run.hear(*again)
    a, b = said(used), said(fresh)
    del a["totals"], b["totals"]
    assert a == b
    assert stored(used) == stored(fresh)
