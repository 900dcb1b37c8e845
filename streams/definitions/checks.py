"""Checks that need the whole definition: what conditions refer to, cycles of segments, how long is remembered.

Owns the cross-references inside CEL text; those of single sections are checked where they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from streams.contracts.outputs import SEVERITIES, SIGNAL_KINDS
from streams.contracts.touchpoint import ACTORS
from streams.definitions.cel import CelExpression, members
from streams.definitions.cel_native import dotted
from streams.definitions.cel_syntax import Binary, Constant, Index, Items, Node, Select, walk
from streams.definitions.draft import Draft
from streams.definitions.faults import near, near_or_list
from streams.definitions.model import Expression, Segment
from streams.definitions.names import STANDARD_EVENTS, SURVEYS
from streams.definitions.risks import MADE_BY_SCORES
from streams.definitions.table import spoken_ms

_CLOSED: Final[dict[str, Iterable[str]]] = {
    "event.actor": ACTORS,
    "event.direction": ("inbound", "outbound"),
    "event.survey": SURVEYS,
    "signal.kind": SIGNAL_KINDS,
    "signal.severity": SEVERITIES,
}
"""Variables with a closed list of values."""


def check_whole(draft: Draft) -> None:
    _check_mentions(draft)
    _check_segments(draft)
    _check_scores(draft)
    longest = draft.time.forget_after_ms
    for ms, place in draft.durations:
        if ms > longest:
            message = f"{spoken_ms(ms)} is longer than profiles are remembered ({spoken_ms(longest)})"
            draft.report.fault(place, message, "lengthen `time.forget_after`")


def _check_mentions(draft: Draft) -> None:
    for expression, place in draft.expressions:
        for variable, member in members(expression):
            if variable == "stages" and member not in draft.known("journey"):
                hint = near_or_list(member, draft.known("journey"))
                draft.report.fault(place, f"stages.{member}: no journey is called {member!r}", hint)
            elif variable in ("risk", "risk_band") and member not in draft.known("risk"):
                hint = near_or_list(member, draft.known("risk"))
                draft.report.fault(place, f"{variable}.{member}: no risk is called {member!r}", hint)
            elif variable in ("consent", "channel_share") and member not in draft.channels:
                hint = near_or_list(member, draft.channels)
                draft.report.warn(place, f"{variable}.{member}: no channel is called {member!r}", hint)
        for subject, value in _compared(expression):
            _check_value(subject, value, draft, partial(draft.report.fault, place), partial(draft.report.warn, place))


def _check_value(
    subject: str,
    value: str,
    draft: Draft,
    fault: Callable[[str, str], None],
    warn: Callable[[str, str], None],
) -> None:
    if subject in _CLOSED:
        if value not in _CLOSED[subject]:
            fault(f"{subject} is never {value!r}", near_or_list(value, _CLOSED[subject]))
    elif subject == "segments":
        if value not in draft.known("segment"):
            fault(f"no segment is called {value!r}", near_or_list(value, draft.known("segment")))
    elif subject == "signal.journey":
        if value and value not in draft.known("journey"):
            fault(f"no journey is called {value!r}", near_or_list(value, draft.known("journey")))
    elif subject in ("last.channel", "event.channel"):
        if value and value not in draft.channels:
            hint = near(value, draft.channels)
            if hint:
                warn(f"no channel is called {value!r}", hint)
    elif subject == "event.type":
        if value in draft.aliases:
            fault(f"event.type is never {value!r}: it is renamed", f"write {draft.aliases[value]!r}")
        elif value not in STANDARD_EVENTS and value not in draft.events:
            warn(
                f"{value!r} is not a standard event name", near(value, STANDARD_EVENTS) or "declare it under `events:`"
            )
    elif subject == "signal.band" or subject.startswith("risk_band."):
        _check_band(subject, value, draft, fault)
    elif subject.startswith("stages."):
        journey = draft.journeys.get(subject.removeprefix("stages."))
        if journey is not None and value not in (names := [stage.name for stage in journey.stages]):
            fault(f"journey {journey.name!r} has no stage {value!r}", near_or_list(value, names))


def _check_band(subject: str, value: str, draft: Draft, fault: Callable[[str, str], None]) -> None:
    risk = draft.risks.get(subject.removeprefix("risk_band."))
    risks = [risk] if risk is not None else list(draft.risks.values()) if subject == "signal.band" else []
    bands = {band.name for found in risks for band in found.bands}
    if bands and value and value not in bands:
        fault(f"{subject} is never {value!r}", near_or_list(value, bands))


def _compared(expression: CelExpression) -> Iterator[tuple[str, str]]:
    """(variable, text) wherever a variable is compared with a text, or a text is sought in a list."""
    for node in walk(expression.tree):
        match node:
            case Binary(operator="==" | "!=", left=left, right=Constant(kind="string", value=str(value))):
                yield from _subject(left, value)
            case Binary(operator="==" | "!=", left=Constant(kind="string", value=str(value)), right=right):
                yield from _subject(right, value)
            case Binary(operator="in", left=Constant(kind="string", value=str(value)), right=right):
                if dotted(right) == "segments":
                    yield "segments", value
            case Binary(operator="in", left=left, right=Items(items=items)):
                for item in items:
                    if isinstance(item, Constant) and isinstance(item.value, str):
                        yield from _subject(left, item.value)
            case _:
                pass


def _subject(node: Node, value: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Index) and isinstance(node.by, Constant) and isinstance(node.by.value, str):
        node = Select(node.of, node.by.value, node.start, node.end)
    name = dotted(node)
    if name is not None:
        yield name, value


def _check_segments(draft: Draft) -> None:
    """Puts segments in the order in which they depend on each other; a circle is a fault."""
    needs = {name: _segments_of(segment.where) & draft.segments.keys() for name, segment in draft.segments.items()}
    ordered: dict[str, Segment] = {}
    while len(ordered) < len(needs):
        ready = [name for name, wants in needs.items() if name not in ordered and wants <= ordered.keys()]
        if not ready:
            left = [name for name in needs if name not in ordered]
            draft.report.fault(draft.place("segment", left[0]), f"segments depend on each other: {', '.join(left)}")
            return
        ordered.update({name: draft.segments[name] for name in ready})
    draft.segments = ordered


def _check_scores(draft: Draft) -> None:
    """What needs risks, where there are none; and scores that would be made of scores by way of a segment."""
    if not draft.known("risk"):
        for expression, place in draft.expressions:
            if "expected_value" in expression.uses:
                draft.report.fault(place, "expected_value is always 0: it comes with the score of a risk",
                                   "declare a risk under `risks:`")  # fmt: skip
        if draft.value_place is not None:
            draft.report.warn(draft.value_place, "'expected_value' is not used: it comes with the score of a risk",
                              "declare a risk under `risks:`")  # fmt: skip
    used = {name for risk in draft.risks.values() for name in risk.features}
    for name in draft.features:
        if name not in used and len(draft.risks) == len(draft.known("risk")):
            hint = f"name it in a risk: `features: [standard, {name}]`"
            draft.report.warn(draft.place("feature", name), f"no risk uses feature {name!r}", hint)
    of_scores: set[str] = set()
    for name, segment in draft.segments.items():
        # They are in the order of their dependence.
        if segment.where.uses & MADE_BY_SCORES or of_scores & _segments_of(segment.where):
            of_scores.add(name)
    for expression, place, what in draft.of_scores:
        for name in sorted(of_scores & _segments_of(expression)):
            draft.report.fault(place, f"{what} cannot read segment {name!r}: scores are made of it, and it of scores")


def _segments_of(expression: Expression) -> set[str]:
    if not isinstance(expression, CelExpression):
        return set()
    return {value for subject, value in _compared(expression) if subject == "segments"}
