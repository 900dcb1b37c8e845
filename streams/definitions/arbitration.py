"""The sections ``arbitration`` (how candidates are weighed) and ``changes`` (what the company changed, and when).

Owns reading them. The gates before the weighing are in ``actions.py`` and ``contact.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from streams.definitions.draft import Draft
from streams.definitions.experiments import read_share
from streams.definitions.faults import near_or_list
from streams.definitions.policy import PURPOSES, Change
from streams.definitions.positions import Node
from streams.definitions.table import Table, read_number, read_text

HIGHEST_WEIGHT: Final = 1_000.0
HIGHEST_PRIOR: Final = 1e6
LEAST_PRIOR: Final = 0.001
MAX_CHANGES: Final = 200


def read_arbitration(table: Table, draft: Draft, given: dict[str, Any]) -> None:
    """``given`` carries what earlier files set."""
    node = table.take("arbitration")
    if node is None:
        return
    section = Table(node, draft.report, "'arbitration'")
    found: dict[str, tuple[str, Any]] = {}
    sampling = section.choice("sampling", ("thompson", "greedy"))
    if sampling is not None:
        found["sampling"] = ("sampling", sampling)
    explore = read_share(section.take("explore"), draft, "'explore'")
    if explore is not None:
        found["explore"] = ("explore", explore)
    weights = section.take("weights")
    if weights is not None:
        found["weights"] = ("weights", _weights(weights, draft))
    prior = section.take("prior")
    if prior is not None:
        inner = Table(prior, draft.report, "'prior'")
        for key in ("positives", "negatives"):
            place = inner.need(key, "for example {positives: 0.5, negatives: 0.5}")
            number = None if place is None else _weight(place, repr(key), LEAST_PRIOR, HIGHEST_PRIOR, draft)
            if number is not None:
                found[f"prior_{key}"] = ("prior", number)
        inner.finish()
    section.finish()
    for field, (key, value) in found.items():
        if given.setdefault(field, value) != value:
            draft.report.fault(section.key_place(key), f"another file sets {key!r} to something else")
    draft.arbitration = replace(draft.arbitration, **{field: value for field, (_, value) in found.items()})


def _weights(node: Node, draft: Draft) -> Mapping[str, float]:
    journeys = draft.known("journey")
    out: dict[str, float] = {}
    for key, value in Table(node, draft.report, "'weights'").entries():
        name = read_text(key, draft.report, "a weight's name")
        if name is None:
            continue
        if name not in journeys and name not in PURPOSES:
            hint = near_or_list(name, [*PURPOSES, *journeys])
            draft.report.fault(key, f"no purpose or journey is called {name!r}", hint)
        elif name in journeys and name in PURPOSES:
            draft.report.fault(key, f"ambiguous: {name!r} is a purpose and a journey", "give the journey another name")
        number = _weight(value, f"the weight of {name!r}", 0.0, HIGHEST_WEIGHT, draft)
        if number is not None:
            out[name] = number
    return out


def _weight(node: Node, what: str, lowest: float, highest: float, draft: Draft) -> float | None:
    number = read_number(node, draft.report, what, lowest, highest)
    if number == 0.0:
        draft.report.fault(node, f"{what} is 0: the action would always be the last", "to stop actions, pause them")
        return None
    return number


def read_changes(table: Table, draft: Draft) -> None:
    node = table.take("changes")
    if node is None:
        return
    if node.kind != "list":
        draft.report.fault(node, f"'changes' is a list, not {node.spoken}", "begin each with `- `")
        return
    for item in node.items:
        inner = Table(item, draft.report, "a change")
        place = inner.need("at", "a date, for example 2026-03-01")
        at = None if place is None else _date(place, draft)
        inner.need("title", "what was changed")
        title = inner.text("title")
        journey = inner.text("journey")
        where = inner.take("journey")
        inner.finish()
        if journey is not None and where is not None and journey not in draft.known("journey"):
            hint = near_or_list(journey, draft.known("journey"))
            draft.report.fault(where, f"no journey is called {journey!r}", hint)
        if at is None or title is None:
            continue
        change = Change(at, title, journey)
        first = draft.changes.setdefault(change, item)
        if first is not item:
            draft.report.fault(item, "this change is given twice", f"first in {first.file}:{first.line}")
        elif len(draft.changes) == MAX_CHANGES + 1:
            draft.report.fault(item, f"more than {MAX_CHANGES} changes", "remove the oldest")


def _date(node: Node, draft: Draft) -> int | None:
    """ms since 1970; a date, or a time without a zone, is in ``time.timezone``."""
    text = read_text(node, draft.report, "'at'")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=ZoneInfo(draft.time.timezone))
        ms = int(found.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        draft.report.fault(node, f"{text!r} is no date", "for example 2026-03-01, or 2026-03-01T09:00")
        return None
    if ms < 0:
        draft.report.fault(node, f"{text!r} is before 1970")
        return None
    return ms
