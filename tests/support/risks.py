"""Risks for the laws and for the tests of scores: short horizons, every way of asking for a score, a linear model.

Owns three risks that fit the definition of ``worlds.py``: one by silence with a model, one by an event with a stated
prior, one with a date and a rule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from streams.contracts.outputs import Model
from streams.definitions.cel import compile_expression
from streams.definitions.model import (
    Action,
    Band,
    Definition,
    EventRef,
    ExpectedValue,
    Expression,
    OwnFeature,
    Risk,
    Segment,
    When,
)
from streams.engine.scoring.features import FEATURES, STANDARD
from streams.engine.scoring.scorer import LinearScorer
from tests.support.engines import D, H, M


def number(text: str) -> Expression:
    return compile_expression(text, "customer", "double")


def date(text: str) -> Expression:
    return compile_expression(text, "customer", "date")


def risk(name: str = "leaving", *on: str, **fields: Any) -> Risk:
    """A risk of a customer who orders nothing for ten days, scored each day, on a grid, by a few features."""
    fields.setdefault("comes_true", "without")
    fields.setdefault("horizon_ms", 10 * D)
    fields.setdefault("active_within_ms", 5 * D)
    fields.setdefault("every_ms", D)
    fields.setdefault("spread", False)
    fields.setdefault("features", ("days_since_touchpoint", "orders", "touchpoints"))
    fields.setdefault("signature", f"{name}-1")
    return Risk(name, on=tuple(map(EventRef, on or ("Order Completed",))), **fields)


def with_risks(definition: Definition, *risks: Risk, **fields: Any) -> Definition:
    """The definition with these risks; what else is given replaces other parts of it."""
    return replace(definition, risks=risks, digest=f"{definition.digest}/{risks!r}", **fields)


def linear(
    of: Risk, weights: dict[str, float], *, version: int = 1, intercept: float = 0.0, **fields: Any
) -> LinearScorer:
    """A model with these weights, on values as models see them, mean 0 and scale 1."""
    names = list(of.features or STANDARD)
    return LinearScorer(
        Model(
            of.name,
            version,
            fields.pop("signature", of.signature),
            "linear",
            "logistic",
            features=names,
            weights=[weights.get(name, 0.0) for name in names],
            means=fields.pop("means", [0.0] * len(names)),
            scales=fields.pop("scales", [1.0] * len(names)),
            intercept=intercept,
            **fields,
        )
    )


OWN: Final = (
    OwnFeature("web_share", number("channel_share.web"), "share of visits by web"),
    OwnFeature("seen_for", number("days_since_first_seen * 24.0"), "hours since the first touchpoint", "hours"),
    OwnFeature("wish", number("traits.wish"), "wishes"),
)
LEAVING: Final = risk(
    "leaving",
    horizon_ms=6 * H,
    active_within_ms=5 * H,
    every_ms=1 * H,
    spread=True,
    score_on=(When("friction", severity=("high", "critical")), When("abandonment"), When("stage_left")),
    apart_ms=10 * M,
    bands=(Band("low", 0.0), Band("medium", 0.4), Band("high", 0.6)),
    features=(*FEATURES, *(own.name for own in OWN)),
)
UPSET: Final = risk(
    "upset",
    "Contact Started",
    "Agent Replied",
    comes_true="with",
    horizon_ms=2 * H,
    active_within_ms=1 * D,
    every_ms=30 * M,
    score_on=(When("satisfaction"), When("stalled"), When("segment_entered"), When("milestone")),
    apart_ms=0,
    prior=0.45,
    # The last three are moved by the company's touchpoints, too.
    features=("days_since_touchpoint", "orders", "touchpoints", "stage_reached", "unresolved_contacts", "reached_7d"),
)
RENEWAL: Final = risk(
    "renewal",
    "Onboarding Completed",
    horizon_ms=1 * D,
    until=date("traits.renewal"),
    active_within_ms=1 * D,
    every_ms=3 * H,
    prior=number("touchpoints > 6.0 ? 0.9 : 0.2"),
    features=("days_since_touchpoint", "stage_reached", "wish"),
)
RISKS: Final = (LEAVING, UPSET, RENEWAL)
VALUE: Final = ExpectedValue(horizon_ms=1 * D, prior_within_ms=1 * D)
MODEL: Final = linear(
    LEAVING,
    {
        "days_since_touchpoint": 9.0,
        "orders": -0.4,
        "visits": -0.2,
        "touchpoint_7d": 0.3,
        "friction_7d": 0.5,
        "issued_30d": -0.5,
        "stage_reached": -0.6,
        "web_share": 0.4,
        "unresolved_contacts": 0.7,
        "mood": -0.5,
        "wish": 0.2,
    },
    means=[0.1] * len(LEAVING.features),
)


AT_RISK: Final = Segment("at_risk", compile_expression("risk_band.leaving == 'high'", "customer", "bool"))
KEEP: Final = Action(
    "keep",
    (When("churn_risk", band=("medium", "high")), When("segment_entered", name=("at_risk",))),
    ("post", "store"),
    2 * H,
    value=compile_expression("expected_value * 0.1", "action", "double"),
)


def scored(definition: Definition, *risks: Risk) -> Definition:
    """With the risks, what they need, and what reacts to them."""
    return with_risks(
        definition,
        *risks,
        features=OWN,
        expected_value=VALUE,
        segments=(*definition.segments, AT_RISK),
        actions=(*definition.actions, KEEP),
    )
