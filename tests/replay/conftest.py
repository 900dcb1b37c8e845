"""Where the golden tests find data that nobody here made, and one replay of each file for all tests of it.

Owns the search and what happens without the files: a skip that says how to get them, a failure under CI.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streams.contracts.outputs import Decision, Example, Outputs, Signal, Trigger
from streams.definitions.load import load_files
from streams.tools.replay.mapping_file import load_mapping
from streams.tools.replay.run import replay
from streams.tools.replay.shipped import find
from streams.tools.replay.sources import merged, open_inputs
from streams.tools.replay.summary import Summary

HOW = {
    "ecom.csv.gz": "it is inside the PyPI package retentioneering 5.2.4 (Apache-2.0)",
    "online_retail.csv.gz": "it is data set 352 of the UCI repository (R package onlineretail, CC0), as CSV",
}


@dataclass
class Replayed:
    """Everything a replay said."""

    summary: Summary
    signals: list[Signal] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)

    def of(self, kind: str, name: str | None = None) -> list[Signal]:
        return [s for s in self.signals if s.kind == kind and (name is None or s.name == name)]


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    folder = Path(os.environ.get("JOURNEY_TEST_DATA") or Path(__file__).parents[2].parent / "shared" / "data")

    def look(name: str) -> Path:
        path = folder / name
        if not path.exists():
            message = f"{name} is not in {folder}: {HOW[name]}; put it there or set JOURNEY_TEST_DATA"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)
        return path

    return look


def replayed(path: Path, name: str, *, learn: bool = False) -> Replayed:
    definition = load_files([find(name, "journey")])
    found = Replayed(Summary.of(definition))

    def each(outputs: Outputs) -> None:
        found.signals.extend(outputs.signals)
        found.triggers.extend(outputs.triggers)
        found.decisions.extend(outputs.decisions)
        found.examples.extend(outputs.examples)

    files = open_inputs([path], [load_mapping(find(name, "mapping"))])
    found.summary = replay(definition, merged(files), learn=learn, each=each)
    found.summary.filtered = files[0].filtered
    return found


@pytest.fixture(scope="session")
def ecom(data_file: Callable[[str], Path]) -> Replayed:
    return replayed(data_file("ecom.csv.gz"), "ecom")


@pytest.fixture(scope="session")
def online_retail(data_file: Callable[[str], Path]) -> Replayed:
    return replayed(data_file("online_retail.csv.gz"), "online_retail", learn=True)
