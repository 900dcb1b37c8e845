"""Laws of definitions that change under way: the books still balance, and a restart in between changes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.definitions.model import Band, Risk
from tests.support.compare import said, stored
from tests.support.engines import T0, H, M
from tests.support.risks import LEAVING, RENEWAL, RISKS, UPSET
from tests.support.worlds import STRESS, Log, Run, carried_out, law, loaded, logs

pytestmark = pytest.mark.usefixtures("scoring")

PAYMENT = "      payment: {on: [Payment Info Entered], critical: true}\n"
CHECKOUT = "      checkout: {on: [{event: page, where: \"properties.path == '/checkout'\"}]}\n"
UNDECIDED = "      - {name: undecided, stalled: {stage: checkout, longer_than: 4m, or_touchpoints: 4}}\n"

CHANGES: tuple[tuple[tuple[str, str], ...], ...] = (
    (("payment: {after: 5m, severity: high}", "payment: {after: 1m}"),),
    (
        (PAYMENT, "      paying: {on: [Payment Info Entered], was: payment}\n"),
        ("      payment: {after", "      paying: {after"),
        ("[cart, payment]", "[cart, paying]"),
    ),
    ((CHECKOUT, ""), (UNDECIDED, "")),
    (("stalled: {stage: cart, longer_than: 20m}", "count: {event: page, at_least: 2, within: 1m}"),),
    (("    instance_by: case_id\n", ""),),
    (("at_least: 2, within: 5m}", "at_least: 2, within: 9m}"),),
    (
        (
            "absence: {of: Agent Replied, within: 5m, after: Message Sent}",
            "count: {event: page, at_least: 2, within: 5m}",
        ),
    ),
    (("  browse:\n", "  browse:\n    paused: true\n"),),
    (("  membership:\n", "  club:\n"), ("[support, membership]", "[support, club]")),
    (('  frustrated: {where: "session.frustration > 1.0"}\n', ""),),
    (("goal: {event: Order Completed, within: 1d}", "goal: {event: Order Completed}"),),
    (("goal: {event: Order Completed, within: 1d}", "goal: {event: Order Completed, within: 30m}"),),
    (("goal: {event: Case Resolved, within: 12h}", "goal: {event: Case Resolved, within: 1h}"),),
    (("- {preset: dead_click/posthog, cool_down: 0s}", "- {preset: dead_click/sentry}"),),
)
"""What the owner of the definition may have changed: (before, after)."""


SOONER = replace(LEAVING, every_ms=20 * M, bands=(Band("none", 0.0), Band("medium", 0.3), Band("all", 0.9)))
RISK_CHANGES: tuple[tuple[Risk, ...], ...] = (
    RISKS,
    (),
    (UPSET,),
    (RENEWAL, LEAVING, UPSET),
    (SOONER, UPSET, RENEWAL),
    (replace(LEAVING, horizon_ms=3 * H, signature="leaving-2"), UPSET, replace(RENEWAL, name="staying")),
)


def changed(chosen: frozenset[int]) -> str:
    text = STRESS
    for i in sorted(chosen):
        for before, after in CHANGES[i]:
            text = text.replace(before, after)
    return text


def quiet(run: Run) -> None:
    """The idle clock comes to what is due already: what a new definition has made due. Time stands still."""
    now = run.engine.watermark
    while (due := run.engine.next_due_ms) is not None and now is not None and due <= now:
        run.until(due - T0)
        assert run.engine.watermark == now
        following = run.engine.next_due_ms
        assert following is None or following > due


Variant = tuple[frozenset[int], tuple[Risk, ...]]
variants = st.tuples(st.frozensets(st.integers(0, len(CHANGES) - 1), max_size=4), st.sampled_from(RISK_CHANGES))


@law(200)
@given(logs(40), st.lists(st.tuples(st.integers(0, 39), variants), max_size=4))
def test_definitions_may_change_at_any_time(log: Log, adoptions: list[tuple[int, Variant]]) -> None:
    log = carried_out(log, loaded())
    live, restored = Run(loaded()), Run(loaded(), hot_profiles=1)
    for i, one in enumerate(log):
        for number, (at, (chosen, risks)) in enumerate(adoptions):
            if at == i:
                for run in (live, restored):
                    run.adopt(loaded(changed(chosen), number + 1, risks))
                restored.restart(hot_profiles=1)
                assert live.engine.next_due_ms == restored.engine.next_due_ms
                if i % 3 == 0:
                    for run in (live, restored):
                        quiet(run)
        live.hear(one)
        restored.hear(one)
    assert stored(live) == stored(restored)
    live.drain()
    restored.drain()
    assert said(live) == said(restored)
    assert live.totals["processed"] + live.totals["too_late"] == len(log)
    records = defaultdict(list)
    for trigger in live.triggers:
        records[trigger.trigger_id].append(trigger)
    assert all([t.revision for t in ts] == [1, 2] and ts[0].status == "issued" for ts in records.values())
    assert [i for i, n in Counter(s.signal_id for s in live.signals).items() if n > 1] == []
    assert [i for i, n in Counter(e.example_id for e in live.examples).items() if n > 1] == []
