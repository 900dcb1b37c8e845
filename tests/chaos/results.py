"""The rows of the failure tests: one for each trial, kept in build/chaos, printed at the end, and made into a page.

Owns the form of docs/failure-tests.md: everything between its two marks comes from a run, nothing from a keyboard.
"""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
KEPT: Final = ROOT / "build" / "chaos"
PAGE: Final = ROOT / "docs" / "failure-tests.md"
BEGIN: Final = "<!-- rows: made by make chaos -->"
END: Final = "<!-- end of rows -->"
HEAD: Final = (
    "| trial | injected | lost | duplicated | different | recovered after | date (UTC) | machine | what happened |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def machine() -> str:
    """Cores, memory and release: what a reader needs to judge a time."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}"


@dataclass(frozen=True, slots=True)
class Row:
    trial: str
    injected: int
    lost: int
    duplicated: int
    different: int
    recovered_s: float
    """From the end of the (worst) trouble until all partitions are owned and nothing waits."""
    note: str = ""
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M"))
    machine: str = field(default_factory=machine)

    def line(self) -> str:
        cells = [
            self.trial, f"{self.injected:,}", self.lost, self.duplicated, self.different, f"{self.recovered_s:g} s",
            self.date, self.machine, self.note.replace("|", "/").replace("\n", " "),
        ]  # fmt: skip
        return "| " + " | ".join(map(str, cells)) + " |"


def keep(row: Row, full: bool) -> None:
    """Rows of short forms are kept beside, so that they never take the place of a full one."""
    folder = KEPT / ("full" if full else "short")
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", row.trial.lower()).strip("-")
    (folder / f"{name}.json").write_text(json.dumps(asdict(row)), encoding="utf-8")


def kept(since: float = 0.0, full: bool = True) -> list[Row]:
    """Those written after a time (seconds since 1970)."""
    folder = KEPT / ("full" if full else "short")
    found = [path for path in sorted(folder.glob("*.json")) if path.stat().st_mtime >= since]
    return [Row(**json.loads(path.read_text(encoding="utf-8"))) for path in found]


def table(rows: list[Row]) -> str:
    return "\n".join([HEAD, *(row.line() for row in rows)])


def write_page(rows: list[Row], page: Path = PAGE) -> None:
    """New rows take the place of those of the same trial; the others stay."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    inside, after = rest.split(END, 1)
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in inside.splitlines() if line.startswith("| ")}
    lines.pop("trial", None)
    lines |= {row.trial: row.line() for row in rows}
    body = "\n".join([HEAD, *(lines[name] for name in sorted(lines))])
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")
