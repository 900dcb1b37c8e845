"""What a company promises its customers about contact, and how it weighs what it could do: typed and immutable.

Owns the parts of a definition that the choice of an action reads: contact policy, opening hours and capacity of
channels, roll-out, holdouts, experiments, sequences, budgets, guardrails, arbitration. ``model.py`` has the actions.
Shares are of 10,000 buckets (a salted hash of the customer's id), times of day are minutes of the local day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

Purpose = Literal["service", "marketing"]
PURPOSES: Final[tuple[Purpose, ...]] = ("service", "marketing")
DAY_MS: Final = 86_400_000
LONGEST_MS: Final = 90 * DAY_MS
"""Of limits, attribution and the window of suppression: a customer's contacts are kept for as long as any of them."""


class Selection(Protocol):
    """``model.When``: which signals."""

    @property
    def signal(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Hours:
    """Local times of a week: from ``from_minute`` (inclusive, 0 to 1439) to ``to_minute`` (exclusive, 0 to 1440) of
    each of ``days``; where ``to_minute`` is not later, until that time of the following day."""

    from_minute: int
    to_minute: int
    days: frozenset[int] = frozenset(range(7))
    """0 = Monday."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """In the customer's time zone. Service actions are exempt while the customer's session is open."""

    hours: Hours
    channels: tuple[str, ...] = ()
    """Empty: all but those that are reachable in a session only."""
    then: Literal["hold", "drop"] = "hold"
    """hold: released when they end, through all gates again."""
    purposes: tuple[Purpose, ...] = PURPOSES


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many contacts; exactly one of ``days`` and ``within_ms`` is set."""

    at_most: int
    days: int = 0
    """Calendar days in the customer's time zone, today included (``per: day`` is 1, ``per: week`` is 7)."""
    within_ms: int = 0
    """Rolling window: contacts in (t - within, t] count."""
    channel: str | None = None
    """None: over all channels."""
    action: str | None = None
    purposes: tuple[Purpose, ...] = ("marketing",)
    """Whose decisions it closes. What counts are all contacts that fit channel and action, whatever their purpose and
    whoever made them."""


@dataclass(frozen=True, slots=True)
class Holdout:
    share: float
    salt: str
    """Of this holdout alone: the loader gives each holdout and experiment without a salt one of its own."""
    purposes: tuple[Purpose, ...] = ("marketing",)


@dataclass(frozen=True, slots=True)
class PauseMarketing:
    """No marketing while this holds."""

    open_contact: bool = False
    """A contact of the customer is open."""
    when: Selection | None = None
    """After such a signal,"""
    for_ms: int = 0
    """for so long."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """After so many refusals of an action within a window it is not chosen for a time."""

    after: int
    within_ms: int
    for_ms: int
    refusals: tuple[str, ...] = ("dismissed", "unsubscribed")
    """Outcomes that count."""


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    quiet_hours: tuple[QuietHours, ...] = ()
    limits: tuple[Limit, ...] = ()
    holdout: Holdout | None = None
    pauses: tuple[PauseMarketing, ...] = ()
    suppression: Suppression | None = None
    unsent_for_ms: int = 60_000
    """What is cancelled later than this after it could be sent, and of which nothing was heard, is taken for sent."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of a channel, over all customers; each of n partitions holds a fixed share: ``at_most // n``, the remainder to
    the lowest ones."""

    at_most: int
    per_ms: int
    """Windows are aligned to the epoch: [k * per, (k + 1) * per)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an action may cost in a calendar period (UTC), shared out over partitions like a capacity."""

    amount: float
    per: Literal["day", "week", "month"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant of an action; what is None is the action's own."""

    name: str
    share: float
    content_key: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    """Merged over the action's."""
    delay_ms: int = 0
    """``not_before`` this long after the signal: an experiment on timing."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Customers keep their arm as long as the salt is the same. Shares add up to at most 1; the rest has no arm."""

    name: str
    salt: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """A further step of an action, decided anew when its time has come."""

    after_ms: int
    """After the step before it was issued (or would have been)."""
    channels: tuple[str, ...]
    unless: tuple[str, ...] = ("opened", "clicked", "converted")
    """Outcomes of earlier steps that make it needless; the goal and ``cancel_on`` always do."""
    content_key: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Bounds on rates over the last ``window`` decisions of an action that were issued. A bound is broken when the
    rate is above it by more than chance, however often it is asked (``learner/guarding.py``)."""

    unsubscribed: float | None = None
    dismissed: float | None = None
    complained: float | None = None
    """A detractor's answer or a contact within the attribution window."""
    crowded: float | None = None
    """More than ``contacts`` messages to the customer, whoever's, within the attribution window."""
    contacts: int = 3
    window: int = 1_000
    pause: bool = False
    """The action is paused while running; otherwise it is marked in the report only."""


@dataclass(frozen=True, slots=True)
class Arbitration:
    """How candidates are weighed: priority = P x C x V x L (Pega)."""

    sampling: Literal["thompson", "greedy"] = "thompson"
    explore: float = 0.0
    """Floor: with this probability a candidate that passed all gates is drawn evenly instead."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Purpose or journey -> lever, multiplied into L."""
    prior_positives: float = 0.5
    prior_negatives: float = 0.5
    """Beta prior of a new action: (0.5 + positives) / (1 + positives + negatives)."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that the company changed on a date; reports mark it."""

    at_ms: int
    title: str
    journey: str | None = None
