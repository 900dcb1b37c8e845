"""The audit of dependencies: what is known fails the build, what could not be asked is said aloud."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"


def verdict(dependencies: list[dict[str, Any]]) -> tuple[int, str]:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    status, said = module.verdict(dependencies)
    return status, "\n".join(said)


FINE = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}


def test_a_known_vulnerability_fails() -> None:
    status, said = verdict([FINE, FLAWED])
    assert status == 1
    assert "b 2: PYSEC-1, mended in 3" in said
    assert "2 of 2" in said
    assert "NOT" not in said


def test_what_could_not_be_asked_is_said_and_does_not_fail() -> None:
    status, said = verdict([FINE, SKIPPED])
    assert status == 0
    assert "1 of 2" in said
    assert "NOT audited" in said
    assert said.endswith(": c")
    assert "NOT audited" in verdict([])[1]


def test_what_is_fine_is_fine() -> None:
    assert verdict([FINE]) == (0, "1 of 1 dependencies were audited for known vulnerabilities")
