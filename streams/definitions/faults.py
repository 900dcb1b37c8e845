"""What is wrong with a definition: every fault with its place and, where one can be guessed, what was meant.

Owns the fault, the exception that carries all of them, and the report that collects them while a definition is read.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

MAX_MESSAGE: Final = 300
"""Characters; messages quote what the file says, which may be anything."""
MAX_FAULTS: Final = 200
"""More than these are not listed: who sees 200 faults mends the first."""


class Place(Protocol):
    """Where something stands; lines and columns count from 1."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    file: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


class DefinitionFaults(ValueError):  # noqa: N818 - it carries faults, which is what they are called
    """A definition that must not be used; ``faults`` lists all that is wrong, in the order of the files."""

    def __init__(self, faults: Sequence[Fault], warnings: Sequence[Fault] = ()) -> None:
        self.faults = list(faults)
        self.warnings = list(warnings)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class Report:
    """Collects faults and warnings; each text only once for a place, though an anchor may be read many times."""

    def __init__(self) -> None:
        self.faults: dict[Fault, None] = {}
        self.warnings: dict[Fault, None] = {}

    def fault(self, place: Place, message: str, hint: str | None = None) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults[_fault(place, message, hint)] = None

    def warn(self, place: Place, message: str, hint: str | None = None) -> None:
        if len(self.warnings) < MAX_FAULTS:
            self.warnings[_fault(place, message, hint)] = None

    def in_order(self, files: Sequence[str]) -> tuple[list[Fault], list[Fault]]:
        """Faults and warnings as a reader of the files meets them."""
        rank = {file: at for at, file in reversed(list(enumerate(files)))}

        def place(fault: Fault) -> tuple[int, int, int]:
            return rank.get(fault.file, len(rank)), fault.line, fault.column

        return sorted(self.faults, key=place), sorted(self.warnings, key=place)


def _fault(place: Place, message: str, hint: str | None) -> Fault:
    if len(message) > MAX_MESSAGE:
        message = message[:MAX_MESSAGE] + "..."
    return Fault(place.file, place.line, place.column, message, hint)


def near(word: str, known: Iterable[str]) -> str | None:
    """``did you mean 'x'?`` if something known is spelt alike."""
    found = closest(word, known)
    return f"did you mean {found!r}?" if found else None


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is spelt most alike, whatever its case; None if none is near."""
    if len(word) > 100:  # the search is quadratic, and nothing known is so long
        return None
    by_folded = {k.casefold().replace("-", "_").replace(" ", "_"): k for k in sorted(known)}
    folded = word.casefold().replace("-", "_").replace(" ", "_")
    found = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def near_or_list(word: str, known: Iterable[str]) -> str:
    """A suggestion, else what there is to choose from."""
    names = sorted(known)
    if not names:
        return "there is none"
    return near(word, names) or "known: " + ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
