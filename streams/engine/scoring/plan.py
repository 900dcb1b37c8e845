"""The risks of a definition compiled: readers of features, bands with hysteresis, instants, what asks for a score.

Owns ``RiskPlan``; the engine's plan holds one for each risk, in the order of the definition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from math import nan
from typing import Final

from streams.definitions.model import Absence, Definition, Expression, OwnFeature, Preset, Risk, When
from streams.engine import facts
from streams.engine.scoring.features import FEATURES, STANDARD, Feature, Moment, Reader

MONDAY_MS: Final = 4 * 86_400_000
"""1970-01-05T00:00Z: instants are counted from there."""


@dataclass(slots=True)
class RiskPlan:
    risk: Risk
    order: int
    name: str
    without: bool
    """It comes true by silence."""
    features: tuple[Feature, ...]
    names: tuple[str, ...]
    readers: tuple[tuple[Reader, bool], ...]
    """(reader, on a logarithmic scale) of each feature."""
    bands: tuple[tuple[str, float, float], ...]
    """(name, from where it is entered, from where it is kept), rising."""
    lowest: str
    reads: int
    """Groups of facts behind its features, prior and date."""

    def band(self, score: float, held: str) -> str:
        """The band of a score: each band up to the one held reaches lower by the hysteresis."""
        keeps = held != ""
        found = self.lowest
        for name, enter, keep in self.bands:
            if score >= (keep if keeps else enter):
                found = name
            if name == held:
                keeps = False
        return found

    def slot(self, customer: str, t: int) -> int:
        """The first instant of this customer, at ``t`` or later, at which it is scored by the clock."""
        every = self.risk.every_ms
        start = MONDAY_MS
        if self.risk.spread:
            start += int.from_bytes(blake2b(customer.encode(), digest_size=8).digest(), "big") % every
        return t + (start - t) % every


class RiskPlans:
    """All risks of a definition, and what of the engine they touch."""

    def __init__(self, definition: Definition) -> None:
        own = {f.name: of_definition(f) for f in definition.features}
        self.risks = {r.name: _plan(r, n, own) for n, r in enumerate(definition.risks)}
        self.first = next(iter(self.risks), None)
        self.staying = next((r.name for r in self.risks.values() if r.without), None)
        """The risk whose complement is the probability of staying."""
        self.channels = any(name.startswith("channel_") for r in self.risks.values() for name in r.names)
        """Some feature counts by channel."""
        self.scored_on: dict[str, tuple[tuple[RiskPlan, When], ...]] = {}
        """Kind of signal -> who is scored after it."""
        self.reads = 0
        for plan in self.risks.values():
            self.reads |= plan.reads
            for when in plan.risk.score_on:
                self.scored_on[when.signal] = (*self.scored_on.get(when.signal, ()), (plan, when))
        self.asking = frozenset(_asking(self.scored_on, definition))


def of_definition(own: OwnFeature) -> Feature:
    """A feature that the definition adds; an error, a text or what is not finite is missing, and counted."""

    def read(m: Moment) -> float:
        value = own.value.value(m.facts)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e12:
            return float(value)
        m.missing += 1
        return nan

    return Feature(own.name, own.unit, own.title, read, own.value.text, reads=facts.groups(own.value.uses))


def _plan(risk: Risk, order: int, own: dict[str, Feature]) -> RiskPlan:
    names = risk.features or STANDARD
    features = tuple(own.get(name) or FEATURES[name] for name in names)
    reads = 0
    for feature in features:
        reads |= feature.reads
    for expression in (risk.prior, risk.until):
        reads |= _groups(expression)
    # The expected value is made of orders, whatever the features are.
    reads |= facts.ORDERS
    bands = tuple((b.name, b.at, round(b.at - risk.hysteresis, 9)) for b in risk.bands)
    return RiskPlan(
        risk,
        order,
        risk.name,
        risk.comes_true == "without",
        features,
        names,
        tuple((f.read, f.log) for f in features),
        bands,
        bands[0][0],
        reads,
    )


def _groups(expression: Expression | float | None) -> int:
    return 0 if expression is None or isinstance(expression, (int, float)) else facts.groups(expression.uses)


def _asking(scored_on: Iterable[str], definition: Definition) -> Iterable[str]:
    """Timers (``Timer.what``) whose signals may ask for a score."""
    rules = [f.rule for j in definition.journeys for f in j.friction]
    for kind in scored_on:
        if kind in {"abandonment", "stalled"}:
            yield kind
        elif kind == "friction":
            if any(isinstance(rule, Absence) for rule in rules):
                yield "absence"
            if any(isinstance(rule, Preset) for rule in rules):
                yield "click"
        elif kind == "milestone":
            yield "anniversary"
        elif kind in {"stage_left", "segment_entered", "segment_left"}:
            yield from ("instance", "session")
