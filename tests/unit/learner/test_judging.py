"""How pipelines are judged: by what they knew at the score, on whole cohorts, for a part of the customers if need be.

Owns worlds in which the naive way is deceived: labels that overlap, labels of one class that come early.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.outputs import Example
from streams.definitions.model import Pipeline
from streams.learner import cohorts
from streams.learner.cohorts import Cohorts
from streams.learner.contender import Contender
from streams.learner.learner import Learner
from tests.support.labels import HORIZON, KEY, LINEAR, example, examples, learning, risk

MINUTE = 60_000
NEAR = Pipeline("near", "knn", {"n_neighbors": 1, "window_size": 2_000})
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
    the base rate of the figures is the true one."""
    learner = Learner(risk(learning(window=300)), 1, KEY)
    world = examples(2_000, seed=3)
    for one in world:
        learner.learn(one)
    until = learner.learned_until
    whole = sorted((e for e in world if e.scored_at + HORIZON * MINUTE <= until), key=lambda e: e.scored_at)
    expected = sum(e.label for e in whole[-300:]) / 300
    assert learner.qualities()["logistic"].base_rate == expected
    issued = [e for e in whole if "@" in e.model][-300:]
    assert learner.qualities()["issued"].base_rate == sum(e.label for e in issued) / 300


def test_a_score_is_judged_by_nothing_that_was_known_later() -> None:
    contender = Contender(LINEAR, 100)
    for n, one in enumerate(examples(600)):
        contender.learn(one.features, one.label)
        contender.keep(n * MINUTE, HORIZON * MINUTE)
        untils = [copy.until for copy in contender.copies]
        assert all(b - a >= HORIZON * MINUTE / 4 for a, b in pairwise(untils))
        assert len(untils) <= 7
        # Whatever score may still come, one horizon old at most, has a copy of its time.
        assert untils[0] <= max(0, n - HORIZON) * MINUTE
    assert isnan(contender.judge({}, untils[0] - 1))
    x = {"recency": 90.0, "orders": 1.0, "noise": 0.0}
    by_age = {contender.judge(x, at) for at in range(untils[0], 600 * MINUTE, MINUTE)}
    assert len(by_age) == len(untils)
    assert contender.judge(x, untils[2]) == contender.judge(x, untils[3] - 1) != contender.judge(x, untils[3])


def test_the_same_customers_are_judged_whatever_comes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "KEPT", 20)
    learner = Learner(risk(learning(window=5_000)), 1, KEY)
    world = examples(4_000, seed=3)
    for one in world:
        learner.learn(one)
    judged = learner._cohorts
    assert judged.below < cohorts.EVERYONE
    assert len(judged._waiting) <= 20
    until = learner.learned_until
    newest = [e for e in world if until - 20 * HORIZON * MINUTE < e.scored_at <= until - HORIZON * MINUTE]
    sample = [e for e in newest if judged.hash_of(e.customer) is not None]
    assert 0 < len(sample) < 0.7 * len(newest)
    figures = learner.qualities()["issued"]
    asked = sorted((e for e in sample if "@" in e.model), key=lambda e: e.scored_at)
    assert list(learner._issued)[-len(asked) :] == [(e.score, e.label) for e in asked]
    assert figures.base_rate == pytest.approx(0.42, abs=0.08)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=60), st.integers(0, 60))
def test_cohorts_come_whole_and_in_order(labels: list[tuple[int, int]], until: int) -> None:
    held = Cohorts()
    for due, customer in labels:
        found = held.hash_of(str(customer))
        assert found is not None
        held.wait(due, found, label=bool(customer % 2), issued=nan, scores=(0.5,))
    again = Cohorts.of_state(held.state())
    complete = list(held.complete(until))
    assert [v.due for v in complete] == sorted(due for due, _ in labels if due <= until)
    assert [v[:2] for v in again.complete(until)] == [v[:2] for v in complete]
    assert [v.due for v in held.complete(100)] == sorted(due for due, _ in labels if due > until)


def test_contenders_keep_their_verdicts_when_others_come_and_go() -> None:
    tree = Pipeline("tree", "hoeffding_tree")
    learner = Learner(risk(learning(NEAR)), 1, KEY)
    for one in examples(500):
        learner.learn(one)
    waiting = sorted(learner._cohorts._waiting)
    learner.adopt(risk(replace(learning(tree), champion=NEAR, challengers=(tree, LINEAR))), 2)
    for before, after in zip(waiting, sorted(learner._cohorts._waiting), strict=True):
        assert after.scores[0] == before.scores[1]
        assert isnan(after.scores[1])
        assert after.scores[2] == before.scores[0]


def test_who_does_worse_than_the_base_rate_leads_nobody() -> None:
    """A challenger that ranks better but says nonsense does not become champion."""
    learner = Learner(risk(learning(NEAR, for_checks=1, margin=0.0)), 1, KEY)
    for one in examples(1_500, bent=True):
        learner.learn(one)
    qualities = learner.qualities()
    near = qualities["near"]
    assert near.auc > qualities["logistic"].auc + 0.1
    champion_should_be_near = near.log_loss < min(near.least, qualities["logistic"].log_loss)
    assert (learner.champion == "near") == champion_should_be_near
