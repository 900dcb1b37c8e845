"""The learner of an action: counts become snapshots in the order of the labels, and a broken guardrail is told."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Example, Model
from streams.contracts.schemas import PackagedSchemas
from streams.definitions.policy import Guardrails
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.plan import served, signature
from streams.engine.scoring.scorer import ModelRefused
from streams.learner.guarding import FEW
from streams.learner.school import School
from streams.learner.snapshots import scorer_of
from streams.learner.success import AT_LEAST, PUBLISH_EVERY, SuccessLearner
from tests.support.engines import D, H, M, Run, define, touchpoint
from tests.support.labels import KEY
from tests.support.policies import SHOP, failed, reached, with_action

DEFINITION = define(SHOP, 7)
MAIL = DEFINITION.actions[0]


def learner(guardrails: Guardrails | None = None) -> SuccessLearner:
    return SuccessLearner(replace(MAIL, guardrails=guardrails), DEFINITION, KEY)


def example(n: int, label: bool = False, **fields: Any) -> Example:
    fields.setdefault("signature", signature(MAIL, DEFINITION))
    """Of the n-th minute; a success is known at once, a failure when the attribution is over."""
    at = n * M
    known = at + 1 if label else at + MAIL.attribution_ms
    return Example(
        f"x{n}", f"c{n}", fields.pop("risk", "action.mail"), fields.pop("signature"), at, known, label, **fields
    )


def in_order(examples: list[Example]) -> list[Example]:
    """As they are told, and one much later: what is complete is learned."""
    last = max(x.scored_at for x in examples) // M + 100
    return sorted([*examples, example(last)], key=lambda x: x.matured_at)


def told(one: SuccessLearner, examples: list[Example]) -> list[Model]:
    return [model for x in examples for model in one.learn(x)]


def test_first_snapshot_comes_with_enough_labels_and_further_ones_ever_so_many() -> None:
    one = learner()
    models = told(one, in_order([example(n, n % 4 == 0) for n in range(AT_LEAST + 2 * PUBLISH_EVERY)]))
    assert [(m.version, m.examples, m.positives, m.negatives) for m in models] == [
        (1, 20, 5.0, 15.0),
        (2, 40, 10.0, 30.0),
        (3, 60, 15.0, 45.0),
    ]
    assert {(m.name, m.form, m.paused, m.definition) for m in models} == {("action.mail", "beta", False, 7)}


def test_repeated_and_foreign_examples_are_counted_and_not_learned() -> None:
    one = learner()
    told(one, [example(1), example(1), example(2, signature="other"), example(3, risk="action.other")])
    assert (one.counts["learned"], one.counts["repeated"], one.counts["foreign"]) == (0, 1, 2)
    told(one, [example(100)])
    assert one.counts["learned"] == 1


def test_successes_do_not_count_before_the_failures_of_their_time() -> None:
    """Of 100 contacts 10 succeed, and are told at once: no snapshot ever says more than that."""
    one = learner()
    models = told(one, in_order([example(n, n % 10 == 0) for n in range(100)]))
    assert {round(m.base_rate, 2) for m in models} == {0.1}


def test_snapshots_do_not_depend_on_restarts() -> None:
    rng = random.Random(4)
    examples = [
        example(n, rng.random() < 0.2, outcomes=["dismissed"] if rng.random() < 0.1 else []) for n in range(300)
    ]
    rules = Guardrails(dismissed=0.05, window=50, pause=True)
    whole, stored = learner(rules), learner(rules)
    found: list[Model] = []
    examples = in_order(examples)
    for n, x in enumerate(examples):
        if n % 17 == 0:
            stored = SuccessLearner.load(replace(MAIL, guardrails=rules), DEFINITION, stored.dump(), KEY)
        found += stored.learn(x)
    assert found == told(whole, examples)
    assert stored.dump() == whole.dump()


def test_state_that_is_not_its_own_is_refused() -> None:
    data = learner().dump()
    for bad, reason in ((data[:-1] + b"x", "tampered"), (b"", "tampered")):
        with pytest.raises(ModelRefused) as refused:
            SuccessLearner.load(MAIL, DEFINITION, bad, KEY)
        assert refused.value.reason == reason
    with pytest.raises(ModelRefused) as refused:
        SuccessLearner.load(replace(MAIL, attribution_ms=5), DEFINITION, data, KEY)
    assert refused.value.reason == "signature"


def test_guardrail_breaks_when_it_is_more_than_chance_and_is_told_at_once() -> None:
    one = learner(Guardrails(unsubscribed=0.1, window=100, pause=True))
    models = told(one, [example(n, outcomes=["sent", "unsubscribed"] if n % 2 else ["sent"]) for n in range(16)])
    assert [(m.paused, m.version) for m in models] == [(True, 1)]
    assert models[0].examples < AT_LEAST
    assert "guardrail_unsubscribed" in models[0].evaluation
    fine = learner(Guardrails(unsubscribed=0.6, dismissed=0.01, window=100, pause=True))
    assert told(fine, [example(n, outcomes=["unsubscribed"] if n % 2 else []) for n in range(12)]) == []


def test_a_few_unlucky_customers_break_no_guardrail() -> None:
    one = learner(Guardrails(unsubscribed=0.01, window=1000, pause=True))
    unlucky = [example(n, outcomes=["unsubscribed"] if n < FEW - 1 else []) for n in range(30)]
    assert not any(model.paused for model in told(one, unlucky))
    assert one.broken() == []
    assert any(model.paused for model in told(one, [example(30, outcomes=["unsubscribed"])]))


def test_other_guardrails_begin_to_watch_anew() -> None:
    rules = Guardrails(dismissed=0.1, window=100, pause=True)
    one = learner(rules)
    told(one, [example(n, outcomes=["dismissed"]) for n in range(12)])
    assert one.paused
    same = one.adopt(replace(MAIL, guardrails=rules), DEFINITION)
    assert (same, same.paused) == (one, True)
    other = one.adopt(replace(MAIL, guardrails=replace(rules, dismissed=0.2)), DEFINITION)
    assert (other, other.paused) == (one, False)
    anew = one.adopt(replace(MAIL, attribution_ms=H), DEFINITION)
    assert (anew.counts["learned"], anew.version) == (0, one.version)


def test_snapshot_through_the_topic_is_what_the_engine_adopts() -> None:
    models = told(learner(), in_order([example(n, n % 2 == 0) for n in range(AT_LEAST)]))
    record = OutputCodec(PackagedSchemas(), "/journey").model(models[0])
    read = OutputReader(PackagedSchemas()).read(Model, record.value or b"")
    found = scorer_of(read, KEY)
    assert isinstance(found, ActionModel)
    assert (found.key, found.positives, found.negatives, found.paused) == ("action.mail@1", 10.0, 10.0, False)
    read.positives = 11.0
    with pytest.raises(ModelRefused, match="signed"):
        scorer_of(read, KEY)
    read.positives, read.mac = float("nan"), None
    with pytest.raises(ModelRefused, match="successes"):
        scorer_of(read, None)
    run = Run(DEFINITION)
    run.adopt_model(found)
    assert run.engine.models == {"action.mail": "action.mail@1"}


def test_a_school_learns_from_what_the_engine_tells() -> None:
    definition = with_action(DEFINITION, attribution_ms=2 * H)
    run, school = Run(definition), School(KEY)
    school.adopt(definition)
    for i in range(40):
        reached(run, f"c{i}")
        failed(run, 1000, f"c{i}")
        if i % 4 == 0:
            run.hear(touchpoint(2000, "Order Completed", f"c{i}"))
    run.until(1 * D)
    reached(run, "last", 1 * D)
    failed(run, 1 * D, "last")
    run.until(2 * D)
    models = [model for one in run.examples for model in school.learn(one)]
    assert [(m.name, m.examples) for m in models] == [("action.mail", 20), ("action.mail", 40)]
    assert (models[1].positives, models[1].negatives) == (10.0, 30.0)
    again = School(KEY)
    again.load(definition, school.dump(), school.versions)
    assert again.versions == school.versions == {"action.mail": 2}
    assert [name for name, _ in served(definition)] == list(school.learners)
    run.adopt_model(scorer_of(models[-1], KEY))
    reached(run, "new", 2 * D)
    failed(run, 2 * D + 1000, "new")
    assert run.decisions[-1].candidates[0].p == pytest.approx(10.5 / 41)
    assert run.decisions[-1].model == "action.mail@2"
