"""All learners of one application, one for each risk of its definition.

Owns which learner an example belongs to and what becomes of the learners when the definition changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.contracts.outputs import Example, Model
from streams.definitions.model import Definition
from streams.learner.learner import Learner


class School:
    def __init__(self, key: bytes) -> None:
        """``key`` signs models and state."""
        self.learners: dict[str, Learner] = {}
        """Risk -> its learner, in the definition's order."""
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
        self.learners = {
            risk.name: held[risk.name].adopt(risk, definition.number)
            if risk.name in held
            else Learner(risk, definition.number, self._key, version=self._versions.get(risk.name, 0))
            for risk in definition.risks
        }

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
