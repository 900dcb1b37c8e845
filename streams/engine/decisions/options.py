"""One action that a signal asks for, on its way through the gates and into the choice.

Owns what is found out of it on that way.
"""

from __future__ import annotations

from typing import Final

from streams.contracts.outputs import Candidate, Signal
from streams.definitions.model import Channel
from streams.engine.decisions.arbitration import Posterior
from streams.engine.decisions.plan import Gates
from streams.engine.routes import ActionPlan
from streams.engine.state import Issued

PRIOR: Final = "prior"
UNKNOWN: Final = Posterior(0.5, 0.5)


class Option:
    """One action that a signal asks for, on its way through the gates."""

    # Twenty of them are made for a decision: what most never change stays the class's.
    channel: Channel | None = None
    replaces: Issued | None = None
    scale: float = 0.0
    """C x V x L."""
    known: Posterior = UNKNOWN
    p: float = 0.5
    """Its mean."""
    priority: float = 0.0
    model: str = PRIOR
    opens: int = 0
    """Where a gate is closed for a time only: when to look again; 0: it is not."""
    queued: Channel | None = None
    """The channel that is full until then: who waits for it has a turn."""

    def __init__(
        self, plan: ActionPlan, gates: Gates, signal: Signal, due: int, step: int, since: int, candidate: Candidate
    ) -> None:
        self.plan = plan
        self.gates = gates
        self.signal = signal
        self.due = due
        """Of the deadline that made the signal; -1: none did."""
        self.step = step
        self.since = since
        """Validity counts from here."""
        self.candidate = candidate
