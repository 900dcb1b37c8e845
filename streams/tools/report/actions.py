"""Figures of actions: what was issued and how it ended, what came back, uplift against the holdout, harm.

Owns the counting by arm, the comparison of groups and what marks an action as harmful. Nothing is paused here.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.definitions.model import Action, Definition
from streams.tools.report.frame import PREVIOUS, WHOLE, Frame, Split, Splits
from streams.tools.report.history import History
from streams.tools.report.statistics import (
    FEW,
    SUSPICIOUS,
    Interval,
    Moments,
    Rate,
    difference,
    moments_of,
    rate_difference,
    relative_uplift,
    sample_ratio,
    wilson,
)
from streams.tools.report.units import HOLDOUT, ISSUED, Aftermaths, Unit, units_of, window_of

OUTCOMES: Final = (
    "sent", "not_sent", "delivered", "opened", "clicked", "dismissed", "unsubscribed", "bounced", "converted",
)  # fmt: skip
ALL_ISSUED: Final = "all issued"
BOUNDS: Final = ("unsubscribed", "dismissed", "complained")
"""Rates that a definition's ``guardrails`` may bound."""


@dataclass(slots=True)
class LifeCell:
    """Triggers of one arm."""

    issued: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    """fulfilled, expired, cancelled (reason) -> triggers."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Outcome -> triggers with at least one."""


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


@dataclass(slots=True)
class ActionCell:
    lives: dict[str, LifeCell] = field(default_factory=dict)
    """Arm -> triggers."""
    groups: dict[str, GroupCell] = field(default_factory=dict)
    assigned: Counter[str] = field(default_factory=Counter)
    """Group -> units under the definition that is reported on, mature or not."""
    closed: Counter[str] = field(default_factory=Counter)
    """Gate -> candidates that it closed."""


class OutcomeFigures(msgspec.Struct):
    arm: str
    issued: int
    fulfilled: Rate
    cancelled: dict[str, int]
    """Reason -> triggers."""
    expired: Rate
    open: int
    outcomes: dict[str, Rate]
    """Of the issued."""


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
    """Of the conversion rate, absolute (share)."""
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


class ActionSlice(msgspec.Struct):
    by: str
    value: str
    lives: list[OutcomeFigures]
    groups: list[GroupFigures]


class ActionFigures(msgspec.Struct):
    action: str
    purpose: str | None
    window_ms: int
    whole: ActionSlice
    previous: ActionSlice | None
    splits: list[ActionSlice]
    closed: dict[str, int]
    sample_ratio: float | None
    """Probability of a division as uneven as this one; None where no shares are declared."""
    expected: dict[str, float]
    """Group -> declared share."""
    assigned: dict[str, int]
    warnings: list[str]
    harmful: list[str]
    """Why the action is marked as harmful; empty: it is not."""


class ActionCounts:
    """All actions over all splits."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.actions: Mapping[str, Action] = {action.name: action for action in definition.actions}
        self.splits: dict[str, Splits[ActionCell]] = {name: Splits(ActionCell) for name in self.actions}
        self._latest: dict[str, list[tuple[int, int, tuple[bool, ...]]]] = {}
        self._serial = 0

    def _of(self, action: str) -> Splits[ActionCell]:
        return self.splits.setdefault(action, Splits(ActionCell))

    def add(self, history: History, frame: Frame) -> None:
        self._lives(history, frame)
        for unit in units_of(history, self.actions, frame.known_until):
            choice = unit.choice
            splits = self._where(history, frame, choice.time, choice.channel, choice.journey, choice.definition)
            for cell in self._of(unit.action).at(splits):
                cell.groups.setdefault(unit.group, GroupCell()).add(unit)
                if choice.definition == self.definition.number:
                    cell.assigned[unit.group] += 1
        aftermaths: Aftermaths | None = None
        for choice in history.choices:
            for candidate in choice.candidates:
                if candidate.closed_by is not None:
                    splits = self._where(
                        history, frame, choice.time, candidate.channel, choice.journey, choice.definition
                    )
                    for cell in self._of(candidate.action).at(splits):
                        cell.closed[candidate.closed_by] += 1
            action = self.actions.get(choice.chosen or "")
            if choice.outcome == ISSUED and action is not None and action.guardrails is not None:
                aftermaths = aftermaths or Aftermaths(history)
                after = aftermaths.of(choice, action.attribution_ms)
                self._remember(action, choice.time, tuple(getattr(after, name) for name in BOUNDS))

    @staticmethod
    def _where(
        history: History, frame: Frame, time: int, channel: str | None, journey: str | None, definition: int
    ) -> list[Split]:
        return frame.splits(history, time, channel=channel, journey=journey, definition=definition)

    def _lives(self, history: History, frame: Frame) -> None:
        told: dict[str, set[str]] = {}
        for touch in history.touches:
            if touch.trigger_id is not None and touch.outcome is not None:
                told.setdefault(touch.trigger_id, set()).add(touch.outcome)
        journeys = {choice.trigger_id: choice.journey for choice in history.choices}
        for life in history.lives:
            if life.test:
                continue
            splits = self._where(
                history, frame, life.issued_at, life.channel, journeys.get(life.trigger_id), life.definition
            )
            for cell in self._of(life.action).at(splits):
                one = cell.lives.setdefault(life.arm or ISSUED, LifeCell())
                if life.status == ISSUED:
                    one.issued += 1
                    one.outcomes.update(told.get(life.trigger_id, ()))
                else:
                    one.ended[f"cancelled ({life.end_reason})" if life.status == "cancelled" else life.status] += 1

    def _remember(self, action: Action, time: int, harm: tuple[bool, ...]) -> None:
        """The newest ``window`` decisions, whoever's they are."""
        held = self._latest.setdefault(action.name, [])
        self._serial += 1
        heapq.heappush(held, (time, self._serial, harm))
        if action.guardrails is not None and len(held) > action.guardrails.window:
            heapq.heappop(held)

    def figures(self, frame: Frame) -> list[ActionFigures]:
        return [self._figures(name, splits, frame) for name, splits in self.splits.items() if splits.cells]

    def _figures(self, name: str, splits: Splits[ActionCell], frame: Frame) -> ActionFigures:
        action = self.actions.get(name)
        whole = slice_of(*WHOLE, splits.whole)
        previous = splits.previous
        if previous is None and frame.length is not None:
            previous = ActionCell()
        expected = expected_shares(action, self.definition) if action is not None else {}
        assigned = splits.whole.assigned
        groups = sorted(set(expected) | set(assigned)) if expected else []
        probability = sample_ratio([assigned[one] for one in groups], [expected.get(one, 0.0) for one in groups])
        warnings = []
        if probability is not None and probability < SUSPICIOUS:
            warnings.append(
                f"the groups are not divided as declared (p = {probability:.1g}): "
                "whatever makes it so may also make the uplift; do not trust it before that is found"
            )
        if expected and (strange := sorted(set(assigned) - set(expected))):
            warnings.append(f"customers in groups that the definition does not declare: {', '.join(strange)}")
        return ActionFigures(
            action=name,
            purpose=action.purpose if action is not None else None,
            window_ms=window_of(action),
            whole=whole,
            previous=slice_of(*PREVIOUS, previous) if previous is not None else None,
            splits=[slice_of(by, value, cell) for by in splits.names for value, cell in splits.by(by).items()],
            closed=dict(splits.whole.closed.most_common()),
            sample_ratio=probability,
            expected=expected,
            assigned=dict(sorted(assigned.items())),
            warnings=warnings,
            harmful=[*self._broken(action), *harm_of(whole)],
        )

    def _broken(self, action: Action | None) -> list[str]:
        """Guardrails of the definition, over its window of newest decisions."""
        if action is None or action.guardrails is None:
            return []
        held = self._latest.get(action.name, [])
        found = []
        for n, name in enumerate(BOUNDS):
            bound = getattr(action.guardrails, name)
            rate = Rate(sum(harm[n] for _, _, harm in held), len(held))
            interval = wilson(rate.count, rate.of)
            if bound is not None and interval is not None and interval.low > bound:
                found.append(
                    f"{name} after {interval.estimate:.1%} of the last {rate.of:,} (at least {interval.low:.1%} "
                    f"with 95 % confidence), the guardrail is {bound:.1%}"
                )
        return found


def harm_of(figures: ActionSlice) -> list[str]:
    """What the comparison with the holdout says against the action."""
    found = []
    for group in figures.groups:
        if group.against != HOLDOUT:
            continue
        for what, interval in (("conversion", group.uplift), ("value of a customer", group.value_uplift)):
            if interval is not None and interval.says == "down" and not group.few:
                found.append(f"{group.group}: {what} is lower than in the holdout")
        found.extend(
            f"{group.group}: {name} more often than in the holdout"
            for name, interval in group.harm_difference.items()
            if interval is not None and interval.says == "up"
        )
    return found


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


def slice_of(by: str, value: str, cell: ActionCell) -> ActionSlice:
    lives = [_outcomes(arm, life) for arm, life in sorted(cell.lives.items())]
    return ActionSlice(by, value, lives, compared(cell.groups))


def compared(groups: Mapping[str, GroupCell]) -> list[GroupFigures]:
    """Every group against the holdout, all issued together first; without a holdout, arms against the first."""
    treated: Sequence[str] = sorted(name for name in groups if name != HOLDOUT)
    control = HOLDOUT if HOLDOUT in groups else treated[0] if len(treated) > 1 else None
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
    return GroupFigures(
        group=name,
        units=cell.units,
        young=cell.young,
        conversion=rate,
        conversion_interval=wilson(rate.count, rate.of),
        value=cell.value.mean if cell.value.n else None,
        against=against,
        uplift=difference(mine, theirs),
        uplift_relative=relative_uplift(mine, theirs),
        value_uplift=difference(cell.value, control.value) if control is not None else None,
        value_uplift_relative=relative_uplift(cell.value, control.value) if control is not None else None,
        few=any(side.count < FEW or side.of - side.count < FEW for side in sides),
        harm=harm,
        harm_difference={
            what: rate_difference(mine, Rate(control.harm[what], control.units)) for what, mine in harm.items()
        }
        if control is not None
        else {},
        contacts=cell.contacts.mean if cell.contacts.n else None,
    )


def _outcomes(arm: str, life: LifeCell) -> OutcomeFigures:
    cancelled = {
        name.removeprefix("cancelled (").removesuffix(")"): n
        for name, n in sorted(life.ended.items())
        if name.startswith("cancelled")
    }
    ended = life.ended.total()
    return OutcomeFigures(
        arm=arm,
        issued=life.issued,
        fulfilled=Rate(life.ended["fulfilled"], life.issued),
        cancelled=cancelled,
        expired=Rate(life.ended["expired"], life.issued),
        open=life.issued - ended,
        outcomes={name: Rate(life.outcomes[name], life.issued) for name in OUTCOMES if life.outcomes[name]},
    )
