"""Laws of disorder: what a shuffle within the lateness may change, and what it may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.facts import cart_lines
from streams.engine.scoring.state import Activity
from streams.engine.state import Profile, decode
from tests.support.compare import said_of
from tests.support.worlds import CUSTOMERS, DESK, KINDS, LATENESS, LIFE, SCREEN, SHOP, Log, Run, law, loaded, logs

pytestmark = pytest.mark.usefixtures("scoring")

NAMED_ELSEWHERE = {"Order Shipped", "Queued", "Agent Replied", "Case Resolved", "Message Handled"}
"""Not the customer's own: they wait for nobody's deadlines but those of the rules that name them (rule 6)."""
OWN = [
    [k for k in mix if k[0] not in NAMED_ELSEWHERE] for mix in (SHOP, DESK, SHOP[:4] + SCREEN, (*SHOP, *LIFE), KINDS)
]


def apart(log: Log) -> Log:
    """No two at the same ms: at one instant only the order of arrival tells which came first."""
    for i, one in enumerate(log):
        one.occurred_at += i
    return log


def shuffled(log: Log, jitters: Sequence[int], *, keep_each: bool) -> Log:
    """In the order of arrival, if each took at most the lateness to arrive."""
    arrivals: list[tuple[int, int]] = []
    last: dict[str | None, int] = {}
    for i, one in enumerate(log):
        at = one.occurred_at + jitters[i % len(jitters)]
        if keep_each:
            at = last[one.customer_id] = max(at, last.get(one.customer_id, 0))
        arrivals.append((at, i))
    return [log[i] for _, i in sorted(arrivals)]


jitters = st.lists(st.sampled_from([0, 0, 1, 500, 5_000, LATENESS]), min_size=1, max_size=17)


@law(150)
@given(logs(40, mixes=OWN, delays=(0,)), jitters)
def test_a_shuffle_that_keeps_each_customers_order_gives_each_the_same(log: Log, late: list[int]) -> None:
    straight, mixed = Run(loaded()), Run(loaded())
    straight.hear(*log)
    mixed.hear(*shuffled(log, late, keep_each=True))
    straight.drain()
    mixed.drain()
    for customer in CUSTOMERS:
        assert said_of(straight, customer) == said_of(mixed, customer)
    assert straight.totals == mixed.totals


def order_free(found: dict[str, Any]) -> Any:
    """What was said, without the order in which rules of different journeys came to say it."""
    return [sorted((s["signal_id"], s["time"], s["kind"], s["name"]) for s in found["signals"])]


@law(100)
@given(logs(40, delays=(0,)), jitters)
def test_a_shuffle_with_the_companys_events_finds_the_same(log: Log, late: list[int]) -> None:
    """What others than the customer do fires no deadline of a rule that does not name it: only when is left open."""
    straight, mixed = Run(loaded()), Run(loaded())
    straight.hear(*log)
    mixed.hear(*shuffled(log, late, keep_each=True))
    straight.drain()
    mixed.drain()
    for customer in CUSTOMERS:
        assert order_free(said_of(straight, customer)) == order_free(said_of(mixed, customer))


def contents(p: Profile) -> dict[str, Any]:
    counts = {
        key: [e for e in state if e[0] >= state[-1][0] - 30_000]
        for key, state in p.windows.items()
        if state and any(name in key for name in ("failed", "pushy", "repeat"))
    }
    return {
        "cart": cart_lines(p),
        "orders": (p.orders, p.value_micro, p.last_order),
        "touchpoints": (p.touchpoints, p.channels, p.arrivals, p.first_seen, p.last_seen),
        "told": (p.traits, p.consent, p.last, p.surveys, p.sentiments),
        "contacts": ({key: c.since for key, c in p.contacts.items()}, p.contacts_total),
        "goals": p.goals,
        "windows": counts,
        "trail": [(s.event_id, s.occurred_at) for s in p.trail],
        "activity": activity(p.activity or Activity()),
    }


def activity(a: Activity) -> tuple[Any, ...]:
    return a.moved, a.first_order, a.orders, a.refunds, a.visits, a.runs


def sums(p: Profile) -> dict[str, list[float]]:
    """Those of features that depend on no deadline, as friction and triggers do."""
    found = p.activity.sums if p.activity is not None else {}
    return {name: held for name, held in found.items() if name not in {"friction", "issued"}}


CUSTOMERS_OWN = [k for k in KINDS if k[0] not in NAMED_ELSEWHERE and "actor" not in k[1]]


@law(150)
@given(logs(25, mixes=[CUSTOMERS_OWN, CUSTOMERS_OWN[:12], CUSTOMERS_OWN[12:]], delays=(0,)), jitters)
def test_a_shuffle_inside_a_customer_gives_the_same_counts_windows_and_contents(log: Log, late: list[int]) -> None:
    log = apart(log)
    straight, mixed = Run(loaded()), Run(loaded())
    straight.hear(*log)
    mixed.hear(*shuffled(log, late, keep_each=False))
    a, b = straight.save(), mixed.save()
    assert a.keys() == b.keys()
    for key in a:
        assert contents(decode(a[key])) == contents(decode(b[key]))
        assert sums(decode(a[key])) == {n: pytest.approx(x, rel=1e-9) for n, x in sums(decode(b[key])).items()}
    assert straight.totals["processed"] == mixed.totals["processed"] == len(log)
