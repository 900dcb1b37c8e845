# ruff: noqa: E501 - a table of texts is read by its columns
"""Every fault of a risk, a feature or the expected value is found, at its place, with what was probably meant."""

from __future__ import annotations

import pytest

from streams.definitions.load import DefinitionFaults, load_texts
from tests.unit.definitions.test_definition_faults import Case as Added

HEAD = """\
version: 1
segments:
  loyal: {where: "orders > 3"}
  gone: {where: "'leaving' in segments && orders > 1"}
  leaving: {where: "risk_band.churn == 'high' || risk['churn'] > 0.9"}
journeys:
  buy:
    type: purchase
    goal: Order Completed
    stages: {pay: {on: Payment Info Entered}}
    friction: [{name: failed, count: {event: Payment Failed, at_least: 2, within: 10m}}]
features:
  app_share: {value: channel_share.mobile_app, title: share of visits by app, unit: share}
risks:
  churn:
    without: Order Completed
    horizon: 90d
    scored: {active_within: 60d, every: 7d, spread: false, on: {signal: friction, name: failed}, apart: 30m}
    bands: {low: 0, medium: 0.4, high: 0.7}
    hysteresis: 0.05
    prior: 0.5
    features: [standard, app_share]
    learn: {champion: logistic_regression, challengers: [hoeffding_tree], at_least: 200}
actions:
  keep:
    when: {signal: churn_risk, name: churn, band: [medium, high]}
    channel: email
    value: "expected_value * 0.1"
    eligible: "signal.band == 'high' || risk_band.churn != 'low'"
    expires_after: 7d
    content: {with: {why: signal.words}}
"""
EVERY = "scored: {active_within: 60d, every: 7d, spread: false, on: {signal: friction, name: failed}, apart: 30m}"
LEARN = "learn: {champion: logistic_regression, challengers: [hoeffding_tree], at_least: 200}"
BANDS = "bands: {low: 0, medium: 0.4, high: 0.7}"
FEATURES = "features: [standard, app_share]"
OWN = "app_share: {value: channel_share.mobile_app, title: share of visits by app, unit: share}"
WHEN = "when: {signal: churn_risk, name: churn, band: [medium, high]}"
SELECTED = "on: {signal: friction, name: failed}"


class Case(Added):
    @property
    def text(self) -> str:
        if self.old is None:
            return HEAD + self.new
        assert HEAD.count(self.old) == 1
        return HEAD.replace(self.old, self.new)


def risks(n: int) -> str:
    return "risks:\n" + "".join(f"  r{i}: {{without: page, horizon: 30d}}\n" for i in range(n)) + "  churn:\n"


CASES = {
    "risk with the name of a model": Case("  action.keep: {with: Order Completed, horizon: 90d}\nactions:", "action.keep", "'action.keep' is the name of an action's model", "actions:"),
    # the label
    "neither without nor with": Case("horizon: 90d", "horizon", "risk 'churn' needs either 'without' or 'with'",
                                     old="without: Order Completed\n    horizon: 90d"),
    "without and with": Case("with: page\n    without: Order Completed", "with: page", "either 'without' or 'with'",
                             old="without: Order Completed"),
    "label of nothing": Case("without: []", "[]", "'without' is an empty list", old="without: Order Completed"),
    "label with a fault": Case("with: {event: page, where: event.vale > 1}", "event.vale", "did you mean 'event.value'?",
                               old="without: Order Completed"),
    "no horizon": Case("without: Order Completed", "without", "risk 'churn' needs 'horizon'",
                       old="without: Order Completed\n    horizon: 90d"),
    "horizon without unit": Case("horizon: 90", "90", "is a duration, not the number 90", old="horizon: 90d"),
    "horizon of nothing": Case("horizon: 1ms", "1ms", "wanted is at least 1s", old="horizon: 90d"),
    "horizon over what is remembered": Case("horizon: 500d", "horizon", "500d is longer than profiles are remembered (400d)",
                                            old="horizon: 90d"),
    "labels beyond what is remembered": Case("horizon: 350d", "active_within", "410d together, longer than profiles",
                                             old="horizon: 90d"),
    "forgotten before the label": Case("version: 1\ntime: {forget_after: 100d}", "active_within", "150d together",
                                       old="version: 1"),
    "until no date": Case("horizon: 90d\n    until: session.open", "session.open", "wanted is a date", old="horizon: 90d"),
    "until of a score": Case("horizon: 90d\n    until: expected_value", "expected_value", "a date cannot read expected_value",
                             old="horizon: 90d"),
    "unknown key of a risk": Case("horizn: 90d\n    horizon: 90d", "horizn", "did you mean 'horizon'?", old="horizon: 90d"),
    "risk as text": Case("risks:\n  other: churn", "churn\n", "risk 'other' is a map of keys, not the text", old="risks:"),
    "risk twice": Case("risks: {churn: {without: page, horizon: 30d}}\n", "risks", "'risks' is given twice"),
    "risk name": Case("risks:\n  no renewal: {without: page, horizon: 30d}", "no renewal", "for example 'no_renewal'", old="risks:"),
    "too many risks": Case(risks(20), "churn:", "more than 20 risks", old="risks:\n  churn:\n"),
    # who is scored, and when
    "scored too often": Case(EVERY.replace("7d", "30m"), "every", "'every' is 30m, wanted is at least 1h", old=EVERY),
    "active over what is remembered": Case(EVERY.replace("60d", "500d"), "active_within",
                                           "500d is longer than profiles are remembered", old=EVERY),
    "active for no time": Case(EVERY.replace("60d", "0s"), "0s", "'active_within' is 0s", old=EVERY),
    "unknown key of scored": Case(EVERY.replace("spread", "sprea"), "sprea:", "did you mean 'spread'?", old=EVERY),
    "spread is a word": Case(EVERY.replace("false", "wide"), "wide", "'spread' is true or false", old=EVERY),
    "apart without on": Case("scored: {apart: 1h}", "apart", "'apart' belongs to 'on'", old=EVERY),
    "score on its own signal": Case("on: {signal: churn_risk}", "{signal: churn_risk}", "a score cannot ask for a score", old=SELECTED),
    "score on an unknown kind": Case("on: {signal: frictions}", "frictions", "did you mean 'friction'?", old=SELECTED),
    "score on an unknown rule": Case("on: {signal: friction, name: faild}", "faild", "did you mean 'failed'?", old=SELECTED),
    "score on what never comes": Case("on: {signal: abandonment}", "{signal: abandonment}", "no abandonment signal can match",
                                      old=SELECTED),
    "score on a text": Case("on: friction", "friction,", "'on' is a map, not the text 'friction' (write {signal: friction})",
                            old=SELECTED),
    "score on the same twice": Case("on: [{signal: friction}, {signal: friction}]", "{signal: friction}]", "twice in 'on'",
                                    old=SELECTED),
    # bands
    "first band above 0": Case("bands: {low: 0.1, medium: 0.4, high: 0.7}", "0.1", "the first band begins at 0", old=BANDS),
    "bands fall": Case("bands: {low: 0, medium: 0.7, high: 0.4}", "0.4}", "bands rise: 'high' at 0.4 is not above 'medium'",
                       old=BANDS),
    "bands at the same score": Case("bands: {low: 0, medium: 0.4, high: 0.4}", "0.4}", "bands rise", old=BANDS),
    "band in per cent": Case("bands: {low: 0, medium: 40, high: 70}", "40", "band 'medium' is 40, wanted is 0 to 1", old=BANDS),
    "band below 0": Case("bands: {low: -1, medium: 0.4, high: 0.7}", "-1", "band 'low' is -1", old=BANDS),
    "band that no score reaches": Case("bands: {low: 0, medium: 0.4, high: 1}", "1}", "no score reaches band 'high'", old=BANDS),
    "one band": Case("bands: {low: 0}", "{low: 0}", "2 to 20 bands, not 1", old=BANDS),
    "bands as list": Case("bands: [0, 0.5]", "[0", "'bands' is a map of keys", old=BANDS),
    "band name": Case("bands: {low: 0, very high: 0.7, medium: 0.8}", "very high", "for example 'very_high'", old=BANDS),
    "hysteresis wider than a band": Case("hysteresis: 0.31", "hysteresis", "more than the smallest band is wide (0.3)",
                                         old="hysteresis: 0.05"),
    "default hysteresis wider than a band": Case("bands: {low: 0, medium: 0.4, high: 0.44}\n    prior", "without",
                                                 "'hysteresis' is 0.05, more than the smallest band is wide (0.04)",
                                                 old=BANDS + "\n    hysteresis: 0.05\n    prior"),
    "hysteresis below 0": Case("hysteresis: -0.1", "-0.1", "wanted is 0 to 1", old="hysteresis: 0.05"),
    # prior
    "prior certain": Case("prior: 1", "1", "'prior' is 1, wanted is a probability between 0 and 1", old="prior: 0.5"),
    "prior impossible": Case("prior: 0.0", "0.0", "'prior' is 0.0, wanted is", old="prior: 0.5"),
    "prior is a condition": Case('prior: "orders > 3"', '"orders', "gives true or false, wanted is a number", old="prior: 0.5"),
    "prior is a text": Case("prior: last.search", "last.search", "gives a text, wanted is a number", old="prior: 0.5"),
    "prior reads nothing": Case('prior: "0.5"', '"0.5"', "write the number without quotes", old="prior: 0.5"),
    "prior of a score": Case('prior: "risk.churn * 0.5"', '"risk', "a prior cannot read risk", old="prior: 0.5"),
    "prior of a segment of scores": Case("""prior: "'gone' in segments ? 0.9 : 0.1\"""", "\"'gone'", "a prior cannot read segment 'gone'",
                                         old="prior: 0.5"),
    "prior of a touchpoint": Case("prior: event.value", "event.value", "event.value can be read in the `where` of an event only",
                                  old="prior: 0.5"),
    # features
    "unknown feature": Case("features: [standard, app_share, days_since_ordr]", "days_since_ordr", "did you mean 'days_since_order'?",
                            old=FEATURES),
    "feature like nothing": Case("features: [app_share, xyzzy]", "xyzzy", "no feature is called 'xyzzy' (`journey features` lists them",
                                 old=FEATURES),
    "feature twice": Case("features: [standard, app_share, orders]", "orders", "feature 'orders' is given twice", old=FEATURES),
    "no feature at all": Case("features: []", "[]", "'features' is an empty list (leave it out", old=FEATURES),
    "feature is a map": Case("features: [app_share, {name: orders}]", "{name", "no feature is called", old=FEATURES),
    "own feature called like a standard one": Case(OWN + "\n  orders: {value: orders}", "orders", "'orders' is a standard feature",
                                                   old=OWN),
    "own feature called standard": Case(OWN + "\n  standard: {value: orders}", "standard", "give yours another name", old=OWN),
    "own feature of a score": Case(OWN.replace("channel_share.mobile_app", "risk.churn + expected_value"), "risk.churn",
                                   "a feature cannot read expected_value and risk: scores are made of it", old=OWN),
    "own feature of a segment of scores": Case(
        OWN.replace("channel_share.mobile_app", "\"'leaving' in segments ? 1.0 : 0.0\""), "\"'leaving'",
        "a feature cannot read segment 'leaving'", old=OWN),
    "own feature is a text": Case(OWN.replace("channel_share.mobile_app", "last.channel"), "last.channel", "wanted is a number",
                                  old=OWN),
    "own feature is the same for all": Case(OWN.replace("channel_share.mobile_app", "1 + 1"), "1 + 1",
                                            "the same for everyone: it reads no variable", old=OWN),
    "own feature without value": Case("app_share: {title: x}", "{title", "feature 'app_share' needs 'value'", old=OWN),
    "unknown key of a feature": Case(OWN.replace("unit", "units"), "units", "did you mean 'unit'?", old=OWN),
    # learning
    "unknown model": Case(LEARN.replace("hoeffding_tree", "hoefding_tree"), "hoefding_tree", "did you mean 'hoeffding_tree'?", old=LEARN),
    "model like nothing": Case(LEARN.replace("hoeffding_tree", "transformer"), "transformer",
                               "no model is called 'transformer' (known: adaptive_random_forest", old=LEARN),
    "unknown champion": Case(LEARN.replace("champion: logistic", "champion: logstic"), "logstic", "did you mean 'logistic_regression'?",
                             old=LEARN),
    "pipeline without model": Case(LEARN.replace("hoeffding_tree", "{name: x}"), "{name: x}", "a challenger needs 'model'", old=LEARN),
    "unknown option": Case(LEARN.replace("hoeffding_tree", "{model: hoeffding_tree, grace_time: 30}"), "grace_time",
                           "hoeffding_tree has no key 'grace_time' (did you mean 'grace_period'?)", old=LEARN),
    "option of another model": Case(LEARN.replace("hoeffding_tree", "{model: hoeffding_tree, n_models: 3}"), "n_models",
                                    "hoeffding_tree has no key 'n_models'", old=LEARN),
    "option out of range": Case(LEARN.replace("hoeffding_tree", "{model: adaptive_random_forest, n_models: 1000}"), "1000",
                                "'n_models' is 1000, wanted is 1 to 100", old=LEARN),
    "option of another type": Case(LEARN.replace("hoeffding_tree", "{model: knn, n_neighbors: many}"), "many",
                                   "'n_neighbors' is a number, not the text", old=LEARN),
    "option is no whole number": Case(LEARN.replace("hoeffding_tree", "{model: hoeffding_tree, max_depth: 2.5}"), "2.5",
                                      "'max_depth' is a whole number", old=LEARN),
    "option is another word": Case(LEARN.replace("hoeffding_tree", "{model: hoeffding_tree, leaf_prediction: nbb}"), "nbb",
                                   "'leaf_prediction' cannot be 'nbb' (did you mean 'nb'?)", old=LEARN),
    "challenger is the champion": Case(LEARN.replace("hoeffding_tree", "{model: logistic_regression, name: other}"), "{model",
                                       "this challenger is the same as the champion", old=LEARN),
    "challenger twice": Case(LEARN.replace("[hoeffding_tree]", "[knn, {model: knn, name: other}]"), "{model",
                             "the same as another challenger", old=LEARN),
    "challenger called like the champion": Case(LEARN.replace("hoeffding_tree", "{model: knn, name: logistic}"), "{model",
                                                "the champion is called 'logistic' as well", old=LEARN),
    "too many challengers": Case(LEARN.replace("[hoeffding_tree]", "[knn, knn, knn, knn, knn, knn]"), "[knn", "more than 5", old=LEARN),
    "at_least out of range": Case(LEARN.replace("200", "1"), "1}", "'at_least' is 1, wanted is 10", old=LEARN),
    "window shorter than at_least": Case(LEARN.replace("at_least: 200", "at_least: 500, window: 400"), "window",
                                         "'window' (400) is shorter than 'at_least' (500)", old=LEARN),
    "margin out of range": Case(LEARN.replace("200", "200, margin: 2"), "2}", "'margin' is 2, wanted is 0 to 0.5", old=LEARN),
    "unknown key of learn": Case(LEARN.replace("at_least", "atleast"), "atleast", "did you mean 'at_least'?", old=LEARN),
    # the expected value
    "expected value below 0": Case("expected_value: {prior_spend: -1}\n", "-1", "'prior_spend' is -1, wanted is 0 to", old=None),
    "expected value without unit": Case("expected_value: {horizon: 90}\n", "90}", "is a duration, not the number 90", old=None),
    "unknown key of expected value": Case("expected_value: {prior_order: 1}\n", "prior_order:", "did you mean 'prior_orders'?", old=None),
    # selections and conditions
    "unknown risk": Case(WHEN.replace("name: churn", "name: chrun"), "chrun", "no risk is called 'chrun' (did you mean 'churn'?)", old=WHEN),
    "unknown band": Case(WHEN.replace("medium", "mid"), "mid", "risk 'churn' has no band 'mid' (known: high, low, medium)", old=WHEN),
    "risk by stage": Case(WHEN.replace("name: churn", "stage: pay"), "stage", "a churn_risk signal has no 'stage' (select it by 'name', 'band')",
                          old=WHEN),
    "band of another kind": Case("when: {signal: friction, band: high}", "band: high", "a friction signal has no 'band'", old=WHEN),
    "unknown risk in CEL": Case("""eligible: "risk.chrun > 0.5\"""", '"risk', "risk.chrun: no risk is called 'chrun' (did you mean 'churn'?)",
                                old="eligible: \"signal.band == 'high' || risk_band.churn != 'low'\""),
    "unknown band in CEL": Case("""eligible: "risk_band.churn == 'hig'\"""", '"risk', "risk_band.churn is never 'hig' (did you mean 'high'?)",
                                old="eligible: \"signal.band == 'high' || risk_band.churn != 'low'\""),
    "unknown band of the signal": Case("""eligible: "signal.band == 'hig'\"""", '"signal', "signal.band is never 'hig'",
                                       old="eligible: \"signal.band == 'high' || risk_band.churn != 'low'\""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_fault_at_its_place(name: str) -> None:
    case = CASES[name]
    with pytest.raises(DefinitionFaults) as caught:
        load_texts([("d.yaml", case.text)])
    assert [case.message in str(fault) for fault in caught.value.faults] == [True], str(caught.value)
    fault = caught.value.faults[0]
    lines = case.text.split("\n")
    there = "\n".join([lines[fault.line - 1][fault.column - 1 :], *lines[fault.line :]])
    assert there.startswith(case.at), f"{fault} stands at {there[:30]!r}"


def test_head_alone_is_right() -> None:
    assert load_texts([("d.yaml", HEAD)]).warnings == ()


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    text = HEAD.replace("horizon: 90d", "horizon: 90").replace("0.4, high: 0.7", "0.8, high: 0.7")
    text = (
        text.replace("prior: 0.5", "prior: 2").replace("standard, app", "standrd, app").replace("hoeffding", "hoefding")
    )
    with pytest.raises(DefinitionFaults) as caught:
        load_texts([("d.yaml", text)])
    assert [(f.line, f.message.split()[0]) for f in caught.value.faults] == [
        (17, "'horizon'"), (19, "bands"), (21, "'prior'"), (22, "no"), (23, "no"),
    ]  # fmt: skip


WARNINGS = {
    "more snapshots than wait": (EVERY, EVERY.replace("7d", "2d"),
                                 "more than 40 scores wait for their label at once; those beyond teach the model nothing ('every' is best 54h or more)"),
    "scored more seldom than labels end": (EVERY, EVERY.replace("7d", "100d"), "'every' (100d) is longer than 'horizon' (90d)"),
    "gone before the first score": (EVERY, "scored: {active_within: 1d}", "'active_within' (1d) is shorter than 'every' (1w)"),
    "own feature that nobody uses": ("features: [standard, app_share]", "features: standard",
                                     "no risk uses feature 'app_share' (name it in a risk: `features: [standard, app_share]`)"),
    "unknown event": ("without: Order Completed", "without: Order Compleet", "did you mean 'Order Completed'?"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNINGS)
def test_what_may_be_meant_is_a_warning(name: str) -> None:
    old, new, message = WARNINGS[name]
    assert HEAD.count(old) == 1
    (warning,) = load_texts([("d.yaml", HEAD.replace(old, new))]).warnings
    assert message in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actions: {a: {when: {signal: churn_risk, band: high}, channel: email, expires_after: 1h}}",
         "d:2:21: no churn_risk signal can match this: no risk is declared (declare it under `risks:`, for example"),
        ("segments: {a: {where: risk.churn > 0.5}}", "d:2:23: risk.churn: no risk is called 'churn' (there is none)"),
        ("segments: {a: {where: expected_value > 5}}", "d:2:23: expected_value is always 0: it comes with the score of a risk"),
    ],
)  # fmt: skip
def test_where_no_risk_is_declared_nothing_can_speak_of_one(text: str, message: str) -> None:
    with pytest.raises(DefinitionFaults) as caught:
        load_texts([("d", f"version: 1\n{text}\n")])
    (fault,) = caught.value.faults
    assert str(fault).startswith(message)


def test_priors_of_an_expected_value_that_nobody_is_given_are_a_warning() -> None:
    (warning,) = load_texts([("d", "version: 1\nexpected_value: {prior_orders: 2}\n")]).warnings
    assert "'expected_value' is not used" in warning
