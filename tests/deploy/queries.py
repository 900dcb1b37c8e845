"""What the tests of rules and dashboards know of PromQL and of the metrics that there are.

Owns the reading of names from queries and promtool. Queries are parsed by promtool itself, where it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from streams.worker.metric_catalogue import CATALOGUE

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"

FOREIGN: Final[Mapping[str, frozenset[str]]] = {
    "up": frozenset(),
    "node_filesystem_avail_bytes": frozenset({"mountpoint", "fstype", "device"}),
    "node_filesystem_size_bytes": frozenset({"mountpoint", "fstype", "device"}),
    "process_cpu_seconds_total": frozenset(),
    "process_resident_memory_bytes": frozenset(),
}
"""Series that are not the project's: Prometheus's own, the node exporter's, those of prometheus_client's process
collector."""
SCRAPED: Final = frozenset({"job", "instance"})
"""Labels that Prometheus adds to whatever it scrapes."""

WORDS: Final = frozenset({"and", "or", "unless", "offset", "bool", "inf", "nan"})
"""Of the language; functions and aggregations are known by their parenthesis."""


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def series() -> dict[str, frozenset[str]]:
    """Every series that a process may have -> its labels; histograms as their three."""
    found = dict(FOREIGN)
    for metric in CATALOGUE.values():
        found |= metric.series
    return found


def recorded() -> dict[str, str]:
    """Name of each recording rule -> its expression."""
    groups = read_yaml(DEPLOY / "prometheus" / "recording.yml")["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def names(query: str) -> set[str]:
    """The metrics that a query reads."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    found = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\w|\s*\()", bare)
    return {name for name in found if name.lower() not in WORDS}


def faults(query: str, known: Mapping[str, frozenset[str]], rules: Iterable[str]) -> list[str]:
    """Metrics that no process has, and labels that a metric has not."""
    found = [f"no such metric: {name}" for name in sorted(names(query)) if name not in known and name not in rules]
    for name, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", query):
        labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", matchers))
        if name in known:
            found.extend(f"{name} has no label {label}" for label in labels if label not in known[name] | SCRAPED)
    return found


def promtool(*arguments: str | Path, of: str) -> None:
    """Run promtool and fail with what it says. Where it is missing the test says so: CI tries to install it."""
    command = shutil.which("promtool")
    if command is None:
        pytest.skip(f"promtool is missing, so {of} NOT checked. On Debian and Ubuntu: apt-get install prometheus")
    done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
