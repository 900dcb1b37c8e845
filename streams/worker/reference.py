"""The tables of docs/operations.md and docs/metrics.md, made from what the worker reads and counts.

Owns the parts of those pages between their markers. ``python -m streams.worker.reference docs/operations.md
docs/metrics.md`` writes them again; a test fails while a page differs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from streams.contracts import reference
from streams.contracts.reference import table
from streams.settings import ENVIRONMENT, Settings
from streams.settings_source import reference as settings_reference
from streams.worker.metric import PREFIX, Side
from streams.worker.metric_catalogue import ABSENT, side

MODULE: Final = "streams.worker.reference"


def settings() -> str:
    rows = [
        (f"`{name}`", expected, f"`{default}`" if default else "", meaning)
        for name, expected, default, meaning in settings_reference(Settings, ENVIRONMENT)
    ]
    return table(("variable", "expected", "default", "meaning"), rows)


def metrics(of: Side) -> str:
    rows = [
        (
            f"`{metric.full_name}`",
            metric.kind,
            metric.unit,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.meaning,
            metric.wrong,
        )
        for metric in side(of)
    ]
    return table(("metric", "type", "unit", "labels", "meaning", "when it looks wrong"), rows)


def absent() -> str:
    return table(("metric", "why there is none"), [(f"`{PREFIX}{name}`", why) for name, why in ABSENT.items()])


PAGES: Final[dict[str, dict[str, Callable[[], str]]]] = {
    "operations.md": {"settings": settings},
    "metrics.md": {
        "metrics": lambda: metrics("worker"),
        "learner metrics": lambda: metrics("learner"),
        "supervisor metrics": lambda: metrics("supervisor"),
        "absent metrics": absent,
    },
}
"""Name of a page -> its parts."""


def rewritten(name: str, page: str) -> str:
    """The page of that name with every marked part made anew. Raises ``KeyError`` for a page that has none."""
    return reference.rewritten(page, PAGES[name], MODULE)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(rewritten(path.name, path.read_text(encoding="utf-8")), encoding="utf-8")
