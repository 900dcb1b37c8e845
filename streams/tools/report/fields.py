"""The fields that a reader asks to split by: whether any touchpoint has them, and what there is instead.

Owns that message. A field that nobody sent splits nothing, which is easily taken for an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.faults import near
from streams.tools.report.records import Touch

MOST_NAMES: Final = 500
"""Names of fields and properties that are remembered."""
SHOWN: Final = 20
_NONE: Final = frozenset(
    ("event_id", "customer_id", "anonymous_id", "occurred_at", "sent_at", "record_time", "offset", "retried")
)
"""One for each touchpoint or customer, or a time: nothing to split by."""


class AskedFields:
    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        self._found = dict.fromkeys(self.names, 0)
        self._there: dict[str, None] = {}

    def saw(self, tp: Touchpoint, touch: Touch) -> None:
        """``touch`` is what was kept of it."""
        for name, value in zip(self.names, touch.by, strict=True):
            self._found[name] += value is not None
        if self.names and len(self._there) < MOST_NAMES:
            for name in tp.__struct_fields__:
                if name not in _NONE and isinstance(getattr(tp, name), (str, int, float)):
                    self._there[name] = None
            if tp.properties is not None:
                self._there.update(dict.fromkeys(name for name, value in tp.properties.items() if value is not None))

    def missing(self) -> list[str]:
        """One line for each field that no touchpoint has."""
        there = sorted(self._there)
        known = ", ".join(there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
        found = []
        for name, n in self._found.items():
            if not n:
                hint = near(name, there)
                what = f"they have {known}" if there else "no touchpoints were given"
                found.append(f"--by {name}: no touchpoint has a field or property {name!r} ({hint or what})")
        return found
