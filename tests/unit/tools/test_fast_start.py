"""Class caches are for one Java and its jars, and only used where they are of use."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.tools.embedded.fast_start import class_cache, options


@pytest.fixture
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOURNEY_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.jar"
    path.write_bytes(b"jar")
    return path


def java(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_VERSION="{version}"\n')
    return folder / "bin" / "java"


@pytest.mark.parametrize("version", ["17.0.15", "24", "", "early"])
def test_an_older_java_has_none(tmp_path: Path, jar: Path, version: str) -> None:
    assert class_cache("kafka", java(tmp_path / "j", version), [jar]) is None
    assert options("kafka", java(tmp_path / "j", version), [jar]) == []


def test_a_java_that_does_not_say_what_it_is_has_none(tmp_path: Path, jar: Path) -> None:
    assert class_cache("kafka", tmp_path / "nowhere" / "bin" / "java", [jar]) is None


def test_it_is_used_once_it_is_there(tmp_path: Path, jar: Path) -> None:
    runtime = java(tmp_path / "j", "25.0.2")
    cache = class_cache("kafka", runtime, [jar])
    assert cache is not None
    assert options("kafka", runtime, [jar]) == []
    cache.parent.mkdir(parents=True)
    cache.touch()
    assert options("kafka", runtime, [jar])[0] == f"-XX:AOTCache={cache}"


def test_another_java_another_jar_and_another_service_have_another(tmp_path: Path, jar: Path) -> None:
    runtime = java(tmp_path / "j", "25.0.2")
    other = tmp_path / "b.jar"
    other.write_bytes(b"jar")
    found = {
        class_cache("kafka", runtime, [jar]),
        class_cache("kafka", runtime, [jar, other]),
        class_cache("registry", runtime, [jar]),
        class_cache("kafka", java(tmp_path / "k", "25.0.2"), [jar]),
    }
    java(tmp_path / "j", "26")
    found.add(class_cache("kafka", runtime, [jar]))
    assert len(found) == 5
    assert None not in found
