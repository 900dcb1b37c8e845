"""Snapshots: what was published scores as it did in the learner; whatever else comes is refused with its reason.

Owns the proof that no byte of a signed model can be changed, and that nothing but River comes out of a body.
"""

from __future__ import annotations

import os
import re
import zlib
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import suppress
from math import inf, nan
from random import Random
from threading import Thread
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import PageHinkley

from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Model
from streams.contracts.schemas import PackagedSchemas
from streams.definitions.model import Pipeline
from streams.engine.scoring.scorer import ModelRefused
from streams.learner import frozen
from streams.learner.learner import Learner
from streams.learner.snapshots import BODY_MAX_BYTES, scorer_of, signed
from tests.support.labels import FEATURES, FOREST, HORIZON, KEY, LINEAR, TREE, examples, learning, risk

ALL = [
    LINEAR,
    Pipeline("adam", "logistic_regression", {"optimizer": "adam", "learning_rate": 0.01}),
    TREE,
    Pipeline("adaptive", "hoeffding_adaptive_tree"),
    Pipeline("fast", "extremely_fast_decision_tree"),
    FOREST,
    Pipeline("bayes", "gaussian_nb"),
    Pipeline("near", "knn", {"window_size": 100, "n_neighbors": 5}),
]


def published(pipeline: Pipeline, n: int = 300) -> tuple[Learner, Model]:
    learner = Learner(risk(learning(champion=pipeline, at_least=n, publish_every=n)), 1, KEY)
    for one in examples(n + 3 * HORIZON, bent=True):
        for model in learner.learn(one):
            return learner, model
    raise AssertionError("no model")


def through_kafka(model: Model) -> Model:
    """As a consumer of the topic has it."""
    record = OutputCodec(PackagedSchemas(), "/journey").model(model)
    return OutputReader(PackagedSchemas()).read(Model, record.value or b"")


@pytest.mark.parametrize("pipeline", ALL, ids=lambda p: p.name)
def test_a_snapshot_scores_as_the_learner_does(pipeline: Pipeline) -> None:
    learner, model = published(pipeline)
    assert model.form == ("linear" if pipeline.model == LINEAR.model else "river")
    scorer = scorer_of(through_kafka(model), KEY)
    assert (scorer.key, scorer.risk, scorer.signature) == ("churn@1", "churn", "5161")
    contender = learner._contenders[0]
    for following in examples(60, seed=8, bent=True, first=10_000):
        values = [following.features[name] for name in FEATURES]
        exact = contender.calibration.of(contender.odds(following.features))
        assert scorer.score(values) == pytest.approx(exact, abs=1e-9)
        assert scorer.score(values) == scorer.score(values)


@pytest.mark.parametrize("pipeline", [TREE, FOREST, Pipeline("bayes", "gaussian_nb")], ids=lambda p: p.name)
def test_contributions_are_what_is_lost_at_the_mean(pipeline: Pipeline) -> None:
    _, model = published(pipeline, 1_000)
    scorer = scorer_of(model, KEY)
    far = [100.0, scorer.means[1], nan]
    contributions = scorer.contributions(far)
    assert len(contributions) == len(FEATURES)
    assert contributions[0] == max(contributions) > 0.0
    assert contributions[1] == contributions[2] == 0.0


def test_a_missing_value_is_taken_for_the_mean() -> None:
    _, model = published(TREE)
    scorer = scorer_of(model, KEY)
    assert scorer.score([nan, nan, nan]) == scorer.score(list(scorer.means))


def refusal(model: Model, key: bytes | None = KEY) -> str:
    with pytest.raises(ModelRefused) as refused:
        scorer_of(model, key)
    assert f"{model.name}@{model.version}" in str(refused.value)
    return refused.value.reason


LINEAR_MODEL = published(LINEAR)[1]
TREE_MODEL = published(TREE)[1]


def copy(model: Model, **changes: Any) -> Model:
    return msgspec.structs.replace(model, **changes)


CHANGES: dict[str, Any] = {
    "name": "complaint",
    "version": 7,
    "signature": "other",
    "form": "linear",
    "algorithm": "other",
    "features": ["recency", "orders", "other"],
    "weights": [1.0, 0.0, 0.0],
    "means": [1.0, 0.0, 0.0],
    "scales": [1.0, 1.0, 1.0],
    "intercept": 9.0,
    "slope": 2.0,
    "shift": 2.0,
    "body": b"other",
    "software": "other",
    "examples": 7,
    "base_rate": 0.9,
    "learned_until": 7,
    "evaluation": {"auc": 1.0},
    "definition": 7,
    "positives": 7.0,
    "negatives": 7.0,
    "paused": True,
    "precisions": [1.0],
    "context": "other",
}


@pytest.mark.parametrize("field", [name for name in Model.__struct_fields__ if name != "mac"])
def test_no_field_can_be_changed(field: str) -> None:
    assert refusal(copy(TREE_MODEL, **{field: CHANGES[field]})) == "tampered"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_byte_of_a_body_can_be_changed(data: st.DataObject) -> None:
    body = bytearray(TREE_MODEL.body or b"")
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    assert refusal(copy(TREE_MODEL, body=bytes(body))) == "tampered"
    assert refusal(copy(TREE_MODEL, body=bytes(body[:at]))) == "tampered"


def test_signatures_of_others_and_none_are_refused() -> None:
    assert refusal(TREE_MODEL, b"another key of some length") == "tampered"
    assert refusal(copy(TREE_MODEL, mac=None)) == "unsigned"
    assert refusal(copy(LINEAR_MODEL, mac=None)) == "unsigned"
    assert refusal(TREE_MODEL, None) == "unsigned"


def test_without_a_key_plain_numbers_are_taken_as_they_are() -> None:
    assert scorer_of(copy(LINEAR_MODEL, mac=None), None).key == "churn@1"
    assert scorer_of(LINEAR_MODEL, None).key == "churn@1"


@pytest.mark.parametrize("field", ["weights", "means", "scales"])
@pytest.mark.parametrize("numbers", [[], [1.0], [1.0, nan, 1.0], [inf, 1.0, 1.0], [1e300, 1.0, 1.0]])
def test_numbers_that_make_no_model(field: str, numbers: list[float]) -> None:
    assert refusal(signed(copy(LINEAR_MODEL, **{field: numbers}), KEY)) == "malformed"


@pytest.mark.parametrize("changes", [{"means": [1.0]}, {"means": [nan, 0.0, 0.0]}, {"slope": inf}, {"body": None}])
def test_a_river_model_that_makes_no_sense(changes: dict[str, Any]) -> None:
    assert refusal(signed(copy(TREE_MODEL, **changes), KEY)) == "malformed"


def test_a_form_of_the_future_is_refused() -> None:
    assert refusal(signed(copy(LINEAR_MODEL, form="onnx"), KEY)) == "newer"


LIST, TUPLE, SET, FROZENSET, DICT, NAME, METHOD, OBJECT = range(8)
"""Kinds of nodes, as they are written."""


def body_of(
    nodes: Any,
    names: Any = (),
    *,
    format: int = frozen.FORMAT,  # noqa: A002 - the field's name
    river: list[int] | None = None,
) -> bytes:
    packed = msgspec.msgpack.encode((format, frozen.version() if river is None else river, names, nodes))
    return zlib.compress(packed)


def call_of(module: str, name: str, *arguments: Any) -> bytes:
    return body_of([[OBJECT, 0, False, list(arguments), None, [], []]], [(module, name)])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("subprocess", "Popen"),
        ("streams.learner.frozen", "thaw"),
        ("river.datasets.base", "Dataset"),
        ("river.optim.base", "np"),
        ("river.compose.pipeline", "functools"),
        ("river.compose.pipeline", "collections.defaultdict"),
        ("river.compose.pipeline", "Pipeline.learn_one"),
        ("river.stream.iter_csv", "open_filepath"),
        ("river.treeish", "x"),
        ("river.utils.pretty", "print_table"),
        ("pickle", "loads"),
    ],
)  # fmt: skip
def test_nothing_but_the_parts_of_models_can_be_named(module: str, name: str) -> None:
    for body in (body_of([[NAME, 0]], [(module, name)]), call_of(module, name)):
        with pytest.raises(frozen.Unreadable) as refused:
            frozen.thaw(body)
        assert refused.value.reason == "foreign"


@pytest.mark.parametrize(("module", "name"), sorted(frozen.NAMED))
def test_what_may_be_held_is_not_called(module: str, name: str) -> None:
    assert callable(frozen.thaw(body_of([[NAME, 0]], [(module, name)])))
    with pytest.raises(frozen.Unreadable) as refused:
        frozen.thaw(call_of(module, name))
    assert refused.value.reason == "foreign"


def test_a_signed_body_that_would_run_code_is_refused_before_it_runs() -> None:
    body = call_of("os", "mkdir", "should-not-be-there")
    assert refusal(signed(copy(TREE_MODEL, body=body), KEY)) == "foreign"
    assert not os.path.exists("should-not-be-there")


def test_methods_that_are_not_known_are_refused() -> None:
    with pytest.raises(frozen.Unreadable, match=r"PageHinkley\.update"):
        frozen.freeze(PageHinkley().update)
    detector = [OBJECT, 0, True, [], {}, [], []]
    with pytest.raises(frozen.Unreadable, match=r"PageHinkley\.update"):
        frozen.thaw(body_of([[METHOD, [1], "update"], detector], [(PageHinkley.__module__, PageHinkley.__qualname__)]))


@pytest.mark.parametrize("thing", [open, os.system, lambda: None, 2**70, 1j, re.compile("a"), Thread()])
def test_what_could_not_be_read_again_is_not_written(thing: Any) -> None:
    with pytest.raises((frozen.Unreadable, OverflowError)):
        frozen.freeze([thing])


SHARED: list[Any] = [1, "a"]
THINGS: list[Any] = [
    None,
    -0.0,
    2**63 - 1,
    b"\0",
    {"a": [True, 1, 1.0], (1, "b"): {2, 3}, 4.0: frozenset({"x", "y"})},
    [SHARED, SHARED, {"again": SHARED}],
    defaultdict(int, {"a": 1}),
    deque([1, SHARED], maxlen=3),
    Counter("abca"),
    OrderedDict([("b", 1), ("a", 2)]),
    {"random": Random(5)},
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_plain_things_come_back_as_they_were(thing: Any) -> None:
    written = frozen.freeze({"it": thing})
    back = frozen.thaw(written)["it"]
    assert type(back) is type(thing)
    assert repr(back) == repr(thing) or back["random"].getstate() == thing["random"].getstate()
    assert frozen.freeze({"it": back}) == written


def test_what_was_one_object_is_one_again() -> None:
    held: list[Any] = []
    held.append({"itself": held})
    back = frozen.thaw(frozen.freeze([held, held]))
    assert back[0] is back[1] is back[0][0]["itself"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed"),
        (b"no model", "malformed"),
        (zlib.compress(b"no model"), "malformed"),
        (body_of(b""), "malformed"),
        (body_of([]), "malformed"),
        (body_of([[LIST, [[7]]]]), "malformed"),
        (body_of([[LIST, [["a"]]]]), "malformed"),
        (body_of([[99, []]]), "malformed"),
        (body_of([[DICT, [1]]]), "malformed"),
        (body_of([[TUPLE, [[0]]]]), "malformed"),
        (body_of([[SET, [[1]]], [LIST, []]]), "malformed"),
        (body_of([[OBJECT, 0, False, [[0]], None, [], []]], [("collections", "deque")]), "malformed"),
        (body_of([[NAME, 5]]), "malformed"),
        (body_of([[TUPLE, [[n + 1]]] for n in range(5_000)] + [[LIST, []]]), "malformed"),
        ((TREE_MODEL.body or b"")[:-10], "malformed"),
        ((TREE_MODEL.body or b"") + b"more", "malformed"),
        (body_of([[LIST, []]], format=1), "malformed"),
        (body_of([[LIST, []]], format=frozen.FORMAT + 1), "newer"),
        (body_of([[LIST, []]], river=[99, 0]), "newer"),
        (bytes(BODY_MAX_BYTES + 1), "malformed"),
    ],
)
def test_bodies_that_cannot_be_read(body: bytes, reason: str) -> None:
    assert refusal(signed(copy(TREE_MODEL, body=body), KEY)) == reason


def test_a_small_body_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "PLAIN_MAX_BYTES", 10_000)
    with pytest.raises(frozen.Unreadable, match="too many"):
        frozen.thaw(body_of([[LIST, [bytes(20_000)]]]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_one_error(data: bytes) -> None:
    for body in (data, zlib.compress(data), body_of(data)):
        with suppress(frozen.Unreadable):
            frozen.thaw(body)


def test_a_snapshot_survives_the_contract() -> None:
    for model in (LINEAR_MODEL, TREE_MODEL):
        assert through_kafka(model) == model
