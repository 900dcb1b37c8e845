"""Selections of signals, as in an action's ``when``, and whether any signal of this definition can match them.

Owns which keys select which kinds of signals, reading them, and the search for rules that such a selection leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from streams.contracts.outputs import SEVERITIES, SIGNAL_KINDS
from streams.definitions.draft import Draft
from streams.definitions.faults import near_or_list
from streams.definitions.model import Journey, Stalled, When
from streams.definitions.names import SATISFACTION
from streams.definitions.positions import Node
from streams.definitions.table import Table, one_or_many

_BY_RULE: Final = ("journey", "name", "stage", "severity")
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "stage_entered": ("journey", "name", "stage"),
    "stage_left": ("journey", "name", "stage"),
    "goal_reached": ("journey", "name", "stage"),
    "abandonment": _BY_RULE,
    "friction": _BY_RULE,
    "stalled": _BY_RULE,
    "satisfaction": _BY_RULE,
    "milestone": ("name",),
    "segment_entered": ("name",),
    "segment_left": ("name",),
    "churn_risk": ("name", "band"),
}
"""Kind of signal -> the keys by which it may be selected."""
_NAMED_BY_STAGE: Final = frozenset({"stage_entered", "stage_left", "abandonment"})

Given = Mapping[str, Sequence[tuple[str, Node]]]


def read_whens(node: Node | None, draft: Draft, what: str) -> tuple[When, ...]:
    """One selection or a list of them; none twice."""
    if node is None:
        return ()
    out: dict[When, None] = {}
    for item in one_or_many(node, draft.report, what):
        found = _when(item, draft, what)
        if found is None:
            continue
        if found in out:
            draft.report.fault(item, f"this is given twice in {what}")
        out[found] = None
    return tuple(out)


def _when(node: Node, draft: Draft, what: str) -> When | None:
    if node.kind == "scalar":
        draft.report.fault(node, f"{what} is a map, not {node.spoken}", f"write {{signal: {node.text}}}")
        return None
    return read_when(Table(node, draft.report, what), draft)


def read_when(table: Table, draft: Draft) -> When | None:
    """One selection; the caller may have taken other keys of the table before."""
    table.need("signal", "one of " + ", ".join(SIGNAL_KINDS))
    kind = table.choice("signal", SIGNAL_KINDS)
    given = {
        "journey": table.choices("journey", None),
        "name": table.choices("name", None),
        "stage": table.choices("stage", None),
        "severity": table.choices("severity", SEVERITIES),
        "band": table.choices("band", None),
    }
    if kind is not None:
        for key, values in given.items():
            if values and key not in KEYS[kind]:
                fits = ", ".join(repr(k) for k in KEYS[kind])
                draft.report.fault(table.key_place(key), f"a {kind} signal has no {key!r}", f"select it by {fits}")
                given[key] = []
    table.finish()
    if kind is None:
        return None
    check_when(kind, given, table, draft)
    chosen = {key: tuple(value for value, _ in values) for key, values in given.items()}
    return When(kind, chosen["journey"], chosen["name"], chosen["stage"], chosen["severity"], chosen["band"])


def check_when(kind: str, given: Given, table: Table, draft: Draft) -> None:
    """Reports every name that does not exist, and a selection that leaves nothing."""
    if kind == "churn_risk":
        _check_risks(given, table, draft)
        return
    if not _names_exist(kind, given, draft):
        return
    journeys = _journeys(given, draft)
    if kind not in ("milestone", "segment_entered", "segment_left", "goal_reached") and not journeys and draft.journeys:
        return
    if kind in _NAMED_BY_STAGE | {"friction", "stalled"} and not _matches(kind, given, journeys):
        draft.report.fault(table.node, f"no {kind} signal can match this", _reason(kind, given, journeys))
    if kind == "goal_reached" and given["name"] and given["journey"]:
        names = {name for name, _ in given["name"]}
        if not names & {name for name, _ in given["journey"]}:
            message = "no goal_reached signal can match this"
            draft.report.fault(table.node, message, "a goal's name is its journey")


def _check_risks(given: Given, table: Table, draft: Draft) -> None:
    known = draft.known("risk")
    if not known:
        hint = "declare it under `risks:`, for example {churn: {without: Order Completed, horizon: 90d}}"
        draft.report.fault(table.node, "no churn_risk signal can match this: no risk is declared", hint)
        return
    for name, place in given["name"]:
        _known(name, known, "risk", place, draft)
    names = [name for name, _ in given["name"]] or known
    if any(name not in draft.risks for name in names):
        # Their bands are not known; what is wrong with them is a fault of its own.
        return
    bands = {band.name for name in names for band in draft.risks[name].bands}
    for band, place in given["band"]:
        if band not in bands:
            message = (
                f"no risk there has a band {band!r}" if len(names) > 1 else f"risk {names[0]!r} has no band {band!r}"
            )
            draft.report.fault(place, message, near_or_list(band, bands))


def _journeys(given: Given, draft: Draft) -> list[Journey]:
    names = [name for name, _ in given["journey"]]
    return [journey for journey in draft.journeys.values() if not names or journey.name in names]


def _names_exist(kind: str, given: Given, draft: Draft) -> bool:
    before = len(draft.report.faults)
    known_journeys = draft.known("journey")
    for name, place in given["journey"]:
        if name not in known_journeys:
            draft.report.fault(place, f"no journey is called {name!r}", near_or_list(name, known_journeys))
    if len(draft.report.faults) > before:
        return False
    journeys = _journeys(given, draft)
    stages = {stage.name for journey in journeys for stage in journey.stages}
    for stage, place in given["stage"]:
        _known(stage, stages, "stage", place, draft)
        owners = [journey.name for journey in journeys if any(s.name == stage for s in journey.stages)]
        if len(owners) > 1 and not given["journey"]:
            message = f"ambiguous: stage {stage!r} is in the journeys {' and '.join(owners)}"
            draft.report.fault(place, message, "say which with `journey:`")
    names, what = _possible_names(kind, journeys, stages, draft)
    for name, place in given["name"]:
        if kind in ("friction", "stalled") and name not in names:
            other = _other_kind(kind, name, journeys)
            if other:
                draft.report.fault(place, f"{name!r} gives {other} signals, not {kind}", f"write `signal: {other}`")
                continue
        _known(name, names, what, place, draft)
    return len(draft.report.faults) == before


def _known(name: str, known: Collection[str], what: str, place: Node, draft: Draft) -> None:
    if name not in known:
        draft.report.fault(place, f"no {what} is called {name!r}", near_or_list(name, known))


def _possible_names(kind: str, journeys: list[Journey], stages: set[str], draft: Draft) -> tuple[set[str], str]:
    match kind:
        case "friction" | "stalled":
            return {name for journey in journeys for name in _rules(kind, journey)}, f"{kind} rule"
        case "goal_reached":
            return set(draft.known("journey")), "journey"
        case "satisfaction":
            return set(SATISFACTION), "satisfaction signal"
        case "milestone":
            return set(draft.known("milestone")), "milestone"
        case "segment_entered" | "segment_left":
            return set(draft.known("segment")), "segment"
        case _:
            return stages, "stage"


def _rules(kind: str, journey: Journey) -> list[str]:
    return [rule.name for rule in journey.friction if isinstance(rule.rule, Stalled) == (kind == "stalled")]


def _other_kind(kind: str, name: str, journeys: list[Journey]) -> str | None:
    other = "stalled" if kind == "friction" else "friction"
    return other if any(name in _rules(other, journey) for journey in journeys) else None


def _matches(kind: str, given: Given, journeys: list[Journey]) -> bool:
    names, stages, severities = ({value for value, _ in given[key]} for key in ("name", "stage", "severity"))
    for journey in journeys:
        if kind in ("stage_entered", "stage_left"):
            if any(s.name in (stages or {s.name}) and s.name in (names or {s.name}) for s in journey.stages):
                return True
        elif kind == "abandonment":
            for deadline in journey.abandonment:
                possible = _severities(deadline.severity, journey)
                stage = deadline.stage
                if (
                    stage in (stages or {stage})
                    and stage in (names or {stage})
                    and (not severities or possible & severities)
                ):
                    return True
        else:
            for rule in journey.friction:
                if isinstance(rule.rule, Stalled):
                    if kind != "stalled" or (stages and rule.rule.stage not in stages):
                        continue
                elif kind != "friction":
                    continue
                if (not names or rule.name in names) and (
                    not severities or _severities(rule.severity, journey) & severities
                ):
                    return True
    return False


def _severities(severity: str | None, journey: Journey) -> set[str]:
    """Those that a rule's signals may have: its own, and one higher in a critical stage."""
    if severity is None:
        return set(SEVERITIES)
    at = SEVERITIES.index(severity)
    raised = any(stage.critical for stage in journey.stages)
    return set(SEVERITIES[at : at + 2] if raised else SEVERITIES[at : at + 1])


def _reason(kind: str, given: Given, journeys: list[Journey]) -> str:
    if kind == "abandonment":
        tiers = sorted({deadline.stage for journey in journeys for deadline in journey.abandonment})
        if not tiers:
            return "no `abandonment:` is defined there"
        if given["stage"] or given["name"]:
            return "stages with a deadline: " + ", ".join(tiers)
    if kind in ("friction", "stalled") and not any(_rules(kind, journey) for journey in journeys):
        return f"no {kind} rule is defined there"
    if given["severity"]:
        return "no rule there has that severity"
    return "the keys exclude each other"
