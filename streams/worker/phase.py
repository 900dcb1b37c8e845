"""What a partition is doing; the words are those of /readyz."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Phase(Enum):
    WAITING = "waiting for the group"
    OPENING = "restoring"
    DEFINITION = "waiting for a definition"
    RUNNING = "running"
    PAUSED = "paused by dead letters"
    REGISTRY = "waiting for the schema registry"
    FENCED = "fenced"


READY: Final = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.REGISTRY})
TAKING: Final = frozenset({Phase.RUNNING, Phase.REGISTRY})
