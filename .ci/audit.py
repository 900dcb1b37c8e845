"""Asks the advisory service whether a pinned dependency has a known vulnerability; says aloud what it could not ask.

pip-audit ends with 0 also where it could ask about nothing, so its answer is counted here. Exit status 1 only for a
vulnerability that is known: without the service, or without pip-audit, the build goes on and says what was NOT audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOOL = "pip-audit==2.10.1"
PLACE = ROOT / "build" / "audit"


def asked() -> list[dict[str, Any]]:
    """What pip-audit says of each pinned dependency; ``OSError`` or ``SubprocessError`` where it could not be run."""
    venv.create(PLACE, with_pip=True)
    pip = [PLACE / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", TOOL], check=True, timeout=120)
    command = [PLACE / "bin" / "pip-audit", "--no-deps", "--disable-pip", "--timeout", "5", "--format", "json"]
    done = subprocess.run(
        [*command, "--requirement", ROOT / "constraints.txt"], capture_output=True, text=True, timeout=180, check=False
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    return found


def verdict(dependencies: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """Exit status, and what to say."""
    said = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in dependencies
        for flaw in one.get("vulns", ())
    ]
    status = 1 if said else 0
    skipped = [one["name"] for one in dependencies if "skip_reason" in one]
    audited = len(dependencies) - len(skipped)
    said.append(f"{audited} of {len(dependencies)} dependencies were audited for known vulnerabilities")
    if skipped or not dependencies:
        said.append(f"NOT audited, the advisory service knows nothing of them or does not answer: {', '.join(skipped)}")
    return status, said


def main() -> int:
    try:
        status, said = verdict(asked())
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        status, said = 0, [f"The dependencies are NOT audited: {type(error).__name__}: {error}"]
    sys.stderr.write("\n".join(said) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
