"""Which models a definition takes: those learned for the same labels, horizon and features."""

from __future__ import annotations

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
