"""All learners of one application, one for each risk and each action of its definition.

Owns which learner an example belongs to and what becomes of the learners when the definition changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.contracts.outputs import Example, Model
from streams.definitions.model import Definition
from streams.engine.decisions.plan import MODEL_PREFIX
from streams.learner.learner import Learner
from streams.learner.success import SuccessLearner


class School:
    def __init__(self, key: bytes) -> None:
        """``key`` signs models and state."""
        self.learners: dict[str, Learner | SuccessLearner] = {}
        """Risk, or ``action.<name>`` -> its learner, in the definition's order."""
        self.unknown = 0
        """Examples of risks that the definition does not have."""
        self._key = key
        self._versions: dict[str, int] = {}

    def adopt(self, definition: Definition) -> None:
        """Go over to another definition between two examples. Raises ``ValueError`` for pipelines that there are not.

        The versions of a risk that comes back after it was taken away go on where they were.
        """
        held = self.learners
        self._versions |= {name: learner.version for name, learner in held.items()}
        self.learners = {}
        for risk in definition.risks:
            known = held.get(risk.name)
            self.learners[risk.name] = (
                known.adopt(risk, definition.number)
                if isinstance(known, Learner)
                else Learner(risk, definition.number, self._key, version=self._versions.get(risk.name, 0))
            )
        for action in definition.actions:
            name = MODEL_PREFIX + action.name
            known = held.get(name)
            self.learners[name] = (
                known.adopt(action, definition)
                if isinstance(known, SuccessLearner)
                else SuccessLearner(action, definition, self._key, version=self._versions.get(name, 0))
            )

    def of_risk(self, name: str) -> Learner:
        """Raises ``KeyError`` where the definition has no such risk."""
        found = self.learners[name]
        if not isinstance(found, Learner):
            raise KeyError(name)
        return found

    def learn(self, example: Example) -> list[Model]:
        """One example to the learner that it belongs to."""
        learner = self.learners.get(example.risk)
        if learner is None:
            self.unknown += 1
            return []
        return learner.learn(example)

    def dump(self) -> dict[str, bytes]:
        """Risk -> state of its learner."""
        return {name: learner.dump() for name, learner in self.learners.items()}

    @property
    def versions(self) -> dict[str, int]:
        """Risk -> version of its newest model, also of risks that were taken away. Store it beside the states."""
        return self._versions | {name: learner.version for name, learner in self.learners.items()}

    def load(self, definition: Definition, states: Mapping[str, bytes], versions: Mapping[str, int]) -> None:
        """Take over what ``dump`` and ``versions`` gave under the same definition.

        Raises ``ModelRefused`` as ``Learner.load`` does.
        """
        self.learners = {}
        self._versions = dict(versions)
        for risk in definition.risks:
            data = states.get(risk.name)
            self.learners[risk.name] = (
                Learner(risk, definition.number, self._key, version=self._versions.get(risk.name, 0))
                if data is None
                else Learner.load(risk, definition.number, data, self._key)
            )
        for action in definition.actions:
            name = MODEL_PREFIX + action.name
            data = states.get(name)
            self.learners[name] = (
                SuccessLearner(action, definition, self._key, version=self._versions.get(name, 0))
                if data is None
                else SuccessLearner.load(action, definition, data, self._key)
            )
