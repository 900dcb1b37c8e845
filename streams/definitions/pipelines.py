"""How the model of a risk learns: the pipelines that a definition may call for, by name, and the rule of promotion.

Owns the table of models with their options and bounds, and reading ``learn``. How a pipeline is made of River's parts
is in ``learner/pipelines.py``; a test compares the names and options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from streams.definitions.draft import Draft
from streams.definitions.faults import near_or_list
from streams.definitions.model import Learning, Pipeline
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_name

MAX_CHALLENGERS: Final = 5
"""Every label is learned by all of them."""


@dataclass(frozen=True, slots=True)
class Number:
    """An option between two bounds, both included."""

    lowest: float
    highest: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Whole:
    """An option that is a whole number."""

    lowest: int
    highest: int
    meaning: str


@dataclass(frozen=True, slots=True)
class OneOf:
    values: tuple[str, ...]
    meaning: str


Option = Number | Whole | OneOf


@dataclass(frozen=True, slots=True)
class ModelKind:
    called: str
    """Name of a pipeline of it that is given no other."""
    options: Mapping[str, Option]


_SEED: Final = Whole(0, 2**31 - 1, "of its random numbers: the same labels always make the same model")
_TREE: Final[dict[str, Option]] = {
    "grace_period": Whole(10, 100_000, "labels between two attempts to split a leaf"),
    "max_depth": Whole(1, 30, "levels of the tree"),
    "delta": Number(1e-12, 0.5, "allowed probability of a wrong split"),
    "tau": Number(0.0, 1.0, "below this bound ties are split"),
    "leaf_prediction": OneOf(("mc", "nb", "nba"), "majority, naive Bayes, or the better of both"),
}

MODELS: Final[dict[str, ModelKind]] = {
    "logistic_regression": ModelKind(
        "logistic",
        {
            "optimizer": OneOf(("sgd", "adam"), "how weights are moved"),
            "learning_rate": Number(1e-6, 1.0, "how far the first label moves the weights"),
            "lowest_rate": Number(0.0, 1.0, "how far a label moves them after very many"),
            "settles_after": Whole(1, 1_000_000, "labels after which the rate has come half the way down"),
            "l2": Number(0.0, 1.0, "pull of the weights to 0"),
        },
    ),
    "hoeffding_tree": ModelKind("tree", _TREE),
    "hoeffding_adaptive_tree": ModelKind("adaptive_tree", {**_TREE, "seed": _SEED}),
    "extremely_fast_decision_tree": ModelKind(
        "fast_tree",
        {**_TREE, "min_samples_reevaluate": Whole(1, 100_000, "labels between two looks at a split that was made")},
    ),
    "adaptive_random_forest": ModelKind(
        "forest",
        {
            **_TREE,
            "n_models": Whole(1, 100, "trees"),
            "lambda_value": Whole(1, 100, "mean number of times that a tree sees a label"),
            "seed": _SEED,
        },
    ),
    "gaussian_nb": ModelKind("bayes", {}),
    "knn": ModelKind(
        "neighbours",
        {
            "n_neighbors": Whole(1, 1_000, "labels that a score is the mean of"),
            "window_size": Whole(10, 10_000, "newest labels among which they are sought"),
        },
    ),
}
"""By River's names, where River has one."""

COUNTS: Final[dict[str, tuple[int, int, str]]] = {
    "at_least": (10, 1_000_000, "labels before the first model, and a tenth of that of each class"),
    "publish_every": (1, 1_000_000, "labels between two models"),
    "window": (100, 100_000, "newest labels on which pipelines are compared"),
    "for_checks": (
        1,
        100,
        "in so many checks in a row, one each `window` labels, must a challenger lead to be promoted",
    ),
}
"""Key of ``learn`` -> lowest, highest, meaning."""

_USUAL: Final = (Learning().champion, *Learning().challengers)


def read_learning(node: Node | None, draft: Draft) -> Learning:
    if node is None:
        return Learning()
    table = Table(node, draft.report, "'learn'")
    champion_node = table.take("champion")
    champion = None if champion_node is None else _pipeline(champion_node, "'champion'", draft)
    challengers = _challengers(table.take("challengers"), champion or _USUAL[0], draft)
    given: dict[str, Any] = {}
    for key, (lowest, highest, _) in COUNTS.items():
        given[key] = table.integer(key, lowest, highest)
    given["margin"] = table.number("margin", 0.0, 0.5)
    table.finish()
    learning = replace(
        Learning(champion=champion or _USUAL[0], challengers=challengers),
        **{key: value for key, value in given.items() if value is not None},
    )
    if learning.window < learning.at_least:
        # Quality of the first models would be judged on fewer labels than asked for.
        draft.report.fault(
            table.key_place("window" if "window" in table else "at_least"),
            f"'window' ({learning.window}) is shorter than 'at_least' ({learning.at_least})",
            "pipelines are compared on the labels of the window",
        )
    return learning


def _challengers(node: Node | None, champion: Pipeline, draft: Draft) -> tuple[Pipeline, ...]:
    if node is None:
        return tuple(p for p in _USUAL if p.name != champion.name and p.model != champion.model)
    out: list[Pipeline] = []
    items = node.items if node.kind == "list" else [node]
    if len(items) > MAX_CHALLENGERS:
        draft.report.fault(node, f"more than {MAX_CHALLENGERS} challengers", "every label is learned by all of them")
        return ()
    for item in items:
        found = _pipeline(item, "a challenger", draft)
        if found is None:
            continue
        for other, role in [(champion, "the champion"), *((p, "another challenger") for p in out)]:
            if found.name == other.name:
                hint = f"give it another name: {{model: {found.model}, name: ...}}"
                draft.report.fault(item, f"{role} is called {found.name!r} as well", hint)
                break
            if (found.model, found.options) == (other.model, other.options):
                draft.report.fault(
                    item, f"this challenger is the same as {role}", "remove it, or give it other options"
                )
                break
        else:
            out.append(found)
    return tuple(out)


def _pipeline(node: Node, what: str, draft: Draft) -> Pipeline | None:
    """``hoeffding_tree`` or ``{model: hoeffding_tree, name: tree, grace_period: 100}``."""
    table = None if node.kind == "scalar" else Table(node, draft.report, what)
    place = node if table is None else table.need("model", "for example " + ", ".join(list(MODELS)[:3]))
    if place is None or (table is not None and node.kind != "map"):
        return None
    kind = MODELS.get(place.text) if place.kind == "scalar" else None
    if kind is None:
        name = place.text if place.kind == "scalar" else place.spoken
        draft.report.fault(place, f"no model is called {name!r}", near_or_list(name, MODELS))
        return None
    if table is None:
        return Pipeline(kind.called, place.text)
    table.what = place.text
    label = table.take("name")
    name_ = kind.called if label is None else read_name(label, draft.report, "'name'")
    options: dict[str, float | int | str | bool] = {}
    for key, option in kind.options.items():
        value = _option(table, key, option)
        if value is not None:
            options[key] = value
    table.finish()
    return None if name_ is None else Pipeline(name_, place.text, options)


def _option(table: Table, key: str, option: Option) -> float | int | str | None:
    match option:
        case Number(lowest=lowest, highest=highest):
            return table.number(key, lowest, highest)
        case Whole(lowest=least, highest=most):
            return table.integer(key, least, most)
        case OneOf(values=values):
            return table.choice(key, values)
