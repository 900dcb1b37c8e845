"""Definition files -> one checked ``Definition``, or all that is wrong with them at once.

Owns the order of reading (names that others refer to first), the merging of several files, the digest, and where the
shipped definitions are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from streams.definitions.actions import read_actions
from streams.definitions.arbitration import read_arbitration, read_changes
from streams.definitions.checks import check_whole
from streams.definitions.contact import read_contact_policy
from streams.definitions.draft import Draft
from streams.definitions.faults import DefinitionFaults, Fault, Report
from streams.definitions.journeys import read_journeys
from streams.definitions.model import Definition
from streams.definitions.pauses import read_paused, without_overlay
from streams.definitions.policy_checks import check_policy
from streams.definitions.positions import MAX_BYTES, read
from streams.definitions.reach import read_channels, settle_zones
from streams.definitions.risks import assume_churn, read_expected_value, read_features, read_risks
from streams.definitions.sections import (
    check_aliases,
    read_events,
    read_milestones,
    read_satisfaction,
    read_segments,
    read_time,
    root_table,
)

__all__ = ["DefinitionFaults", "Fault", "load_files", "load_texts", "shipped"]

MAX_FILES: Final = 100


def shipped(name: Literal["shop", "visit", "service"]) -> Path:
    """The file of a definition that comes with the package."""
    return Path(__file__).parent / "shipped" / f"{name}.journey.yaml"


def load_files(paths: Sequence[Path], number: int = 0) -> Definition:
    """Reads UTF-8 files; one that cannot be read is a fault like any other."""
    report = Report()
    sources = []
    for path in paths:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            sources.append((str(path), content.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            report.faults[Fault(str(path), line, 1, "the file is not UTF-8", "save it as UTF-8")] = None
        except OSError as error:
            report.faults[Fault(str(path), 1, 1, f"cannot be read: {error.strerror or error}")] = None
    return _loaded(sources, number, report)


def load_texts(sources: Sequence[tuple[str, str]], number: int = 0) -> Definition:
    """``sources`` are (file name, text); raises ``DefinitionFaults`` with everything that is wrong."""
    return _loaded(sources, number, Report())


def digest(sources: Sequence[tuple[str, str]]) -> str:
    """SHA-256 of the contents in their order; file names do not count."""
    whole = hashlib.sha256()
    for _, text in sources:
        data = text.encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()


def _loaded(sources: Sequence[tuple[str, str]], number: int, report: Report) -> Definition:
    if len(without_overlay(sources)) > MAX_FILES:
        raise DefinitionFaults([Fault(sources[MAX_FILES][0], 1, 1, f"more than {MAX_FILES} files")])
    if not sources and not report.faults:
        raise DefinitionFaults([Fault("-", 1, 1, "no definition is given", "name at least one file")])
    draft = Draft(report)
    roots = [read(text, file, report) for file, text in sources]
    tables = [root_table(root, draft) for root in roots if root is not None]
    given_time: dict[str, Any] = {}
    given_satisfaction: dict[str, Any] = {}
    given_value: dict[str, Any] = {}
    for table in tables:
        read_events(table, draft)
        read_channels(table, draft)
        read_time(table, draft, given_time)
        read_satisfaction(table, draft, given_satisfaction)
        read_expected_value(table, draft, given_value)
    check_aliases(tables, draft)
    settle_zones(draft)
    for section in (read_segments, read_journeys, read_milestones, read_features, read_risks):
        for table in tables:
            section(table, draft)
    assume_churn(tables, draft)
    for table in tables:
        read_actions(table, draft)
    given_policy: dict[str, Any] = {}
    given_weighing: dict[str, Any] = {}
    for table in tables:
        read_paused(table, draft)
        read_contact_policy(table, draft, given_policy)
        read_arbitration(table, draft, given_weighing)
        read_changes(table, draft)
    check_whole(draft)
    check_policy(draft)
    faults, warnings = report.in_order([file for file, _ in sources])
    if faults:
        raise DefinitionFaults(faults, warnings)
    return Definition(
        number=number,
        digest=digest(sources),
        sources=tuple((Path(file).name, text) for file, text in sources),
        time=draft.time,
        aliases=draft.aliases,
        events=draft.events,
        segments=tuple(draft.segments.values()),
        journeys=tuple(draft.journeys.values()),
        satisfaction=draft.satisfaction,
        milestones=tuple(draft.milestones.values()),
        actions=tuple(draft.actions.values()),
        channels=draft.channels,
        features=tuple(draft.features.values()),
        risks=tuple(draft.risks.values()),
        expected_value=draft.expected_value,
        contact_policy=draft.contact_policy,
        arbitration=draft.arbitration,
        changes=tuple(sorted(draft.changes, key=lambda change: (change.at_ms, change.title))),
        warnings=tuple(str(warning) for warning in warnings),
    )
