"""What another policy would have earned, from the decisions of the one that ran and the propensities that it logged.

Owns the estimators (inverse propensity scoring: Horvitz and Thompson 1952; doubly robust: Dudik, Langford and Li 2011,
with a reward model that was fitted on other customers), their intervals (by customer, since one customer's decisions
are no independent ones), and the refusal where the two policies have too little in common.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Final, Literal

import msgspec

from streams.definitions.model import Definition
from streams.tools.report.frame import Frame
from streams.tools.report.history import History
from streams.tools.report.records import Choice, Intended
from streams.tools.report.statistics import Interval, Z
from streams.tools.report.units import ATTRIBUTION_MS, HELD_OUT, Aftermaths, assigned

NOTHING: Final = "(nothing)"
"""The action of a decision in which every candidate was closed."""
SHRINK: Final = 10.0
"""Decisions that the more general mean counts for in the reward model."""
UNCOVERED: Final = 0.05
"""More of what the other policy would do, where it differs, than this was never tried: refused."""
LEAST: Final = 100.0
"""Effective decisions among those in which the policies differ: with fewer, refused."""
DIFFERS: Final = 0.01
"""Total variation distance from which on two choices are different ones."""

Measure = Literal["conversion", "value"]
MEASURES: Final[tuple[Measure, ...]] = ("conversion", "value")


@dataclass(slots=True)
class Situation:
    """One signal on which at least one of the policies decided."""

    kind: str
    """What it was: kind and name of the signal."""
    action: str
    """What was done."""
    logged: Mapping[str, float]
    """Action -> probability with which it would have been done."""
    intended: Mapping[str, float]
    reward: Mapping[Measure, float]

    @property
    def weight(self) -> float:
        return self.intended.get(self.action, 0.0) / self.logged[self.action]

    @property
    def distance(self) -> float:
        """Total variation."""
        actions = {*self.logged, *self.intended}
        return sum(abs(self.logged.get(a, 0.0) - self.intended.get(a, 0.0)) for a in actions) / 2

    @property
    def uncovered(self) -> float:
        """Share of what the other policy would do that could not have been done."""
        return sum(share for action, share in self.intended.items() if not self.logged.get(action))


class Estimate(msgspec.Struct):
    """By decision."""

    logged: Interval
    """What the decisions earned as they were made."""
    ips: Interval
    doubly_robust: Interval
    difference: Interval
    """Doubly robust less logged, decision by decision."""


class PolicyFigures(msgspec.Struct):
    decisions: int
    customers: int
    window_ms: int
    differing: int
    """Decisions in which the other policy would choose otherwise."""
    uncovered: float
    """Of what it would do in those, the share that was never possible."""
    effective: float
    """Effective number of all decisions (Kish)."""
    effective_differing: float
    mean_weight: float
    """Near 1 where the propensities are right."""
    refused: str | None
    """Why there is no estimate."""
    estimates: dict[str, Estimate]
    """conversion, value."""


@dataclass(slots=True)
class _Mean:
    """A mean over decisions whose variance is that of customers."""

    total: float = 0.0
    n: int = 0
    squares: float = 0.0
    cross: float = 0.0
    sizes: float = 0.0
    customers: int = 0

    def add(self, values: list[float]) -> None:
        """All of one customer."""
        t, n = sum(values), len(values)
        self.total += t
        self.n += n
        self.squares += t * t
        self.cross += t * n
        self.sizes += n * n
        self.customers += 1

    def interval(self) -> Interval:
        mean = self.total / self.n if self.n else 0.0
        spread = max(0.0, self.squares - 2 * mean * self.cross + mean * mean * self.sizes)
        few = self.customers / (self.customers - 1) if self.customers > 1 else 1.0
        half = Z * sqrt(spread * few) / self.n if self.n else 0.0
        return Interval(mean, mean - half, mean + half)


@dataclass(slots=True)
class _Rewards:
    """Sums of rewards by (kind, action), by action, and of all: a mean that leans on the more general one."""

    sums: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    def add(self, kind: str, action: str, reward: float) -> None:
        for key in ((kind, action), (action,), ()):
            held = self.sums.setdefault(key, [0.0, 0.0])
            held[0] += 1
            held[1] += reward

    def of(self, kind: str, action: str) -> float:
        n, total = self.sums.get((), (0.0, 0.0))
        mean = total / n if n else 0.0
        for key in ((action,), (kind, action)):
            n, total = self.sums.get(key, (0.0, 0.0))
            mean = (total + SHRINK * mean) / (n + SHRINK)
        return mean


class OffPolicy:
    """Two passes over all customers: ``learn`` fits the reward model, ``judge`` estimates."""

    def __init__(self, definition: Definition, other: Definition) -> None:
        actions = (*definition.actions, *other.actions)
        self.window_ms = max((action.attribution_ms for action in actions), default=ATTRIBUTION_MS)
        self._models = {(measure, half): _Rewards() for measure in MEASURES for half in (0, 1)}
        self._means = {(measure, name): _Mean() for measure in MEASURES for name in ("logged", "ips", "dr", "gain")}
        self._weights = [0.0, 0.0]
        self._weights_differing = [0.0, 0.0]
        self._differing = 0
        self._uncovered = 0.0

    def learn(self, history: History, frame: Frame) -> None:
        half = _half(history.customer)
        for one in self._situations(history, frame):
            for measure in MEASURES:
                self._models[measure, half].add(one.kind, one.action, one.reward[measure])

    def judge(self, history: History, frame: Frame) -> None:
        found = list(self._situations(history, frame))
        if not found:
            return
        for one in found:
            w = one.weight
            self._weights[0] += w
            self._weights[1] += w * w
            if one.distance > DIFFERS:
                self._differing += 1
                self._uncovered += one.uncovered
                self._weights_differing[0] += w
                self._weights_differing[1] += w * w
        for measure in MEASURES:
            # Fitted on the other half of the customers, so that nobody's own reward predicts itself.
            model = self._models[measure, 1 - _half(history.customer)]
            rewards = [one.reward[measure] for one in found]
            robust = [
                sum(share * model.of(one.kind, action) for action, share in one.intended.items())
                + one.weight * (reward - model.of(one.kind, one.action))
                for one, reward in zip(found, rewards, strict=True)
            ]
            means = self._means
            means[measure, "logged"].add(rewards)
            means[measure, "ips"].add([one.weight * r for one, r in zip(found, rewards, strict=True)])
            means[measure, "dr"].add(robust)
            means[measure, "gain"].add([a - b for a, b in zip(robust, rewards, strict=True)])

    def _situations(self, history: History, frame: Frame) -> Iterator[Situation]:
        """First steps that were decided in the period, whose window is over. Customers in a holdout had nothing done to
        them whatever was chosen, and are left out."""
        logged: dict[str, Choice] = {}
        for choice in history.choices:
            if choice.outcome == HELD_OUT:
                return
            if choice.step == 0 and choice.outcome != "held":
                logged[choice.signal_id] = choice
        intended = {one.signal_id: one for one in history.intended}
        kinds = {signal.signal_id: f"{signal.signal} {signal.name}" for signal in history.found}
        aftermaths = Aftermaths(history)
        for signal_id in dict.fromkeys((*logged, *intended)):
            made, wanted = logged.get(signal_id), intended.get(signal_id)
            asked = made or _asked(wanted)
            in_time = frame.start <= asked.time < frame.end and asked.time + self.window_ms <= frame.known_until
            if not in_time or (made is not None and made.chosen is not None and not assigned(made)):
                continue  # chosen, and then not sent for another reason (stale, session over): nothing was tried
            after = aftermaths.of(asked, self.window_ms)
            yield Situation(
                kind=kinds.get(signal_id, ""),
                action=made.chosen or NOTHING if made is not None else NOTHING,
                logged=_chances(made),
                intended=wanted.chances if wanted is not None and wanted.chances else {NOTHING: 1.0},
                reward={"conversion": float(after.converted), "value": after.value},
            )

    def figures(self) -> PolicyFigures:
        logged = self._means["conversion", "logged"]
        uncovered = self._uncovered / self._differing if self._differing else 0.0
        effective = _kish(self._weights)
        differing = _kish(self._weights_differing)
        refused = None
        if not logged.n:
            refused = "no decision with a whole attribution window after it"
        elif not self._differing:
            refused = "the other policy decides everywhere as the one that ran: there is nothing to estimate"
        elif uncovered > UNCOVERED:
            refused = (
                f"{uncovered:.0%} of what the other policy would do where it differs was never possible in these "
                f"decisions (at most {UNCOVERED:.0%}): nothing is known of it. Try it live, as an experiment or with "
                "arbitration.explore above 0"
            )
        elif differing < LEAST:
            refused = (
                f"the decisions in which the policies differ are worth {differing:.0f} (at least {LEAST:.0f}): "
                "too few did what the other policy would do"
            )
        return PolicyFigures(
            decisions=logged.n,
            customers=logged.customers,
            window_ms=self.window_ms,
            differing=self._differing,
            uncovered=uncovered,
            effective=effective,
            effective_differing=differing,
            mean_weight=self._weights[0] / logged.n if logged.n else 0.0,
            refused=refused,
            estimates={} if refused else {measure: self._estimate(measure) for measure in MEASURES},
        )

    def _estimate(self, measure: Measure) -> Estimate:
        logged, ips, robust, gain = (self._means[measure, name].interval() for name in ("logged", "ips", "dr", "gain"))
        return Estimate(logged, ips, robust, gain)


def _chances(made: Choice | None) -> Mapping[str, float]:
    if made is None or made.chosen is None:
        return {NOTHING: 1.0}
    found = {one.action: one.propensity for one in made.candidates if one.propensity}
    # Before there were propensities nothing was drawn.
    found[made.chosen] = made.propensity or found.get(made.chosen) or 1.0
    return found


def _asked(wanted: Intended | None) -> Choice:
    """The decision that was not made, as far as its reward is concerned."""
    assert wanted is not None  # noqa: S101 - one of the two is there
    return Choice("", wanted.customer, wanted.time, "none", "", wanted.signal_id, wanted.journey, wanted.instance)


def _half(customer: str) -> int:
    return zlib.crc32(b"half" + customer.encode("utf-8", "surrogatepass")) % 2


def _kish(weights: list[float]) -> float:
    return weights[0] * weights[0] / weights[1] if weights[1] else 0.0
