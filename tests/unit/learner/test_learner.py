"""What the learner learns, what it only counts, and when it publishes."""

from __future__ import annotations

from math import inf, nan

import pytest

from streams.contracts.outputs import Model
from streams.definitions.model import Pipeline
from streams.engine.scoring.scorer import LinearScorer
from streams.learner.columns import Columns
from streams.learner.learner import REMEMBERED, Learner
from tests.support.labels import FEATURES, FOREST, HORIZON, KEY, LINEAR, TREE, example, examples, learning, risk

MINUTE = 60_000


def taught(
    n: int, learner: Learner | None = None, *, first: int = 0, bent: bool = False
) -> tuple[Learner, list[Model]]:
    """A learner that has learned ``n`` labels (more), and the models that it has published meanwhile."""
    learner = learner or Learner(risk(), 1, KEY)
    models: list[Model] = []
    goal = learner.counts["learned"] + n
    for one in examples(n + 3 * HORIZON, first=first, bent=bent):
        if learner.counts["learned"] >= goal:
            return learner, models
        models += learner.learn(one)
    raise AssertionError("labels have been lost")


def test_models_come_after_enough_labels_and_then_regularly() -> None:
    learner, models = taught(450)
    assert [(m.version, m.examples) for m in models] == [(1, 100), (2, 200), (3, 300), (4, 400)]
    assert {m.name for m in models} == {"churn"}
    assert models[-1].learned_until == (400 + HORIZON) * MINUTE
    assert models[-1].base_rate == sum(e.label for e in examples(1_000) if e.scored_at < 400 * MINUTE) / 400
    assert 450 <= learner.counts["learned"] < 460


def test_what_is_published_scores_like_what_was_learned() -> None:
    learner, models = taught(400)
    scorer = LinearScorer(models[-1])
    assert scorer.key == "churn@4"
    risky, safe = scorer.score([90.0, 0.0, 0.0]), scorer.score([5.0, 8.0, 0.0])
    assert risky > 0.7 > 0.3 > safe
    contributions = scorer.contributions([90.0, 0.0, 0.0])
    assert contributions[0] > 0.7
    assert contributions[1] > 0.3
    # By what it has learned itself, calibrated.
    contender = learner._contenders[0]
    for other in examples(20, seed=9):
        exact = contender.calibration.of(contender.odds(other.features))
        assert scorer.score([other.features[name] for name in FEATURES]) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("label", [True, False])
def test_labels_of_one_class_make_no_model(label: bool) -> None:
    learner = Learner(risk(), 1, KEY)
    ones = [example(n, label, [40.0, 3.0, 0.0]) for n in range(500)]
    assert [model for one in ones for model in learner.learn(one)] == []
    others = [example(n, not label, [40.0, 3.0, 0.0]) for n in range(500, 511)]
    models = [len(learner.learn(one)) for one in others]
    assert models == [0] * 10 + [1]  # a tenth of at_least, the last of them waiting


def test_an_example_that_comes_twice_is_learned_once() -> None:
    once, twice = Learner(risk(), 1, KEY), Learner(risk(), 1, KEY)
    for one in examples(300):
        once.learn(one)
        twice.learn(one)
        twice.learn(one)
    assert twice.counts["repeated"] == 300
    twice.counts["repeated"] = 0
    assert twice.dump() == once.dump()


def test_only_the_newest_ids_are_remembered() -> None:
    learner = Learner(risk(), 1, KEY)
    world = examples(REMEMBERED + 10)
    for one in world:
        learner.learn(one)
    learner.learn(world[-1])
    learner.learn(world[10])
    assert learner.counts["repeated"] == 2
    learner.learn(world[0])
    assert learner.counts["repeated"] == 2


def test_examples_of_another_risk_or_signature_are_only_counted() -> None:
    learner, _ = taught(100)
    before = learner.dump()
    other_risk, other_signature = examples(2, first=1_000)
    other_risk.risk = "complaint"
    other_signature.signature = "other"
    assert learner.learn(other_risk) == learner.learn(other_signature) == []
    assert learner.counts["foreign"] == 2
    learner.counts["foreign"] = 0
    assert learner.dump() == before


@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e300, None])
def test_values_that_are_missing_or_absurd_take_the_mean(bad: float | None) -> None:
    columns = Columns(FEATURES)
    for one in examples(300):
        columns.learn(columns.packed(one.features))
    means = list(columns.means)
    odd = {"recency": bad, "orders": 3.5, "noise": 0.25}
    if bad is None:
        del odd["recency"]
    x, missing = columns.learn(columns.packed(odd))  # type: ignore[arg-type]
    assert missing == 1
    assert x == {"recency": means[0], "orders": 3.5, "noise": 0.25}
    assert list(x) == list(FEATURES)
    assert columns.means[0] == means[0]
    assert columns.means[1] != means[1]


def test_labels_with_missing_values_are_learned() -> None:
    learner = Learner(risk(), 1, KEY)
    models = [model for one in examples(1_000, missing=0.2) for model in learner.learn(one)]
    assert learner.counts["imputed"] == pytest.approx(0.6 * learner.counts["learned"], rel=0.1)
    assert LinearScorer(models[-1]).contributions([90.0, 0.0, 0.0])[0] > 0.5


def test_a_feature_that_never_varies_is_no_harm() -> None:
    learner = Learner(risk(), 1, KEY)
    models: list[Model] = []
    for one in examples(300):
        one.features["noise"] = 7.0
        models += learner.learn(one)
    assert models[-1].scales[2] == 0.0
    assert LinearScorer(models[-1]).contributions([40.0, 3.0, 9.0])[2] == 0.0


def test_a_challenger_that_leads_check_after_check_becomes_champion() -> None:
    learner = Learner(risk(learning(TREE, for_checks=3, window=400)), 1, KEY)
    algorithms = [model.algorithm for one in examples(3_000, bent=True) for model in learner.learn(one)]
    assert learner.champion == "tree"
    assert learner.counts["promoted"] == 1
    assert algorithms[:3] == ["logistic"] * 3
    turned = algorithms.index("tree")
    assert algorithms[turned:] == ["tree"] * (len(algorithms) - turned)


def test_a_challenger_that_is_no_better_stays_one() -> None:
    learner, _ = taught(3_000, Learner(risk(learning(TREE, FOREST, margin=0.03)), 1, KEY))
    assert learner.champion == "logistic"
    assert learner.counts["promoted"] == 0
    qualities = learner.qualities()
    assert qualities["logistic"].auc > qualities["tree"].auc - 0.03


def test_a_lead_must_hold_check_after_check_each_on_labels_of_its_own() -> None:
    learner = Learner(risk(learning(TREE, for_checks=4)), 1, KEY)
    taught(1_950, learner, bent=True)  # three windows are full
    assert learner.qualities()["tree"].auc > learner.qualities()["logistic"].auc + 0.1
    assert learner.champion == "logistic"
    taught(2_500, learner, bent=True, first=3_000)
    assert learner.champion == "tree"


def test_the_evaluation_travels_with_the_model() -> None:
    _, models = taught(900, Learner(risk(learning(TREE, margin=0.2)), 3, KEY))
    figures = models[-1].evaluation
    assert 0.7 < figures["auc"] < 0.95
    assert figures["labels"] == 500.0
    assert 0.6 < figures["tree_auc"] < 0.95
    assert 440.0 < figures["issued_labels"] < 500.0
    assert figures["issued_auc"] > 0.7
    assert sum(figures.get(f"bin_{i}_labels", 0.0) for i in range(10)) == 500.0
    assert figures["ece"] < 0.15
    assert models[-1].definition == 3


def test_a_loss_that_rises_is_a_drift_and_learning_is_none() -> None:
    learner, _ = taught(4_000)
    assert sum(n for name, n in learner.drifts.items() if name.startswith("loss.")) == 0
    turned = examples(2_000, seed=5, first=10_000)
    for one in turned:
        one.label = not one.label
        learner.learn(one)
    assert learner.drifts["loss.logistic.adwin"] >= 1
    assert learner.drifts["loss.logistic.page_hinkley"] >= 1


def test_a_feature_that_changes_is_named() -> None:
    learner, _ = taught(2_000)
    assert not [name for name in learner.drifts if name.startswith("feature.")]
    for one in examples(1_000, seed=5, first=10_000):
        one.features["orders"] += 3.0
        learner.learn(one)
    assert [name for name in learner.drifts if name.startswith("feature.")] == ["feature.orders"]


def test_another_signature_begins_anew_but_the_versions_go_on() -> None:
    learner, models = taught(300)
    other = learner.adopt(risk(signature="other"), 2)
    assert other.counts["learned"] == 0
    following = examples(100 + HORIZON, seed=2)
    for one in following:
        one.signature = "other"
    assert [m.version for one in following for m in other.learn(one)] == [models[-1].version + 1]


def test_the_same_signature_goes_on_with_other_pipelines() -> None:
    learner, _ = taught(300)
    same = learner.adopt(risk(learning(TREE, window=200)), 2)
    assert same is learner
    assert same.counts["learned"] == 300
    assert same.champion == "logistic"
    _, models = taught(500, same, first=1_000)
    assert models[-1].definition == 2
    assert models[-1].evaluation["labels"] == 200.0
    assert models[-1].evaluation["tree_labels"] == 200.0


def test_the_champion_that_the_owner_names_anew_is_champion() -> None:
    learner, _ = taught(300, Learner(risk(learning(TREE)), 1, KEY))
    trained = learner._contenders[1]
    learner.adopt(risk(learning(LINEAR, champion=TREE)), 2)
    assert learner.champion == "tree"
    assert learner._contenders[0] is trained


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (Pipeline("x", "perceptron"), "no model 'perceptron'"),
        (Pipeline("x", "hoeffding_tree", {"depth": 3}), "no option depth"),
        (Pipeline("x", "logistic_regression", {"optimizer": "newton"}), "optimizer"),
    ],
)
def test_a_pipeline_that_there_is_not_is_refused(pipeline: Pipeline, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Learner(risk(learning(champion=pipeline)), 1, KEY)


def test_a_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Learner(risk(), 1, b"short")
