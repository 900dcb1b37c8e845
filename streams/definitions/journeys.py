"""Journeys: goal, stages and the deadlines of stages.

Owns reading one journey and the checks that need nothing but that journey; friction rules are in ``friction.py``.
"""

from __future__ import annotations

from typing import Final

from streams.contracts.outputs import SEVERITIES
from streams.definitions.draft import Draft
from streams.definitions.faults import near_or_list
from streams.definitions.friction import as_severity, check_field, read_friction
from streams.definitions.model import Abandonment, EventRef, Goal, Journey, Stage
from streams.definitions.names import JOURNEY_TYPES, NOT_YET_JOURNEY
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_name, spoken_ms

MAX_STAGES: Final = 50


def read_journeys(table: Table, draft: Draft) -> None:
    node = table.take("journeys")
    if node is None:
        return
    for key, value in Table(node, draft.report, "'journeys'").entries():
        name = read_name(key, draft.report, "a journey")
        if name is not None and draft.claim("journey", name, key):
            draft.journeys[name] = _journey(name, value, draft)


def _journey(name: str, node: Node, draft: Draft) -> Journey:
    table = Table(node, draft.report, f"journey {name!r}", NOT_YET_JOURNEY)
    kind = table.choice("type", JOURNEY_TYPES, required=True)
    owner = table.text("owner")
    instance_by = read_field(table, "instance_by", draft)
    goal = _goal(table.need("goal", "the event that completes it, for example {event: Order Completed}"), draft)
    places: dict[str, Node] = {}
    stages = _stages(table.need("stages"), name, draft, places)
    abandonment = _deadlines(table.take("abandonment"), name, stages, goal, draft)
    friction = read_friction(table.take("friction"), name, [stage.name for stage in stages], goal.within_ms, draft)
    table.finish()
    _check_entries(stages, goal, places, draft)
    return Journey(name, kind or "use", goal, stages, abandonment, friction, owner, instance_by)


def read_field(table: Table, key: str, draft: Draft) -> str | None:
    """A touchpoint field, else a property, whose value tells things apart."""
    name = table.text(key)
    node = table.take(key)
    if name is not None and node is not None:
        check_field(name, node, key, draft)
    return name


def _goal(node: Node | None, draft: Draft) -> Goal:
    if node is None:
        return Goal(())
    if node.kind != "map":
        return Goal(draft.refs(node, "'goal'"))
    table = Table(node, draft.report, "'goal'")
    on = draft.refs_with_where(table, "'goal'")
    target = table.number("target", 0.0, 1.0)
    within = table.duration("within")
    draft.remember(within, table.key_place("within"))
    table.finish()
    return Goal(on, target, within)


def _stages(node: Node | None, journey: str, draft: Draft, places: dict[str, Node]) -> tuple[Stage, ...]:
    if node is None:
        return ()
    if node.kind == "map" and not 1 <= len(node.pairs) <= MAX_STAGES:
        draft.report.fault(node, f"a journey has 1 to {MAX_STAGES} stages, not {len(node.pairs)}")
    out: list[Stage] = []
    former: dict[str, Node] = {}
    for key, value in Table(node, draft.report, "'stages'").entries():
        name = read_name(key, draft.report, "a stage")
        if name is None:
            continue
        table = Table(value, draft.report, f"stage {name!r}")
        on = draft.refs(table.need("on", "the events that enter it"), "'on'")
        leave_when = draft.expression(table.take("leave_when"), "customer", "bool", "'leave_when'")
        was = table.text("was")
        if was is not None:
            if was in former:
                draft.report.fault(table.key_place("was"), f"two stages were called {was!r}")
            former[was] = table.key_place("was")
        stage = Stage(
            name=name,
            on=on,
            leave_when=leave_when,
            critical=table.boolean("critical", False),
            customer_wants=table.text("customer_wants"),
            was=was,
        )
        table.finish()
        places[name] = key
        out.append(stage)
    for was, place in former.items():
        if was in places:
            draft.report.fault(place, f"ambiguous: {was!r} is also the name of a stage of journey {journey!r}")
    return tuple(out)


def _check_entries(stages: tuple[Stage, ...], goal: Goal, places: dict[str, Node], draft: Draft) -> None:
    """A stage must be reachable: some event enters it that neither the goal nor a higher stage always takes."""
    taken: dict[EventRef, str] = dict.fromkeys(goal.on, "the goal")
    for stage in reversed(stages):
        owners = []
        for ref in stage.on:
            owner = taken.get(ref) or taken.get(EventRef(ref.event))
            if owner is not None:
                owners.append((ref, owner))
        for ref, owner in owners if len(owners) < len(stage.on) else []:
            message = f"stage {stage.name!r} is never entered by {ref.event!r}: {owner} takes it"
            draft.report.fault(places[stage.name], message, "name it once, or give one of them a `where`")
        if owners and len(owners) == len(stage.on):
            by = ", ".join(f"{ref.event!r} by {owner}" for ref, owner in owners)
            draft.report.fault(places[stage.name], f"stage {stage.name!r} is unreachable: its events are taken, {by}")
        for ref in stage.on:
            taken.setdefault(ref, f"stage {stage.name!r}")


def _deadlines(
    node: Node | None, journey: str, stages: tuple[Stage, ...], goal: Goal, draft: Draft
) -> tuple[Abandonment, ...]:
    if node is None:
        return ()
    out = []
    names = [stage.name for stage in stages]
    for key, value in Table(node, draft.report, "'abandonment'").entries():
        if key.text not in names:
            message = f"deadline without a stage: journey {journey!r} has no stage {key.text!r}"
            draft.report.fault(key, message, near_or_list(key.text, names))
        found = _deadline(key.text, value, goal, draft)
        if found is not None and key.text in names:
            out.append(found)
    # In the order of the stages, lowest first: that is the order of the tiers.
    return tuple(sorted(out, key=lambda deadline: names.index(deadline.stage)))


def _deadline(stage: str, node: Node, goal: Goal, draft: Draft) -> Abandonment | None:
    table = Table(node, draft.report, f"the deadline of {stage!r}")
    after = table.duration("after")
    start = table.choice("from", ["entry", "last_touchpoint"])
    before_node = table.take("before")
    date, by_ms = None, 0
    if before_node is not None:
        before = Table(before_node, draft.report, "'before'")
        date = draft.expression(before.need("date", "a date, for example traits.renewal_due_at"),
                                "customer", "date", "'date'")  # fmt: skip
        by_ms = before.duration("by", lowest_ms=0) or 0
        before.finish()
    once_per = table.choice("once_per", ["cart contents"])
    min_events = table.integer("min_events", 1, 1_000)
    severity = table.choice("severity", SEVERITIES)
    table.finish()
    draft.remember(after, table.key_place("after"))
    if ("after" in table) == ("before" in table):
        draft.report.fault(node, f"{table.what} needs either 'after' or 'before'", "for example {after: 30m}")
        return None
    if "from" in table and "before" in table:
        draft.report.fault(table.key_place("from"), "'from' belongs to 'after', not to 'before'")
    if after is not None and goal.within_ms is not None and after > goal.within_ms:
        message = f"it can never fire: the journey expires {spoken_ms(goal.within_ms)} after it opened"
        draft.report.fault(table.key_place("after"), message, "shorten it, or lengthen the goal's 'within'")
    if after is None and date is None:
        return None
    return Abandonment(
        stage=stage,
        after_ms=after,
        from_entry=start == "entry",
        before=date,
        by_ms=by_ms,
        once_per="cart contents" if once_per else None,
        min_events=min_events or 1,
        severity=as_severity(severity),
    )
