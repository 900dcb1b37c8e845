"""The steps of the Dockerfile in a clean folder, without an engine for containers: what it builds, runs and weighs.

``python -m deploy.image.steps`` copies what the Dockerfile copies and runs every RUN of it in order (with / moved to
build/image), twice, and compares the two results file by file. Then it starts ``journey --help`` and the health
check's Python as a user that is not root, on files that nobody can write, and holds the bill of materials to the schema
of CycloneDX. What is not shown: the base image itself, whose Python is here that of the machine.
"""

# ruff: noqa: T201, S603 - a command for people: it prints, and it runs what the Dockerfile says
from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import string
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.image.lock import normal

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = ROOT / "build" / "image"
PYTHONS: Final = ("/usr/local/bin/python3.11", "/usr/bin/python3.11", f"{sys.base_prefix}/bin/python3.11")
"""In whose place the base image's Python is: the first that there is. Other users must be able to reach it."""


@dataclass(slots=True)
class Stage:
    """One FROM: its name, what it begins with, and its instructions."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def stages(text: str) -> list[Stage]:
    """Instructions with continued lines joined and comments dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif word and found:
            found[-1].steps.append((word, " ".join(rest.split()) if word != "RUN" else rest))
    return found


def assignments(text: str) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in shlex.split(text))


class Folder:
    """A root file system, as far as the Dockerfile names it: /opt and /source lie below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"PATH": f"{root / 'bin'}:{os.environ['PATH']}", "HOME": str(root / "home")}
        self.environment |= {
            name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE") if name in os.environ
        }
        self.workdir = root
        for name in ("bin", "home", "opt"):
            (root / name).mkdir(parents=True)
        found = [name for name in PYTHONS if Path(name).exists()]
        if not found:
            raise SystemExit(f"the image's Python is 3.11, and there is none: {', '.join(PYTHONS)}")
        (root / "bin" / "python").symlink_to(found[0])

    def moved(self, text: str) -> str:
        return re.sub(r"(?<![\w./])/(?=opt\b|source\b)", f"{self.root}/", text)

    def build(self, stage: Stage) -> None:
        arguments: dict[str, str] = {}
        for word, text in stage.steps:
            if word == "ARG":
                arguments |= assignments(text)
            elif word == "ENV":
                known = string.Template(self.moved(text)).substitute(arguments | self.environment)
                self.environment |= assignments(known)
            elif word == "WORKDIR":
                self.workdir = Path(self.moved(text))
                self.workdir.mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                self._copy(text.split())
            elif word == "RUN":
                subprocess.run(["/bin/sh", "-c", self.moved(text)], cwd=self.workdir, env=self.environment, check=True)
            else:
                raise ValueError(f"{word} is not known here: {text}")

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        for source in sources:
            at = self.workdir / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, at, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, at / Path(source).name if target.endswith("/") else at)


def inventory(folder: Path) -> dict[str, str]:
    """Path -> what makes it the same: kind, rights, time, and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = "folder"
        found[str(path.relative_to(folder))] = f"{stat.S_IMODE(status.st_mode):o} {int(status.st_mtime)} {content}"
    return found


def weight(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def run_it(folder: Folder, final: Stage) -> None:
    """ENTRYPOINT with CMD, and the Python of the health check, with the environment of the image."""
    home = folder.root / "tmp"
    home.mkdir(mode=0o1777)
    home.chmod(0o1777)
    given = dict(step for step in final.steps if step[0] in ("ENTRYPOINT", "CMD", "USER"))
    user, group = map(int, given["USER"].split(":"))
    if user == 0:
        raise SystemExit("the image runs as root")
    other: dict[str, Any] = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
    (environment,) = (assignments(text) for word, text in final.steps if word == "ENV")
    environment["PATH"] = f"{folder.moved(environment['PATH'].partition(':')[0])}:/usr/bin:/bin"
    environment |= {"HOME": str(home), "JOURNEY_DATA": str(home / ".journey")}
    installed = folder.root / "opt" / "journey"
    for path in (installed, *installed.rglob("*")):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    for words in (
        json.loads(given["ENTRYPOINT"]) + json.loads(given["CMD"]),
        ["python", "-c", "import urllib.request, streams.worker.run, streams.learner.process.run"],
        ["journey", "simulate", "--touchpoints", "500", "--customers", "50", "--output", "touchpoints.jsonl"],
        ["journey", "replay", "--definition", "shop", "--input", "touchpoints.jsonl", "--output", "findings.jsonl"],
        ["python", "-c", "import river.api, scipy.stats, scipy.optimize, streams.learner.learner"],
    ):
        done = subprocess.run(
            ["/usr/bin/env", *words], env=environment, cwd=home, check=False, capture_output=True, text=True, **other
        )
        if done.returncode != 0:
            raise SystemExit(f"{shlex.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    if (installed / "bin" / "pip").exists():
        raise SystemExit("the image has a pip")


def bill_of_materials(folder: Folder) -> int:
    """Holds it to the schema, and to what is installed; the number of its components."""
    path = folder.root / "opt" / "sbom" / "journey.cdx.json"
    validating = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1], encoding="utf-8").read())
sys.exit(f"not valid: {fault}" if fault else 0)
"""
    subprocess.run([str(folder.root / "opt" / "sbom" / "bin" / "python"), "-c", validating, str(path)], check=True)
    bill = json.loads(path.read_text(encoding="utf-8"))
    listed = {normal(part["name"]): part["version"] for part in [*bill["components"], bill["metadata"]["component"]]}
    (packages,) = (folder.root / "opt" / "journey" / "lib").glob("python*/site-packages")
    installed = [info.name.removesuffix(".dist-info").partition("-")[::2] for info in packages.glob("*.dist-info")]
    wrong = sorted(name for name, version in installed if listed.get(normal(name)) != version)
    if wrong:
        raise SystemExit(f"the bill of materials does not list what is installed of {', '.join(wrong)}")
    return len(bill["components"])


def main() -> None:
    found = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    by_name = {stage.name: stage for stage in found}
    results: list[dict[str, str]] = []
    for turn in ("first", "second"):
        # At the same place both times: paths are part of scripts.
        shutil.rmtree(BUILD, ignore_errors=True)
        began = time.monotonic()
        folder = Folder(BUILD)
        folder.build(by_name["built"])
        results.append(inventory(BUILD / "opt" / "journey"))
        print(f"{turn} build: {time.monotonic() - began:.0f} s, {len(results[-1])} files", flush=True)
    first, second = results
    different = sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))
    if different:
        raise SystemExit(f"{len(different)} files differ between two builds: {', '.join(different[:10])}")
    digest = hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()
    print(f"the same both times: sha256 of all {digest}")
    print(f"what the image adds to its base: {weight(BUILD / 'opt' / 'journey') / 1e6:.0f} MB")
    folder.build(by_name["billed"])
    print(f"bill of materials: {bill_of_materials(folder)} components, valid CycloneDX 1.6")
    run_it(folder, found[-1])
    print("journey --help, simulate and replay run as another user on files that nobody can write")


if __name__ == "__main__":
    main()
