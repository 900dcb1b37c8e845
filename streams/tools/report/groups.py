"""Groups of customers of one action: counted, and held against the holdout (or the arm that everybody else has).

Owns the comparison (``compared``) and the division that the definition declares; ``harm.py`` what it says of harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.definitions.model import Action, Definition
from streams.tools.report.statistics import (
    FEW,
    Interval,
    Moments,
    Rate,
    difference,
    moments_of,
    rate_difference,
    relative_uplift,
    wilson,
)
from streams.tools.report.units import HOLDOUT, ISSUED, Unit

ALL_ISSUED: Final = "all issued"
CONTROL: Final = "control"
BOUNDS: Final = ("unsubscribed", "dismissed", "complained")
"""Rates that a definition's ``guardrails`` may bound."""
DISMISSED: Final = "dismissed"


@dataclass(slots=True)
class GroupCell:
    """Customers of one group; only those whose window is over count in rates."""

    units: int = 0
    converted: int = 0
    value: Moments = field(default_factory=Moments)
    harm: Counter[str] = field(default_factory=Counter)
    contacts: Moments = field(default_factory=Moments)
    young: int = 0

    def add(self, unit: Unit) -> None:
        if not unit.mature:
            self.young += 1
            return
        after = unit.after
        self.units += 1
        self.converted += after.converted
        self.value.add(after.value)
        self.contacts.add(after.contacts)
        for name in BOUNDS:
            self.harm[name] += getattr(after, name)

    @property
    def rate(self) -> Rate:
        return Rate(self.converted, self.units)

    def joined(self, other: GroupCell) -> GroupCell:
        return GroupCell(
            self.units + other.units,
            self.converted + other.converted,
            _joined(self.value, other.value),
            self.harm + other.harm,
            _joined(self.contacts, other.contacts),
            self.young + other.young,
        )


def _joined(a: Moments, b: Moments) -> Moments:
    """Moments of both together (Chan, Golub and LeVeque 1979)."""
    n = a.n + b.n
    if not a.n or not b.n:
        return a if a.n else b
    d = b.mean - a.mean
    return Moments(n, a.mean + d * b.n / n, a.squares + b.squares + d * d * a.n * b.n / n)


class GroupFigures(msgspec.Struct):
    """A group against the holdout (``against``); without a holdout against the first arm."""

    group: str
    units: int
    young: int
    """Their window is not over; they count in nothing here."""
    conversion: Rate
    conversion_interval: Interval | None
    value: float | None
    against: str | None
    uplift: Interval | None
    """Of the conversion rate, absolute (share); of few conversions by Newcombe."""
    uplift_relative: Interval | None
    value_uplift: Interval | None
    """Of the value of a customer, in its currency."""
    value_uplift_relative: Interval | None
    few: bool
    """Fewer than ``FEW`` conversions or failures in one of the two: the interval says little."""
    harm: dict[str, Rate]
    harm_difference: dict[str, Interval | None]
    """Against the same group, by Newcombe."""
    contacts: float | None
    """Triggers issued to a customer in the window, mean."""


def compared(groups: Mapping[str, GroupCell], arms: Sequence[str] = ()) -> list[GroupFigures]:
    """Every group against the holdout, all issued together first; without a holdout, arms against ``control`` or, where
    none is called so, the first.
    """
    order = {name: n for n, name in enumerate(arms)}
    treated = sorted((name for name in groups if name != HOLDOUT), key=lambda name: (order.get(name, len(arms)), name))
    usual = CONTROL if CONTROL in treated else treated[0] if treated else None
    control = HOLDOUT if HOLDOUT in groups else usual if len(treated) > 1 else None
    found = []
    if HOLDOUT in groups and len(treated) > 1:
        everything = GroupCell()
        for name in treated:
            everything = everything.joined(groups[name])
        found.append(_group(ALL_ISSUED, everything, control, groups[HOLDOUT]))
    for name in (*treated, *([HOLDOUT] if HOLDOUT in groups else ())):
        against = control if name != control else None
        found.append(_group(name, groups[name], against, groups[against] if against is not None else None))
    return found


def _group(name: str, cell: GroupCell, against: str | None, control: GroupCell | None) -> GroupFigures:
    rate, other = cell.rate, control.rate if control is not None else Rate(0, 0)
    mine, theirs = moments_of(rate), moments_of(other)
    harm = {what: Rate(cell.harm[what], cell.units) for what in BOUNDS}
    sides = [rate, other] if control is not None else []
    few = any(side.count < FEW or side.of - side.count < FEW for side in sides)
    return GroupFigures(
        group=name,
        units=cell.units,
        young=cell.young,
        conversion=rate,
        conversion_interval=wilson(rate.count, rate.of),
        value=cell.value.mean if cell.value.n else None,
        against=against,
        # Of nought conversions the variance is nought, too: what holds for few is another interval.
        uplift=rate_difference(rate, other) if few else difference(mine, theirs),
        uplift_relative=relative_uplift(mine, theirs),
        value_uplift=difference(cell.value, control.value) if control is not None else None,
        value_uplift_relative=relative_uplift(cell.value, control.value) if control is not None else None,
        few=few,
        harm=harm,
        harm_difference={
            what: rate_difference(mine, Rate(control.harm[what], control.units)) for what, mine in harm.items()
        }
        if control is not None
        else {},
        contacts=cell.contacts.mean if cell.contacts.n else None,
    )


def expected_shares(action: Action, definition: Definition) -> dict[str, float]:
    """Group -> declared share: holdouts (its own and the general one are drawn apart), then arms of the rest."""
    kept = 1.0
    general = definition.contact_policy.holdout
    if general is not None and action.purpose in general.purposes:
        kept *= 1 - general.share
    if action.holdout is not None:
        kept *= 1 - action.holdout.share
    shares = {HOLDOUT: 1 - kept} if kept < 1 else {}
    arms = action.experiment.arms if action.experiment is not None else ()
    for arm in arms:
        shares[arm.name] = kept * arm.share
    rest = kept - sum(kept * arm.share for arm in arms)
    if rest > 1e-9:
        shares[ISSUED] = rest
    return shares if len(shares) > 1 else {}
