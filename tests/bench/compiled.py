"""The engine compiled to C: built and installed beside the checkout, and held to the engine in Python.

`python -m tests.bench.compiled FOLDER` compares the two on simulated touchpoints: everything that is said and
everything that is stored, byte by byte, with a restart on the way. It ends with 1 where they differ.
"""

# ruff: noqa: T201 - a command that prints
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from streams.contracts.outputs import Outputs
from streams.definitions.load import load_files, shipped
from streams.engine import engine as module
from streams.engine.engine import Engine
from streams.engine.scoring.scorer import LinearScorer
from streams.tools.simulator import Disturbance, generate
from tests.bench.place import CHUNK, SEED, TRANSACTION, models

ROOT: Final = Path(__file__).parents[2]
TOUCHPOINTS: Final = 40_000
CUSTOMERS: Final = 2_000
TRIED: Final = "--here"


class BuildError(Exception):
    """No engine was built; the text is what the build said."""


def build(folder: Path) -> None:
    """A wheel with the compiled engine, installed into ``folder``."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder / "wheel"), str(ROOT)]
    done = subprocess.run(
        wheel, env={**os.environ, "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError((done.stdout + done.stderr)[-3_000:])
    made = [str(path) for path in (folder / "wheel").glob("*.whl")]
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder), *made], check=True)


def possible() -> bool:
    """There is a C compiler."""
    return shutil.which(str(sysconfig.get_config_var("CC") or "cc").split()[0]) is not None


def paths(folder: Path) -> dict[str, str]:
    """Variables of the environment by which Python finds ``streams`` in the folder and ``tests`` here."""
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def digest() -> str:
    """Of all that this process's engine says and stores."""
    definition = load_files([shipped("shop"), shipped("service")])
    disturbance = Disturbance(duplicates=0.02, late=0.02, shuffle_ms=8_000, skewed=0.05)
    log = list(generate(SEED, CUSTOMERS, TOUCHPOINTS, disturbance=disturbance))
    said = sha256()
    encoder = msgspec.msgpack.Encoder()
    stored: dict[bytes, bytes] = {}

    def note(out: Outputs) -> None:
        said.update(encoder.encode(out))

    def begin() -> Engine:
        fresh = Engine(definition, hot_profiles=CUSTOMERS // 4)
        for model in models(definition):
            fresh.adopt_model(LinearScorer(model))
        return fresh

    engine = begin()
    for start in range(0, len(log), CHUNK):
        note(engine.process(log[start : start + CHUNK], None))
        if start % TRANSACTION == TRANSACTION - CHUNK:
            for key, value in engine.changed():
                said.update(key + (value or b""))
                if value is None:
                    stored.pop(key, None)
                else:
                    stored[key] = value
            record = engine.partition_record()
            said.update(record)
            if start < len(log) // 2:
                engine = begin()
                engine.restore(dict(stored), record)
    note(engine.drain())
    return said.hexdigest()


def differ(folder: Path) -> str | None:
    """How the engine in ``folder`` differs from that in Python; None if it does not."""
    found = {}
    for name, place in (("in Python", ROOT), ("compiled", folder)):
        command = [sys.executable, "-m", "tests.bench.compiled", TRIED]
        env = {**os.environ, **paths(place)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"the engine {name} ended with status {done.returncode}:\n{done.stderr[-3_000:]}"
        found[name] = done.stdout.split()
    (pure, file), (other, library) = found["in Python"], found["compiled"]
    if not file.endswith(".py") or Path(library).suffix not in {".so", ".pyd"}:
        return f"not what was to be compared: {file} and {library}"
    return None if pure == other else f"what {library} says and stores is not what {file} does"


def main(argument: str) -> int:
    if argument == TRIED:
        print(digest(), module.__file__)
        return 0
    difference = differ(Path(argument).resolve())
    print(
        difference
        or f"the compiled engine says and stores what the engine in Python does ({TOUCHPOINTS:,} touchpoints)"
    )
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
