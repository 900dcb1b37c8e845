"""What became of customers after an action was chosen for them: the units of every comparison with a holdout.

Owns the unit: one customer and one action, at the first decision that issued it or, for somebody in a holdout, would
have, or that assigned an arm whose time fell into quiet hours (intention to treat). Whatever happens in the attribution
window after that decision belongs to it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streams.definitions.model import DAY_MS, Action
from streams.tools.report.history import COUNTING, History
from streams.tools.report.records import Choice, Found, Touch

HOLDOUT = "holdout"
ISSUED = "issued"
HELD_OUT = "held_out"
ATTRIBUTION_MS = 7 * DAY_MS
"""Of an action that the definition does not have any more."""
UNSUBSCRIBED = frozenset({"Unsubscribed", "Email Marked as Spam"})
CONTACT = "Contact Started"


@dataclass(slots=True)
class Aftermath:
    """What happened in (decision, decision + window]."""

    converted: bool = False
    """A goal of the decision's journey and instance; of any journey, where it has none."""
    value: float = 0.0
    """Of the touchpoints of those goals."""
    unsubscribed: bool = False
    dismissed: bool = False
    complained: bool = False
    """A detractor's answer, or a contact that the customer began."""
    contacts: int = 0
    """Triggers issued to the customer, whatever their action, this one included."""


@dataclass(slots=True)
class Unit:
    choice: Choice
    action: str
    group: str
    """``holdout``, else the arm, else ``issued``."""
    mature: bool
    """The window lies in what the data tell; otherwise it does not count yet."""
    after: Aftermath


class Aftermaths:
    """Goals and contacts of one customer by time."""

    def __init__(self, history: History) -> None:
        self.history = history
        goals = sorted((s for s in history.found if s.signal == "goal_reached"), key=lambda s: s.time)
        self._goals: list[Found] = goals
        self._goal_times = [signal.time for signal in goals]
        self._issued = sorted(choice.time for choice in history.choices if choice.outcome == ISSUED)

    def of(self, choice: Choice, window_ms: int) -> Aftermath:
        history, time = self.history, choice.time
        until = time + window_ms
        found = Aftermath()
        for signal in self._goals[bisect_right(self._goal_times, time) : bisect_right(self._goal_times, until)]:
            if meant(choice.journey, choice.instance, signal.journey, signal.instance):
                found.converted = True
                touch = history.by_id.get(signal.evidence[-1]) if signal.evidence else None
                if touch is not None and touch.value is not None:
                    found.value += touch.value
        for touch in history.between(time, until):
            _respond(found, touch, choice)
        found.contacts = bisect_right(self._issued, until) - bisect_right(self._issued, time - 1)
        return found


def meant(journey: str | None, instance: str | None, goal: str | None, reached: str | None) -> bool:
    """The goal of an instance is success of a decision, as the engine learns it (``engine/decisions/success.py``).

    ``reached``: the goal's instance; empty in a journey without ``instance_by``, None where the touchpoint named none.
    """
    return journey is None or (journey == goal and reached == (instance or ""))


def _respond(found: Aftermath, touch: Touch, choice: Choice) -> None:
    mine = touch.trigger_id is None or touch.trigger_id == choice.trigger_id
    if touch.type in UNSUBSCRIBED or (touch.outcome == "unsubscribed" and mine):
        found.unsubscribed = True
    elif touch.outcome == "dismissed" and mine:
        found.dismissed = True
    elif (touch.type == CONTACT and touch.actor in COUNTING) or (
        touch.survey == "nps" and touch.score is not None and touch.score <= 6
    ):
        found.complained = True


def assigned(choice: Choice) -> bool:
    """The action was the customer's: issued, held out, or (of a delayed arm) kept back by quiet hours. Only an arm that
    was assigned is named."""
    return choice.outcome in (ISSUED, HELD_OUT) or (choice.outcome == "none" and choice.arm is not None)


def group_of(choice: Choice) -> str:
    return HOLDOUT if choice.outcome == HELD_OUT else choice.arm or ISSUED


def window_of(action: Action | None) -> int:
    return action.attribution_ms if action is not None else ATTRIBUTION_MS


def units_of(history: History, actions: Mapping[str, Action], known_until: int) -> Iterator[Unit]:
    """One for each action that was ever issued to this customer or held out."""
    seen: set[str] = set()
    aftermaths: Aftermaths | None = None
    for choice in sorted(history.choices, key=lambda one: one.time):
        name = choice.chosen
        if name is None or name in seen or not assigned(choice):
            continue
        seen.add(name)
        window = window_of(actions.get(name))
        aftermaths = aftermaths or Aftermaths(history)
        mature = choice.time + window <= known_until
        yield Unit(choice, name, group_of(choice), mature, aftermaths.of(choice, window))
