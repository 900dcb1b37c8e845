"""The sections of a definition other than journeys, risks and actions.

Owns version, events, time, segments, satisfaction and milestones, and the list of all sections; each of the others has
a module of its own. Where several files set the same thing, they
must agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from streams.contracts.touchpoint import ACTORS, RESERVED_PREFIX
from streams.definitions.draft import Draft
from streams.definitions.faults import near, near_or_list
from streams.definitions.hours import read_zone
from streams.definitions.model import DAY_MS, EventInfo, Milestone, Segment
from streams.definitions.names import NOT_YET_TOP, STANDARD_EVENTS, VISIBLE
from streams.definitions.positions import Node
from streams.definitions.satisfaction import CSAT, Satisfaction
from streams.definitions.table import Table, read_duration, read_name, read_number, read_text, spoken_ms

SECTIONS: Final = (
    "version", "events", "time", "channels", "segments", "journeys", "satisfaction", "milestones", "features",
    "risks", "expected_value", "actions", "paused", "contact_policy", "arbitration", "changes",
)  # fmt: skip
ELSEWHERE: Final = {
    "holdout": "write it under `contact_policy:`, or at an action",
    "experiments": "write `experiment` at the action",
    "quiet_hours": "write it under `contact_policy:`",
    "limits": "write it under `contact_policy:`",
}
"""Keys that are looked for at the top -> where they belong."""
TIME_KEYS: Final = {
    "allowed_lateness": ("allowed_lateness_ms", 0, DAY_MS),
    "session_gap": ("session_gap_ms", 1_000, DAY_MS),
    "session_cap": ("session_cap_ms", 60_000, 7 * DAY_MS),
    "permitted_skew": ("permitted_skew_ms", 0, DAY_MS),
    "too_late": ("too_late_ms", 60_000, 30 * DAY_MS),
    "forget_after": ("forget_after_ms", DAY_MS, 3_660 * DAY_MS),
}
"""Key -> field, shortest and longest (ms)."""


def root_table(root: Node, draft: Draft) -> Table:
    table = Table(root, draft.report, "the definition", NOT_YET_TOP, ELSEWHERE)
    version = table.need("version", "the first line is `version: 1`")
    if version is not None and (version.scalar != 1 or isinstance(version.scalar, bool)):
        draft.report.fault(version, f"version {version.text or version.spoken} is not known", "write `version: 1`")
    for section in SECTIONS:
        table.take(section)
    table.finish()
    return table


def read_events(table: Table, draft: Draft) -> None:
    node = table.take("events")
    if node is None:
        return
    for key, value in Table(node, draft.report, "'events'").entries():
        name = read_text(key, draft.report, "an event name")
        if name is None:
            continue
        if name.startswith(RESERVED_PREFIX):
            draft.report.fault(key, f"{name!r} is a command of the workers, no event", "journey.* is reserved")
        elif value.kind == "map":
            info = _event_info(value, draft)
            if draft.events.setdefault(name, info) != info:
                draft.report.fault(key, f"event {name!r} is described differently in another file")
        else:
            target = read_text(value, draft.report, f"the standard name of {name!r}")
            if target is None:
                continue
            if name in STANDARD_EVENTS:
                draft.report.warn(key, f"{name!r} is a standard name and is renamed to {target!r}")
            if draft.aliases.setdefault(name, target) != target:
                draft.report.fault(key, f"{name!r} is given another standard name in another file")
            if target == name:
                draft.report.fault(value, f"{name!r} stands for itself")


def check_aliases(tables: list[Table], draft: Draft) -> None:
    """After all files: an alias leads to a name, not to a further alias."""
    for table in tables:
        node = table.take("events") if "events" in table else None
        for key, value in [] if node is None else node.pairs:
            target = draft.aliases.get(key.text)
            if target is None or target == key.text:
                continue
            if target in draft.aliases:
                draft.report.fault(value, f"{target!r} is itself renamed", f"write {draft.aliases[target]!r}")
            elif target not in STANDARD_EVENTS and target not in draft.events:
                hint = near(target, STANDARD_EVENTS) or "declare it under `events:` if it is meant"
                draft.report.warn(value, f"{target!r} is not a standard event name", hint)
            if key.text in draft.events:
                draft.report.fault(key, f"{key.text!r} is renamed and described", f"describe {target!r}")


def _event_info(node: Node, draft: Draft) -> EventInfo:
    table = Table(node, draft.report, "an event")
    info = EventInfo(
        actor=table.choice("actor", sorted(ACTORS)),
        visible=table.choice("visible", VISIBLE),
        department=table.text("department"),
        system=table.text("system"),
    )
    table.finish()
    return info


def read_time(table: Table, draft: Draft, given: dict[str, Any]) -> None:
    """``given`` carries what earlier files set."""
    node = table.take("time")
    if node is None:
        return
    section = Table(node, draft.report, "'time'")
    found: dict[str, tuple[Node, Any]] = {}
    zone = section.take("timezone")
    if zone is not None:
        name = read_zone(zone, draft)
        if name is not None:
            found["timezone"] = (zone, name)
    for key, (name, shortest, longest) in TIME_KEYS.items():
        inner = section.take(key)
        ms = None if inner is None else read_duration(inner, draft.report, repr(key), lowest_ms=min(shortest, 1))
        if inner is None or ms is None:
            continue
        if not shortest <= ms <= longest:
            bounds = f"{spoken_ms(shortest) if shortest else 0} to {spoken_ms(longest)}"
            draft.report.fault(inner, f"{key!r} is {inner.text}, wanted is {bounds}")
        else:
            found[name] = (inner, ms)
    section.finish()
    for name, (place, value) in found.items():
        if given.setdefault(name, value) != value:
            draft.report.fault(place, "another file sets this to something else", "time settings must agree")
    draft.time = replace(draft.time, **{name: value for name, (_, value) in found.items()})
    if draft.time.session_gap_ms > draft.time.session_cap_ms:
        draft.report.fault(node, "'session_gap' is longer than 'session_cap'")
    if draft.time.too_late_ms < draft.time.allowed_lateness_ms:
        draft.report.fault(node, "'too_late' is shorter than 'allowed_lateness'")


def read_segments(table: Table, draft: Draft) -> None:
    node = table.take("segments")
    if node is None:
        return
    for key, value in Table(node, draft.report, "'segments'").entries():
        name = read_name(key, draft.report, "a segment")
        if name is None or not draft.claim("segment", name, key):
            continue
        inner = Table(value, draft.report, f"segment {name!r}")
        where = draft.expression(inner.need("where", "a CEL condition"), "customer", "bool", "'where'")
        title = inner.text("title")
        needs = tuple(need for need, _ in inner.choices("needs", None))
        inner.finish()
        if where is not None:
            draft.segments[name] = Segment(name, where, title, needs)


def read_satisfaction(table: Table, draft: Draft, given: dict[str, Any]) -> None:
    node = table.take("satisfaction")
    if node is None:
        return
    section = Table(node, draft.report, "'satisfaction'")
    fall = section.number("fall", 0.01, 2.0)
    if fall is not None and given.setdefault("fall", fall) != fall:
        draft.report.fault(section.key_place("fall"), "another file sets 'fall' to something else")
    csat = section.choice("csat", CSAT)
    if csat is not None and given.setdefault("csat", csat) != csat:
        draft.report.fault(section.key_place("csat"), "another file sets 'csat' to something else")
    words = dict(draft.satisfaction.words)
    inner = section.take("words")
    for label, place in [] if inner is None else Table(inner, draft.report, "'words'").entries():
        word = label.text.lower()
        sentiment = read_number(place, draft.report, f"the sentiment of {word!r}", -1.0, 1.0)
        if sentiment is not None and words.setdefault(word, sentiment) != sentiment:
            draft.report.fault(label, f"the word {word!r} has another sentiment above")
    section.finish()
    held = draft.satisfaction
    draft.satisfaction = Satisfaction(
        held.fall if fall is None else fall, words, "mean" if given.get("csat") == "mean" else "top_2_box"
    )


def read_milestones(table: Table, draft: Draft) -> None:
    node = table.take("milestones")
    if node is None:
        return
    if node.kind != "list":
        draft.report.fault(node, f"'milestones' is a list, not {node.spoken}", "begin each with `- `")
        return
    for item in node.items:
        inner = Table(item, draft.report, "a milestone")
        label = inner.need("name")
        name = None if label is None else read_name(label, draft.report, "'name'")
        goal_node = inner.take("goal")
        goal = None if goal_node is None else read_text(goal_node, draft.report, "'goal'")
        nth = inner.integer("nth", 1, 1_000_000)
        anniversary = inner.choice("anniversary_of", ["first_seen"])
        inner.finish()
        if ("goal" in inner) == ("anniversary_of" in inner):
            draft.report.fault(item, "a milestone needs either 'goal' or 'anniversary_of'")
        elif nth is not None and goal_node is None:
            draft.report.fault(inner.key_place("nth"), "'nth' counts goals, so it needs 'goal'")
        if goal_node is not None and goal is not None and goal not in draft.known("journey"):
            draft.report.fault(goal_node, f"no journey is called {goal!r}", near_or_list(goal, draft.known("journey")))
        if name is not None and label is not None and draft.claim("milestone", name, label):
            first_seen = "first_seen" if anniversary else None
            draft.milestones[name] = Milestone(name, goal, nth or 1, first_seen)  # type: ignore[arg-type]  # a Literal
