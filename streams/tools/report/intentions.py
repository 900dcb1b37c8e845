"""What another definition would have decided: its engine over the same touchpoints, and each choice's probabilities.

Owns which models it decides with: those that were published, each from the newest label on that it was learned from, so
that no decision knows anything that came after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from streams.contracts.outputs import Decision, Model, Outputs
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.engine.engine import Engine
from streams.engine.scoring.scorer import ModelRefused
from streams.learner.snapshots import scorer_of
from streams.tools.report.records import Intended


class OtherPolicy:
    """The engine of another definition for one partition (a file is one)."""

    def __init__(
        self,
        definition: Definition,
        models: Iterable[Model],
        hear: Callable[[Intended], None],
        *,
        partition: int = 0,
        partitions: int | None = None,
    ) -> None:
        self._engine = Engine(definition, partition=partition, partitions=partitions)
        # What is more than numbers needs a key and is a risk's anyway; those of actions are numbers only.
        plain = [model for model in models if model.form in ("beta", "contextual")]
        self._models = deque(sorted(plain, key=lambda model: (model.learned_until, model.version)))
        self._hear = hear

    def process(self, touchpoint: Touchpoint) -> None:
        while self._models and self._models[0].learned_until < touchpoint.occurred_at:
            try:
                self._take(self._engine.adopt_model(scorer_of(self._models.popleft(), None)))
            except ModelRefused:
                continue  # of an action that it has not, or that means success otherwise: the prior decides
        self._take(self._engine.process((touchpoint,), None))

    def _take(self, outputs: Outputs) -> None:
        for decision in outputs.decisions:
            found = intention(decision)
            if found is not None:
                self._hear(found)
        self._engine.changed()  # taking the records lets go of what they hold


def intention(decision: Decision) -> Intended | None:
    """None for what is decided anew later, and for further steps of a sequence."""
    if decision.step or decision.outcome == "held":
        return None
    chances: dict[str, float] = {}
    if decision.outcome in ("issued", "held_out") or decision.arm is not None:
        chances = {one.action: one.propensity for one in decision.candidates if one.propensity}
    return Intended(decision.customer, decision.signal_id, decision.time, decision.journey, chances, decision.instance)
