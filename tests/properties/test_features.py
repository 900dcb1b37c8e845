"""Law: every feature is what brute force over the customer's whole history says, however that history came in."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.touchpoint import Touchpoint
from streams.engine.scoring import sums
from streams.engine.scoring.features import FEATURES, Moment
from streams.engine.scoring.state import Activity
from tests.properties.history import History, expected
from tests.support.engines import T0, D, H, M, Run, S, define, touchpoint
from tests.support.risks import risk, with_risks
from tests.support.worlds import law

GAP = 10 * M
LATENESS = 10 * S
SHOP = with_risks(
    define(
        """
        time: {allowed_lateness: 10s, session_gap: 10m}
        journeys:
          purchase:
            type: purchase
            goal: {event: Order Completed}
            stages:
              looking: {on: [Product Viewed]}
              cart: {on: [Product Added]}
              payment: {on: [Payment Info Entered]}
            abandonment:
              cart: {after: 30m}
            friction:
              - {preset: rage_click/mixpanel, cool_down: 0s}
              - {preset: page_loop/conviva, cool_down: 0s, severity: low}
              - {name: failed, count: {event: Payment Failed, at_least: 2, within: 5m}, severity: critical}
              - {name: slow, stalled: {stage: cart, longer_than: 20m}, severity: high}
              - {name: waited, absence: {of: Order Shipped, within: 2h, after: Order Completed}}
        actions:
          remind:
            purpose: service
            when: [{signal: abandonment}, {signal: friction}]
            channel: [post, store, agent]
            value: 1
            expires_after: 40m
        """
    ),
    risk(features=("channel_web_7d", "orders")),
)
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Product Viewed", {}),
    ("page", {"path": "/a"}),
    ("Products Searched", {}),
    ("Product Added", {"product_id": "p"}),
    ("Payment Info Entered", {}),
    ("Payment Failed", {}),
    ("Order Completed", {"value": 30.0}),
    ("Order Completed", {"value": 12.5, "actor": "company"}),
    ("Order Refunded", {"value": 10.0, "actor": "company"}),
    ("Order Cancelled", {"actor": "system"}),
    ("Contact Started", {}),
    ("Contact Ended", {}),
    ("Help Searched", {"query": "q"}),
    ("Email Opened", {"outcome": "opened", "trigger_id": "t"}),
    ("Message Handled", {"outcome": "clicked", "trigger_id": "t", "actor": "system"}),
    ("Message Handled", {"outcome": "dismissed", "trigger_id": "t", "actor": "system"}),
    ("Survey Answered", {"survey": "nps", "score": 3.0}),
    ("Survey Answered", {"survey": "nps", "score": 9.0}),
    ("Survey Answered", {"survey": "csat", "score": 4.0}),
    ("Survey Answered", {"survey": "ces", "score": 2.0}),
    ("Chat Rated", {"sentiment": 0.75}),
    ("Chat Rated", {"sentiment": -0.5}),
    ("Signed In", {}),
    ("Cancellation Page Viewed", {}),
    ("Plan Viewed", {}),
    ("Element Clicked", {"x": 1, "y": 2, "target": "#b"}),
    ("Element Clicked", {"x": 2, "y": 2, "target": "#b"}),
    ("Something Else", {}),
)
PAUSES = (1 * S, 100, 2 * S, 30 * S, 5 * M, GAP, GAP + 1, 1 * H, 1 * D, 9 * D, 40 * D)
CHANNELS = ("web", "mobile_app", "store", None, "carrier pigeon")
LATE = (0, 0, 1 * S, 5 * S, LATENESS)
BY_RULES = {"stage_reached", "session_frustration"}
"""What journeys and sessions say follows their own rules where touchpoints are disordered."""

moves = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(PAUSES),
    st.sampled_from(CHANNELS),
    st.sampled_from(("k1", "k2")),
    st.sampled_from(LATE),
)
histories = st.lists(moves, min_size=1, max_size=40)


def log_of(drawn: Sequence[tuple[tuple[str, dict[str, Any]], int, str | None, str, int]]) -> list[Touchpoint]:
    log = []
    t = 0
    for i, ((name, fields), pause, channel, contact, _) in enumerate(drawn):
        t += pause + 1
        log.append(touchpoint(t, name, event_id=f"e{i}", channel=channel, contact_id=contact, **fields))
    return log


def read(run: Run, at: int) -> dict[str, float]:
    p = run.engine.store.get("c")
    assert p is not None
    run.engine._step.begin(p, T0 + at, "", None)
    moment = Moment(run.engine._step.facts, run.engine.plan)
    return {name: feature.read(moment) for name, feature in FEATURES.items()}


def differing(found: dict[str, float], wanted: dict[str, float]) -> dict[str, tuple[float, float]]:
    return {
        name: (found[name], x)
        for name, x in wanted.items()
        if not (isnan(x) and isnan(found[name])) and found[name] != pytest.approx(x, rel=1e-9, abs=1e-12)
    }


@law(150)
@given(histories, st.sampled_from((0, 1, 5 * M, GAP, 2 * H, 3 * D, 100 * D)), st.data())
def test_every_feature_is_what_brute_force_says(drawn: Any, later: int, data: st.DataObject) -> None:
    log = log_of(drawn)
    run = Run(SHOP)
    for i, one in enumerate(log):
        run.hear(one)
        if data.draw(st.booleans()) and i % 3 == 0:
            run.restart()
    at = log[-1].occurred_at - T0 + later
    h = History(log, run.signals, run.triggers, T0 + at, GAP)
    wanted = expected(h)
    assert wanted.keys() == FEATURES.keys()
    assert differing(read(run, at), wanted) == {}


@law(150)
@given(histories, st.sampled_from((0, 1, 5 * M, 3 * D)), st.integers(1, 7))
def test_disordered_touchpoints_give_the_same_features(drawn: Any, later: int, size: int) -> None:
    log = log_of(drawn)
    late = [move[4] for move in drawn]
    order = sorted(range(len(log)), key=lambda i: (log[i].occurred_at + late[i], i))
    run = Run(SHOP)
    for start in range(0, len(order), size):
        run.hear(*(log[i] for i in order[start : start + size]))
        run.save()
    at = max(one.occurred_at for one in log) - T0 + later
    wanted = expected(History(log, run.signals, run.triggers, T0 + at, GAP))
    found = read(run, at)
    for name in BY_RULES:
        del found[name], wanted[name]
    assert differing(found, wanted) == {}


@law(200)
@given(st.lists(st.tuples(st.integers(0, 40 * 365), st.integers(-3, 3)), min_size=1, max_size=30), st.integers(0, 900))
def test_sums_decay_over_decades_whatever_the_order(drawn: list[tuple[int, int]], later: int) -> None:
    """The landmark moves on the way; what is far in the past has decayed to nothing."""
    a = Activity()
    times = [(T0 + day * D, float(n)) for day, n in drawn]
    for t, n in times:
        a.add("x", t, n)
    at = max(t for t, _ in times) + later * D
    for held, decay, days in zip(a.sums["x"], sums.decay(a, at), (7, 30, 90), strict=True):
        wanted = sum(n * 2.0 ** (-(at - t) / D / days) for t, n in times)
        assert held * decay == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@law(300)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_visits_do_not_depend_on_the_order_of_arrival(minutes: list[int], shuffle: Any) -> None:
    """Within the time that visits are kept; 10 minutes still belong to one."""
    a = Activity()
    arrivals = list(minutes)
    shuffle.shuffle(arrivals)
    for minute in arrivals:
        t = T0 + minute * M
        sums.visit(a, t, 10 * M, 1 * D)
    in_order = sorted({T0 + minute * M for minute in minutes})
    starts = [t for i, t in enumerate(in_order) if i == 0 or t - in_order[i - 1] > 10 * M]
    assert a.visits == len(starts)
    assert a.runs[::2] == starts
    at = in_order[-1]
    for held, decay, days in zip(a.sums["visit"], sums.decay(a, at), (7, 30, 90), strict=True):
        assert held * decay == pytest.approx(sum(2.0 ** (-(at - t) / D / days) for t in starts), rel=1e-9)
