"""The definitions of a running deployment, by the numbers that its journal names.

Owns reading them from the definitions topic once and compiling each when it is first asked for.
"""

from __future__ import annotations

from streams.contracts.topics import Topics
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.settings import Settings
from streams.tools.replay.kafka import DefinitionSource, ReplayError
from streams.worker.definitions_topic import published


def published_definitions(settings: Settings, topics: Topics) -> DefinitionSource:
    """Number -> definition, as far as the topic holds it now."""
    sources = {found.number: found.sources for found in published(settings, topics)}
    loaded: dict[int, Definition] = {}

    def definition(number: int) -> Definition:
        if number not in loaded:
            if number not in sources:
                raise ReplayError(f"{topics.definitions} does not hold definition {number}, which the journal names")
            loaded[number] = load_texts(sources[number], number)
        return loaded[number]

    return definition
