"""Labels that have been judged and wait until all labels of scores as old as theirs are known.

Owns the rule that keeps figures honest: those who come back are known soon, those who do not only at the end of the
horizon, so whatever has arrived lately is no sample of anything. A label counts from ``scored_at + horizon`` on, when
every score of that time has its label, and in the order of the scores.

Bounded: where a horizon brings more labels than are kept, a part of the customers is judged, the same ones always
(those whose hash is smallest), for those who come back and those who do not alike.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from math import nan
from typing import Any, Final, NamedTuple

KEPT: Final = 5_000
"""Labels that wait at a time."""
EVERYONE: Final = 1 << 32


class Verdict(NamedTuple):
    """A label and what was said of it before."""

    due: int
    """End of the horizon (ms)."""
    number: int
    """Order of arrival."""
    customer: int
    """Its hash."""
    label: bool
    issued: float
    """Score that a model gave out; NaN where it was the prior or a rule."""
    scores: tuple[float, ...]
    """Of each contender; NaN where it knew nothing yet."""


class Cohorts:
    def __init__(self) -> None:
        self.below = EVERYONE
        """Customers are judged whose hash is smaller."""
        self._waiting: list[Verdict] = []
        self._number = 0

    def hash_of(self, customer: str) -> int | None:
        """None for a customer who is not judged."""
        found = int.from_bytes(blake2b(customer.encode(), digest_size=4).digest())
        return found if found < self.below else None

    def wait(self, due: int, customer: int, label: bool, issued: float, scores: Sequence[float]) -> None:
        self._number += 1
        verdict = Verdict(due, self._number, customer, label, issued, tuple(scores))
        heappush(self._waiting, verdict)
        if len(self._waiting) > KEPT:
            # Half of the customers stay; a tie of all hashes would be one customer with thousands of labels.
            self.below = max(1, sorted(v.customer for v in self._waiting)[KEPT // 2])
            self._waiting = [v for v in self._waiting if v.customer < self.below]
            heapify(self._waiting)

    def complete(self, until: int) -> Iterator[Verdict]:
        """Those whose cohort is known when labels until then are; in the order of their scores."""
        while self._waiting and self._waiting[0].due <= until:
            yield heappop(self._waiting)

    def arrange(self, places: Sequence[int | None]) -> None:
        """The contenders have changed: for each of the new ones its place among the old, or None."""
        self._waiting = [
            v._replace(scores=tuple(nan if place is None else v.scores[place] for place in places))
            for v in self._waiting
        ]

    def state(self) -> dict[str, Any]:
        held = sorted(self._waiting)
        return {
            "below": self.below,
            "number": self._number,
            "contenders": len(held[0].scores) if held else 0,
            "due": array("q", [v.due for v in held]).tobytes(),
            "numbers": array("q", [v.number for v in held]).tobytes(),
            "customers": array("q", [v.customer for v in held]).tobytes(),
            "labels": bytes(v.label for v in held),
            "issued": array("d", [v.issued for v in held]).tobytes(),
            "scores": array("d", [x for v in held for x in v.scores]).tobytes(),
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Cohorts:
        cohorts = cls()
        cohorts.below = state["below"]
        cohorts._number = state["number"]
        n = state["contenders"]
        scores = array("d", state["scores"])
        due, numbers, customers = (array("q", state[name]) for name in ("due", "numbers", "customers"))
        rows = zip(due, numbers, customers, state["labels"], array("d", state["issued"]), strict=True)
        for i, (end, number, customer, label, issued) in enumerate(rows):
            mine = tuple(scores[i * n : (i + 1) * n])
            cohorts._waiting.append(Verdict(end, number, customer, bool(label), issued, mine))
        return cohorts
