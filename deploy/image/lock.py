"""The locks of the image: every package with its version and the SHA-256 of the files that may be installed.

Owns ``deploy/image/*.lock``. Versions are those of constraints.txt; hashes are of the wheels for the image's Python on
amd64 (faust-streaming has none for arm64). ``python deploy/image/lock.py`` writes the locks anew after a change of
pyproject.toml or constraints.txt (pip is asked, nothing is installed); a test fails while they differ from those two.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
PYTHON: Final = "3.11"
MACHINES: Final = ("x86_64",)
LIBC: Final = (28, 27, 24, 17, 12, 5)
"""Minor versions of glibc 2 for which wheels are named; Debian's is newer than all."""
BILL: Final = "cyclonedx-bom==7.5.0"
"""What writes the bill of materials. It is installed beside the image's packages, never into the image."""


def wanted() -> dict[str, list[str]]:
    """Lock -> what is asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        "build.lock": list(project["build-system"]["requires"]),
        # Spans need packages of their own, and whoever runs the image cannot add any.
        "requirements.lock": [
            *project["project"]["dependencies"],
            *project["project"]["optional-dependencies"]["tracing"],
        ],
        "sbom.lock": [BILL],
    }


def resolve(asked: list[str], machine: str, *, constrained: bool) -> dict[str, str]:
    """``name==version`` -> SHA-256 of the wheel that pip would take on that machine. Raises where pip cannot."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(  # noqa: S603 - the command is built here
            [
                sys.executable, "-m", "pip", "--quiet", "install", "--dry-run", "--ignore-installed",
                "--only-binary", ":all:", "--target", folder, "--python-version", PYTHON, "--implementation", "cp",
                *(f"--platform=manylinux_2_{minor}_{machine}" for minor in LIBC),
                f"--platform=manylinux2014_{machine}",
                "--report", str(report),
                *(["--constraint", str(ROOT / "constraints.txt")] if constrained else []),
                *asked,
            ],
            check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return {
        f"{normal(entry['metadata']['name'])}=={entry['metadata']['version']}": entry["download_info"]["archive_info"][
            "hashes"
        ]["sha256"]
        for entry in found["install"]
    }


def normal(name: str) -> str:
    """As package names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(name: str, asked: list[str]) -> str:
    hashes: dict[str, set[str]] = {}
    for machine in MACHINES:
        for package, sha256 in resolve(asked, machine, constrained=name != "sbom.lock").items():
            hashes.setdefault(package, set()).add(sha256)
    lines = ["# Made by deploy/image/lock.py: what the image is built of, for pip install --require-hashes."]
    for package, found in sorted(hashes.items()):
        lines.append(" \\\n    ".join([package, *(f"--hash=sha256:{sha256}" for sha256 in sorted(found))]))
    return "\n".join(lines) + "\n"


def read(name: str) -> dict[str, str]:
    """Package -> version, of a lock as it is."""
    text = (HERE / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


if __name__ == "__main__":
    for file, requirements in wanted().items():
        (HERE / file).write_text(lock(file, requirements), encoding="utf-8")
