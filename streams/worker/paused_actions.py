"""Pausing and resuming one action of the definition in force, by publishing it under a new number.

Owns what ``journey pause`` and ``journey resume`` change: a source beside the owner's files, so that whatever reads a
definition, a replay too, sees the pause. What that source says is in ``definitions/pauses.py``.
"""

from __future__ import annotations

from streams.contracts.topics import Topics
from streams.definitions.faults import DefinitionFaults, near_or_list
from streams.definitions.load import load_texts
from streams.definitions.pauses import paused_in, with_overlay, without_overlay
from streams.settings import Settings
from streams.worker.definitions_topic import Published, numbered, published, write
from streams.worker.outcomes import Refused
from streams.worker.transactions import Message


def pause_action(settings: Settings, topics: Topics, action: str) -> tuple[int, bool]:
    """(number, whether it is new). Raises ``Refused`` if the definition in force has no such action."""

    def message() -> tuple[int, Message | None]:
        known = published(settings, topics)
        _own_pauses(known, topics, action)
        sources = known[-1].sources
        return numbered(topics, known, with_overlay(sources, paused_in(sources) | {action}))

    return write(settings, message)


def resume_action(settings: Settings, topics: Topics, action: str) -> tuple[int, bool]:
    """(number, whether it is new). Raises ``Refused`` if there is no such action, or if its own file pauses it."""

    def message() -> tuple[int, Message | None]:
        known = published(settings, topics)
        if action in _own_pauses(known, topics, action):
            raise Refused(f"{action!r} is paused by its own file: remove `paused` there and apply it")
        sources = known[-1].sources
        return numbered(topics, known, with_overlay(sources, paused_in(sources) - {action}))

    return write(settings, message)


def _own_pauses(known: list[Published], topics: Topics, action: str) -> frozenset[str]:
    """The actions that the owner's files pause; refuses an action that is none."""
    if not known:
        raise Refused(f"{topics.definitions} holds no definition: publish one with `journey definitions apply FILE`")
    newest = known[-1]
    try:
        definition = load_texts(without_overlay(newest.sources), newest.number)
    except DefinitionFaults as faults:
        message = f"definition {newest.number} is not understood by this version of the software:\n{faults}"
        raise Refused(message) from faults
    names = [found.name for found in definition.actions]
    if action not in names:
        hint = near_or_list(action, names)
        raise Refused(f"definition {newest.number} has no action {action!r} ({hint})")
    return frozenset(found.name for found in definition.actions if found.paused)
