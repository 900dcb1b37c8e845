"""Labels that wait until those of all scores as old as theirs are known.

Owns the rule that keeps learning and figures honest: who comes back is known soon, who does not only at the end of the
horizon, so what has just arrived is no sample of anything. A label counts from ``scored_at + horizon`` on, when every
score of that time has its label, in the order of the scores, and mixed where scores are of the same instant. (Labels
learned as they arrive are known as delayed feedback: O. Chapelle, "Modeling delayed feedback in display advertising",
2014. Waiting is the plain answer to it; the price, one horizon, is paid by the labels of those who leave anyway.)

Bounded: where a horizon brings more labels than are kept, a part of the customers is learned from, the same ones always
(those whose hash is smallest), those who come back and those who do not alike.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import Any, Final, NamedTuple

KEPT: Final = 20_000
"""Labels that wait at a time."""
EVERYONE: Final = 1 << 32


class Label(NamedTuple):
    """What a score knew and what came to pass."""

    due: int
    """End of the horizon (ms)."""
    place: int
    """Among those of one instant: by chance, and the same in every run."""
    customer: int
    """Its hash."""
    came_true: bool
    issued: float
    """Score that a model gave out; NaN where it was the prior or a rule."""
    values: bytes
    """The features in order, as 4-byte floats; NaN where one is missing."""


class Cohorts:
    def __init__(self) -> None:
        self.below = EVERYONE
        """Customers are learned from whose hash is smaller."""
        self._waiting: list[Label] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def hash_of(self, customer: str) -> int | None:
        """None for a customer who is not learned from."""
        found = int.from_bytes(blake2b(customer.encode(), digest_size=4).digest())
        return found if found < self.below else None

    def wait(self, label: Label) -> None:
        heappush(self._waiting, label)
        if len(self._waiting) > KEPT:
            # Half of the customers stay; of one customer with thousands of labels, none.
            self.below = sorted(label.customer for label in self._waiting)[KEPT // 2]
            self._waiting = [label for label in self._waiting if label.customer < self.below]
            heapify(self._waiting)

    def revalue(self, values: bytes) -> None:
        """What waits has these features: its own meant something else."""
        self._waiting = [label._replace(values=values) for label in self._waiting]

    def complete(self, until: int) -> Iterator[Label]:
        """Those whose cohort is known when labels after ``until`` come: all that ended until then."""
        while self._waiting and self._waiting[0].due <= until:
            yield heappop(self._waiting)

    def state(self) -> dict[str, Any]:
        held = sorted(self._waiting)
        return {
            "below": self.below,
            "size": len(held[0].values) if held else 1,
            "due": array("q", [label.due for label in held]).tobytes(),
            "place": array("q", [label.place for label in held]).tobytes(),
            "customer": array("q", [label.customer for label in held]).tobytes(),
            "came_true": bytes(label.came_true for label in held),
            "issued": array("d", [label.issued for label in held]).tobytes(),
            "values": b"".join(label.values for label in held),
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Cohorts:
        cohorts = cls()
        cohorts.below = state["below"]
        size, values = state["size"], state["values"]
        cohorts._waiting = [
            Label(due, place, customer, bool(came_true), issued, values[i * size : (i + 1) * size])
            for i, (due, place, customer, came_true, issued) in enumerate(
                zip(
                    *(array("q", state[name]) for name in ("due", "place", "customer")),
                    state["came_true"],
                    array("d", state["issued"]),
                    strict=True,
                )
            )
        ]
        return cohorts
