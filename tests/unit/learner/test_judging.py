"""How pipelines are judged: by what they knew at the score, on whole cohorts, for a part of the customers if need be.

Owns worlds in which the naive way is deceived: labels that overlap, labels of one class that come early.
"""

from __future__ import annotations

import random
from itertools import pairwise
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.outputs import Example
from streams.definitions.model import Pipeline
from streams.learner import cohorts
from streams.learner.calibration import Calibration
from streams.learner.cohorts import Cohorts, Label
from streams.learner.contender import Contender
from streams.learner.learner import Learner
from tests.support.labels import HORIZON, KEY, LINEAR, example, examples, learning, risk

MINUTE = 60_000
NEAR = Pipeline("near", "knn", {"n_neighbors": 1, "window_size": 300})
"""Learns by heart."""


def test_a_pipeline_that_learns_by_heart_is_no_better_than_chance() -> None:
    """Each customer is scored ten times with the same features, which say nothing; what comes decides all ten labels
    at once. Asked when the labels arrive, who learns by heart knows nine of ten."""
    draw = random.Random(4)
    learner = Learner(risk(learning(NEAR, window=2_000)), 1, KEY)
    labels = []
    for n in range(400):
        values, label = [draw.gauss(0.0, 1.0) for _ in range(3)], draw.random() < 0.5
        for k in range(10):
            one = example(10 * n + k, label, values, known_after=HORIZON - k)
            labels.append(replace_customer(one, f"c{n}"))
    for one in sorted(labels, key=lambda e: (e.matured_at, e.scored_at)):
        learner.learn(one)
    found = learner.qualities()["near"]
    assert found.labels > 1_000
    assert found.auc < 0.65
    assert learner.champion == "logistic"


def replace_customer(one: Example, customer: str) -> Example:
    one.customer = customer
    return one


def test_labels_that_are_known_early_wait_for_the_others() -> None:
    """All customers leave or stay by the same chance; those who stay are known sooner. Whatever has arrived lately,
    what is learned and what the figures are over has the true base rate."""
    learner = Learner(risk(learning(window=300)), 1, KEY)
    world = examples(2_000, seed=3)
    for one in world:
        learner.learn(one)
    whole = [e for e in world if e.scored_at + HORIZON * MINUTE < learner.learned_until - HORIZON * MINUTE // 1_000]
    assert learner.counts["learned"] == len(whole)
    assert len(learner._cohorts) == len(world) - len(whole) > 0
    assert learner.trues == sum(e.label for e in whole)
    newest = sorted(whole, key=lambda e: e.scored_at)[-300:]
    assert learner.qualities()["logistic"].base_rate == sum(e.label for e in newest) / 300
    issued = [e for e in sorted(whole, key=lambda e: e.scored_at) if "@" in e.model][-300:]
    assert list(learner._issued) == [(e.score, e.label) for e in issued]


def test_scores_of_one_instant_are_learned_mixed() -> None:
    """Of those scored at once, who stays is known first and who leaves last; learned so, the last would count most."""
    learner = Learner(risk(learning(at_least=1_000)), 1, KEY)
    world = examples(600, seed=3)
    for one in world:
        one.scored_at = 0
        one.matured_at = HORIZON * MINUTE if one.label else 1
    learned: list[bool] = []
    learner._contenders[0].learn = lambda x, label, scored_at: learned.append(label) or nan  # type: ignore[method-assign, func-returns-value]
    for one in [*sorted(world, key=lambda e: e.matured_at), example(9_999, True, [0.0, 0.0, 0.0])]:
        learner.learn(one)
    assert len(learned) == 600
    halves = sum(learned[:300]), sum(learned[300:])
    assert min(halves) > 0.7 * max(halves)


def test_a_score_is_judged_by_nothing_that_was_known_later() -> None:
    contender = Contender(LINEAR, 100)
    for n, one in enumerate(examples(600)):
        contender.learn(one.features, one.label, n * MINUTE)
        contender.keep(n * MINUTE, HORIZON * MINUTE)
        untils = [copy.until for copy in contender.copies]
        for older, newer in pairwise(contender.copies):
            late = newer.until - older.until >= HORIZON * MINUTE / 4
            assert late or newer.learned >= 2 * older.learned
        assert len(untils) <= 10
        # Whatever score may still come, one horizon old at most, has a copy of its time.
        assert untils[0] <= max(0, n - HORIZON) * MINUTE
    assert isnan(contender.judge({}, untils[0] - 1))
    x = {"recency": 90.0, "orders": 1.0, "noise": 0.0}
    by_age = {contender.judge(x, at) for at in range(untils[0], 600 * MINUTE, MINUTE)}
    assert len(by_age) == len(untils)
    assert contender.judge(x, untils[2]) == contender.judge(x, untils[3] - 1) != contender.judge(x, untils[3])


def test_where_there_are_too_many_a_part_of_the_customers_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """And of these everything, whatever came of them."""
    monkeypatch.setattr(cohorts, "KEPT", 20)
    learner = Learner(risk(learning(window=5_000)), 1, KEY)
    world = examples(6_000, seed=3)
    for one in world[:3_000]:
        learner.learn(one)
    below = learner._cohorts.below
    before = learner.counts["learned"] + len(learner._cohorts)
    trues = learner.trues + sum(label.came_true for label in learner._cohorts._waiting)
    sample = [e for e in world[3_000:] if learner._cohorts.hash_of(e.customer) is not None]
    for one in world[3_000:]:
        learner.learn(one)
        assert len(learner._cohorts) <= 20
    assert learner._cohorts.below == below < cohorts.EVERYONE
    assert 300 < len(sample) < 2_400
    assert learner.counts["learned"] + len(learner._cohorts) == before + len(sample)
    now = learner.trues + sum(label.came_true for label in learner._cohorts._waiting)
    assert now == trues + sum(e.label for e in sample)
    assert learner.counts["left_out"] > 3_000 - len(sample)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=60), st.integers(0, 60))
def test_cohorts_come_whole_and_in_order(labels: list[tuple[int, int]], until: int) -> None:
    held = Cohorts()
    for place, (due, customer) in enumerate(labels):
        found = held.hash_of(str(customer))
        assert found is not None
        held.wait(Label(due, place, found, bool(customer % 2), float(customer), bytes([customer] * 8)))
    again = Cohorts.of_state(held.state())
    assert again.state() == held.state()
    complete = list(held.complete(until))
    assert [label.due for label in complete] == sorted(due for due, _ in labels if due <= until)
    assert list(again.complete(until)) == complete
    assert [label.due for label in held.complete(100)] == sorted(due for due, _ in labels if due > until)


def test_who_does_worse_than_the_base_rate_leads_nobody() -> None:
    """One neighbour says 0 or 1: it ranks better where the truth is bent, and its probabilities are worth nothing."""
    learner = Learner(risk(learning(NEAR, for_checks=1, margin=0.0)), 1, KEY)
    calibration = learner._contenders[1].calibration = Calibration()
    calibration._aa = calibration._bb = 1e12  # as it is, for ever
    for one in examples(1_000, bent=True):
        learner.learn(one)
    near, logistic = learner.qualities()["near"], learner.qualities()["logistic"]
    assert near.auc > logistic.auc + 0.1
    assert near.log_loss > near.least
    assert learner.champion == "logistic"
