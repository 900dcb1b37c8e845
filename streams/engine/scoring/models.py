"""Which models a definition takes: those learned for the same labels, horizon and features, or for the same success."""

from __future__ import annotations

from streams.engine.decisions.arbitration import ActionModel
from streams.engine.plan import Plan
from streams.engine.scoring.scorer import ModelRefused, Scorer


def refusal(plan: Plan, scorer: Scorer) -> ModelRefused | None:
    """Why the definition must not be scored by this model; None if it may."""
    risk = plan.risks.get(scorer.risk)
    if risk is None:
        return ModelRefused("unknown_risk", f"model {scorer.key}: the definition has no risk {scorer.risk!r}")
    if scorer.signature != risk.risk.signature:
        return ModelRefused(
            "signature",
            f"model {scorer.key} was learned for {scorer.signature!r}, but the definition's risk {scorer.risk!r} is "
            f"{risk.risk.signature!r}: its labels, horizon or features are other ones",
        )
    if len(scorer.means) != len(risk.names):
        return ModelRefused(
            "malformed", f"model {scorer.key} has {len(scorer.means)} features, its risk has {len(risk.names)}"
        )
    return None


def kept(plan: Plan, models: dict[str, Scorer]) -> dict[str, Scorer]:
    """Those that another definition still takes."""
    return {name: scorer for name, scorer in models.items() if refusal(plan, scorer) is None}


def refusal_of_action(plan: Plan, model: ActionModel) -> ModelRefused | None:
    """Why the definition must not choose by this model; None if it may."""
    signature = plan.policy.models.get(model.risk)
    if signature is None:
        return ModelRefused("unknown_risk", f"model {model.key}: the definition has no such action")
    if model.signature != signature:
        return ModelRefused(
            "signature",
            f"model {model.key} was learned for {model.signature!r}, but the definition's action is {signature!r}: its "
            "goal or attribution is another one",
        )
    return None


def kept_of_actions(plan: Plan, models: dict[str, ActionModel]) -> dict[str, ActionModel]:
    """Those that another definition still takes."""
    return {name: model for name, model in models.items() if refusal_of_action(plan, model) is None}
