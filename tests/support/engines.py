"""What engine tests share: short definitions, touchpoints in one line, and an engine that remembers what it said.

Owns the vocabulary of those tests. Times are ms after ``T0``, written with ``S``, ``M``, ``H`` and ``D``:
``touchpoint(5 * M, "Product Added", product_id="p")``.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent
from typing import Any, Final

import msgspec

from streams.contracts.outputs import Counts, Customer, Decision, Example, Outputs, Signal, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.engine.engine import Engine
from streams.engine.scoring.scorer import Scorer

T0: Final = 1_767_571_200_000
"""2026-01-05T00:00:00Z."""
S: Final = 1_000
M: Final = 60 * S
H: Final = 60 * M
D: Final = 24 * H

_FIELDS: Final = frozenset(Touchpoint.__struct_fields__)


def define(text: str, number: int = 0) -> Definition:
    """A definition of one file; ``version: 1`` is put before it."""
    return load_texts([("test.journey.yaml", "version: 1\n" + dedent(text))], number)


def touchpoint(t: int, type: str, customer: str | None = "c", **fields: Any) -> Touchpoint:  # noqa: A002 - the field's name
    """A touchpoint ``t`` ms after T0. Keywords that are no field of a touchpoint become properties.

    The event_id is made of customer, type and time: give one where two would be the same.
    """
    own = {name: value for name, value in fields.items() if name in _FIELDS}
    properties = {name: value for name, value in fields.items() if name not in _FIELDS}
    own.setdefault("event_id", f"{customer}/{type}/{t}")
    if properties:
        own["properties"] = {**(own.get("properties") or {}), **properties}
    return Touchpoint(type=type, occurred_at=T0 + t, customer_id=customer, **own)


class Run:
    """An engine, and all that it has said since it began."""

    def __init__(self, definition: Definition | str, **options: Any) -> None:
        self.engine = Engine(define(definition) if isinstance(definition, str) else definition, **options)
        self.signals: list[Signal] = []
        self.triggers: list[Trigger] = []
        self.decisions: list[Decision] = []
        self.examples: list[Example] = []
        self.models: dict[str, Scorer] = {}
        """Adopted, by risk."""
        self.customers: dict[str, Customer | None] = {}
        """Last view of each profile; None: forgotten."""
        self.views: list[tuple[str, Customer | None]] = []
        """Every view, in order."""
        self.stale: list[str] = []
        self.rejections: list[Any] = []
        self.totals: dict[str, int] = dict.fromkeys(Counts.__struct_fields__, 0)
        self.changelog: dict[bytes, bytes] = {}
        """What a restore would read: the last record of each profile that has not been forgotten."""

    def hear(self, *touchpoints: Touchpoint, now_ms: int | None = None) -> Outputs:
        """Process one batch."""
        return self._take(self.engine.process(touchpoints, now_ms))

    def hear_each(self, touchpoints: Iterable[Touchpoint], now_ms: int | None = None) -> None:
        """Process each touchpoint as a batch of its own."""
        for one in touchpoints:
            self.hear(one, now_ms=now_ms)

    def until(self, t: int, now_ms: int | None = None) -> Outputs:
        """Move the watermark to ``t`` ms after T0: nothing was heard."""
        return self._take(self.engine.advance(T0 + t, now_ms))

    def drain(self) -> Outputs:
        return self._take(self.engine.drain())

    def adopt(self, definition: Definition | str) -> Outputs:
        return self._take(self.engine.adopt(define(definition) if isinstance(definition, str) else definition))

    def adopt_model(self, scorer: Scorer) -> Outputs:
        out = self._take(self.engine.adopt_model(scorer))
        self.models[scorer.risk] = scorer
        return out

    def risks(self, name: str | None = None) -> list[tuple[int, str | None]]:
        """(ms after T0, band) of every churn_risk signal (of one risk), in order."""
        return [
            (s.time - T0, s.band) for s in self.signals if s.kind == "churn_risk" and (name is None or s.name == name)
        ]

    def labels(self, risk: str | None = None) -> list[tuple[int, int, bool]]:
        """(scored, matured in ms after T0, label) of every example (of one risk), in order."""
        return [(e.scored_at - T0, e.matured_at - T0, e.label) for e in self.examples if risk is None or e.risk == risk]

    def kinds(self, customer: str | None = None) -> list[tuple[str, str]]:
        """(kind, name) of every signal (of one customer), in order."""
        return [(s.kind, s.name) for s in self.signals if customer is None or s.customer == customer]

    def named(self, name: str) -> list[Signal]:
        """Signals of a rule (a stage, a journey, a segment)."""
        return [s for s in self.signals if s.name == name]

    def statuses(self) -> list[tuple[str, str, str | None]]:
        """(action, status, end reason) of every record of a trigger, in order."""
        return [(t.action, t.status, t.end_reason) for t in self.triggers]

    def save(self) -> dict[bytes, bytes]:
        """Take the changes since the last call into ``changelog`` and return it."""
        for key, blob in self.engine.changed():
            if blob is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = blob
        return self.changelog

    def restart(self, **options: Any) -> None:
        """Save everything and go on with a fresh engine that has restored it."""
        records = dict(self.save())
        partition_record = self.engine.partition_record()
        models = self.engine.models
        self.engine = Engine(self.engine.definition, **options)
        self.engine.restore(records, partition_record)
        for risk in models:
            self.engine.adopt_model(self.models[risk])

    def _take(self, out: Outputs) -> Outputs:
        self.signals += out.signals
        self.triggers += out.triggers
        self.decisions += out.decisions
        self.examples += out.examples
        self.stale += out.stale
        self.rejections += out.rejections
        self.customers |= out.customers
        self.views += out.customers.items()
        for name in self.totals:
            self.totals[name] += getattr(out.counts, name)
        return out


def plain(value: Any) -> Any:
    """Structs as dicts and lists: what a failing comparison shows best."""
    return msgspec.to_builtins(value)
