"""The contextual contender of an action: a River model of its success by the customer's features, against the counts.

Owns when it is in force: it is judged on labels that it has not learned, beside what the counts said of the same
contacts, and promoted, or taken back, by more than chance, as a challenger of a risk is. Both ways need that: once it
chooses, an action goes to those who respond to it, the counts come to know of nobody else, and say the same as it does;
were it taken back for being no better than them, everyone would be asked at random again.

It keeps, beside the weights, how well each is known: the precision of Laplace's approximation, as in Chapelle and Li
2011 (``engine/decisions/context.py``).
"""

from __future__ import annotations

from array import array
from collections import deque
from math import isnan, sqrt
from statistics import fmean
from typing import Any, Final

from streams.contracts.outputs import Model
from streams.definitions.model import Pipeline
from streams.learner import pipelines
from streams.learner.cohorts import Label
from streams.learner.columns import Columns
from streams.learner.contender import CHANCE, Contender
from streams.learner.quality import Quality, log_loss, quality

PIPELINE: Final = Pipeline("contextual", "logistic_regression")
AT_LEAST: Final = 200
"""Labels before it is judged, and a tenth of that of each class."""
WINDOW: Final = 1_000
"""Labels of a check: those of the next are other ones."""
FOR_CHECKS: Final = 2
"""Checks in a row in which it is ahead by more than chance (or, once it is in force, behind)."""
EARLY: Final = 250
"""Labels after which a check is looked at before it is over:"""
PLAIN: Final = 4.0
"""standard errors that need no second check, nor the rest of the first."""
PRIOR: Final = 1.0
"""Precision of a weight before the first label: standardised features that move the log-odds by 1 are no surprise."""


class Contextual:
    def __init__(self, names: tuple[str, ...], meaning: str, since: int) -> None:
        """``meaning``: digest of the features (``plan.context_of``). ``since``: number of the definition from which on
        examples have them."""
        self.names = names
        self.meaning = meaning
        self.since = since
        self.in_force = False
        self.columns = Columns(names)
        self._contender = Contender(PIPELINE, WINDOW)
        self._counts: deque[float] = deque(maxlen=WINDOW)
        """What the counts said of the labels that the contender was judged by."""
        self._precisions = [PRIOR] * (1 + len(names))
        self._judged = 0
        self._checked = 0
        self._in_a_row = 0
        self._trues = 0

    def packed(self, features: dict[str, float], definition: int) -> bytes:
        """The features of an example; all missing where they meant something else."""
        return self.columns.packed(features if definition >= self.since else {})

    def learn(self, label: Label, made: int, counts: float, horizon_ms: int) -> bool:
        """Judge and learn by the label of a contact of ``made`` (ms), of which the counts said the probability
        ``counts``. True if it has come into force, or is no longer."""
        if all(map(isnan, array("f", label.values))):
            return False
        x, _ = self.columns.learn(label.values)
        contender = self._contender
        self._know(x)
        if not isnan(contender.learn(x, label.came_true, made)):
            self._counts.append(counts)
            self._judged += 1
        self._trues += label.came_true
        if contender.learned >= AT_LEAST and min(self._trues, contender.learned - self._trues) >= AT_LEAST // 10:
            contender.keep(label.due, horizon_ms)
        n = self._judged - self._checked
        return n > 0 and n % EARLY == 0 and self._check(n)

    def _know(self, x: dict[str, float]) -> None:
        """Add what one label tells of each weight: z^2 p (1 - p)."""
        p = self._contender.calibration.of(self._contender.odds(x))
        told = p * (1.0 - p)
        self._precisions[0] += told
        found = pipelines.linear(self._contender.model, self.names)
        for i, (value, mean, scale) in enumerate(zip(x.values(), found.means, found.scales, strict=True), 1):
            if scale > 0.0:
                self._precisions[i] += ((value - mean) / scale) ** 2 * told

    def _check(self, n: int) -> bool:
        ahead, chance = self.lead(n)
        better = -ahead if self.in_force else ahead
        if better <= 0.0 or better < PLAIN * chance:
            if n < WINDOW:
                return False
            self._checked = self._judged
            self._in_a_row = self._in_a_row + 1 if better > 0.0 and better >= CHANCE * chance else 0
            if self._in_a_row < FOR_CHECKS:
                return False
        self._checked = self._judged
        self._in_a_row = 0
        self.in_force = not self.in_force
        return True

    def lead(self, n: int = WINDOW) -> tuple[float, float]:
        """(by how much its log loss on the newest labels is below that of the counts, standard error of that)."""
        labels, own = self._contender.labels, self._contender.scores
        gains = [log_loss(c, y) - log_loss(s, y) for c, s, y in zip(self._counts, own, labels, strict=True)][-n:]
        if len(gains) < 2:
            return 0.0, 0.0
        mean = fmean(gains)
        return mean, sqrt(sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1) / len(gains))

    def write(self, model: Model) -> None:
        """Make of a snapshot of counts one that looks at the customer."""
        model.form = "contextual"
        model.algorithm = PIPELINE.model
        model.features = list(self.names)
        found = pipelines.linear(self._contender.model, self.names)
        model.weights, model.means, model.scales, model.intercept = found
        calibration = self._contender.calibration
        model.slope, model.shift = calibration.slope, calibration.shift
        model.precisions = list(self._precisions)
        model.context = self.meaning

    def figures(self) -> dict[str, float]:
        """On the newest labels: quality of what it said, log loss of the counts, and the lead; nothing while it has not
        been judged."""
        if not self._counts:
            return {}
        ahead, chance = self.lead()
        counts = quality(list(self._counts), list(self._contender.labels))
        return {
            **self.quality().figures("contextual_"),
            "counts_log_loss": counts.log_loss,
            "contextual_lead": ahead,
            "contextual_lead_error": chance,
        }

    def quality(self) -> Quality:
        return self._contender.quality()

    def state(self) -> dict[str, Any]:
        """Everything that later labels depend on, made of plain values and River objects."""
        return {
            "names": list(self.names),
            "meaning": self.meaning,
            "since": self.since,
            "in_force": self.in_force,
            "columns": self.columns.state(),
            "contender": self._contender.state(),
            "counts": array("d", self._counts).tobytes(),
            "precisions": array("d", self._precisions).tobytes(),
            "judged": self._judged,
            "checked": self._checked,
            "in_a_row": self._in_a_row,
            "trues": self._trues,
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Contextual:
        found = cls(tuple(state["names"]), state["meaning"], state["since"])
        found.in_force = state["in_force"]
        found.columns = Columns.of_state(state["columns"])
        found._contender = Contender.of_state(state["contender"], WINDOW)
        found._counts.extend(array("d", state["counts"]))
        found._precisions = list(array("d", state["precisions"]))
        found._judged = state["judged"]
        found._checked = state["checked"]
        found._in_a_row = state["in_a_row"]
        found._trues = state["trues"]
        return found
