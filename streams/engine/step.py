"""One step of the engine: the touchpoint or timer at work, the profile it concerns, and what has been found so far.

Owns the making of signals and their ids. A single ``Step`` is reused for all steps of a partition, so that a
touchpoint that finds nothing allocates nothing here.
"""

from __future__ import annotations

from hashlib import blake2b

from streams.contracts.outputs import Counts, LastTouchpoint, Outputs, Signal, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.shares import Shares
from streams.engine.facts import Facts
from streams.engine.plan import SEPARATOR, Plan
from streams.engine.routes import Condition
from streams.engine.scoring.scorer import Scorer
from streams.engine.state import Profile

_NO_TOUCHPOINT = Touchpoint(event_id="", type="", occurred_at=0)


class Step:
    __slots__ = (
        "action_models",
        "armed",
        "cause",
        "counting",
        "dirty",
        "draining",
        "event_id",
        "facts",
        "found",
        "goals",
        "models",
        "now_ms",
        "out",
        "p",
        "plan",
        "shares",
        "stale_ids",
        "start_issuing_at",
        "t",
        "tp",
        "view",
        "wanting",
        "watermark",
    )

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.armed = False
        """The profile's next timer has moved forward: the partition's timers must know when the step is over."""
        self.out = Outputs()
        self.p = Profile(id="")
        self.tp = _NO_TOUCHPOINT
        self.t = 0
        self.event_id = ""
        """event_id of the completing touchpoint; "" in a timer's step."""
        self.cause = ""
        """In a timer's step, the touchpoint that tells apart what is due at one instant (two dead clicks)."""
        self.counting = False
        self.found: list[tuple[Signal, int]] = []
        """Signals of this step with the due time of the deadline that made them (-1: none), in order."""
        self.goals: list[str] = []
        """Instance keys (journey + separator + key) whose goal this touchpoint reaches."""
        self.dirty = 0
        self.view = False
        """Something of the customer view has changed."""
        self.watermark = 0
        self.start_issuing_at: int | None = None
        self.now_ms: int | None = None
        self.stale_ids: set[str] = set()
        self.facts = Facts(plan.time)
        self.models: dict[str, Scorer] = {}
        """Risk -> the model in use; a risk without one is scored by its prior."""
        self.action_models: dict[str, ActionModel] = {}
        """Action -> what has been learned of its success."""
        self.shares = Shares()
        self.wanting: list[tuple[Signal, int]] = []
        """Signals of this step that actions select, as in ``found``: decided together when all is known."""
        self.draining = False
        """The log has ended: silence after it means nothing, so nobody is scored and labels stay unknown."""

    @property
    def counts(self) -> Counts:
        return self.out.counts

    def begin(self, p: Profile, t: int, event_id: str, tp: Touchpoint | None) -> None:
        self.p = self.facts.p = p
        self.t = self.facts.t = t
        self.event_id = event_id
        self.cause = ""
        self.facts.tp = tp
        self.tp = tp if tp is not None else _NO_TOUCHPOINT
        self.dirty = 0
        self.view = False
        self.facts.signal = None

    def arm(self, due: int) -> None:
        """The profile has a timer at ``due``."""
        p = self.p
        if due < p.next_due:
            p.next_due = due
            self.armed = True

    def say(self, trigger: Trigger) -> None:
        """A trigger goes out, with the trace of this step's touchpoint."""
        out = self.out
        trace = self.tp.trace_headers
        if trace is not None:
            out.traces[len(out.triggers)] = trace
        out.triggers.append(trigger)

    def trail(self) -> list[LastTouchpoint]:
        """The last touchpoints; for a timer, those until its due time: its record must not tell when it fired."""
        trail = self.p.trail
        if self.event_id or not trail or trail[-1].occurred_at <= self.t:
            return list(trail)
        return [step for step in trail if step.occurred_at <= self.t]

    def holds(self, where: Condition | None) -> bool:
        return where is None or where(self.facts)

    def find(
        self,
        kind: str,
        name: str,
        *,
        time: int | None = None,
        due: int = -1,
        event_id: str | None = None,
        journey: str | None = None,
        instance: str | None = None,
        stage: str | None = None,
        severity: str | None = None,
        reason: str | None = None,
        evidence: list[str] | None = None,
        figures: dict[str, float] | None = None,
    ) -> Signal:
        """Note a signal. Its id derives from customer, journey, instance, kind, name and the completing touchpoint or,
        for a deadline, its due time (semantics, rule 14)."""
        p = self.p
        completing = event_id if event_id is not None else self.event_id
        when = time if time is not None else (due if due >= 0 else self.t)
        last = self.cause or str(due) if due >= 0 else completing or self.cause or str(when)
        signal = Signal(
            derived_id(p.id, journey or "", instance or "", kind, name, last),
            p.id,
            kind,
            name,
            when,
            journey,
            instance,
            stage,
            severity,
            reason,
            evidence if evidence is not None else ([completing] if completing else []),
            figures if figures is not None else {},
            self.start_issuing_at is not None and when < self.start_issuing_at,
            self.plan.number,
        )
        self.found.append((signal, due))
        return signal


def derived_id(*parts: str) -> str:
    """32 hex digits that depend on nothing but the parts."""
    return blake2b(SEPARATOR.join(parts).encode(), digest_size=16).hexdigest()


def instance_key(journey: str, key: str) -> str:
    return f"{journey}{SEPARATOR}{key}" if key else journey
