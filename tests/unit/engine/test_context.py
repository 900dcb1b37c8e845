"""P of one customer: what a contextual snapshot makes of features, what is on record of it, and when counts serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, isnan, nan, pi, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Decision, Model
from streams.contracts.schemas import PackagedSchemas
from streams.definitions.model import OwnFeature
from streams.definitions.policy import Guardrails
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.context import LEAST, Context, named, of_names, values_of
from streams.engine.decisions.plan import context_of
from streams.engine.decisions.recompute import recompute
from streams.engine.scoring.scorer import LinearScorer, ModelRefused
from streams.learner.snapshots import scorer_of
from tests.support.engines import H, Run, define, touchpoint
from tests.support.policies import SHOP, contextual, failed, reached, snapshot, with_action
from tests.support.risks import number

RISKY = (
    SHOP.replace("mail: {", "mail: {lever: 1, ")
    + """
  call: {purpose: service, when: {signal: friction}, channel: store, value: 12, expires_after: 1d}
risks:
  churn: {without: Order Completed, horizon: 30d, features: [orders, touchpoints, nps]}
"""
)
DEFINITION = define(RISKY)
MAIL, CALL = DEFINITION.actions
WEIGHTS: dict[str, Any] = {"weights": [1.5, 0.0, 0.2], "means": [0.3, 1.0, 5.0], "scales": [0.5, 1.0, 2.0]}


def context(**fields: Any) -> Context:
    return Context(snapshot(DEFINITION, MAIL, 40.0, 160.0, **{**WEIGHTS, **fields}))


def values(*found: float) -> Any:
    held = values_of(b"", found)
    assert held is not None
    return held


@settings(deadline=None, max_examples=100, derandomize=True, database=None)
@given(st.lists(st.floats(-20, 20) | st.just(nan), min_size=3, max_size=3), st.floats(0.1, 3.0), st.floats(-2.0, 2.0))
def test_mean_is_what_the_logistic_regression_says(found: list[float], slope: float, shift: float) -> None:
    model = snapshot(DEFINITION, MAIL, 40.0, 160.0, slope=slope, shift=shift, precisions=[1e11] * 4, **WEIGHTS)
    held = values_of(b"", found)
    if held is None:
        assert all(map(isnan, found))
        return
    known = Context(model).known(held)
    assert known.mean == pytest.approx(LinearScorer(model).score(found))
    assert LEAST - 1e-9 <= known.positives + known.negatives <= 200.0 + 1e-9
    assert Context(model).contributions(held) == pytest.approx(LinearScorer(model).contributions(found))


def test_spread_is_that_of_laplaces_approximation_and_grows_with_the_distance_from_those_known() -> None:
    found = context(intercept=-1.0, precisions=[20.0, 10.0, 20.0, 40.0], slope=0.8)
    for x, odds, variance in (
        ((0.3, 1.0, 5.0), -0.8, 0.64 / 20),
        ((0.8, 2.0, 5.0), -0.8 + 0.8 * 1.5, 0.64 * (1 / 20 + 1 / 10 + 1 / 20)),
    ):
        known = found.known(values(*x))
        p = 1 / (1 + exp(-odds / sqrt(1 + pi * variance / 8)))
        assert known.mean == pytest.approx(p), "that of what would be drawn"
        n = known.positives + known.negatives
        assert p * (1 - p) / (n + 1) == pytest.approx((p * (1 - p)) ** 2 * variance)
    strange = found.known(values(300.0, 1.0, 5.0))
    assert strange.positives + strange.negatives == pytest.approx(LEAST)
    sure = context(precisions=[1e9, 1e9, 1e9, 1e9]).known(values(0.3, 1.0, 5.0))
    assert sure.positives + sure.negatives == pytest.approx(200.0), "no customer is known better than all contacts"


def test_features_through_a_record_are_the_same() -> None:
    held = values(0.25, nan, 7.0)
    told = named(("orders", "touchpoints", "nps"), held)
    assert told == {"orders": 0.25, "nps": 7.0}
    assert of_names(("orders", "touchpoints", "nps"), told) == held
    assert of_names(("orders",), {}) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"weights": [1.0]}, {"precisions": [1.0, 1.0, 1.0]}, {"precisions": [1.0, 0.0, 1.0, 1.0]},
        {"scales": [nan] * 3}, {"intercept": 1e13}, {"precisions": [nan] * 4},
    ],
)  # fmt: skip
def test_numbers_that_make_no_model_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused) as refused:
        scorer_of(snapshot(DEFINITION, MAIL, 1.0, 1.0, **{**WEIGHTS, **fields}), None)
    assert refused.value.reason == "malformed"
    empty = snapshot(DEFINITION, MAIL, 1.0, 1.0)
    empty.features = []
    empty.weights = empty.means = empty.scales = []
    empty.precisions = [1.0]
    with pytest.raises(ModelRefused, match="0 features"):
        scorer_of(empty, None)


# -- in the engine -----------------------------------------------------------------------------------------------------


def learned(run: Run, definition: Any = DEFINITION, **fields: Any) -> ActionModel:
    found = contextual(definition, definition.actions[0], 40.0, 160.0, **{**WEIGHTS, **fields})
    run.adopt_model(found)
    return found


def asked(run: Run, who: str, orders: int = 0) -> Decision:
    reached(run, who)
    for n in range(orders):
        run.hear(touchpoint(10 + n, "Order Completed", who))
    failed(run, 1000, who)
    return run.decisions[-1]


def test_each_customer_has_a_p_of_its_own_and_the_record_says_whose_it_is() -> None:
    run = Run(DEFINITION)
    model = learned(run)
    without, with_orders = asked(run, "new"), asked(run, "old", 3)
    mail, call = with_orders.candidates
    assert (mail.model, call.model, call.usual) == (model.key, "prior", None)
    assert mail.usual == pytest.approx(40.5 / 201), "everyone's"
    assert with_orders.features.keys() == {"orders", "touchpoints"}, "what is missing is not told"
    assert mail.p is not None
    assert without.candidates[0].p is not None
    assert mail.p > 0.8 > 0.3 > without.candidates[0].p
    assert mail.priority == pytest.approx(10 * mail.p)
    while (last := asked(run, f"c{len(run.decisions)}", 3)).chosen != "mail":
        assert len(run.decisions) < 50
    (taken,) = run.engine.store.hot[last.customer].dealings.waiting  # type: ignore[union-attr]
    assert taken.p == last.candidates[0].p, "the label will be told with the P that was taken"


def test_the_choice_is_drawn_from_the_customers_own_p_and_computed_again_from_the_record() -> None:
    run = Run(DEFINITION)
    models = {one.key: one for one in (learned(run), contextual(DEFINITION, CALL, 30.0, 100.0, **WEIGHTS, version=4))}
    run.adopt_model(models["action.call@4"])
    codec, reader = OutputCodec(PackagedSchemas(), "/journey"), OutputReader(PackagedSchemas())
    drawn = set()
    for i in range(60):
        decision = asked(run, f"c{i}", i % 4)
        drawn.add(decision.propensity)
        record = reader.read(Decision, codec.decision(decision).value or b"")
        again = recompute(record, DEFINITION, models)
        assert again is not None
        assert (again.action, record.features) == (decision.chosen, decision.features)
        wrong = recompute(
            record, DEFINITION, {k: replace(m, context=None, positives=0.0, negatives=1e6) for k, m in models.items()}
        )
        assert wrong is not None
    assert len(drawn) > 4


def test_of_whom_nothing_is_known_the_counts_serve() -> None:
    text = RISKY.replace("features: [orders, touchpoints, nps]", "features: [nps]")
    definition = define(text)
    run = Run(definition)
    learned(run, definition, weights=[2.0], means=[5.0], scales=[1.0])
    decision = asked(run, "c")
    assert (decision.features, decision.candidates[0].usual) == ({}, None)
    assert decision.candidates[0].p == pytest.approx(40.5 / 201)


@pytest.mark.parametrize("change", ["names", "meaning", "no risks"])
def test_features_that_mean_something_else_are_not_looked_at(change: str) -> None:
    own = (OwnFeature("orders_twice", number("orders * 2.0"), "orders, twice"),)
    risk = DEFINITION.risks[0]
    names = ("orders", "touchpoints", "orders_twice")
    before = replace(DEFINITION, features=own, risks=(replace(risk, features=names),))
    after = {
        "names": replace(before, risks=(replace(risk, features=names[::-1]),)),
        "meaning": replace(before, features=(replace(own[0], value=number("orders * 3.0")),)),
        "no risks": replace(before, risks=(), features=()),
    }[change]
    run = Run(before)
    learned(run, before)
    assert asked(run, "a").candidates[0].usual is not None
    run.adopt(replace(after, digest=change))
    assert run.engine.models["action.mail"] == "action.mail@1", "its counts mean what they did"
    decision = asked(run, "b")
    assert (decision.candidates[0].usual, decision.features) == (None, {})
    assert decision.candidates[0].p == pytest.approx(40.5 / 201)
    run.adopt(replace(before, digest="back"))
    assert asked(run, "d").candidates[0].usual is not None


def test_models_of_actions_that_are_gone_or_mean_another_success_are_refused() -> None:
    run = Run(DEFINITION)
    gone = contextual(DEFINITION, replace(MAIL, name="gone"), 1.0, 1.0)
    with pytest.raises(ModelRefused, match="no such action"):
        run.adopt_model(gone)
    with pytest.raises(ModelRefused, match="attribution"):
        run.adopt_model(contextual(DEFINITION, replace(MAIL, attribution_ms=H), 1.0, 1.0))
    learned(run)
    run.adopt(with_action(DEFINITION, attribution_ms=H))
    assert run.engine.models == {}


def test_a_broken_guardrail_closes_whatever_the_customer_is_like() -> None:
    definition = with_action(DEFINITION, guardrails=Guardrails(dismissed=0.1, window=100, pause=True))
    run = Run(definition)
    learned(run, definition, paused=True)
    assert asked(run, "c", 3).candidates[0].closed_by == "guardrail"


def test_a_definition_without_risks_has_no_features() -> None:
    assert context_of(define(SHOP)) == ((), "")
    names, meaning = context_of(DEFINITION)
    assert names == ("orders", "touchpoints", "nps")
    assert len(meaning) == 16


def test_contextual_snapshot_through_the_topic_is_what_the_engine_adopts() -> None:
    model = snapshot(DEFINITION, MAIL, 40.0, 160.0, **WEIGHTS)
    record = OutputCodec(PackagedSchemas(), "/journey").model(model)
    read = OutputReader(PackagedSchemas()).read(Model, record.value or b"")
    assert read == model
    found: Sequence[float] = (1.0, 2.0, nan)
    adopted = scorer_of(read, None)
    assert isinstance(adopted, ActionModel)
    assert adopted.context is not None
    here, there = adopted.context.known(values(*found)), Context(model).known(values(*found))
    assert (here.positives, here.negatives) == (there.positives, there.negatives)
