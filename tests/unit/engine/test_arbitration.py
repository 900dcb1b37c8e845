"""Arbitration: probabilities are those of the choice, and the choice follows from the record alone."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.definitions.policy import Arbitration, Arm, Experiment, Holdout
from streams.engine.decisions.arbitration import (
    ActionModel,
    Posterior,
    best_probabilities,
    pick,
    posterior,
    propensities,
)
from streams.engine.decisions.buckets import arm, uniform, within
from streams.engine.decisions.plan import signature
from streams.engine.decisions.recompute import recompute
from streams.engine.scoring.scorer import ModelRefused
from tests.support.engines import T0, H, M, Run, define, touchpoint
from tests.support.policies import SHOP, failed, reached, reasons, weighed, with_action, with_policy

RULES = Arbitration()

CANDIDATES = st.lists(st.tuples(st.floats(0.0, 1e4), st.floats(0.1, 1e4), st.floats(0.1, 1e4)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=300, derandomize=True, database=None)
@given(CANDIDATES, st.sampled_from([0.0, 0.1, 1.0]), st.sampled_from(["thompson", "greedy"]), st.booleans())
def test_propensities_are_probabilities(
    found: list[tuple[float, float, float]], explore: float, sampling: str, learned: bool
) -> None:
    rules = Arbitration(sampling=sampling, explore=explore)  # type: ignore[arg-type]
    scales = [scale for scale, _, _ in found]
    chosen = propensities(rules, scales, [Posterior(a, b) for _, a, b in found], learned=learned)
    assert sum(chosen) == pytest.approx(1.0)
    assert min(chosen) >= explore / len(found) - 1e-12
    assert max(chosen) <= 1.0
    for draw in (0.0, 0.3, 0.999999999):
        assert chosen[pick(chosen, draw)] > 0.0


def thompson(scales: list[float], known: list[Posterior], n: int = 40_000) -> list[float]:
    """By drawing from the posteriors themselves."""
    rng = random.Random(1)
    won = Counter(
        max(range(len(scales)), key=lambda i: scales[i] * rng.betavariate(known[i].positives, known[i].negatives))
        for _ in range(n)
    )
    return [won[i] / n for i in range(len(scales))]


@pytest.mark.parametrize(
    ("scales", "known"),
    [
        ([1.0, 1.0], [Posterior(30.5, 70.5), Posterior(25.5, 75.5)]),
        ([10.0, 30.0, 12.0], [Posterior(40.5, 60.5), Posterior(14.5, 86.5), Posterior(0.5, 0.5)]),
        ([1.0] * 5, [Posterior(0.5 + i, 9.5) for i in range(5)]),
        ([5.0, 4.0, 3.0], [Posterior(200.5, 300.5), Posterior(250.5, 250.5), Posterior(4.5, 1.5)]),
    ],
)
def test_probabilities_are_close_to_thompson_sampling(scales: list[float], known: list[Posterior]) -> None:
    found = best_probabilities(scales, known)
    assert found is not None
    for mine, sampled in zip(found, thompson(scales, known), strict=True):
        assert mine == pytest.approx(sampled, abs=0.08)


def test_equal_candidates_are_equally_probable_and_a_surely_worse_one_never_is() -> None:
    equal = best_probabilities([2.0] * 4, [Posterior(3.5, 7.5)] * 4)
    assert equal == pytest.approx([0.25] * 4)
    assert best_probabilities([1.0, 100.0], [Posterior(500.0, 500.0)] * 2) == [0.0, 1.0]


def test_more_evidence_makes_the_better_one_surer() -> None:
    shares = [
        propensities(RULES, [1.0, 1.0], [posterior(RULES, 0.30 * n, 0.70 * n), posterior(RULES, 0.2 * n, 0.8 * n)],
                     learned=True)[0]
        for n in (10, 100, 1000)
    ]  # fmt: skip
    assert shares == sorted(shares)
    assert shares[0] < 0.8
    assert shares[2] > 0.99


@pytest.mark.parametrize(
    ("scales", "best"),
    [([4.52693e-319, 0.0], 0), ([0.0, 3.5e-317, 0.0], 1), ([1e-320, 1e-322], 0), ([1.0, 1.7e308, 0.0], 1)],
)
def test_values_without_digits_are_weighed_as_they_are(scales: list[float], best: int) -> None:
    known = [Posterior(1_000_000.5, 100.5), Posterior(1.25, 100.5), Posterior(0.5, 0.5)][: len(scales)]
    chosen = propensities(RULES, scales, known, learned=True)
    assert sum(chosen) == pytest.approx(1.0)
    assert chosen.index(max(chosen)) == best


def test_new_action_is_smoothed() -> None:
    assert posterior(RULES, 0, 0).mean == 0.5
    assert posterior(RULES, 3, 6).mean == pytest.approx(3.5 / 10)


def test_draws_are_uniform_and_follow_from_their_parts() -> None:
    draws = [uniform("c", str(i)) for i in range(10_000)]
    assert draws == [uniform("c", str(i)) for i in range(10_000)]
    assert 0.0 <= min(draws) < 0.001
    assert 0.999 < max(draws) < 1.0
    assert sum(draws) / 10_000 == pytest.approx(0.5, abs=0.02)


# -- in the engine -----------------------------------------------------------------------------------------------------

THREE = (
    SHOP
    + """
  call: {purpose: service, when: {signal: friction}, channel: store, value: 12, expires_after: 1d}
  post: {purpose: marketing, when: {signal: friction}, channel: agent, value: 8, expires_after: 1d}
"""
)


def model(
    run: Run, action: str, positives: float, negatives: float, version: int = 1, paused: bool = False
) -> ActionModel:
    found = next(a for a in run.engine.definition.actions if a.name == action)
    name = f"action.{action}"
    return ActionModel(f"{name}@{version}", name, signature(found, run.engine.definition), positives, negatives, paused)


def test_without_models_the_highest_priority_is_taken_and_nothing_is_drawn() -> None:
    run = Run(weighed(define(THREE), weights={"marketing": 2.0}))
    reached(run)
    failed(run, 1000)
    decision = run.decisions[0]
    assert (decision.chosen, decision.draw, decision.propensity) == ("mail", None, 1.0)
    assert [(c.action, c.l, c.priority, c.closed_by) for c in decision.candidates] == [
        ("mail", 2.0, 10.0, None),
        ("call", 1.0, 6.0, "lower_value"),
        ("post", 2.0, 8.0, "lower_value"),
    ]


def test_with_models_the_choice_is_drawn_as_often_as_it_says() -> None:
    definition = weighed(define(THREE), explore=0.05)
    run = Run(definition)
    models = {m.key: m for m in (model(run, "mail", 30, 70), model(run, "call", 20, 60))}
    for one in models.values():
        run.adopt_model(one)
    expected: Counter[str] = Counter()
    for i in range(1_500):
        reached(run, f"c{i}")
        failed(run, 1000, f"c{i}")
    taken = Counter(d.chosen for d in run.decisions)
    for d in run.decisions:
        assert d.draw is not None
        assert d.propensity == next(c.propensity for c in d.candidates if c.action == d.chosen)
        again = recompute(d, definition, models)
        assert again is not None
        assert again.action == d.chosen
        for c in d.candidates:
            expected[c.action] += c.propensity or 0.0  # type: ignore[assignment]
    assert {c.closed_by for d in run.decisions for c in d.candidates} == {None, "not_drawn"}
    for action, sure in expected.items():
        assert taken[action] == pytest.approx(sure, abs=4 * (1_500 * 0.25) ** 0.5)
    assert min(expected.values()) > 1_500 * 0.05 / 3 - 1
    assert {t.model for t in run.triggers} == {"action.mail@1", "action.call@1", "prior"}
    assert {c.model for c in run.decisions[0].candidates} == {"action.mail@1", "action.call@1", "prior"}


def test_tampered_record_is_recomputed_to_something_else() -> None:
    definition = weighed(define(THREE), explore=0.05)
    run = Run(definition)
    run.adopt_model(model(run, "mail", 30, 70))
    models = {"action.mail@1": run.models["action.mail"]}
    differ = 0
    for i in range(60):
        reached(run, f"c{i}")
        failed(run, 1000, f"c{i}")
        record = run.decisions[-1]
        record.decision_id += "x"
        again = recompute(record, definition, models)  # type: ignore[arg-type]
        differ += again is not None and again.action != record.chosen
    assert differ > 10


def test_higher_priority_replaces_an_open_lower_one_over_journeys() -> None:
    text = SHOP + "  case: {purpose: service, when: {signal: stage_entered, journey: help}, channel: email, value: 30, "
    run = Run(text + "expires_after: 1d}\n")
    reached(run)
    failed(run, 1000)
    run.hear(touchpoint(2000, "Message Received", case_id="1"))
    assert run.statuses() == [
        ("mail", "issued", None),
        ("mail", "cancelled", "replaced"),
        ("case", "issued", None),
    ]


def test_model_of_another_meaning_of_success_is_refused() -> None:
    run = Run(define(THREE))
    other = model(run, "mail", 1, 1)
    other.signature = "other"
    with pytest.raises(ModelRefused, match="attribution"):
        run.adopt_model(other)
    with pytest.raises(ModelRefused, match="no such action"):
        run.adopt_model(ActionModel("action.x@1", "action.x", "s", 1, 1))
    run.adopt_model(model(run, "mail", 1, 1))
    assert run.engine.models == {"action.mail": "action.mail@1"}
    run.adopt(with_action(define(THREE), attribution_ms=H))
    assert run.engine.models == {}


# -- holdouts and experiments ------------------------------------------------------------------------------------------


def test_held_out_customer_has_a_ghost_that_takes_the_slot_and_no_second_best_takes_its_place() -> None:
    run = Run(with_policy(THREE, holdout=Holdout(1.0, "s", ("service",))))
    reached(run)
    failed(run, 1000)
    ghost = run.decisions[0]
    assert (ghost.outcome, ghost.reason, ghost.chosen, ghost.channel) == ("held_out", "holdout", "call", "store")
    assert ghost.trigger_id is not None
    assert run.triggers == []
    run.hear(touchpoint(1500, "Contact Started", contact_id="k"))
    view = run.customers["c"]
    assert view is not None
    assert view.open_triggers == []
    failed(run, 3000)
    assert [c.closed_by for c in run.decisions[1].candidates] == [None, "already_open", "lower_value"]
    run.hear(touchpoint(4000, "Handled", actor="system", trigger_id=ghost.trigger_id, outcome="sent"))
    assert run.totals["outcomes_unknown"] == 1
    run.restart()
    run.until(25 * H)
    failed(run, 25 * H + 1)
    assert reasons(run)[-1] == "holdout"
    assert {t.action for t in run.triggers} == {"mail"}
    assert not any(e.risk == "action.call" for e in run.examples)


def test_ghost_counts_for_limits() -> None:
    from streams.definitions.policy import Limit  # noqa: PLC0415 - beside its only use

    run = Run(with_policy(SHOP, holdout=Holdout(1.0, "s"), limits=(Limit(1, within_ms=48 * H),)))
    reached(run)
    failed(run, 1000)
    failed(run, 26 * H)
    assert reasons(run) == ["holdout", "contact_limit"]


def test_holdouts_share_is_that_of_the_customers_and_of_its_purposes() -> None:
    run = Run(with_policy(SHOP, holdout=Holdout(0.2, "s")))
    for i in range(400):
        reached(run, f"c{i}")
        failed(run, 1000, f"c{i}")
    assert 50 < reasons(run).count("holdout") < 110
    service = Run(with_policy(SHOP.replace("marketing", "service"), holdout=Holdout(1.0, "s")))
    reached(service)
    failed(service, 1000)
    assert reasons(service) == ["issued"]


def test_arms_are_sticky_carry_their_content_and_delay() -> None:
    arms = (Arm("a", 0.5, content_key="other", content={"tone": "calm"}), Arm("b", 0.3, delay_ms=5 * M))
    experiment = Experiment("words", "s", arms)
    run = Run(with_action(with_policy(), experiment=experiment, content={"tone": "loud", "n": 1}, content_key="own"))
    for i in range(300):
        reached(run, f"c{i}")
        failed(run, 1000, f"c{i}")
    by_arm = {t.arm: t for t in run.triggers}
    assert set(by_arm) == {"a", "b", None}
    assert (by_arm["a"].content_key, by_arm["a"].content) == ("other", {"tone": "calm", "n": 1})
    assert (by_arm["b"].content_key, by_arm["b"].content) == ("own", {"tone": "loud", "n": 1})
    assert (by_arm["b"].not_before, by_arm["a"].not_before) == (T0 + 1000 + 5 * M, None)
    assert (by_arm["a"].experiment, by_arm[None].experiment) == ("words", None)
    shares = Counter(t.arm for t in run.triggers)
    assert 120 < shares["a"] < 180
    assert 60 < shares["b"] < 120
    for t in run.triggers:
        found = arm(experiment, t.customer)
        assert t.arm == (found.name if found is not None else None)
    assert [(d.experiment, d.arm) for d in run.decisions] == [(t.experiment, t.arm) for t in run.triggers]


def test_delay_into_quiet_hours_waits_for_their_end() -> None:
    from tests.support.policies import quiet  # noqa: PLC0415

    experiment = Experiment("when", "s", (Arm("late", 1.0, delay_ms=3 * H),))
    run = Run(with_action(with_policy(quiet_hours=(quiet(),)), experiment=experiment))
    reached(run)
    failed(run, 20 * H)
    assert run.triggers[0].not_before == T0 + 32 * H


def test_delay_into_quiet_hours_that_drop_leaves_the_customer_in_the_arm_or_the_holdout() -> None:
    from tests.support.policies import quiet  # noqa: PLC0415

    experiment = Experiment("when", "s", (Arm("late", 0.5, delay_ms=3 * H), Arm("now", 0.5)))
    policy = with_policy(quiet_hours=(quiet(then="drop"),), holdout=Holdout(0.3, "h"))
    run = Run(with_action(policy, experiment=experiment))
    for i in range(200):
        reached(run, f"c{i}")
        failed(run, 20 * H, f"c{i}")
    met = Counter((d.outcome, d.reason, d.arm) for d in run.decisions)
    assert set(met) == {
        ("none", "quiet_hours", "late"), ("held_out", "quiet_hours", "late"),
        ("issued", "issued", "now"), ("held_out", "holdout", "now"),
    }  # fmt: skip
    assert {d.experiment for d in run.decisions} == {"when"}
    assert all((d.outcome == "held_out") == within(0.3, "h", d.customer) for d in run.decisions)
    assert {d.trigger_id for d in run.decisions if d.reason == "quiet_hours"} == {None}
