"""What a profile keeps of the company's dealings with the customer: contacts, refusals, held decisions, open labels.

Owns the structs and their bounds; they are part of the profile's record (``engine/state.py``): fields are appended with
a default and never reordered. Nothing here knows the engine.
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.contracts.outputs import Signal

NEVER: Final = (1 << 62) - 1
CONTACTS_KEPT: Final = 60
"""Newest contacts."""
HELD: Final = 10
"""Decisions that wait."""
HELD_BYTES: Final = 8 * 1024
"""All that wait together."""
WAITING: Final = 40
"""Contacts whose success is not known yet; one beyond teaches nothing."""
REFUSED: Final = 40
"""Actions of which refusals are kept."""
PAUSES: Final = 20

BITS: Final = {
    name: 1 << n
    for n, name in enumerate(
        ("sent", "not_sent", "delivered", "opened", "clicked", "dismissed", "unsubscribed", "bounced", "converted")
    )
}
"""Outcomes as bits of ``Made.told``."""

CONTACT_BYTES: Final = 320
WAITING_BYTES: Final = 420
HELD_MORE: Final = 400
"""Beside its signals."""
NOTE_BYTES: Final = 300


class Made(msgspec.Struct, array_like=True, gc=False):
    """One contact: an action's, or a message that somebody else has sent."""

    at: int
    """When it is made: ``not_before`` of the trigger, else the time of the decision."""
    channel: str
    """Empty: none that the definition knows."""
    action: str = ""
    """Empty: somebody else's."""
    trigger: str = ""
    told: int = 0
    """Outcomes heard, as bits (``BITS``)."""
    external: str = ""
    """Campaign and dispatch of the downstream system, as a digest; empty: none."""
    counts: bool = True
    """False: given back."""
    ghost: bool = False
    decided: int = 0
    """Time of the decision."""


class Held(msgspec.Struct, array_like=True, gc=False):
    """A decision that waits: for quiet hours to end, for a channel to open, or for the time of a sequence's step."""

    due: int
    signals: list[Signal]
    dues: list[int]
    """Of each signal: due time of the deadline that made it, -1 if none did."""
    since: int
    """Validity counts from here."""
    actions: list[str]
    """Those that it may choose from, as of when it was held."""
    tries: int = 0
    """How often it has been released."""
    action: str = ""
    """The only one it is about: a further step of it."""
    step: int = 0
    closed: dict[str, str] = {}
    """Action, or id of a signal -> what has closed it meanwhile."""
    triggers: list[str] = []
    """Of the steps before."""
    size: int = 0
    channel: str = ""
    """It waits for its turn on this one, which was full."""


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """A contact whose success is not known yet."""

    at: int
    until: int
    """Success is a goal in (at, until]."""
    action: str
    trigger: str
    journey: str | None
    instance: str | None
    p: float
    """Probability of success as it was taken for the decision."""
    model: str
    signature: str
    complained: bool = False
    """A detractor's answer, or a contact with the company, since."""
    values: bytes = b""
    """Features as of the decision, as in ``scoring.state.Snapshot``; empty: none are kept."""


class Dealings(msgspec.Struct, array_like=True, gc=False):
    contacts: list[Made] = []
    """Oldest first."""
    held: list[Held] = []
    waiting: list[Waiting] = []
    due: int = NEVER
    """When the first of what is held or waits is due."""
    refusals: dict[str, list[int]] = {}
    """Action -> times of refusals, oldest first."""
    suppressed: dict[str, int] = {}
    """Action -> until when it is not chosen."""
    pauses: dict[str, int] = {}
    """Pause of marketing -> until when."""
    replies: dict[str, list[float]] = {}
    """Channel -> [time (ms) of the weights, contacts, responses], decaying."""

    forgotten: int = -1
    """Contacts until then have been dropped for want of room: a limit that would count them is taken for used up."""

    def forget(self, n: int) -> None:
        """Drop the oldest contacts though something may still ask for them."""
        self.forgotten = max(self.forgotten, self.contacts[n - 1].at)
        del self.contacts[:n]

    def recount(self) -> None:
        self.due = min(
            min((h.due for h in self.held), default=NEVER), min((w.until for w in self.waiting), default=NEVER)
        )
