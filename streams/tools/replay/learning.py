"""Learning while a file is replayed: one pass, and no score knows anything that came after it.

Owns how labels become models between two touchpoints, and the record of what was scored and what came to pass.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Final

from streams.contracts.outputs import Example, Model
from streams.definitions.model import Definition, Risk
from streams.engine.engine import Engine
from streams.learner.quality import Quality, auc, quality
from streams.learner.school import School
from streams.learner.snapshots import scorer_of

KEY: Final = b"it never leaves this process"
"""Models are signed as they are where they travel."""
TESTED: Final = 0.3
"""Share of the scores, the last by their time, over which quality is said: those before were there to learn from."""
RULES: Final = {"orders": "fewest orders", "days_since_order": "longest without order"}
"""Features that may be used as a score themselves: what a model must be better than."""


@dataclass(slots=True)
class Told:
    """The scores of one risk, with their labels."""

    risk: Risk
    scored_at: array[int] = field(default_factory=lambda: array("q"))
    labels: bytearray = field(default_factory=bytearray)
    scores: array[float] = field(default_factory=lambda: array("d"))
    by_model: bytearray = field(default_factory=bytearray)
    rules: dict[str, array[float]] = field(default_factory=dict)
    """Feature -> its value; NaN where it is missing."""

    def add(self, example: Example) -> None:
        self.scored_at.append(example.scored_at)
        self.labels.append(example.label)
        self.scores.append(example.score)
        self.by_model.append("@" in example.model)
        for name, values in self.rules.items():
            values.append(example.features.get(name, nan))


@dataclass(frozen=True, slots=True)
class RiskQuality:
    """How good the scores of one risk were, as they were given."""

    risk: str
    scores: int
    """Those whose horizon ended before the input did. Of later ones only the labels that are known early are known."""
    tested: int
    """The last of them by their time; all figures are over these."""
    tested_from: int
    """Time of the first of them (ms)."""
    by_prior: int
    """Among them those made before there was a model."""
    issued: Quality
    rules: dict[str, float]
    """Rule in words -> its AUC, with the better of both signs."""
    champion: str
    pipelines: dict[str, Quality]
    """Of the newest labels, as the learner judges; the champion first."""
    models: int
    drifts: dict[str, int]


class Learning:
    """The learners of a definition beside an engine."""

    def __init__(self, definition: Definition) -> None:
        self.school = School(KEY)
        self.school.adopt(definition)
        self._told = {risk.name: Told(risk) for risk in definition.risks}
        for name, told in self._told.items():
            features = self.school.of_risk(name).features
            told.rules = {rule: array("d") for rule in RULES if rule in features}

    def hear(self, examples: list[Example], engine: Engine) -> Iterator[Model]:
        """Learn from the labels of one call of the engine, which scores by what is published from its next call on."""
        for example in examples:
            told = self._told.get(example.risk)
            if told is not None:  # not the success of an action
                told.add(example)
            for model in self.school.learn(example):
                engine.adopt_model(scorer_of(model, KEY))
                yield model

    def qualities(self, end_ms: int | None) -> list[RiskQuality]:
        """``end_ms``: until when the input says what came to pass."""
        return [self._quality(told, end_ms) for told in self._told.values()]

    def _quality(self, told: Told, end_ms: int | None) -> RiskQuality:
        latest = -1 if end_ms is None else end_ms - told.risk.horizon_ms
        whole = [i for i, at in enumerate(told.scored_at) if at <= latest]
        whole.sort(key=lambda i: told.scored_at[i])
        # A score and those made at the same instant are tested together.
        first = told.scored_at[whole[int(len(whole) * (1.0 - TESTED))]] if whole else 0
        tested = [i for i in whole if told.scored_at[i] >= first]
        labels = [bool(told.labels[i]) for i in tested]
        learner = self.school.of_risk(told.risk.name)
        pipelines = learner.qualities()
        del pipelines["issued"]
        return RiskQuality(
            risk=told.risk.name,
            scores=len(whole),
            tested=len(tested),
            tested_from=first,
            by_prior=sum(not told.by_model[i] for i in tested),
            issued=quality([told.scores[i] for i in tested], labels),
            rules={RULES[name]: _by_rule([values[i] for i in tested], labels) for name, values in told.rules.items()},
            champion=learner.champion,
            pipelines=pipelines,
            models=learner.version,
            drifts=learner.drifts,
        )


def _by_rule(values: list[float], labels: list[bool]) -> float:
    """AUC of a feature, missing values at the mean of the others; with the sign that suits it."""
    known = [x for x in values if not isnan(x)]
    mean = sum(known) / len(known) if known else 0.0
    found = auc([mean if isnan(x) else x for x in values], labels)
    return max(found, 1.0 - found)
