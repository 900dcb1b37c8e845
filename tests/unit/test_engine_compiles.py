"""The engine can be compiled to C: mypyc translates each of its modules. What the C does is compared elsewhere
(`make accelerate`, `make bench`), for compiling it takes longer than all unit tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hatch_build import compiled

ROOT = Path(__file__).parents[2]


def test_each_module_of_the_engine_is_compiled_unless_it_defines_structs() -> None:
    found = set(compiled(ROOT))
    assert {"streams/engine/engine.py", "streams/engine/scoring/features.py"} <= found
    left = {path.relative_to(ROOT).as_posix() for path in (ROOT / "streams/engine").rglob("*.py")} - found
    structs = {path for path in left if not path.endswith("__init__.py")}
    assert "streams/engine/state.py" in structs
    assert all("msgspec.Struct" in (ROOT / path).read_text(encoding="utf-8") for path in structs)


def test_it_can_be_translated(tmp_path: Path) -> None:
    command = "import sys, pathlib, hatch_build; hatch_build.extensions(pathlib.Path(), pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("__native_*.c"))
