"""The section ``paused``: actions that are paused whatever their own files say, and the overlay that carries it.

Owns the source that ``journey pause`` adds to a published definition: one more text beside the owner's files, under a
name that no file has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from streams.definitions.draft import Draft
from streams.definitions.faults import near_or_list
from streams.definitions.table import Table

OVERLAY: Final = "journey pause"
"""Name of the source; a definition file's ends in its suffix."""

_QUOTED: Final = re.compile('"([^"]*)"')

Sources = Sequence[tuple[str, str]]


def read_paused(table: Table, draft: Draft) -> None:
    """After all actions."""
    for name, place in table.choices("paused", None):
        if name not in draft.known("action"):
            draft.report.fault(place, f"no action is called {name!r}", near_or_list(name, draft.known("action")))
        elif name in draft.actions:
            draft.actions[name] = replace(draft.actions[name], paused=True)


def with_overlay(sources: Sources, paused: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The owner's own files, and a source that pauses these actions if there are any."""
    names = ", ".join(f'"{name}"' for name in sorted(paused))
    text = f"# `journey resume ACTION` lets it go on.\nversion: 1\npaused: [{names}]\n"
    own = without_overlay(sources)
    return (*own, (OVERLAY, text)) if names else own


def without_overlay(sources: Sources) -> tuple[tuple[str, str], ...]:
    """The owner's own files."""
    return tuple(source for source in sources if source[0] != OVERLAY)


def paused_in(sources: Sources) -> frozenset[str]:
    """The actions that the overlay of these sources pauses."""
    return frozenset(paused for name, text in sources if name == OVERLAY for paused in _QUOTED.findall(text))
