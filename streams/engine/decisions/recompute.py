"""A decision computed again from its record: the same candidates, models and definition choose the same.

Owns what that needs: candidates with their C, V and L, the snapshot of each one's P by name@version, the features that
a contextual one looked at, the arbitration of the definition, and the draw, which follows from the customer, the
decision and the definition.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.contracts.outputs import Candidate, Decision
from streams.definitions.model import Definition
from streams.definitions.policy import Arbitration
from streams.engine.decisions import arbitration
from streams.engine.decisions.arbitration import ActionModel, Posterior
from streams.engine.decisions.choice import draw_of
from streams.engine.decisions.context import of_names
from streams.engine.decisions.options import PRIOR


def recompute(decision: Decision, definition: Definition, models: Mapping[str, ActionModel]) -> Candidate | None:
    """The candidate that is chosen; None where a gate closed each. ``models``: by name@version.

    Raises ``KeyError`` for a snapshot that is not among them.
    """
    rules = definition.arbitration
    passed = [candidate for candidate in decision.candidates if candidate.propensity is not None]
    if not passed:
        return None
    scales, known = [], []
    for candidate in passed:
        model = models[candidate.model or ""] if candidate.model != PRIOR else None
        scales.append((candidate.c or 0.0) * (candidate.v or 0.0) * (candidate.l or 0.0))
        known.append(_known(decision, candidate, model, rules))
    learned = any(candidate.model != PRIOR for candidate in passed)
    chosen = arbitration.propensities(rules, scales, known, learned=learned)
    if max(chosen) == 1.0:
        return passed[chosen.index(1.0)]
    return passed[arbitration.pick(chosen, draw_of(decision.customer, decision.decision_id, definition.digest))]


def _known(decision: Decision, candidate: Candidate, model: ActionModel | None, rules: Arbitration) -> Posterior:
    if model is None:
        return arbitration.posterior(rules, 0.0, 0.0)
    if candidate.usual is not None and model.context is not None:
        values = of_names(model.context.names, decision.features)
        if values is not None:
            return model.context.known(values)
    return arbitration.posterior(rules, model.positives, model.negatives)
