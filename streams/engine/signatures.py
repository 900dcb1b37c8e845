"""What the state of a friction rule's window depends on, as text: a window whose rule reads otherwise starts empty."""

from __future__ import annotations

from streams.definitions.model import Absence, Count, EventRef, Preset, Sequence, Stalled


def signature(rule: Count | Sequence | Absence | Stalled | Preset, instance_by: str | None) -> str:
    """Text of the parameters that the state of a rule's window depends on."""
    if isinstance(rule, Count):
        parts: tuple[object, ...] = ("count", _names(rule.on), rule.within_ms, rule.same, rule.different)
    elif isinstance(rule, Sequence):
        parts = ("sequence", _names(rule.of), rule.within_ms, rule.across_customer)
    elif isinstance(rule, Absence):
        parts = ("absence", _names(rule.after))
    elif isinstance(rule, Stalled):
        parts = ("stalled", rule.stage)
    else:
        parts = ("preset", rule.preset)
    return repr((*parts, instance_by))


def _names(refs: tuple[EventRef, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((ref.event, ref.where.text if ref.where is not None else "") for ref in refs)
