"""What a partition is doing; the words are those of /readyz."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Phase(Enum):
    WAITING = "waiting for the group"
    OPENING = "restoring"
    DEFINITION = "waiting for a definition"
    MODEL = "waiting for the model that its state names"
    RUNNING = "running"
    PAUSED = "paused by dead letters"
    REGISTRY = "waiting for the schema registry"
    LOOKING_UP = "waiting for a definition that its input names"
    FENCED = "fenced"


READY: Final = frozenset({Phase.RUNNING, Phase.PAUSED, Phase.REGISTRY, Phase.LOOKING_UP})
TAKING: Final = frozenset({Phase.RUNNING, Phase.REGISTRY, Phase.LOOKING_UP})
