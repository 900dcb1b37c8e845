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

HORIZON = 50
"""Minutes; one score is made a minute."""
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
        horizon_ms=HORIZON * 60_000,
        features=FEATURES,
        learning=learning,
        signature="5161",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # fields by name


def learning(*challengers: Pipeline, champion: Pipeline = LINEAR, **changes: object) -> Learning:
    return replace(LEARNING, champion=champion, challengers=challengers, **changes)  # type: ignore[arg-type]


def example(
    n: int,
    label: bool,
    values: Sequence[float],
    *,
    known_after: int = HORIZON,
    score: float = 0.5,
    model: str = "prior",
) -> Example:
    """The label of the score at minute ``n``."""
    features = {name: value for name, value in zip(FEATURES, values, strict=True) if value == value}
    return Example(
        example_id=f"{n:016x}",
        customer=f"c{n % 997}",
        risk="churn",
        signature="5161",
        scored_at=n * 60_000,
        matured_at=(n + known_after) * 60_000,
        label=label,
        features=features,
        score=score,
        model=model,
    )


def examples(n: int, seed: int = 1, *, missing: float = 0.0, bent: bool = False, first: int = 0) -> list[Example]:
    """The first ``n`` labels in the order in which they are known, of scores from minute ``first`` on.

    Their log-odds are known: recency raises the risk, orders lower it, noise does nothing. A risk that comes true is
    known at the end of the horizon, one that does not before. ``bent``: the risk is high far from the usual recency, on
    either side; no linear model sees that.
    """
    draw = random.Random(seed)
    found = []
    for i in range(first, first + n + HORIZON + 1):
        recency, orders, noise = draw.gauss(40.0, 20.0), draw.gauss(3.0, 2.0), draw.gauss(0.0, 1.0)
        odds = (
            (3.0 if abs(recency - 40.0) > 15.0 else -3.0)
            if bent
            else (recency - 40.0) / 20.0 - 0.8 * (orders - 3.0) / 2.0 - 0.5
        )
        p = 1.0 / (1.0 + exp(-odds))
        label = draw.random() < p
        values = [nan if draw.random() < missing else value for value in (recency, orders, noise)]
        after = HORIZON if label else draw.randint(1, HORIZON)
        found.append(example(i, label, values, known_after=after, score=p, model="churn@1" if i % 2 else "prior"))
    return sorted(found, key=lambda e: (e.matured_at, e.scored_at))[:n]
