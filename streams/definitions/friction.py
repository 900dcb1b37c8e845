"""Friction rules: count, sequence, absence, stalled and the click presets.

Owns reading the rules of one journey and the bounds of their windows.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import Final

from streams.contracts.outputs import SEVERITIES
from streams.definitions.draft import Draft
from streams.definitions.faults import near, near_or_list
from streams.definitions.model import Absence, Count, Friction, Preset, Sequence, Severity, Stalled
from streams.definitions.names import FIELDS, NOT_COMPARABLE, NOT_YET_JOURNEY
from streams.definitions.positions import Node
from streams.definitions.presets import PRESET_COOL_DOWN_MS, PRESET_NAMES
from streams.definitions.table import Table, read_name, spoken_ms

KINDS: Final = ("preset", "count", "sequence", "absence", "stalled")
MAX_RULES: Final = 100
MAX_COUNT: Final = 1_000
"""A window keeps that many times; more would not fit into a profile."""
Rule = Count | Sequence | Absence | Stalled | Preset


def read_friction(
    node: Node | None, journey: str, stages: Seq[str], within_ms: int | None, draft: Draft
) -> tuple[Friction, ...]:
    if node is None:
        return ()
    if node.kind != "list":
        draft.report.fault(node, f"'friction' is a list of rules, not {node.spoken}", "begin each with `- `")
        return ()
    if len(node.items) > MAX_RULES:
        draft.report.fault(node, f"more than {MAX_RULES} friction rules")
        return ()
    out: dict[str, Friction] = {}
    for item in node.items:
        found = _rule(item, stages, within_ms, draft)
        if found is None:
            continue
        if found.name in out:
            draft.report.fault(item, f"journey {journey!r} has two friction rules called {found.name!r}",
                               "give one of them another `name:`")  # fmt: skip
        out.setdefault(found.name, found)
    return tuple(out.values())


def _rule(node: Node, stages: Seq[str], within_ms: int | None, draft: Draft) -> Friction | None:
    if node.kind == "scalar" and node.text in PRESET_NAMES:
        draft.report.fault(node, f"a friction rule is a map, not {node.spoken}", f"write `- preset: {node.text}`")
        return None
    table = Table(node, draft.report, "a friction rule", NOT_YET_JOURNEY)
    label = table.take("name")
    name = None if label is None else read_name(label, draft.report, "'name'")
    severity = as_severity(table.choice("severity", SEVERITIES))
    cool_down = table.duration("cool_down", lowest_ms=0)
    kinds = [kind for kind in KINDS if kind in table]
    inner = {kind: table.take(kind) for kind in KINDS}
    table.finish()
    if node.kind != "map":
        return None
    if len(kinds) != 1:
        hint = ", ".join(KINDS)
        message = f"a friction rule is one of these: {hint}" if not kinds else f"it is {' and '.join(kinds)} at once"
        draft.report.fault(node, message, None if not kinds else "make two rules of it")
        return None
    value = inner[kinds[0]]
    rule = None if value is None else _read(kinds[0], value, stages, within_ms, draft)
    if isinstance(rule, Preset):
        name = name or (rule.preset if label is None else None)
    elif label is None and kinds[0] != "preset":
        draft.report.fault(node, "a friction rule needs 'name'", "actions and metrics call it by it")
    if rule is None or name is None:
        return None
    if cool_down is None:
        cool_down = PRESET_COOL_DOWN_MS if isinstance(rule, Preset) else 0
    draft.remember(cool_down, table.key_place("cool_down"))
    return Friction(name, rule, severity or "medium", cool_down)


def as_severity(text: str | None) -> Severity | None:
    for severity in ("low", "medium", "high", "critical"):
        if text == severity:
            return severity
    return None


def _read(kind: str, node: Node, stages: Seq[str], within_ms: int | None, draft: Draft) -> Rule | None:
    if kind == "preset":
        if node.kind == "scalar" and node.text in PRESET_NAMES:
            return Preset(node.text)
        same_kind = [name for name in PRESET_NAMES if name.partition("/")[0] == node.text.partition("/")[0]]
        hint = near_or_list(node.text, same_kind or PRESET_NAMES)
        draft.report.fault(node, f"no preset is called {node.text!r}", hint)
        return None
    table = Table(node, draft.report, f"'{kind}'")
    match kind:
        case "count":
            return _count(table, draft)
        case "sequence":
            return _sequence(table, draft)
        case "absence":
            return _absence(table, draft)
        case _:
            return _stalled(table, stages, within_ms, draft)


def _count(table: Table, draft: Draft) -> Count | None:
    on = draft.refs_with_where(table, "'event'")
    at_least = table.integer("at_least", 1, MAX_COUNT, required=True)
    within = table.duration("within", required=True)
    same, different = _fields(table, "same", draft), _fields(table, "different", draft)
    table.finish()
    draft.remember(within, table.key_place("within"))
    for field in set(same) & set(different):
        draft.report.fault(table.key_place("different"), f"{field!r} cannot be the same and different")
    if different and at_least == 1:
        draft.report.fault(table.key_place("at_least"), "with 'different' at least 2 are counted")
    return Count(on, at_least, within, same, different) if on and at_least and within else None


def _fields(table: Table, key: str, draft: Draft) -> tuple[str, ...]:
    out = []
    for name, node in table.choices(key, None):
        check_field(name, node, key, draft)
        out.append(name)
    return tuple(out)


def check_field(name: str, node: Node, key: str, draft: Draft) -> None:
    """A touchpoint field, else a property, whose value tells things apart."""
    if name in NOT_COMPARABLE:
        draft.report.fault(node, f"{key!r} cannot be {name!r}: it does not tell what belongs together")
    elif name not in FIELDS:
        hint = near(name, FIELDS)
        if hint:
            draft.report.warn(node, f"{name!r} is no touchpoint field, so a property of that name is read", hint)


def _sequence(table: Table, draft: Draft) -> Sequence | None:
    node = table.need("of", "the events in their order")
    of = []
    for item in [] if node is None else node.items:
        ref = draft.ref(item, "'of'")
        if ref is not None:
            of.append(ref)
    if node is not None and not 2 <= len(node.items) <= 10:
        draft.report.fault(node, "'of' is a list of 2 to 10 events")
    within = table.duration("within", required=True)
    across = table.choice("across", ["customer", "instance"])
    table.finish()
    draft.remember(within, table.key_place("within"))
    return Sequence(tuple(of), within, across == "customer") if len(of) >= 2 and within else None


def _absence(table: Table, draft: Draft) -> Absence | None:
    of = draft.refs(table.need("of", "the event that is awaited"), "'of'")
    after = draft.refs(table.need("after", "the event after which it is awaited"), "'after'")
    within = table.duration("within", required=True)
    table.finish()
    draft.remember(within, table.key_place("within"))
    for ref in set(of) & set(after):
        draft.report.fault(table.key_place("of"), f"{ref.event!r} cannot answer itself", "'of' and 'after' must differ")
    return Absence(of, within, after) if of and after and within else None


def _stalled(table: Table, stages: Seq[str], within_ms: int | None, draft: Draft) -> Stalled | None:
    stage_node = table.need("stage")
    stage = "" if stage_node is None else stage_node.text
    longer_than = table.duration("longer_than")
    or_touchpoints = table.integer("or_touchpoints", 1, 100_000)
    table.finish()
    draft.remember(longer_than, table.key_place("longer_than"))
    if stage_node is not None and stage not in stages:
        draft.report.fault(stage_node, f"the journey has no stage {stage!r}", near_or_list(stage, stages))
        return None
    if "longer_than" not in table and "or_touchpoints" not in table:
        draft.report.fault(table.node, "'stalled' needs 'longer_than', 'or_touchpoints' or both")
        return None
    if longer_than is not None and within_ms is not None and longer_than > within_ms:
        message = f"it can never be stalled so long: the journey expires {spoken_ms(within_ms)} after it opened"
        draft.report.fault(table.key_place("longer_than"), message)
    return None if stage_node is None else Stalled(stage, longer_than, or_touchpoints)
