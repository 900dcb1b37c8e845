"""Scores: who is scored when, by what, and what a band says about it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import inf, nan
from typing import Any

import pytest

from streams.contracts.outputs import Signal
from streams.definitions.model import Band, Definition, OwnFeature, When
from streams.engine.scoring.plan import RiskPlans
from streams.engine.scoring.scorer import ModelRefused
from tests.support.engines import T0, D, H, Run, S, define, plain, touchpoint
from tests.support.risks import linear, number, risk, with_risks

PLAIN = define("""
    time: {allowed_lateness: 10s, session_gap: 30m}
    events: {Order Shipped: {actor: company}}
    journeys:
      purchase:
        type: purchase
        goal: {event: Order Completed}
        stages:
          looking: {on: [Product Viewed]}
          cart: {on: [Product Added]}
        abandonment:
          cart: {after: 2h, severity: high}
        friction:
          - {name: failed, count: {event: Payment Failed, at_least: 1, within: 1m}, severity: high}
          - {name: refused, count: {event: Coupon Denied, at_least: 1, within: 1m}, severity: low}
          - {name: not_shipped, absence: {of: Order Shipped, within: 3h, after: Order Completed}, severity: high}
""")
LEAVING = risk()
BY_ORDERS = linear(LEAVING, {"orders": 4.0})
"""No order: 0.5; one: 1 / (1 + e^(-4 log 2)) = 16/17."""


def started(*risks: Any, **fields: Any) -> Run:
    run = Run(with_risks(PLAIN, *risks, **fields))
    run.hear(touchpoint(12 * H, "Product Viewed"))
    return run


def scores(run: Run, name: str = "leaving") -> Any:
    p = run.engine.store.get("c")
    assert p is not None
    return p.risks[name]


def risky(run: Run) -> list[Signal]:
    return [s for s in run.signals if s.kind == "churn_risk"]


# -- when ----------------------------------------------------------------------------------------------------------


def test_all_are_scored_at_multiples_of_the_period_since_a_monday() -> None:
    run = started(risk(every_ms=7 * D, active_within_ms=30 * D))
    for t in (7 * D, 7 * D + 1, 14 * D + 1):
        run.until(t)
    assert (T0 - 4 * D) % (7 * D) == 0, "T0 is a Monday"
    assert run.totals["scores"] == 2
    assert scores(run).at == T0 + 14 * D
    assert scores(run).due == T0 + 21 * D


def test_each_customer_has_an_instant_of_its_own() -> None:
    run = Run(with_risks(PLAIN, risk(every_ms=7 * D, spread=True, active_within_ms=30 * D)))
    for n in range(40):
        run.hear(touchpoint(1, "Product Viewed", f"c{n}"))
    run.until(7 * D + 1)
    assert run.totals["scores"] == 40
    at = {}
    for n in range(40):
        p = run.engine.store.get(f"c{n}")
        assert p is not None
        at[p.id] = p.risks["leaving"].at - T0
    assert all(0 < t <= 7 * D for t in at.values())
    assert len({t // D for t in at.values()}) == 7
    own = int.from_bytes(blake2b(b"c7", digest_size=8).digest(), "big") % (7 * D)
    assert at["c7"] == own, "what is its own derives from its id alone"


def test_a_touchpoint_at_the_instant_is_known_to_the_score() -> None:
    run = started(LEAVING)
    run.hear(touchpoint(D, "Order Completed", value=1.0), touchpoint(D + 1, "Order Completed", value=1.0))
    run.hear(touchpoint(2 * D, "Order Completed"))
    assert [e.features["orders"] for e in run.examples] == [pytest.approx(0.693147, abs=1e-6)]
    assert run.labels() == [(D, D + 1, False)]


def test_the_first_instant_may_be_that_of_the_first_touchpoint() -> None:
    run = Run(with_risks(PLAIN, LEAVING))
    run.hear(touchpoint(D, "Product Viewed"))
    run.until(D + 1)
    assert run.totals["scores"] == 1


@pytest.mark.parametrize(("beyond", "scored"), [(0, 5), (1, 4)])
def test_who_was_active_so_long_ago_is_scored_for_the_last_time(beyond: int, scored: int) -> None:
    run = Run(with_risks(PLAIN, risk(active_within_ms=5 * D - 1 - beyond)))
    run.hear(touchpoint(1, "Product Viewed"))
    run.until(9 * D)
    assert run.totals["scores"] == scored
    assert scores(run).due == 0, "nothing waits for who is away"


def test_who_comes_back_is_scored_again() -> None:
    run = started(risk(active_within_ms=D))
    run.until(10 * D)
    assert run.totals["scores"] == 1
    run.hear(touchpoint(10 * D + H, "Product Viewed"))
    run.until(11 * D + 1)
    assert run.totals["scores"] == 2


def test_the_companys_touchpoints_keep_nobody_active_and_schedule_nothing() -> None:
    run = Run(with_risks(PLAIN, LEAVING))
    run.hear(touchpoint(1 * H, "Order Shipped"), touchpoint(1 * H, "identify", actor="company", traits={"x": 1.0}))
    run.until(9 * D)
    assert run.totals["scores"] == 0


def test_a_signal_asks_for_a_score_at_once() -> None:
    run = started(
        risk(score_on=(When("friction", severity=("high",)),), apart_ms=H, bands=(Band("a", 0), Band("b", 0.4)))
    )
    run.hear(touchpoint(13 * H, "Coupon Denied"))
    assert run.totals["scores"] == 0
    run.hear(touchpoint(13 * H, "Payment Failed"))
    assert run.totals["scores"] == 1
    (signal,) = risky(run)
    assert signal.time == T0 + 13 * H
    assert signal.evidence == ["c/Payment Failed/46800000"]
    run.until(D + 1)
    assert run.totals["scores"] == 2, "the clock goes on"


@pytest.mark.parametrize(("after", "made"), [(H - 1, 1), (H, 2)])
def test_scores_that_signals_ask_for_are_apart(after: int, made: int) -> None:
    run = started(risk(score_on=(When("friction"),), apart_ms=H))
    run.hear(touchpoint(13 * H, "Payment Failed"), touchpoint(13 * H + after, "Payment Failed"))
    assert run.totals["scores"] == made


def test_one_instant_has_one_score() -> None:
    run = started(risk(score_on=(When("friction"), When("abandonment")), apart_ms=0))
    run.hear(
        touchpoint(22 * H, "Product Added"), touchpoint(22 * H, "Payment Failed"), touchpoint(22 * H, "Coupon Denied")
    )
    assert run.totals["scores"] == 1
    run.until(D + 1)
    assert (run.signals[-1].name, run.signals[-1].time) == ("cart", T0 + D), "the abandonment at the instant itself"
    assert run.totals["scores"] == 2


def test_a_signal_scores_nobody_who_is_not_active() -> None:
    run = started(risk(score_on=(When("friction"),), active_within_ms=H))
    run.hear(touchpoint(14 * H, "Order Completed", actor="company"))
    run.until(D)
    assert ("friction", "not_shipped") in run.kinds()
    assert run.totals["scores"] == 0


def test_a_score_after_a_disordered_touchpoint_is_of_the_newest() -> None:
    """What it knows happened until then, and no earlier instant may claim to have known it."""
    run = started(risk(score_on=(When("friction"),), apart_ms=0))
    run.hear(touchpoint(13 * H + 5 * S, "Product Viewed"), touchpoint(13 * H, "Payment Failed"))
    assert scores(run).at == T0 + 13 * H + 5 * S


def test_what_moves_something_waits_for_the_score_before_it() -> None:
    """The company's order counts for nobody's silence, but the score of midnight must not know of it."""
    run = started(LEAVING)
    run.hear(touchpoint(D + 1, "Order Completed", actor="company"))
    assert scores(run).at == T0 + D
    run.hear(touchpoint(2 * D, "Order Completed"))
    assert run.examples[0].features["orders"] == 0.0


def test_the_company_fires_no_deadline_that_no_score_waits_for() -> None:
    run = Run(with_risks(PLAIN, LEAVING))
    run.hear(touchpoint(20 * H, "Product Added"), touchpoint(22 * H + 1, "Order Refunded", actor="company"))
    run.hear(touchpoint(22 * H, "Product Added"))
    assert "abandonment" not in {kind for kind, _ in run.kinds()}


def test_the_company_fires_deadlines_whose_signal_asks_for_a_score() -> None:
    run = Run(with_risks(PLAIN, risk(score_on=(When("abandonment"),))))
    run.hear(touchpoint(20 * H, "Product Added"), touchpoint(22 * H + 1, "Order Refunded", actor="company"))
    assert scores(run).at == T0 + 22 * H
    assert ("abandonment", "cart") in run.kinds()


# -- bands ---------------------------------------------------------------------------------------------------------


def bands(*at: float, hysteresis: float = 0.05) -> Any:
    named = tuple(Band(name, x) for name, x in zip("abcd", at, strict=False))
    return RiskPlans(with_risks(PLAIN, risk(bands=named, hysteresis=hysteresis))).risks["leaving"]


@pytest.mark.parametrize(
    ("held", "score", "band"),
    [
        ("", 0.0, "a"), ("", 0.39, "a"), ("", 0.4, "b"), ("", 0.7, "c"), ("", 1.0, "c"),
        ("a", 0.399999, "a"), ("a", 0.4, "b"), ("a", 0.99, "c"),
        ("b", 0.4, "b"), ("b", 0.35, "b"), ("b", 0.349999, "a"), ("b", 0.699999, "b"), ("b", 0.7, "c"),
        ("c", 0.7, "c"), ("c", 0.65, "c"), ("c", 0.649999, "b"), ("c", 0.36, "b"), ("c", 0.349999, "a"),
        ("gone", 0.5, "b"),
    ],
)  # fmt: skip
def test_a_lower_band_is_entered_only_well_below_its_bound(held: str, score: float, band: str) -> None:
    assert bands(0.0, 0.4, 0.7).band(score, held) == band


def test_without_hysteresis_the_bounds_are_the_bands() -> None:
    plan = bands(0.0, 0.4, 0.7, hysteresis=0.0)
    for held in ("", "a", "b", "c"):
        assert [plan.band(x, held) for x in (0.0, 0.399, 0.4, 0.699, 0.7)] == ["a", "a", "b", "b", "c"]


def test_the_edges_of_bands_are_told_and_nothing_else() -> None:
    run = started(risk(bands=(Band("low", 0.0), Band("high", 0.7))))
    run.adopt_model(linear(LEAVING, {"orders": 4.0}, intercept=-1.0))
    run.until(D + 1)
    assert risky(run) == [], "the first score, in the lowest band"
    view = run.customers["c"]
    assert view is not None
    assert (view.risk_band, [plain(r) for r in view.risks]) == (
        "low",
        [{"risk": "leaving", "band": "low", "score": scores(run).score, "model": "leaving@1", "scored_at": T0 + D}],
    )
    run.hear(touchpoint(D + H, "Order Completed", value=10.0))
    run.until(2 * D + 1)
    run.until(3 * D + 1)
    (signal,) = risky(run)
    assert (signal.name, signal.band, signal.time, signal.reason) == ("leaving", "high", T0 + 2 * D, None)
    assert signal.figures == {
        "score": pytest.approx(16 / (16 + 2.718281828), abs=1e-6),
        "was": pytest.approx(1 / (1 + 2.718281828), abs=1e-6),
        "expected_value": signal.figures["expected_value"],
    }
    run.adopt_model(linear(LEAVING, {}, version=2, intercept=-5.0))
    run.until(4 * D + 1)
    assert run.risks() == [(2 * D, "high"), (4 * D, "low")]
    assert risky(run)[-1].model == "leaving@2"


def test_who_is_not_active_any_more_leaves_the_band() -> None:
    run = started(risk(active_within_ms=D, prior=0.9))
    run.until(5 * D)
    assert [(s.band, s.reason, s.time - T0) for s in risky(run)] == [
        ("high", None, D),
        (None, "inactive", 2 * D),
    ]
    assert risky(run)[1].figures == {"was": 0.9}
    view = run.customers["c"]
    assert view is not None
    assert (view.risks, view.risk_band, view.expected_value) == ([], None, None)


def test_the_lowest_band_is_left_in_silence() -> None:
    run = started(risk(active_within_ms=D, prior=0.1))
    run.until(5 * D)
    assert risky(run) == []
    view = run.customers["c"]
    assert view is not None
    assert view.risks == []


def test_a_band_is_told_again_after_it_was_left() -> None:
    run = started(risk(active_within_ms=D, prior=0.9))
    run.until(5 * D)
    run.hear(touchpoint(5 * D + H, "Product Viewed"))
    run.until(6 * D + 1)
    assert [s.band for s in risky(run)] == ["high", None, "high"]
    assert "was" not in risky(run)[-1].figures


def test_the_band_of_the_first_risk_is_that_of_the_customer() -> None:
    run = started(risk("second", prior=0.1), risk("first", prior=0.9))
    run.until(D + 1)
    view = run.customers["c"]
    assert view is not None
    assert view.risk_band == "low"
    assert [(r.risk, r.band) for r in view.risks] == [("second", "low"), ("first", "high")]


def test_signals_before_the_start_of_issuing_are_historical() -> None:
    run = Run(with_risks(PLAIN, risk(prior=0.9, active_within_ms=D)), start_issuing_at=T0 + 2 * D)
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(3 * D)
    assert [s.historical for s in risky(run)] == [True, False]


# -- what makes a score --------------------------------------------------------------------------------------------


def test_without_a_model_the_stated_prior_is_the_score_and_the_signal_says_so() -> None:
    run = started(risk(prior=0.72))
    run.until(D + 1)
    (signal,) = risky(run)
    assert (signal.model, signal.figures["score"], signal.contributions) == ("prior", 0.72, {})
    assert signal.words == ["no model yet: the stated prior"]


def test_without_a_model_a_rule_may_score_and_the_signal_says_so() -> None:
    run = started(risk(prior=number("touchpoints > 0.0 ? 0.8 : 0.1")))
    run.until(D + 1)
    (signal,) = risky(run)
    assert (signal.model, signal.figures["score"]) == ("rule", 0.8)
    assert signal.words == ["no model yet: by the rule touchpoints > 0.0 ? 0.8 : 0.1"]


@pytest.mark.parametrize(("rule", "score"), [("touchpoints * 7.0", 1 - 1e-6), ("0.0 - touchpoints", 1e-6)])
def test_a_rule_gives_a_probability(rule: str, score: float) -> None:
    run = started(risk(prior=number(rule)))
    run.until(D + 1)
    assert scores(run).score == score


@pytest.mark.parametrize("rule", ["traits.nobody", "0.0 / 0.0 * touchpoints"])
def test_a_rule_that_fails_is_undecided_and_counted(rule: str) -> None:
    run = started(risk(prior=number(rule)))
    run.until(D + 1)
    assert (scores(run).score, scores(run).model) == (0.5, "rule")
    assert run.totals["features_missing"] == 1


def test_a_model_serves_from_the_next_score_on() -> None:
    run = started(risk(prior=0.9))
    run.until(D + 1)
    before = plain(run.signals)
    out = run.adopt_model(BY_ORDERS)
    assert (out.signals, out.customers, out.examples) == ([], {}, [])
    assert plain(run.signals) == before
    assert run.engine.models == {"leaving": "leaving@1"}
    run.until(2 * D + 1)
    assert (scores(run).score, scores(run).model) == (0.5, "leaving@1")


@pytest.mark.parametrize(
    ("scorer", "reason", "text"),
    [
        (linear(LEAVING, {}, signature="other"), "signature", "was learned for 'other'"),
        (linear(risk("unknown"), {}), "unknown_risk", "has no risk 'unknown'"),
        (linear(risk(features=("orders",)), {}), "malformed", "has 1 features, its risk has 3"),
    ],
)
def test_a_model_of_another_definition_is_refused(scorer: Any, reason: str, text: str) -> None:
    run = started(LEAVING)
    with pytest.raises(ModelRefused, match=text) as refused:
        run.adopt_model(scorer)
    assert refused.value.reason == reason
    assert run.engine.models == {}


class Broken:
    """A model that gives no probability."""

    key = "leaving@9"
    risk = "leaving"
    signature = "leaving-1"
    means: Sequence[float] = (0.0, 0.0, 0.0)

    def __init__(self, gives: float) -> None:
        self.gives = gives

    def score(self, values: Any) -> float:
        return self.gives

    def contributions(self, values: Any) -> list[float]:
        return [nan, inf, 1.0]


@pytest.mark.parametrize("gives", [nan, inf, -0.1, 1.1])
def test_a_model_that_gives_no_probability_is_passed_over_and_counted(gives: float) -> None:
    run = started(risk(prior=0.8))
    run.adopt_model(Broken(gives))
    run.until(D + 1)
    assert (scores(run).score, scores(run).model) == (0.8, "prior")
    assert run.totals["scores_unusable"] == 1


def test_contributions_that_are_no_numbers_are_left_out() -> None:
    run = started(risk(prior=0.8))
    run.adopt_model(Broken(0.9))
    run.until(D + 1)
    assert risky(run)[0].contributions == {"touchpoints": 1.0}


ODD = (
    OwnFeature("none", number("traits.none"), "none"),
    OwnFeature("text", number("traits.text"), "text"),
    OwnFeature("nan", number("0.0 / (touchpoints - touchpoints)"), "nan"),
    OwnFeature("inf", number("1.0 / (touchpoints - touchpoints)"), "inf"),
    OwnFeature("absurd", number("touchpoints * 1e13"), "absurd"),
    OwnFeature("fine", number("touchpoints * 2.0"), "fine"),
)


def test_features_that_are_not_finite_are_missing_and_counted() -> None:
    odd = risk(features=tuple(own.name for own in ODD))
    run = started(odd, features=ODD)
    run.adopt_model(linear(odd, {own.name: 1.0 for own in ODD}, means=[0.25] * 6))
    run.hear(touchpoint(13 * H, "identify", traits={"text": "much"}))
    run.until(D + 1)
    assert run.totals["features_missing"] == 5
    assert scores(run).score == pytest.approx(1 / (1 + 2.718281828459045 ** -(4.0 - 0.25)))
    run.hear(touchpoint(2 * D, "Order Completed"))
    assert run.examples[0].features == {"fine": 4.0}


def test_a_score_says_which_features_moved_it_and_what_is_usual() -> None:
    of = risk(features=("days_since_order", "return_share", "lifetime_value", "orders", "nps"))
    run = started(of)
    run.adopt_model(
        linear(
            of,
            {"days_since_order": 1.0, "return_share": 0.5, "orders": 1.0, "lifetime_value": -1.0, "nps": 3.0},
            means=[0.5, 0.1, 5.0, 2.0, 7.0],
            intercept=-2.0,
        )
    )
    run.hear(touchpoint(13 * H, "Order Completed", value=5.0), touchpoint(13 * H, "Order Cancelled"))
    run.until(5 * D + 1)
    signal = risky(run)[0]
    assert list(signal.contributions) == ["lifetime_value", "return_share"], "days and orders are below what is usual"
    assert signal.contributions["return_share"] == 0.45
    assert signal.words == [
        "5 spent so far (usually 147)",
        "share of orders returned or cancelled 100 % (usually 10 %)",
    ]


def test_a_fall_is_explained_by_what_lowered_the_score() -> None:
    of = risk(features=("orders", "touchpoints"))
    run = started(of)
    run.adopt_model(linear(of, {"orders": -6.0}, intercept=2.0))
    run.until(D + 1)
    run.hear(touchpoint(D + H, "Order Completed", value=3.0))
    run.until(2 * D + 1)
    rise, fall = risky(run)
    assert (rise.band, fall.band) == ("high", "low")
    assert fall.contributions == {"orders": -4.1589}
    assert fall.words == ["1 orders so far (usually 0)"]


# -- what reacts ---------------------------------------------------------------------------------------------------

REACTING = """
    segments:
      at_risk: {where: "risk.leaving > 0.6"}
      high: {where: "risk_band.leaving == 'high' && expected_value > 0.0"}
    journeys:
      purchase:
        type: purchase
        goal: {event: Order Completed}
        stages:
          looking: {on: [Product Viewed], leave_when: "risk.leaving > 0.8"}
    actions:
      keep:
        purpose: service
        when: {signal: churn_risk, name: leaving, band: high}
        channel: store
        value: "expected_value"
        expires_after: 1d
      never:
        purpose: service
        when: {signal: churn_risk, name: leaving, band: medium}
        channel: post
        value: 1
        expires_after: 1d
    risks:
      leaving:
        without: Order Completed
        horizon: 10d
        scored: {active_within: 1d, every: 1d, spread: false}
        bands: {low: 0, medium: 0.3, high: 0.6}
        prior: "orders > 0.0 ? 0.1 : 0.85"
"""


def test_segments_stages_and_actions_follow_a_score() -> None:
    run = Run(REACTING)
    run.hear(touchpoint(12 * H, "Product Viewed"))
    run.until(D + 1)
    assert ("segment_entered", "at_risk") in run.kinds()
    assert ("segment_entered", "high") in run.kinds()
    left = next(s for s in run.signals if s.kind == "stage_left")
    assert (left.reason, left.time) == ("leave_when", T0 + D)
    assert run.statuses() == [("keep", "issued", None)]
    (trigger,) = run.triggers
    assert trigger.reason_words.startswith("leaving risk is high; no model yet: by the rule")
    p = run.engine.store.get("c")
    assert p is not None
    assert trigger.value == p.expected_value > 0
    run.until(2 * D + 1)
    assert run.kinds()[-2:] == [("segment_left", "at_risk"), ("segment_left", "high")], "not scored any more"


def test_what_a_score_of_a_signal_brings_about_asks_for_no_further_score() -> None:
    text = REACTING.replace(
        "scored: {", "scored: {on: [{signal: segment_entered}, {signal: stage_entered}], apart: 0s, "
    )
    run = Run(text)
    run.hear(touchpoint(12 * H, "Product Viewed"))
    assert run.totals["scores"] == 1
    assert ("segment_entered", "at_risk") in run.kinds()
    assert ("stage_left", "looking") in run.kinds()
    run.hear(touchpoint(12 * H + 1, "Order Completed"))
    assert run.totals["scores"] == 1


# -- definitions ---------------------------------------------------------------------------------------------------


def changed(*risks: Any) -> Definition:
    return with_risks(PLAIN, *risks)


def held(prior: float = 0.9, **fields: Any) -> Run:
    run = started(risk(prior=prior, **fields))
    run.adopt_model(linear(LEAVING, {}, intercept=3.0))
    run.until(2 * D + 1)
    return run


def test_a_risk_that_is_gone_leaves_its_band_and_its_labels_unknown() -> None:
    run = held()
    run.adopt(changed(risk("other")))
    signal = risky(run)[-1]
    assert (signal.name, signal.band, signal.reason) == ("leaving", None, "definition")
    assert run.totals["labels_censored"] == 2
    assert run.engine.models == {}
    view = run.customers["c"]
    assert view is not None
    assert view.risks == []
    run.hear(touchpoint(2 * D + H, "Order Completed"))
    run.until(3 * D + 1)
    assert run.labels() == []
    assert list(run.engine.store.hot["c"].risks) == ["other"]
    assert run.totals["scores"] == 3


def test_without_risks_no_features_are_kept() -> None:
    run = held()
    run.adopt(PLAIN)
    p = run.engine.store.get("c")
    assert p is not None
    assert (p.activity, p.risks) == (None, {})
    run.hear(touchpoint(3 * D, "Product Viewed"))
    run.until(9 * D)
    assert (p.activity, p.risks) == (None, {})
    assert run.totals["scores"] == 2


def test_a_risk_with_other_labels_falls_back_to_its_prior() -> None:
    run = held()
    run.adopt(changed(risk(signature="leaving-2", horizon_ms=2 * D)))
    assert run.engine.models == {}
    assert run.totals["labels_censored"] == 2
    assert len(risky(run)) == 1, "the band is kept until the next score"
    run.until(3 * D + 1)
    assert scores(run).model == "prior"
    with pytest.raises(ModelRefused):
        run.adopt_model(linear(LEAVING, {}))


def test_a_risk_with_other_bands_keeps_model_labels_and_instants() -> None:
    run = held()
    run.adopt(changed(risk(bands=(Band("calm", 0.0), Band("high", 0.5)), every_ms=3 * D)))
    assert run.engine.models == {"leaving": "leaving@1"}
    assert run.totals["labels_censored"] == 0
    assert scores(run).due == T0 + 3 * D
    run.until(3 * D + 1)
    assert [s.band for s in risky(run)] == ["high"]
    run.adopt(changed(risk(bands=(Band("calm", 0.0), Band("stormy", 0.5)))))
    assert [(s.band, s.reason) for s in risky(run)][1:] == [(None, "definition")]
    run.until(4 * D + 1)
    run.hear(touchpoint(4 * D + 1, "Product Viewed"))
    run.until(6 * D + 1)
    assert [s.band for s in risky(run)][2:] == ["stormy"]


def test_a_new_risk_begins_with_the_next_touchpoint() -> None:
    run = held()
    run.adopt(changed(risk("new"), LEAVING))
    run.until(3 * D)
    assert list(run.engine.store.hot["c"].risks) == ["leaving"]
    run.hear(touchpoint(3 * D, "Product Viewed"))
    run.until(4 * D + 1)
    assert list(run.engine.store.hot["c"].risks) == ["new", "leaving"]
    assert scores(run, "new").at == T0 + 4 * D


def test_a_restart_keeps_scores_labels_and_models() -> None:
    run = held()
    run.restart()
    assert run.engine.models == {"leaving": "leaving@1"}
    run.hear(touchpoint(2 * D + H, "Order Completed"))
    assert len(run.labels()) == 2


def test_an_engine_without_risks_says_nothing_of_them() -> None:
    run = Run(PLAIN)
    run.hear(touchpoint(12 * H, "Product Viewed"))
    p = run.engine.store.get("c")
    assert p is not None
    assert (p.activity, p.risks, run.engine.models) == (None, {}, {})
    view = run.customers["c"]
    assert view is not None
    assert (view.risks, view.risk_band, view.expected_value) == ([], None, None)
