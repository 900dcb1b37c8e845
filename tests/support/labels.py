"""Labels to learn from: a made-up risk whose truth is known, and the risk's definition.

Owns the world that the learner's tests share. Seeded; the same arguments give the same examples.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from math import exp, nan

from streams.contracts.outputs import Example
from streams.definitions.model import EventRef, Learning, Pipeline, Risk

KEY = b"a key for tests, of some length"
FEATURES = ("recency", "orders", "noise")
LINEAR = Pipeline("logistic", "logistic_regression")
TREE = Pipeline("tree", "hoeffding_tree", {"grace_period": 50})
FOREST = Pipeline("forest", "adaptive_random_forest", {"n_models": 3, "grace_period": 50})
LEARNING = Learning(champion=LINEAR, challengers=(), at_least=100, publish_every=100, window=500)


def risk(learning: Learning = LEARNING, **changes: object) -> Risk:
    plain = Risk(
        name="churn",
        comes_true="without",
        on=(EventRef("Order Completed"),),
        horizon_ms=90 * 86_400_000,
        features=FEATURES,
        learning=learning,
        signature="5161",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # fields by name


def learning(*challengers: Pipeline, champion: Pipeline = LINEAR, **changes: object) -> Learning:
    return replace(LEARNING, champion=champion, challengers=challengers, **changes)  # type: ignore[arg-type]


def example(n: int, label: bool, values: Sequence[float], *, score: float = 0.5, model: str = "prior") -> Example:
    features = {name: value for name, value in zip(FEATURES, values, strict=True) if value == value}
    return Example(
        example_id=f"{n:016x}",
        customer=f"c{n % 97}",
        risk="churn",
        signature="5161",
        scored_at=n * 60_000,
        matured_at=n * 60_000 + 90 * 86_400_000,
        label=label,
        features=features,
        score=score,
        model=model,
    )


def examples(n: int, seed: int = 1, *, missing: float = 0.0, bent: bool = False, first: int = 0) -> list[Example]:
    """Labels whose log-odds are known: recency raises the risk, orders lower it, noise does nothing.

    ``bent``: the risk is high far from the usual recency, on either side: no linear model sees that.
    """
    draw = random.Random(seed)
    found = []
    for i in range(first, first + n):
        recency, orders, noise = draw.gauss(40.0, 20.0), draw.gauss(3.0, 2.0), draw.gauss(0.0, 1.0)
        odds = (
            (3.0 if abs(recency - 40.0) > 15.0 else -3.0)
            if bent
            else (recency - 40.0) / 20.0 - 0.8 * (orders - 3.0) / 2.0 - 0.5
        )
        p = 1.0 / (1.0 + exp(-odds))
        values = [nan if draw.random() < missing else value for value in (recency, orders, noise)]
        found.append(example(i, draw.random() < p, values, score=p, model="churn@1" if i % 2 else "prior"))
    return found
