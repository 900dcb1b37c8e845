"""A definition that lives faster: every duration of a definition file divided by the time scale.

Owns the rewriting. The scaled files are ordinary definitions that anyone can open, so that no clock has to be bent.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

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
)
"""Keys whose values are scaled; how long a profile is remembered and how far a clock may be off are not."""

UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
LEAST_MS: Final = 1_000
"""An action must be valid for at least this long."""

_DURATION: Final = re.compile(rf"\b({'|'.join(KEYS)}):\s+(\d+(?:\.\d+)?)(ms|s|m|h|d|w)\b")


def scaled_text(text: str, scale: float) -> str:
    """The YAML text with its durations divided; comments and all else as they are."""

    def shorter(found: re.Match[str]) -> str:
        key, number, unit = found.groups()
        ms = max(1, round(float(number) * UNITS_MS[unit] / scale))
        return f"{key}: {max(ms, LEAST_MS) if key == 'expires_after' else ms}ms"

    return "\n".join(_DURATION.sub(shorter, line) if not _comment(line) else line for line in text.split("\n"))


def _comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def scaled_files(files: list[Path], scale: float, folder: Path) -> list[Path]:
    """Write scaled copies into ``folder``; with scale 1 the files themselves."""
    if scale == 1:
        return files
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for file in files:
        head = f"# Durations divided by {scale:g}; the original is {file.name} of the package.\n"
        copy = folder / file.name
        copy.write_text(head + scaled_text(file.read_text(encoding="utf-8"), scale), encoding="utf-8")
        written.append(copy)
    return written
