"""The pinned lists of Maven files beside this module: how they are read, and how they are made anew.

``python -m streams.tools.embedded.lock GROUP:ARTIFACT:VERSION...`` prints one for a new version.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Pin:
    """One file that Maven has: where, how large, and what its contents must be."""

    group: str
    name: str
    version: str
    classifier: str
    packaging: str
    size: int
    sha256: str

    @property
    def coordinates(self) -> str:
        tail = f":{self.classifier}:{self.packaging}" if self.classifier else ""
        return f"{self.group}:{self.name}:{self.version}{tail}"


def read_lock(name: str) -> list[Pin]:
    """The pins of ``<name>.lock``."""
    pins = []
    for line in (HERE / f"{name}.lock").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        coordinates, size, sha256 = line.split()
        group, artifact, version, *rest = coordinates.split(":")
        classifier, packaging = rest or ("", "jar")
        pins.append(Pin(group, artifact, version, classifier, packaging, int(size), sha256))
    return pins


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_lock(coordinates: list[str]) -> list[str]:
    """Resolve each coordinate with all that it needs at run time; one line for each file."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - an optional extra, and only this command needs it

    context = MavenContext()
    lines = set()
    for each in coordinates:
        inputs, others = context.resolver.resolve([context.create_dependency(each)])
        for dependency in (*inputs, *others):
            artifact: Any = dependency.artifact
            path = artifact.resolve()
            name = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            if artifact.classifier:
                name += f":{artifact.classifier}:{artifact.packaging}"
            lines.add(f"{name} {path.stat().st_size} {digest(path)}")
    return sorted(lines)


if __name__ == "__main__":
    sys.stdout.write("\n".join(make_lock(sys.argv[1:])) + "\n")
