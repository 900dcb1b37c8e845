"""The names of the click presets that a definition may call; what they do is in ``engine/detectors/clicks.py``.

Owns the list, so that loading a definition needs no engine. The part before the slash is the kind of friction, the
part after it is whose definition of it is used.
"""

from __future__ import annotations

from typing import Final

PRESET_NAMES: Final[frozenset[str]] = frozenset(
    {
        "rage_click/posthog",
        "rage_click/datadog",
        "rage_click/amplitude",
        "rage_click/mixpanel",
        "rage_click/conviva",
        "dead_click/mixpanel",
        "dead_click/posthog",
        "dead_click/amplitude",
        "dead_click/sentry",
        "error_click/amplitude",
        "page_loop/conviva",
        "thrashed_cursor/amplitude",
        "slow_page",
    }
)
PRESET_COOL_DOWN_MS: Final = 60_000
"""A preset speaks at most once a minute unless the rule says otherwise; other rules have no cool-down by default."""
