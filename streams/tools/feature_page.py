"""The tables of docs/features.md, made from the registry of features.

Owns the parts of that page between its markers. ``python -m streams.tools.feature_page docs/features.md`` writes them
again; a test fails while the page differs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from streams.contracts import reference
from streams.contracts.reference import table
from streams.engine.scoring.features import DECAYED, SINGLE, STANDARD
from streams.engine.scoring.kinds import EVENTS, KINDS, WHOEVER
from streams.engine.scoring.sums import HALF_LIVES_DAYS

MODULE: Final = "streams.tools.feature_page"


def single() -> str:
    rows = [
        (
            f"`{f.name}`",
            f.unit,
            "yes" if f.name in STANDARD else "",
            "log" if f.log else "",
            f"{f.title[:1].upper()}{f.title[1:]}. {f.meaning}".rstrip(),
        )
        for f in SINGLE
    ]
    return table(("feature", "unit", "standard", "scale", "definition"), rows)


def decayed() -> str:
    rows = []
    for name, _, unit, _, meaning, _ in DECAYED:
        names = [f"{name}_{days}d" for days in HALF_LIVES_DAYS]
        standard = ", ".join(f"{days} d" for days, each in zip(HALF_LIVES_DAYS, names, strict=True) if each in STANDARD)
        rows.append((", ".join(f"`{each}`" for each in names), unit, standard, meaning))
    return table(("features", "unit", "standard", "what is counted"), rows)


def kinds() -> str:
    rows = [
        (f"`{kind}`", what, "anyone" if kind in WHOEVER else "the customer", EVENTS[kind])
        for kind, what in KINDS.items()
    ]
    return table(("kind", "what it counts", "by", "events"), rows)


SECTIONS: Final[Mapping[str, Callable[[], str]]] = {"features": single, "decayed features": decayed, "kinds": kinds}


def rewritten(page: str) -> str:
    """The page with every marked part made anew."""
    return reference.rewritten(page, SECTIONS, MODULE)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
