"""A definition that lives faster: every duration of a definition file divided by the time scale.

Owns the rewriting. The scaled files are ordinary definitions that anyone can open, so that no clock has to be bent.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from streams.definitions.model import DAY_MS, Time
from streams.definitions.table import duration_ms

KEYS: Final = (
    "after",
    "within",
    "by",
    "longer_than",
    "expires_after",
    "cool_down",
    "session_gap",
    "session_cap",
    "allowed_lateness",
    "too_late",
    "horizon",
    "active_within",
    "every",
    "apart",
    "prior_within",
    "attribution",
    "for",
    "per",
    "unsent_for",
)
"""Keys whose values are scaled; how long a profile is remembered and how far a clock may be off are not."""

LEAST_MS: Final = {
    "expires_after": 1_000,
    "session_gap": 1_000,
    "session_cap": 60_000,
    "too_late": 60_000,
    "attribution": 1_000,
    "for": 1_000,
    "per": 1_000,
}
"""What a definition allows at least."""

_DURATION: Final = re.compile(
    rf"""\b({"|".join(KEYS)}):(\s+)(["']?)((?:\d+(?:\.\d+)?(?:ms|[smhdw]))+)\3(?=[\s,}}]|$)"""
)
_CALENDAR: Final = re.compile(r"\bper:(\s+)(day|week)(?=[\s,}]|$)")
"""A limit of calendar days; of these there are no shorter ones, so it becomes a rolling window."""
_AT_MOST: Final = re.compile(r"\b(at most \d+) (?:an?|per|every|in|each) (second|minute|hour|day|week)\b")
"""The capacity of a channel as a text."""
_MS: Final = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": DAY_MS, "week": 7 * DAY_MS}
_TIME: Final = re.compile(r"^time\s*:", re.MULTILINE)


def scaled_text(text: str, scale: float) -> str:
    """The YAML text with its durations divided; comments and all else as they are, hours of the day too: night is when
    it is night."""

    def shorter(found: re.Match[str]) -> str:
        key, space, _, duration = found.groups()
        ms = duration_ms(duration)
        return found[0] if ms is None else f"{key}:{space}{_divided(key, ms, scale)}ms"

    def rolling(found: re.Match[str]) -> str:
        return f"per:{found[1]}{_divided('per', _MS[found[2]], scale)}ms"

    def capacity(found: re.Match[str]) -> str:
        return f"{found[1]} per {_divided('per', _MS[found[2]], scale)}ms"

    lines = []
    for line in text.split("\n"):
        if _comment(line):
            lines.append(line)
            continue
        scaled = _AT_MOST.sub(capacity, _DURATION.sub(shorter, line))
        lines.append(_CALENDAR.sub(rolling, scaled) if "at_most:" in scaled else scaled)
    return "\n".join(lines)


def _divided(key: str, ms: int, scale: float) -> int:
    return max(LEAST_MS.get(key, 1), round(ms / scale))


def _comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def scaled_files(files: list[Path], scale: float, folder: Path) -> list[Path]:
    """Write scaled copies into ``folder``; with scale 1 the files themselves.

    Where no file says how time is told, the first copy does: the defaults would be those of ordinary life.
    """
    if scale == 1:
        return files
    folder.mkdir(parents=True, exist_ok=True)
    texts = [scaled_text(file.read_text(encoding="utf-8"), scale) for file in files]
    if texts and not any(_TIME.search(text) for text in texts):
        gap, lateness = _divided("session_gap", Time().session_gap_ms, scale), Time().allowed_lateness_ms
        lateness = _divided("allowed_lateness", lateness, scale)
        texts[0] += f"\ntime: {{session_gap: {gap}ms, allowed_lateness: {lateness}ms}}\n"
    written = []
    for n, (file, text) in enumerate(zip(files, texts, strict=True)):
        copy = folder / (file.name if file.name not in {f.name for f in files[:n]} else f"{n}-{file.name}")
        copy.write_text(f"# Durations divided by {scale:g}; the original is {file.name}.\n{text}", encoding="utf-8")
        written.append(copy)
    return written
