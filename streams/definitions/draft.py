"""A definition while it is read: what is known so far, and how event names and conditions are read.

Owns the translation of event names, the compilation of expressions with their places, and the register of names that
must be unique over all files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from streams.contracts.touchpoint import RESERVED_PREFIX
from streams.definitions.cel import CelExpression, CelFault, Result, compile_expression
from streams.definitions.channels import CHANNELS
from streams.definitions.faults import Report, near
from streams.definitions.model import (
    Action,
    Channel,
    EventInfo,
    EventRef,
    ExpectedValue,
    Journey,
    Milestone,
    OwnFeature,
    Risk,
    Segment,
    Time,
)
from streams.definitions.names import STANDARD_EVENTS
from streams.definitions.policy import Arbitration, Change, ContactPolicy
from streams.definitions.positions import Node
from streams.definitions.satisfaction import Satisfaction
from streams.definitions.table import Table, read_text
from streams.definitions.variables import VARIABLES, Scope, visible

MAX_REFS: Final = 100
"""Event names in one list."""
READ_IN: Final[dict[Scope, str]] = {
    "event": "the `where` of an event",
    "customer": "segments, `leave_when`, dates, features, priors and actions",
    "action": "actions",
}
MAX_NAMES: Final = 200
"""Journeys, segments, actions, milestones or channels each; every customer is looked at by all of them."""


@dataclass(frozen=True, slots=True)
class Division:
    """Customers divided by a salted hash: by a holdout or an experiment."""

    what: str
    name: str
    """Of the experiment; ``what`` for a holdout. Those of one name divide alike, and mean to."""
    salt: str
    shares: tuple[tuple[str, float], ...]
    place: Node


@dataclass(slots=True)
class Draft:
    report: Report
    time: Time = field(default_factory=Time)
    aliases: dict[str, str] = field(default_factory=dict)
    events: dict[str, EventInfo] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=lambda: dict(CHANNELS))
    satisfaction: Satisfaction = field(default_factory=Satisfaction)
    segments: dict[str, Segment] = field(default_factory=dict)
    journeys: dict[str, Journey] = field(default_factory=dict)
    milestones: dict[str, Milestone] = field(default_factory=dict)
    features: dict[str, OwnFeature] = field(default_factory=dict)
    risks: dict[str, Risk] = field(default_factory=dict)
    expected_value: ExpectedValue = field(default_factory=ExpectedValue)
    value_place: Node | None = None
    """Where ``expected_value:`` stands, in the last file that has it."""
    contact_policy: ContactPolicy = field(default_factory=ContactPolicy)
    arbitration: Arbitration = field(default_factory=Arbitration)
    changes: dict[Change, Node] = field(default_factory=dict)
    zoned: set[str] = field(default_factory=set)
    """Channels whose opening hours have a time zone of their own."""
    divisions: list[Division] = field(default_factory=list)
    action_tables: dict[str, Table] = field(default_factory=dict)
    """Actions as written, for checks that need all of them."""
    actions: dict[str, Action] = field(default_factory=dict)
    expressions: list[tuple[CelExpression, Node]] = field(default_factory=list)
    of_scores: list[tuple[CelExpression, Node, str]] = field(default_factory=list)
    """Expressions that scores are made of, with their places and what they are."""
    durations: list[tuple[int, Node]] = field(default_factory=list)
    """Lengths of time for which a profile must be remembered, with their places."""
    _names: dict[tuple[str, str], Node] = field(default_factory=dict)

    def claim(self, kind: str, name: str, place: Node) -> bool:
        """Whether the name is still free; a second use is a fault that names the first."""
        if len(self.known(kind)) == MAX_NAMES:
            self.report.fault(place, f"more than {MAX_NAMES} of one kind: {kind}s")
            return False
        first = self._names.setdefault((kind, name), place)
        if first is place:
            return True
        where = f"line {first.line}" if first.file == place.file else f"{first.file}:{first.line}"
        self.report.fault(place, f"{kind} {name!r} is defined twice", f"first in {where}")
        return False

    def place(self, kind: str, name: str) -> Node:
        return self._names[kind, name]

    def known(self, kind: str) -> list[str]:
        """All names of that kind, those included whose definition has faults."""
        return [name for of, name in self._names if of == kind]

    def event(self, node: Node, what: str) -> str | None:
        """The standard name of an event that a rule names."""
        name = read_text(node, self.report, what)
        if name is None:
            return None
        if name.startswith(RESERVED_PREFIX):
            self.report.fault(node, f"{name!r} is a command of the workers, no event", "journey.* is reserved")
            return None
        standard = self.aliases.get(name, name)
        if standard not in STANDARD_EVENTS and standard not in self.events:
            known = STANDARD_EVENTS | self.aliases.keys() | self.events.keys()
            hint = near(name, known) or "declare it under `events:` if it is meant"
            self.report.warn(node, f"{name!r} is not a standard event name", hint)
        return standard

    def ref(self, node: Node, what: str) -> EventRef | None:
        """``Product Added`` or ``{event: page, where: "..."}``."""
        if node.kind != "map":
            name = self.event(node, what)
            return None if name is None else EventRef(name)
        table = Table(node, self.report, what)
        inner = table.need("event", "an event name, perhaps with a `where`")
        name = None if inner is None else self.event(inner, "'event'")
        where = self.expression(table.take("where"), "event", "bool", "'where'")
        table.finish()
        if name is None or (where is None and "where" in table):
            return None
        return EventRef(name, where)

    def refs(self, node: Node | None, what: str) -> tuple[EventRef, ...]:
        """One event or a list of them; none twice."""
        if node is None:
            return ()
        if node.kind == "list" and not node.items:
            self.report.fault(node, f"{what} is an empty list")
        if len(node.items) > MAX_REFS:
            self.report.fault(node, f"{what} names more than {MAX_REFS} events")
            return ()
        out: dict[EventRef, None] = {}
        for item in node.items if node.kind == "list" else [node]:
            ref = self.ref(item, what)
            if ref is None:
                continue
            if ref in out:
                self.report.fault(item, f"{ref.event!r} is given twice in {what}")
            out[ref] = None
        return tuple(out)

    def refs_with_where(self, table: Table, what: str) -> tuple[EventRef, ...]:
        """The keys ``event`` and ``where`` that stand among others: in a goal, in a count."""
        refs = self.refs(table.need("event"), what)
        where = self.expression(table.take("where"), "event", "bool", "'where'")
        if where is None:
            # A condition with a fault leaves nothing, lest the event count everywhere and give further faults.
            return () if "where" in table else refs
        if any(ref.where is not None for ref in refs):
            self.report.fault(table.key_place("where"), "'where' is given twice: here and at the event")
        return tuple(replace(ref, where=where) for ref in refs)

    def expression(
        self, node: Node | None, scope: Scope, result: Result, what: str, hint: str | None = None
    ) -> CelExpression | None:
        if node is None:
            return None
        if node.kind == "scalar" and isinstance(node.scalar, bool | int | float):
            text: str | None = node.text
        else:
            text = read_text(node, self.report, what, limit=1024)
        if text is None:
            return None
        try:
            expression = compile_expression(text, scope, result)
        except CelFault as fault:
            hint = hint or _meant(str(fault), scope) or _here(text.strip()[fault.at :])
            self.report.fault(node, f"{what}: {fault}", hint)
            return None
        if result == "bool" and not expression.uses:
            answer = "true" if expression.test(_no_facts) else "false"
            self.report.fault(node, f"{what} is always {answer}: it reads no variable", "name a variable, or remove it")
            return None
        self.expressions.append((expression, node))
        return expression

    def remember(self, ms: int | None, node: Node) -> None:
        if ms is not None:
            self.durations.append((ms, node))


_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")


def _meant(message: str, scope: Scope) -> str | None:
    """Where a variable that is not known here can be read, or how it is spelt."""
    found = _UNDECLARED.match(message)
    if found is None:
        return None
    name = found[1]
    for variable in VARIABLES.values():
        if name == variable.name or name.startswith(f"{variable.name}."):
            return f"{variable.name} can be read in {READ_IN[variable.scope]} only"
    return near(name, visible(scope))


def _here(rest: str) -> str | None:
    return f"at {rest[:24]!r}" if rest else None


def _no_facts(name: str) -> Any:
    raise KeyError(name)
