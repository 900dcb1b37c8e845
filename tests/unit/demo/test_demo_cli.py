"""What `journey demo` says of definitions that it cannot take, before anything is started."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from streams.cli import app


def test_faults_are_told_with_their_places_in_the_owners_files(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("version: 1\nevent: {}\n")
    missing = tmp_path / "missing.yaml"
    said = CliRunner().invoke(
        app,
        ["demo", "--folder", str(tmp_path / "data"), "--definition", str(wrong), "--definition", str(missing)],
    )
    assert said.exit_code == 1
    assert f"{wrong}:2:1: the definition has no key 'event'" in said.output
    assert f"{missing}:1:1: cannot be read" in said.output
    assert not (tmp_path / "data").exists()
