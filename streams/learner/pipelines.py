"""River pipelines by name: what a definition's ``learn`` may call for, and how it is made.

Owns the default options. Whatever draws random numbers is seeded, so that the same labels always make the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log, sqrt
from typing import Any, Final, NamedTuple, Protocol

from river import compose, forest, linear_model, naive_bayes, neighbors, optim, preprocessing, tree

from streams.definitions.model import Pipeline
from streams.engine.scoring.scorer import STEEPEST

Options = Mapping[str, float | int | str | bool]
SURE: Final = 7.0
"""Log-odds beyond which a tree, a neighbourhood or the like is not believed: a leaf with labels of one class says 0 or
1."""
OPTIMIZERS: Final = {"sgd": optim.SGD, "adam": optim.Adam}


class Classifier(Protocol):
    """What is used of a River classifier."""

    def predict_proba_one(self, x: dict[str, float]) -> dict[bool, float]: ...

    def learn_one(self, x: dict[str, float], y: bool) -> None: ...


class Linear(NamedTuple):
    """A linear pipeline as plain numbers; for each feature in order."""

    weights: list[float]
    means: list[float]
    scales: list[float]
    """Standard deviation; 0 where the feature has not varied."""
    intercept: float


class Settling(optim.base.Scheduler):  # type: ignore[misc]  # River has no types for it
    """A learning rate that begins high, so that the first labels teach something, and falls to a floor, not to 0: what
    customers do goes on changing. After n labels it is lowest + (first - lowest) / (1 + n / settles_after)."""

    def __init__(self, first: float, lowest: float, settles_after: float) -> None:
        self.first = first
        self.lowest = min(first, lowest)
        self.settles_after = settles_after

    def get(self, t: int) -> float:
        return self.lowest + (self.first - self.lowest) / (1.0 + t / self.settles_after)


def _logistic_regression(options: Options) -> Any:
    optimizer = OPTIMIZERS.get(str(options["optimizer"]))
    if optimizer is None:
        raise ValueError(f"there is no optimizer {options['optimizer']!r} ({', '.join(OPTIMIZERS)})")
    rate = Settling(float(options["learning_rate"]), float(options["lowest_rate"]), float(options["settles_after"]))
    return compose.Pipeline(
        preprocessing.StandardScaler(),
        linear_model.LogisticRegression(
            optimizer=optimizer(rate),
            l2=float(options["l2"]),
            intercept_lr=rate,
            clip_gradient=1.0,
        ),
    )


def _scaled(last: Any) -> Any:
    return compose.Pipeline(preprocessing.StandardScaler(), last)


class _Kind(NamedTuple):
    make: Callable[[Options], Any]
    defaults: Options


_TREE: Final[Options] = {"grace_period": 200, "max_depth": 12, "delta": 1e-7, "tau": 0.05, "leaf_prediction": "nba"}

MODELS: Final[Mapping[str, _Kind]] = {
    "logistic_regression": _Kind(
        _logistic_regression,
        {"optimizer": "sgd", "learning_rate": 0.05, "lowest_rate": 0.0005, "settles_after": 200, "l2": 0.0001},
    ),
    "hoeffding_tree": _Kind(lambda options: tree.HoeffdingTreeClassifier(**options), _TREE),
    "hoeffding_adaptive_tree": _Kind(
        lambda options: tree.HoeffdingAdaptiveTreeClassifier(**options), {**_TREE, "seed": 1}
    ),
    "extremely_fast_decision_tree": _Kind(
        lambda options: tree.ExtremelyFastDecisionTreeClassifier(**options),
        {**_TREE, "min_samples_reevaluate": 200},
    ),
    "adaptive_random_forest": _Kind(
        lambda options: forest.ARFClassifier(**options),
        {**_TREE, "n_models": 10, "lambda_value": 6, "seed": 1},
    ),
    "gaussian_nb": _Kind(lambda _: _scaled(naive_bayes.GaussianNB()), {}),
    "knn": _Kind(
        lambda options: _scaled(
            neighbors.KNNClassifier(
                n_neighbors=options["n_neighbors"],
                engine=neighbors.LazySearch(window_size=options["window_size"]),
            )
        ),
        {"n_neighbors": 25, "window_size": 1_000},
    ),
}
"""Model name -> how it is made and its default options, by River's names where River has one."""


def build(pipeline: Pipeline) -> Any:
    """A fresh pipeline. Raises ``ValueError`` for a model or an option that there is not."""
    kind = MODELS.get(pipeline.model)
    if kind is None:
        raise ValueError(f"pipeline {pipeline.name}: there is no model {pipeline.model!r} ({', '.join(MODELS)})")
    unknown = sorted(set(pipeline.options) - set(kind.defaults))
    if unknown:
        known = ", ".join(kind.defaults) or "it has none"
        raise ValueError(f"pipeline {pipeline.name}: {pipeline.model} has no option {', '.join(unknown)} ({known})")
    try:
        return kind.make({**kind.defaults, **pipeline.options})
    except (TypeError, ValueError) as error:
        raise ValueError(f"pipeline {pipeline.name}: {error}") from error


def is_linear(pipeline: Any) -> bool:
    """Whether plain numbers say all there is to say about it."""
    return isinstance(pipeline, compose.Pipeline) and [type(step) for step in pipeline.steps.values()] == [
        preprocessing.StandardScaler,
        linear_model.LogisticRegression,
    ]


def linear(pipeline: Any, features: Sequence[str]) -> Linear:
    """The numbers of a linear pipeline."""
    scaler, regression = pipeline.steps.values()
    weights = regression.weights
    return Linear(
        [float(weights.get(name, 0.0)) for name in features],
        [float(scaler.means.get(name, 0.0)) for name in features],
        [sqrt(max(0.0, scaler.vars.get(name, 0.0))) for name in features],
        float(regression.intercept),
    )


def log_odds(pipeline: Classifier, x: dict[str, float], sure: float) -> float:
    """What the pipeline says of ``x``, before calibration, cut at ``sure`` either way."""
    p = pipeline.predict_proba_one(x).get(True, 0.0)
    # A model that has seen one class only answers with that class, or with nothing.
    if not 0.0 < p < 1.0:
        return 0.0 if p != p else sure if p >= 1.0 else -sure  # noqa: PLR0124 - NaN
    return max(-sure, min(sure, log(p / (1.0 - p))))


def sure(pipeline: Any) -> float:
    """How far its log-odds are believed."""
    return STEEPEST if is_linear(pipeline) else SURE
