"""The learner of one risk: matured labels in, snapshots of models out. Pure and deterministic.

Owns what is learned and what is only counted, the contest between champion and challengers, and when a model is
published. The same labels in the same order give the same models, byte for byte, also when the learner was stored and
read back anywhere between two of them.
"""

from __future__ import annotations

import hmac
from array import array
from collections import deque
from hashlib import blake2b, sha256
from math import isnan, nan
from typing import Any, Final

from streams.contracts.outputs import Example, Model
from streams.definitions.model import Risk
from streams.engine.scoring.features import STANDARD
from streams.engine.scoring.scorer import ModelRefused
from streams.learner import frozen, pipelines, snapshots
from streams.learner.cohorts import Cohorts, Label
from streams.learner.columns import Columns
from streams.learner.contender import Contender
from streams.learner.quality import Quality, quality

REMEMBERED: Final = 5_000
"""Ids of the newest examples, so that one that comes twice is learned once."""
PATIENCE: Final = 1_000
"""That part of a horizon is waited for more labels of the same time."""
MAC_BYTES: Final = 32
COUNTS: Final = (
    "learned",
    "left_out",  # of customers who are not learned from, because there are so many
    "repeated",  # come twice
    "foreign",  # of another risk or signature
    "imputed",  # values that were missing
    "promoted",  # changes of the champion
    "oversize",  # models too large to be published
)


class Learner:
    """``learn`` takes labels in the order of their topic; everything else asks."""

    def __init__(self, risk: Risk, definition: int, key: bytes, *, version: int = 0) -> None:
        """``key`` signs models and state. ``version``: that of the newest model of the risk so far.

        Raises ``ValueError`` for a pipeline that there is not, and for a key that is too short.
        """
        snapshots.checked(key)
        self.risk = risk
        self.definition = definition
        self.version = version
        self.counts = dict.fromkeys(COUNTS, 0)
        self.trues = 0
        """Learned labels that came true."""
        self.learned_until = 0
        """Newest label taken (ms)."""
        self._key = key
        self._contenders = [Contender(p, risk.learning.window) for p in _pipelines(risk)]
        self._champion = 0
        self.features = risk.features or STANDARD
        self._columns = Columns(self.features)
        self._cohorts = Cohorts()
        self._issued: deque[tuple[float, bool]] = deque(maxlen=risk.learning.window)
        self._seen: dict[int, None] = {}
        self._next_model = 0
        self._checked = 0

    # -- what it learns ----------------------------------------------------------------------------------------------

    def learn(self, example: Example) -> list[Model]:
        """Take one label; learn from those whose time has come, and publish what is due."""
        if example.risk != self.risk.name or example.signature != self.risk.signature:
            self.counts["foreign"] += 1
            return []
        seen = int.from_bytes(blake2b(example.example_id.encode(), digest_size=7).digest())
        if seen in self._seen:
            self.counts["repeated"] += 1
            return []
        if len(self._seen) >= REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[seen] = None
        self.learned_until = max(self.learned_until, example.matured_at)
        customer = self._cohorts.hash_of(example.customer)
        if customer is None:
            self.counts["left_out"] += 1
        else:
            by_model = "@" in example.model  # neither the prior nor a rule
            issued = min(1.0, max(0.0, example.score)) if by_model else nan
            due = example.scored_at + self.risk.horizon_ms
            values = self._columns.packed(example.features)
            self._cohorts.wait(Label(due, seen, customer, example.label, issued, values))
        # Those of one instant come one after the other, and those of other partitions a little later.
        until = self.learned_until - 1 - self.risk.horizon_ms // PATIENCE
        return [model for label in self._cohorts.complete(until) for model in self._learn(label)]

    def _learn(self, label: Label) -> list[Model]:
        x, missing = self._columns.learn(label.values)
        if not isnan(label.issued):
            self._issued.append((label.issued, label.came_true))
        for contender in self._contenders:
            contender.learn(x, label.came_true, label.due - self.risk.horizon_ms)
        self.counts["learned"] += 1
        self.counts["imputed"] += missing
        self.trues += label.came_true
        if not self._sound():
            return []
        for contender in self._contenders:
            contender.keep(label.due, self.risk.horizon_ms)
        return self._publish() if self.counts["learned"] >= self._next_model else []

    def _sound(self) -> bool:
        """There are enough labels for a model, and enough of each class."""
        least = max(1, self.risk.learning.at_least // 10)
        n = self.counts["learned"]
        return n >= self.risk.learning.at_least and min(self.trues, n - self.trues) >= least

    # -- what it publishes -------------------------------------------------------------------------------------------

    def _publish(self) -> list[Model]:
        self._next_model = self.counts["learned"] + self.risk.learning.publish_every
        qualities = self.qualities()
        if self.counts["learned"] - self._checked >= self.risk.learning.window:
            # The next check is of other labels: what was chance in these does not count twice.
            self._checked = self.counts["learned"]
            self._contest(qualities)
        model = self._snapshot(self._contenders[self._champion])
        if model is None:
            self.counts["oversize"] += 1
            return []
        self.version += 1
        model.version = self.version
        model.evaluation = self._evaluation(qualities)
        return [snapshots.signed(model, self._key)]

    def _contest(self, qualities: dict[str, Quality]) -> None:
        """A challenger that leads by the margin, and by more than chance, check after check, becomes the champion. One
        that does worse than saying the base rate of everyone leads nobody."""
        rules = self.risk.learning
        champion = qualities[self.champion]
        best: tuple[float, int] | None = None
        for i, contender in enumerate(self._contenders):
            found = qualities[contender.name]
            if i == self._champion:
                continue
            ahead = (
                min(found.labels, champion.labels) >= rules.at_least
                and found.log_loss <= champion.log_loss
                and found.log_loss < found.least
                and contender.leads(self._contenders[self._champion], rules.margin)
            )
            contender.lead = contender.lead + 1 if ahead else 0
            if contender.lead >= rules.for_checks and (best is None or found.auc > best[0]):
                best = (found.auc, i)
        if best is not None and self._snapshot(self._contenders[best[1]]) is not None:
            self._champion = best[1]
            self.counts["promoted"] += 1
            for contender in self._contenders:
                contender.lead = 0

    def _snapshot(self, contender: Contender) -> Model | None:
        """None if it is too large for the topic."""
        n = self.counts["learned"]
        model = Model(
            name=self.risk.name,
            version=self.version,
            signature=self.risk.signature,
            form="linear" if contender.linear else "river",
            algorithm=contender.name,
            features=list(self.features),
            means=list(self._columns.means),
            slope=contender.calibration.slope,
            shift=contender.calibration.shift,
            software=snapshots.software(),
            examples=n,
            base_rate=self.trues / n if n else 0.0,
            learned_until=self.learned_until,
            definition=self.definition,
        )
        if contender.linear:
            model.weights, model.means, model.scales, model.intercept = pipelines.linear(contender.model, self.features)
            return model
        model.body = frozen.freeze(contender.model)
        return model if len(model.body) <= snapshots.BODY_MAX_BYTES else None

    def _evaluation(self, qualities: dict[str, Quality]) -> dict[str, float]:
        champion = qualities[self.champion]
        figures = champion.figures()
        for i, found in enumerate(champion.bins):
            if found.labels:
                figures |= {
                    f"bin_{i}_labels": float(found.labels),
                    f"bin_{i}_score": found.score,
                    f"bin_{i}_rate": found.rate,
                }
        figures |= qualities["issued"].figures("issued_")
        for contender in self._contenders:
            if contender.name != self.champion:
                figures |= qualities[contender.name].figures(f"{contender.name}_")
        figures["loss_drifts"] = float(sum(self._contenders[self._champion].drifts.values()))
        figures["feature_drifts"] = float(sum(self._columns.drifts))
        return figures

    # -- what may be asked -------------------------------------------------------------------------------------------

    @property
    def champion(self) -> str:
        """Name of its pipeline."""
        return self._contenders[self._champion].name

    def qualities(self) -> dict[str, Quality]:
        """Pipeline -> quality on the newest labels, by what it knew when the score was made; ``issued``: of the scores
        that models gave out, as they stood on the examples. Costs some ms."""
        found = {c.name: c.quality() for c in self._contenders}
        found["issued"] = quality([score for score, _ in self._issued], [label for _, label in self._issued])
        return found

    @property
    def drifts(self) -> dict[str, int]:
        """What has drifted -> how often: ``loss.<pipeline>.<detector>`` and ``feature.<name>``."""
        found = {f"loss.{c.name}.{name}": n for c in self._contenders for name, n in c.drifts.items()}
        return found | {
            f"feature.{name}": n for name, n in zip(self._columns.names, self._columns.drifts, strict=True) if n
        }

    # -- another definition ------------------------------------------------------------------------------------------

    def adopt(self, risk: Risk, definition: int) -> Learner:
        """The learner under another definition of the same risk.

        With the same signature it goes on: pipelines that stay keep what they have learned, new ones begin, and the
        champion changes only if the definition names another one than before. With another signature everything
        begins anew but the versions. Raises ``ValueError`` like the constructor.
        """
        if risk.signature != self.risk.signature:
            return Learner(risk, definition, self._key, version=self.version)
        window = risk.learning.window
        known = {_identity(c.pipeline): c for c in self._contenders}
        contenders = [known.get(_identity(p)) or Contender(p, window) for p in _pipelines(risk)]
        held = self._contenders[self._champion]
        named_anew = _identity(risk.learning.champion) != _identity(self.risk.learning.champion)
        self._champion = contenders.index(held) if held in contenders and not named_anew else 0
        self._contenders = contenders
        for contender in contenders:
            contender.resize(window)
        self._issued = deque(self._issued, maxlen=window)
        self.risk = risk
        self.definition = definition
        return self

    # -- what is stored ----------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Everything that later models depend on, signed."""
        data = frozen.freeze(
            {
                "risk": self.risk.name,
                "signature": self.risk.signature,
                "version": self.version,
                "counts": dict(self.counts),
                "trues": self.trues,
                "learned_until": self.learned_until,
                "champion": self._champion,
                "contenders": [c.state() for c in self._contenders],
                "columns": self._columns.state(),
                "cohorts": self._cohorts.state(),
                "issued": array("d", [score for score, _ in self._issued]).tobytes(),
                "issued_labels": bytes(label for _, label in self._issued),
                "seen": array("Q", self._seen).tobytes(),
                "next_model": self._next_model,
                "checked": self._checked,
            }
        )
        return self._sign(data) + data

    @classmethod
    def load(cls, risk: Risk, definition: int, data: bytes, key: bytes) -> Learner:
        """The learner that ``dump`` stored, under the same definition.

        Raises ``ModelRefused`` (tampered, newer, foreign, malformed, signature) for bytes that are not its state.
        """
        learner = cls(risk, definition, key)
        body = data[MAC_BYTES:]
        if not hmac.compare_digest(learner._sign(body), data[:MAC_BYTES]):
            raise ModelRefused("tampered", f"the state of {risk.name} was changed, or signed with another key")
        try:
            state = frozen.thaw(body)
        except frozen.Unreadable as error:
            raise ModelRefused(error.reason, f"the state of {risk.name}: {error}") from error
        if (state["risk"], state["signature"]) != (risk.name, risk.signature):
            raise ModelRefused("signature", f"the state of {risk.name} is that of another definition")
        learner._restore(state)
        return learner

    def _restore(self, state: dict[str, Any]) -> None:
        window = self.risk.learning.window
        self.version = state["version"]
        self.counts |= state["counts"]
        self.trues = state["trues"]
        self.learned_until = state["learned_until"]
        self._champion = state["champion"]
        self._contenders = [Contender.of_state(one, window) for one in state["contenders"]]
        self._columns = Columns.of_state(state["columns"])
        self._cohorts = Cohorts.of_state(state["cohorts"])
        self._issued.extend(zip(array("d", state["issued"]), map(bool, state["issued_labels"]), strict=True))
        self._seen = dict.fromkeys(array("Q", state["seen"]))
        self._next_model = state["next_model"]
        self._checked = state["checked"]

    def _sign(self, data: bytes) -> bytes:
        return hmac.digest(self._key, b"journey learner 1\0" + data, sha256)


def _pipelines(risk: Risk) -> list[Any]:
    return [risk.learning.champion, *risk.learning.challengers]


def _identity(pipeline: Any) -> tuple[Any, ...]:
    return pipeline.name, pipeline.model, tuple(sorted(pipeline.options.items()))
