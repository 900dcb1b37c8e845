"""The threat model names its evidence: every test and every file that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def test_what_it_names_is_there() -> None:
    files = {path.name: path for folder in ("streams", "tests", ".ci") for path in (ROOT / folder).rglob("*.py")}
    named = set(re.findall(r"`(?:[\w./]+/)?(\w+\.py)", PAGE))
    assert len(named) > 15
    assert sorted(named - files.keys()) == []
    for file, test in re.findall(r"`(?:[\w./]+/)?(\w+\.py)::(\w+)`", PAGE):
        assert f"def {test}(" in files[file].read_text(encoding="utf-8"), test
    tests = "".join(path.read_text(encoding="utf-8") for name, path in files.items() if name.startswith("test_"))
    for test in re.findall(r"`::(\w+)`", PAGE):
        assert f"def {test}(" in tests, test


def test_every_boundary_of_the_picture_has_its_section() -> None:
    picture = PAGE.partition("```")[2].partition("```")[0]
    drawn = {int(number) for number in re.findall(r"(?<![\w.])\d(?![\w.])", picture)}
    assert drawn == {int(number) for number in re.findall(r"^### (\d) ", PAGE, re.MULTILINE)} == set(range(1, 10))
