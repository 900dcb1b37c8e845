"""Dockerfile and its locks, as far as they can be held to something quickly. ``make image-steps`` runs the steps."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from deploy.image.lock import HERE, normal, read, wanted
from deploy.image.steps import Stage, assignments, stages
from streams.settings import ENVIRONMENT, Settings
from streams.settings_source import reference
from tests.deploy.queries import ROOT

DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
STAGES: Final = {stage.name: stage for stage in stages(DOCKERFILE)}
SETTINGS: Final = {name for name, *_ in reference(Settings, ENVIRONMENT)}
CONSTRAINTS: Final = {
    normal(name): version
    for name, _, version in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    )
}


IMAGE: Final = {"python_version": "3.11", "python_full_version": "3.11.13"}
"""For markers: whatever Python the tests run with."""


def requires(package: str) -> list[str]:
    """What it says that it needs; nothing of one that only the image's Python needs and this one has not."""
    try:
        return importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def texts(stage: Stage, word: str) -> list[str]:
    return [text for found, text in stage.steps if found == word]


def test_the_image_is_pinned_not_root_and_checks_itself() -> None:
    assert [(stage.base, name) for name, stage in STAGES.items()] == [
        ("${PYTHON}", "built"), ("built", "billed"), ("scratch", "sbom"), ("${PYTHON}", ""),
    ]  # fmt: skip
    (base,) = re.findall(r"^ARG PYTHON=(\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    final = STAGES[""]
    (user,) = texts(final, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    (check,) = texts(final, "HEALTHCHECK")
    assert f":{Settings().http.port}/livez" in check
    assert texts(final, "ENTRYPOINT") == ['["journey"]']
    assert texts(final, "RUN") == []
    (environment,) = map(assignments, texts(final, "ENV"))
    assert {name for name in environment if name.startswith(ENVIRONMENT)} <= SETTINGS


def test_every_package_is_installed_by_its_hash() -> None:
    words = " ".join(text for stage in STAGES.values() for text in texts(stage, "RUN"))
    installs = [part for part in words.split("&&") if "pip" in part and " install " in part]
    assert len(installs) == 4
    for install in installs:
        # The project's own wheel, made a line before, comes from nowhere else.
        assert "--require-hashes" in install or "--no-index" in install


@pytest.mark.parametrize("name", ["build.lock", "requirements.lock"])
def test_locks_have_the_versions_that_the_tests_run_with_and_all_that_is_needed(name: str) -> None:
    locked = read(name)
    hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}", (HERE / name).read_text(encoding="utf-8"))
    assert len(hashes) >= len(locked) > 3
    assert {package: CONSTRAINTS.get(package) for package in locked} == locked
    needed: set[str] = set()
    asked = [Requirement(text) for text in wanted()[name]]
    while asked:
        requirement = asked.pop()
        package = normal(requirement.name)
        extras = requirement.extras or {""}
        if package in needed and not requirement.extras:
            continue
        needed.add(package)
        for text in requires(package):
            other = Requirement(text)
            if other.marker is None or any(other.marker.evaluate({**IMAGE, "extra": extra}) for extra in extras):
                asked.append(other)
    assert set(locked) == needed, "python deploy/image/lock.py writes them anew"


def test_the_wheel_is_built_from_what_the_image_is_given(tmp_path: Path) -> None:
    """A file that the build needs and neither Dockerfile nor .dockerignore lets in fails here."""
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    ]
    source = tmp_path / "source"
    source.mkdir()
    copied = [text.split()[:-1] for text in texts(STAGES["built"], "COPY") + texts(STAGES["billed"], "COPY")]
    for name in (name for names in copied for name in names):
        assert any(fnmatch.fnmatch(name, pattern) for pattern in allowed), name
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / Path(name).name)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True, check=True
    ).stdout
    assert "streams/contracts/avro/touchpoint.avsc" in listed
    assert "streams/definitions/shipped/shop.journey.yaml" in listed
