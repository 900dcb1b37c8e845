"""Risks, features and the expected value as they are loaded, and what a model belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from streams.definitions.load import DefinitionFaults, load_texts
from streams.definitions.model import (
    DAY_MS,
    Band,
    EventRef,
    ExpectedValue,
    Learning,
    OwnFeature,
    Pipeline,
    Risk,
    When,
)
from streams.definitions.pipelines import MODELS, Number, OneOf, Option, Whole
from streams.definitions.variables import VARIABLES
from streams.engine.facts import READERS
from streams.engine.scoring.features import STANDARD
from streams.learner import pipelines

WHOLE = """\
version: 1
journeys:
  buy:
    type: purchase
    goal: Order Completed
    stages: {pay: {on: Payment Info Entered}}
    friction: [{name: failed, count: {event: Payment Failed, at_least: 2, within: 10m}, severity: high}]
features:
  app_share: {value: channel_share.mobile_app, title: share of visits by app, unit: share}
  days_known: {value: days_since_first_seen}
risks:
  complaint:
    with: [{event: Contact Started, where: "event.topic == 'complaint'"}, Case Reopened]
    horizon: 30d
    until: traits.renewal_due_at
    scored: {active_within: 60d, every: 1d, spread: false, on: [{signal: friction, severity: high}], apart: 2h}
    bands: {unlikely: 0, possible: 0.1, likely: 0.3}
    hysteresis: 0.02
    prior: "contacts.open > 0 ? 0.2 : 0.05"
    features: [mood, app_share, days_known, orders]
    learn:
      champion: {model: hoeffding_tree, name: main, max_depth: 5, delta: 1e-6}
      challengers: [gaussian_nb]
      at_least: 100
      publish_every: 50
      window: 1000
      margin: 0.02
      for_checks: 2
expected_value: {horizon: 365d, prior_orders: 2, prior_within: 90d, prior_spend: 80, prior_weight: 3}
"""
PLAIN = "version: 1\nrisks: {churn: {without: Order Completed, horizon: 90d}}\n"


def risk(text: str) -> Risk:
    (found,) = load_texts([("d", text)]).risks
    return found


def test_everything_that_is_written_arrives() -> None:
    definition = load_texts([("d", WHOLE)])
    assert definition.warnings == ()
    found = risk(WHOLE)
    assert [(ref.event, ref.where is not None) for ref in found.on] == [
        ("Contact Started", True),
        ("Case Reopened", False),
    ]
    assert (found.name, found.comes_true, found.horizon_ms) == ("complaint", "with", 30 * DAY_MS)
    assert found.until is not None
    assert (found.active_within_ms, found.every_ms, found.spread) == (60 * DAY_MS, DAY_MS, False)
    assert (found.score_on, found.apart_ms) == ((When("friction", severity=("high",)),), 7_200_000)
    assert found.bands == (Band("unlikely", 0.0), Band("possible", 0.1), Band("likely", 0.3))
    assert found.hysteresis == 0.02
    assert not isinstance(found.prior, float)
    assert found.prior.value({"contacts.open": 1.0}.__getitem__) == 0.2
    assert found.features == ("mood", "app_share", "days_known", "orders")
    tree = Pipeline("main", "hoeffding_tree", {"max_depth": 5, "delta": 1e-6})
    assert found.learning == Learning(tree, (Pipeline("bayes", "gaussian_nb"),), 100, 50, 1000, 0.02, 2)
    assert definition.expected_value == ExpectedValue(365 * DAY_MS, 2.0, 90 * DAY_MS, 80.0, 3.0)
    share, known = definition.features
    assert share == OwnFeature("app_share", share.value, "share of visits by app", "share")
    assert share.value.value({"channel_share": {"mobile_app": 0.25}}.__getitem__) == 0.25
    assert (known.title, known.unit) == ("days known", "")


def test_what_is_not_written_is_as_the_model_has_it() -> None:
    found = risk(PLAIN)
    usual = Risk("churn", "without", (EventRef("Order Completed"),), 90 * DAY_MS, features=STANDARD)
    assert found == Risk("churn", "without", usual.on, usual.horizon_ms, features=STANDARD, signature=found.signature)
    assert load_texts([("d", PLAIN)]).expected_value == ExpectedValue()
    assert load_texts([("d", "version: 1\n")]).risks == ()


def test_the_standard_features_can_be_added_to() -> None:
    text = PLAIN.replace("90d}", "90d, features: [mine, standard, visit_7d]}") + "features: {mine: {value: orders}}\n"
    assert risk(text).features == ("mine", *STANDARD, "visit_7d")
    assert risk(PLAIN.replace("90d}", "90d, features: standard}")) == risk(PLAIN)


def champion(written: str) -> tuple[str, list[str]]:
    learning = risk(PLAIN.replace("90d}", f"90d, learn: {written}}}")).learning
    return learning.champion.name, [pipeline.name for pipeline in learning.challengers]


def test_challengers_that_are_not_written_are_the_usual_ones_but_the_champion() -> None:
    assert champion("{at_least: 100}") == ("logistic", ["tree", "forest"])
    assert champion("{champion: logistic_regression}") == ("logistic", ["tree", "forest"])
    assert champion("{champion: adaptive_random_forest}") == ("forest", ["logistic", "tree"])
    assert champion("{champion: knn}") == ("neighbours", ["logistic", "tree", "forest"])
    assert champion("{champion: {model: hoeffding_tree, name: forest}}") == ("forest", ["logistic"])
    assert champion("{challengers: []}") == ("logistic", [])
    assert champion("{challengers: knn}") == ("logistic", ["neighbours"])


def test_where_all_is_short_scores_may_be_frequent() -> None:
    """A definition whose time runs a thousandfold is a definition."""
    short = PLAIN.replace("horizon: 90d", "horizon: 2h, scored: {active_within: 1h, every: 3m}")
    assert load_texts([("d", short)]).warnings == ()
    with pytest.raises(DefinitionFaults, match="'every' is 2m, wanted is at least 3m"):
        load_texts([("d", short.replace("3m", "2m"))])


CHANGES_THE_LABEL = {
    "the other way round": ("with:", "without:"),
    "an event more": ("Case Reopened]", "Case Reopened, Callback Requested]"),
    "another condition": ("== 'complaint'", "== 'complaints'"),
    "no condition": ("""{event: Contact Started, where: "event.topic == 'complaint'"}""", "Contact Started"),
    "horizon": ("horizon: 30d", "horizon: 31d"),
    "another date": ("traits.renewal_due_at", "traits.due_at"),
    "no date": ("    until: traits.renewal_due_at\n", ""),
    "a feature more": ("days_known, orders]", "days_known, orders, nps]"),
    "order of features": ("[mood, app_share", "[app_share, mood"),
    "what an own feature is": ("channel_share.mobile_app", "channel_share.web"),
}
CHANGES_NO_LABEL = {
    "name": ("  complaint:", "  grumble:"),
    "scored": ("every: 1d, spread: false", "every: 7d, spread: true"),
    "score on": ("friction, severity: high", "friction, severity: [high, critical]"),
    "bands": ("likely: 0.3", "likely: 0.4"),
    "hysteresis": ("hysteresis: 0.02", "hysteresis: 0.03"),
    "prior": ("? 0.2 : 0.05", "? 0.3 : 0.05"),
    "learn": ("max_depth: 5", "max_depth: 6"),
    "title of a feature": ("share of visits by app", "visits by app"),
    "a feature that is not used": ("risks:", "  more: {value: orders}\nrisks:"),
    "horizon of the expected value": ("365d", "90d"),
}


@pytest.mark.parametrize("name", CHANGES_THE_LABEL)
def test_a_model_belongs_to_labels_horizon_and_features(name: str) -> None:
    old, new = CHANGES_THE_LABEL[name]
    assert WHOLE.count(old) == 1
    assert risk(WHOLE.replace(old, new)).signature != risk(WHOLE).signature


@pytest.mark.parametrize("name", CHANGES_NO_LABEL)
def test_a_model_outlives_all_other_changes(name: str) -> None:
    old, new = CHANGES_NO_LABEL[name]
    assert WHOLE.count(old) == 1
    assert risk(WHOLE.replace(old, new)).signature == risk(WHOLE).signature


def test_signatures_of_a_definition_are_told_apart_in_16_hexadecimal_digits() -> None:
    several = PLAIN.replace("90d}}", "90d}, cancels: {with: Subscription Cancelled, horizon: 90d}}")
    signatures = [found.signature for found in load_texts([("d", several)]).risks]
    assert len(set(signatures)) == 2
    assert all(len(s) == 16 and int(s, 16) >= 0 for s in signatures)
    # A model on a topic outlives the process that wrote it: this must never change.
    assert risk(PLAIN.replace("90d}", "90d, features: [orders]}")).signature == "c6bbb070f7292d06"


def test_risks_and_features_of_several_files_are_one_definition() -> None:
    first = "version: 1\nrisks: {churn: {without: page, horizon: 30d, features: [mine]}}\n"
    action = "{when: {signal: churn_risk}, channel: email, expires_after: 1h}"
    second = f"version: 1\nfeatures: {{mine: {{value: orders}}}}\nactions: {{a: {action}}}\n"
    definition = load_texts([("a", first), ("b", second)])
    assert (len(definition.risks), len(definition.features), len(definition.actions)) == (1, 1, 1)
    for twice, kind in [(first, "risk 'churn'"), (second, "feature 'mine'")]:
        with pytest.raises(DefinitionFaults, match=f"{kind} is defined twice"):
            load_texts([("a", first), ("b", second), ("c", twice)])


def test_priors_of_several_files_must_agree() -> None:
    files = [("a", PLAIN), ("b", "version: 1\nexpected_value: {prior_orders: 3}\n")]
    assert load_texts(
        [*files, ("c", "version: 1\nexpected_value: {prior_spend: 9, prior_orders: 3.0}\n")]
    ).expected_value == (ExpectedValue(prior_orders=3.0, prior_spend=9.0))
    with pytest.raises(DefinitionFaults, match="c:2:18: another file sets 'prior_orders' to something else"):
        load_texts([*files, ("c", "version: 1\nexpected_value: {prior_orders: 4}\n")])


def test_pipelines_of_the_learner_are_those_that_a_definition_may_name() -> None:
    assert {model: set(kind.options) for model, kind in MODELS.items()} == {
        model: set(kind.defaults) for model, kind in pipelines.MODELS.items()
    }
    assert len({kind.called for kind in MODELS.values()}) == len(MODELS)


def bounds(option: Option) -> Sequence[float | int | str]:
    return option.values if isinstance(option, OneOf) else (option.lowest, option.highest)


@pytest.mark.parametrize("model", MODELS)
def test_defaults_lie_within_the_bounds_and_pipelines_can_be_built_at_them(model: str) -> None:
    for name, option in MODELS[model].options.items():
        usual = pipelines.MODELS[model].defaults[name]
        if isinstance(option, OneOf):
            assert usual in option.values
        else:
            assert isinstance(usual, int if isinstance(option, Whole) else float)
            assert option.lowest <= usual <= option.highest
        for value in bounds(option):
            built = pipelines.build(Pipeline("p", model, {name: value}))
            for n in range(40):
                built.predict_proba_one({"x": float(n % 7)})
                built.learn_one({"x": float(n % 7)}, n % 3 == 0)
            assert 0.0 <= built.predict_proba_one({"x": 1.0}).get(True, 0.0) <= 1.0
    assert all(isinstance(option, Number | Whole | OneOf) for option in MODELS[model].options.values())


def test_every_variable_has_a_reader_and_every_reader_a_variable() -> None:
    assert set(READERS) == set(VARIABLES)


def test_bands_rise() -> None:
    assert all(a.at < b.at for a, b in pairwise(risk(PLAIN).bands))
