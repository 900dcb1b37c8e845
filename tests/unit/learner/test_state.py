"""A learner that was stored and read back gives the models of one that never stopped, byte for byte.

Owns the proof for every pipeline, at any label, and in another process with another seed of Python's hashes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.output_codec import body
from streams.definitions.model import Learning, Pipeline
from streams.engine.scoring.scorer import ModelRefused
from streams.learner.learner import Learner
from tests.support.labels import FOREST, KEY, LINEAR, TREE, examples, learning, risk

ALL = [
    LINEAR,
    Pipeline("adam", "logistic_regression", {"optimizer": "adam", "learning_rate": 0.01}),
    TREE,
    Pipeline("adaptive", "hoeffding_adaptive_tree", {"grace_period": 50}),
    Pipeline("fast", "extremely_fast_decision_tree", {"grace_period": 50}),
    FOREST,
    Pipeline("bayes", "gaussian_nb"),
    Pipeline("near", "knn", {"window_size": 100, "n_neighbors": 5}),
]


def models(learner: Learner, start: int, end: int) -> list[bytes]:
    world = examples(end, missing=0.05, bent=True)
    return [body(model) for one in world[start:] for model in learner.learn(one)]


@pytest.mark.parametrize("pipeline", ALL, ids=lambda p: p.name)
def test_any_pipeline_goes_on_where_it_was(pipeline: Pipeline) -> None:
    rules = risk(learning(champion=pipeline, at_least=50, publish_every=50))
    straight = Learner(rules, 1, KEY)
    models(straight, 0, 300)
    again = Learner.load(rules, 1, straight.dump(), KEY)
    assert again.dump() == straight.dump()
    following = models(straight, 300, 600)
    assert len(following) == 6
    assert models(again, 300, 600) == following
    assert again.dump() == straight.dump()


CONTEST = learning(TREE, FOREST, at_least=50, publish_every=50, for_checks=2, window=200)


def contest(rules: Learning, stops: list[int], end: int) -> tuple[list[bytes], bytes]:
    learner = Learner(risk(rules), 1, KEY)
    found: list[bytes] = []
    at = 0
    for stop in [*sorted(stops), end]:
        found += models(learner, at, stop)
        learner = Learner.load(risk(rules), 1, learner.dump(), KEY)
        at = stop
    return found, learner.dump()


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=5))
def test_stopped_anywhere(stops: list[int]) -> None:
    assert contest(CONTEST, stops, 400) == uninterrupted()


@cache
def uninterrupted() -> tuple[list[bytes], bytes]:
    return contest(CONTEST, [], 400)


def digest() -> str:
    found, state = contest(CONTEST, [100, 250], 400)
    return sha256(b"".join(found) + state).hexdigest()


def test_another_process_gives_the_same_bytes() -> None:
    """Python gives texts another hash in each process; no set or table may let that show."""
    code = "from tests.unit.learner.test_state import digest; print(digest())"
    root = Path(__file__).parents[3]
    said = [
        subprocess.run(  # our own code
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert said == [digest()] * 2


def taught() -> Learner:
    learner = Learner(risk(learning(TREE)), 1, KEY)
    models(learner, 0, 120)
    return learner


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_state_that_was_touched_is_refused(data: st.DataObject) -> None:
    state = bytearray(taught_state)
    at = data.draw(st.integers(0, len(state) - 1))
    state[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([len(state), at]))
    with pytest.raises(ModelRefused) as refused:
        Learner.load(risk(learning(TREE)), 1, bytes(state[:cut]), KEY)
    assert refused.value.reason == "tampered"


taught_state = taught().dump()


def test_state_of_another_key_or_signature_is_refused() -> None:
    with pytest.raises(ModelRefused, match="another key"):
        Learner.load(risk(learning(TREE)), 1, taught_state, b"some other key of that length")
    with pytest.raises(ModelRefused, match="another definition") as refused:
        Learner.load(risk(learning(TREE), signature="other"), 1, taught_state, KEY)
    assert refused.value.reason == "signature"
