"""The tables of docs/operations.md, made from what the worker reads and counts: settings and metrics.

Owns the parts of that page between its markers. ``python -m streams.worker.reference docs/operations.md`` writes them
again; a test fails while the page differs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from streams.contracts import reference
from streams.contracts.reference import table
from streams.learner.process.metrics import LearnerMetrics
from streams.settings import ENVIRONMENT, Settings
from streams.settings_source import reference as settings_reference
from streams.worker.metrics import Metrics

MODULE: Final = "streams.worker.reference"


def settings() -> str:
    rows = [
        (f"`{name}`", expected, f"`{default}`" if default else "", meaning)
        for name, expected, default, meaning in settings_reference(Settings, ENVIRONMENT)
    ]
    return table(("variable", "expected", "default", "meaning"), rows)


def metrics() -> str:
    return _metrics(vars(Metrics()))


def learner_metrics() -> str:
    """Those that the learner has beside the worker's."""
    shared = vars(Metrics())
    return _metrics({name: one for name, one in vars(LearnerMetrics()).items() if name not in shared})


def _metrics(collectors: Mapping[str, object]) -> str:
    rows = []
    for collector in collectors.values():
        if not isinstance(collector, MetricWrapperBase):
            continue
        (family,) = collector.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)  # the library tells them no other way
        rows.append((f"`{name}`", family.type, labels, family.documentation))
    return table(("metric", "type", "labels", "meaning, and what to do"), sorted(rows))


SECTIONS: Final[dict[str, Callable[[], str]]] = {
    "settings": settings,
    "metrics": metrics,
    "learner metrics": learner_metrics,
}


def rewritten(page: str) -> str:
    """The page with every marked part made anew."""
    return reference.rewritten(page, SECTIONS, MODULE)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
