"""The contextual contender of an action: in force where features say more than counts, and only there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from streams.contracts.outputs import Example, Model
from streams.definitions.model import Definition
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.context import of_names
from streams.engine.decisions.plan import signature
from streams.engine.scoring.scorer import ModelRefused
from streams.learner import success
from streams.learner.contextual import WINDOW, Contextual
from streams.learner.snapshots import scorer_of
from streams.learner.success import MAC_BYTES, SuccessLearner
from tests.support.engines import H, M, define
from tests.support.labels import KEY
from tests.support.policies import SHOP, with_action

RISK = "risks: {churn: {without: Order Completed, horizon: 30d, features: [orders, visits, nps]}}"
DEFINITION = with_action(define(SHOP + RISK, 7), attribution_ms=H)
MAIL = DEFINITION.actions[0]
Rate = Callable[[bool], float]


def examples(rate: Rate, n: int, *, first: int = 0, seed: int = 1, **fields: Any) -> Iterator[Example]:
    """Contacts of every minute, told as they become known: by customers who have ordered, and who have not."""
    rng = random.Random(seed)
    found = []
    for i in range(first, first + n):
        regular = rng.random() < 0.5
        label = rng.random() < rate(regular)
        at = i * M
        features = {"orders": float(regular), "visits": rng.gauss(2.0, 0.5)}
        if rng.random() < 0.3:
            features["nps"] = rng.uniform(0.0, 10.0)
        made = {"definition": 7, "features": features, **fields}
        known = at + 1 if label else at + MAIL.attribution_ms
        found.append(Example(f"x{i}", f"c{i}", "action.mail", signature(MAIL, DEFINITION), at, known, label, **made))
    return iter(sorted(found, key=lambda one: one.matured_at))


def learner(definition: Definition = DEFINITION) -> SuccessLearner:
    return SuccessLearner(MAIL, definition, KEY)


def told(one: SuccessLearner, found: Iterator[Example]) -> list[Model]:
    return [model for example in found for model in one.learn(example)]


def groups(regular: bool) -> float:
    return 0.4 if regular else 0.1


def alike(regular: bool) -> float:
    return 0.25


@pytest.fixture(scope="module")
def promoted() -> tuple[SuccessLearner, list[Model]]:
    one = learner()
    return one, told(one, examples(groups, 3_600))


def test_where_groups_differ_it_comes_into_force_and_says_what_they_do(
    promoted: tuple[SuccessLearner, list[Model]],
) -> None:
    _, models = promoted
    forms = [model.form for model in models]
    turned = forms.index("contextual")
    assert set(forms[turned:]) == {"contextual"}
    assert models[turned].evaluation["contextual_lead"] > 2 * models[turned].evaluation["contextual_lead_error"]
    assert models[turned].evaluation["contextual_log_loss"] < models[turned].evaluation["counts_log_loss"]
    last = models[-1]
    adopted = scorer_of(last, KEY)
    assert isinstance(adopted, ActionModel)
    assert adopted.context is not None
    assert adopted.positives + adopted.negatives == last.examples
    for regular in (True, False):
        values = of_names(last.features, {"orders": float(regular), "visits": 2.0})
        assert values is not None
        known = adopted.context.known(values)
        assert known.mean == pytest.approx(groups(regular), abs=0.05)
        assert 100 < known.positives + known.negatives < last.examples


def test_it_is_published_when_it_comes_into_force_not_with_the_next_counts(
    promoted: tuple[SuccessLearner, list[Model]],
) -> None:
    _, models = promoted
    turned = next(n for n, model in enumerate(models) if model.form == "contextual")
    before = models[turned - 1].examples
    assert models[turned].examples - before < max(success.PUBLISH_EVERY, before // 20)


def test_where_everyone_is_alike_the_counts_stay_in_force() -> None:
    one = learner()
    models = told(one, examples(alike, 3_600, seed=3))
    assert {model.form for model in models} == {"beta"}
    assert models[-1].evaluation["contextual_labels"] == WINDOW, "it was judged"
    assert models[-1].features == []


def test_it_goes_on_while_it_is_no_worse_by_more_than_chance_and_is_taken_back_when_it_is(
    promoted: tuple[SuccessLearner, list[Model]],
) -> None:
    """Only regulars are asked any more, so that the counts come to say the same; then nothing is as it was."""
    one = SuccessLearner.load(MAIL, DEFINITION, promoted[0].dump(), KEY)

    def only(customers: Iterator[Example], orders: float) -> Iterator[Example]:
        return (x for x in customers if x.features["orders"] == orders)

    after = told(one, only(examples(groups, 7_000, first=10_000, seed=5), 1.0))
    assert {model.form for model in after} == {"contextual"}
    context = one._context
    assert context is not None
    # Those it has not been told of for long respond as the others did, and those who did respond no longer.
    assert told(one, examples(lambda regular: groups(not regular), 1_500, first=20_000, seed=6))[-1].form == "beta"


def test_snapshots_do_not_depend_on_restarts() -> None:
    found = list(examples(groups, 1_800))
    whole, stored = learner(), learner()
    models: list[Model] = []
    for n, example in enumerate(found):
        if n % 151 == 0:
            stored = SuccessLearner.load(MAIL, DEFINITION, stored.dump(), KEY)
        models += stored.learn(example)
    assert models == told(whole, iter(found))
    assert stored.dump() == whole.dump()
    assert models[-1].form == "contextual"


def test_examples_without_features_teach_the_counts_alone() -> None:
    one = learner()
    told(one, examples(groups, 200, features={}))
    context = one._context
    assert one.counts["learned"] > 0
    assert context is not None
    assert context._contender.learned == 0


def test_features_that_mean_something_else_begin_anew_and_counts_go_on(
    promoted: tuple[SuccessLearner, list[Model]],
) -> None:
    one = SuccessLearner.load(MAIL, DEFINITION, promoted[0].dump(), KEY)
    learned, waiting = one.counts["learned"], len(one._cohorts)
    assert promoted[1][-1].form == "contextual"
    assert one.adopt(MAIL, replace(DEFINITION, number=8)) is one
    context = one._context
    assert context is not None
    assert context.in_force, "features are the same"
    other = replace(DEFINITION, number=9, risks=(replace(DEFINITION.risks[0], features=("orders", "visits")),))
    assert one.adopt(MAIL, other) is one
    assert (one.counts["learned"], len(one._cohorts)) == (learned, waiting)
    context = one._context
    assert context is not None
    assert (context.names, context.in_force) == (("orders", "visits"), False)
    # What was made under the definition before has features of the old meaning.
    told(one, examples(groups, 400, first=10_000, definition=8))
    assert context._contender.learned == 0
    models = told(one, examples(groups, 400, first=20_000, definition=9))
    assert context._contender.learned > 0
    assert models[-1].form == "beta"
    assert one.counts["learned"] > learned
    again = SuccessLearner.load(MAIL, other, one.dump(), KEY)
    assert again.dump() == one.dump()
    without = replace(other, number=10, risks=())
    one.adopt(MAIL, without)
    assert one._context is None
    assert SuccessLearner.load(MAIL, without, one.dump(), KEY).dump() == one.dump()


def test_state_of_before_there_were_contextual_models_is_gone_on_with() -> None:
    plain = replace(DEFINITION, risks=())
    old = learner(plain)
    told(old, examples(groups, 100))
    found = SuccessLearner.load(MAIL, DEFINITION, old.dump(), KEY)
    assert isinstance(found._context, Contextual)
    assert (found.counts, found.version) == (old.counts, old.version)
    told(found, examples(groups, 100, first=10_000))
    assert SuccessLearner.load(MAIL, DEFINITION, found.dump(), KEY).dump() == found.dump()


def test_what_is_stored_of_it_cannot_be_changed(promoted: tuple[SuccessLearner, list[Model]]) -> None:
    one, models = promoted
    data = bytearray(one.dump())
    data[MAC_BYTES + len(data) // 2] ^= 1
    with pytest.raises(ModelRefused) as refused:
        SuccessLearner.load(MAIL, DEFINITION, bytes(data), KEY)
    assert refused.value.reason == "tampered"
    for field in ("weights", "precisions", "means", "scales"):
        changed = msgspec.structs.replace(models[-1], **{field: [x + 0.1 for x in getattr(models[-1], field)]})
        with pytest.raises(ModelRefused, match="signed"):
            scorer_of(changed, KEY)
