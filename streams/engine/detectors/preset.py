"""What every click preset has: its name, what it reads, its finding; and how their short lists of entries are kept.

Owns the vocabulary of the events that a browser's or an app's collector sends for the presets, and the bounds of their
state. An entry is a list that begins with its time; a state is a list of entries in order of time, at equal time in the
order of arrival, so that touchpoints may arrive out of order by some seconds.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, NamedTuple

CLICKED: Final = "Element Clicked"
ERROR: Final = "Error Shown"
REACTED: Final = "Page Reacted"
SCROLLED: Final = "Page Scrolled"
SELECTED: Final = "Text Selected"
CURSOR: Final = "Cursor Moved"
VITAL: Final = "Web Vital Measured"
PAGE_VIEWS: Final = frozenset({"page", "screen", "Page Viewed"})
REACTIONS: Final = PAGE_VIEWS | {REACTED, SCROLLED, SELECTED}

TEXT_KINDS: Final = frozenset({"text_input", "textarea", "contenteditable"})
"""Values of ``target_kind`` where quick clicks select text and a click only moves the caret."""
STEPPING_KINDS: Final = frozenset({"stepper", "next", "previous"})
"""Values of ``target_kind`` of controls that are made to be clicked repeatedly."""
OUTSIDE_KINDS: Final = frozenset({"external_link", "download"})
"""Values of ``target_kind`` whose effect is not to be seen on the page."""

LIMIT: Final = 32
"""Entries in a preset's state."""
LATENESS_MS: Final = 10_000
"""Entries are kept this much longer than the preset's window, for what arrives out of order."""
MAX_TEXT: Final = 64
MAX_NUMBER: Final = 1 << 53

Family = Literal["rage", "dead", "error", "u_turn", "cursor", "slow"]
Properties = Mapping[str, Any]
Entry = list[Any]
State = list[Entry]


class Finding(NamedTuple):
    """One burst of frustration."""

    time: int
    """Time of the touchpoint that completes it, or the due time where silence does."""
    evidence: list[str]
    """event_id of the touchpoints that make it, oldest first."""
    figures: dict[str, float]


class ClickPreset(ABC):
    """A vendor's definition of one kind of frustration. Holds no state; the caller keeps it, one list a session."""

    name: ClassVar[str]
    family: ClassVar[Family]
    reads: ClassVar[frozenset[str]]
    """Event names that ``observe`` wants to see."""

    @abstractmethod
    def missing(self, event: str, p: Properties) -> bool:
        """Whether the touchpoint lacks a field without which the preset would be weaker than its definition."""

    @abstractmethod
    def observe(self, state: State, event: str, t: int, event_id: str, p: Properties) -> Finding | None:
        """Take a touchpoint of ``reads`` in; the finding if it begins a burst. Ignores it if a field is missing."""

    def next_due(self, state: State) -> int | None:  # noqa: ARG002 - only presets that wait for silence read it
        """Earliest time at which silence makes a finding."""
        return None

    def fire(self, state: State, due: int) -> Finding | None:  # noqa: ARG002 - the same
        """The finding of a silence that has lasted until ``due``; call again while ``next_due`` is still ``due``."""
        return None


def number(value: object) -> bool:
    """Whether it is a number that can be a place, a count or a duration; no NaN, nothing that could not be stored."""
    return (type(value) is int or type(value) is float) and -MAX_NUMBER <= value <= MAX_NUMBER


def text(value: object) -> bool:
    """Whether it is a text that says something."""
    return type(value) is str and value != ""


def short(value: str) -> str:
    """The same for the same text, and never long: selectors and addresses have no bound, a profile has."""
    if len(value) <= MAX_TEXT:
        return value
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def place(state: State, entry: Entry) -> int:
    """Insert by time, after those of the same time, and return the index."""
    t = entry[0]
    i = len(state)
    while i and state[i - 1][0] > t:
        i -= 1
    state.insert(i, entry)
    return i


def surplus(state: State, keep_ms: int) -> int:
    """How many entries at the beginning are older than ``keep_ms`` before the newest, or too many."""
    oldest = state[-1][0] - keep_ms
    k = max(len(state) - LIMIT, 0)
    while state[k][0] < oldest:
        k += 1
    return k
