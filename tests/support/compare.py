"""What the laws compare: outputs as plain values, for all customers or for each, and stored state."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.engine.state import decode
from tests.support.engines import Run, plain


def said(run: Run) -> dict[str, Any]:
    """All that was said, in order, and what became of the touchpoints. Of views the last, as a table would hold it."""
    return {
        "signals": plain(run.signals),
        "triggers": plain(run.triggers),
        "decisions": plain(run.decisions),
        "examples": plain(run.examples),
        "customers": plain(run.customers),
        "totals": run.totals,
    }


def said_of(run: Run, customer: str) -> dict[str, Any]:
    """The same, of one customer; the totals are the partition's and left out."""
    return {
        "signals": plain([s for s in run.signals if s.customer == customer]),
        "triggers": plain([t for t in run.triggers if t.customer == customer]),
        "decisions": plain([d for d in run.decisions if d.customer == customer]),
        "examples": plain([e for e in run.examples if e.customer == customer]),
        "view": plain(run.customers.get(customer, "never shown")),
    }


def stored(run: Run) -> dict[str, Any]:
    """Every profile as a restore would read it. ``next_due`` is a lower bound that may differ; it is left out."""
    profiles = {}
    for key, blob in run.save().items():
        profile = decode(blob)
        profile.next_due = 0
        profiles[key.decode()] = msgspec.to_builtins(profile)
    return profiles
