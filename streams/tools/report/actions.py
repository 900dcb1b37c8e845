"""Figures of actions: what was issued and how it ended, what came back, uplift against the holdout, harm.

Owns the counting by arm and the comparison of groups; ``harm.py`` what marks an action as harmful. Nothing is paused
here.
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
from streams.tools.report.groups import BOUNDS, GroupCell, GroupFigures, compared, expected_shares
from streams.tools.report.harm import Suspicion, against_bounds, against_holdout, proven
from streams.tools.report.history import History
from streams.tools.report.records import Choice, Option
from streams.tools.report.statistics import (
    SUSPICIOUS,
    Rate,
    sample_ratio,
)
from streams.tools.report.units import ISSUED, Aftermaths, units_of, window_of

OUTCOMES: Final = (
    "sent", "not_sent", "delivered", "opened", "clicked", "dismissed", "unsubscribed", "bounced", "converted",
)  # fmt: skip


@dataclass(slots=True)
class LifeCell:
    """Triggers of one arm."""

    issued: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    """fulfilled, expired, cancelled (reason) -> triggers."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Outcome -> triggers with at least one."""


@dataclass(slots=True)
class ActionCell:
    lives: dict[str, LifeCell] = field(default_factory=dict)
    """Arm -> triggers."""
    groups: dict[str, GroupCell] = field(default_factory=dict)
    assigned: Counter[str] = field(default_factory=Counter)
    """Group -> units under the definition that is reported on, mature or not."""
    closed: Counter[str] = field(default_factory=Counter)
    """Gate -> candidates that it closed."""
    own: list[float] = field(default_factory=lambda: [0.0] * 4)
    """Of decisions with a P of the customer's own: how many weighed the action, how many issued it, and in these the
    sums of P and of everyone's."""


class OwnFigures(msgspec.Struct):
    """Of decisions in which P was the customer's own."""

    weighed: int
    issued: int
    p: float
    """Mean where it was issued,"""
    usual: float
    """and what everyone's would have been there."""


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
    own: OwnFigures | None
    """None: P was everyone's in all decisions."""
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
                if candidate.usual is not None:
                    self._weighed(history, frame, choice, candidate)
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
                crowded = after.contacts > action.guardrails.contacts
                self._remember(action, choice.time, (*(getattr(after, name) for name in BOUNDS), crowded))

    def _weighed(self, history: History, frame: Frame, choice: Choice, candidate: Option) -> None:
        issued = choice.outcome == ISSUED and choice.chosen == candidate.action
        splits = self._where(history, frame, choice.time, candidate.channel, choice.journey, choice.definition)
        for cell in self._of(candidate.action).at(splits):
            cell.own[0] += 1
            if issued:
                cell.own[1] += 1
                cell.own[2] += candidate.p or 0.0
                cell.own[3] += candidate.usual or 0.0

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
        for life in history.lives:
            if life.outcome is not None:  # matched by a campaign's id or by its validity, perhaps
                told.setdefault(life.trigger_id, set()).add(life.outcome)
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
        """Harm is looked for in all actions together, since each comparison more is a chance more to find it."""
        figures = [self._figures(name, splits, frame) for name, splits in self.splits.items() if splits.cells]
        made = [(one, suspicion) for one in figures for suspicion in self._comparisons(one)]
        for (one, suspicion), harmful in zip(made, proven([suspicion for _, suspicion in made]), strict=True):
            if harmful:
                one.harmful.append(suspicion.words)
        return figures

    def _figures(self, name: str, splits: Splits[ActionCell], frame: Frame) -> ActionFigures:
        action = self.actions.get(name)
        arms = (
            [arm.name for arm in action.experiment.arms] if action is not None and action.experiment is not None else []
        )
        whole = slice_of(*WHOLE, splits.whole, arms)
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
            previous=slice_of(*PREVIOUS, previous, arms) if previous is not None else None,
            splits=[slice_of(by, value, cell, arms) for by in splits.names for value, cell in splits.by(by).items()],
            closed=dict(splits.whole.closed.most_common()),
            own=_own(splits.whole.own),
            sample_ratio=probability,
            expected=expected,
            assigned=dict(sorted(assigned.items())),
            warnings=warnings,
            harmful=[],
        )

    def _comparisons(self, figures: ActionFigures) -> list[Suspicion]:
        """With guardrails of the definition, over its window of newest decisions, and with the holdout."""
        action = self.actions.get(figures.action)
        found = list(against_holdout(figures.whole.groups))
        if action is not None and action.guardrails is not None:
            newest = [harm for _, _, harm in self._latest.get(action.name, [])]
            found[:0] = against_bounds(action.guardrails, newest)
        return found


def slice_of(by: str, value: str, cell: ActionCell, arms: Sequence[str] = ()) -> ActionSlice:
    """``arms``: in the order of the definition."""
    lives = [_outcomes(arm, life) for arm, life in sorted(cell.lives.items())]
    return ActionSlice(by, value, lives, compared(cell.groups, arms))


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


def _own(counted: Sequence[float]) -> OwnFigures | None:
    weighed, issued, p, usual = counted
    if not weighed:
        return None
    n = issued or 1.0
    return OwnFigures(int(weighed), int(issued), p / n, usual / n)
