"""The click presets by name: friction rules that a definition names as ``preset: rage_click/posthog``.

Owns the table. What each one means, with its bounds and their source, stands in its own docstring.
"""

from __future__ import annotations

from typing import Final

from streams.engine.detectors.dead import AmplitudeDead, AmplitudeError, MixpanelDead, PosthogDead, SentryDead
from streams.engine.detectors.pages import AmplitudeCursor, ConvivaPageLoop, SlowPage
from streams.engine.detectors.preset import ClickPreset, Finding
from streams.engine.detectors.rage import AmplitudeRage, ConvivaRage, DatadogRage, MixpanelRage, PosthogRage

__all__ = ["PRESETS", "ClickPreset", "Finding"]

PRESETS: Final[dict[str, ClickPreset]] = {
    preset.name: preset
    for preset in (
        PosthogRage(),
        DatadogRage(),
        AmplitudeRage(),
        MixpanelRage(),
        ConvivaRage(),
        MixpanelDead(),
        PosthogDead(),
        AmplitudeDead(),
        SentryDead(),
        AmplitudeError(),
        ConvivaPageLoop(),
        AmplitudeCursor(),
        SlowPage(),
    )
}
