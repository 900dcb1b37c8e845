"""The engine has no I/O, no clock, no random source: its imports are walked, and its code is searched for calls.

Static, so that it fails whatever the code does when it runs. What only types need (``if TYPE_CHECKING``) is not walked:
it is not there at run time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import streams

ROOT = Path(streams.__file__).parent

ALLOWED_OUTSIDE = frozenset(
    {
        "__future__", "abc", "array", "bisect", "cel_expr_python", "collections", "copy", "dataclasses", "datetime",
        "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "keyword", "math",
        "msgspec", "operator", "re", "statistics", "string", "struct", "types", "typing", "unicodedata", "zlib",
        "zoneinfo",
    }
)  # fmt: skip
"""Modules that compute and nothing else. ``datetime`` and ``zoneinfo`` turn texts into times; ``FORBIDDEN_METHODS``
keeps their clock out."""

ALLOWED_STREAMS = (
    "streams",
    "streams.engine",
    "streams.contracts",
    "streams.contracts.touchpoint",
    "streams.contracts.outputs",
    "streams.contracts.outcomes",
    "streams.contracts.routing",
    "streams.definitions",
)
"""``streams.engine`` and ``streams.definitions`` with all that is in them; of the contracts, these."""
WITH_SUBMODULES = ("streams.engine", "streams.definitions")
NOT_EVEN_SO = ("streams.definitions.load", "streams.definitions.publish")
"""What reads files or talks to a broker among them."""

FORBIDDEN_CALLS = frozenset({"open", "print", "input", "exec", "eval", "breakpoint", "__import__", "hash"})
"""``hash`` differs between processes for texts; it is allowed in ``__hash__`` only."""
FORBIDDEN_METHODS = frozenset({"now", "utcnow", "today"})
"""Methods of what is imported from ``datetime``: they read the clock."""


def source_of(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split(".")[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for node in child.orelse:
                yield node
                yield from statements(node)
            continue
        yield child
        yield from statements(child)


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str, list[str]]]:
    """(line, module, names taken from it)."""
    for node in statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: -node.level if not is_package else (1 - node.level) or None]
                base = ".".join([*parents, *([base] if base else [])])
            yield node.lineno, base, [alias.name for alias in node.names]


def allowed(module: str) -> bool:
    top = module.partition(".")[0]
    if top != "streams":
        return top in ALLOWED_OUTSIDE
    if any(module == name or module.startswith(name + ".") for name in NOT_EVEN_SO):
        return False
    return module in ALLOWED_STREAMS or module.startswith(tuple(name + "." for name in WITH_SUBMODULES))


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Forbidden calls, with their lines."""
    of_datetime = {"datetime"}
    for node in statements(tree):
        if isinstance(node, ast.Import):
            of_datetime |= {alias.asname or "datetime" for alias in node.names if alias.name == "datetime"}
        elif isinstance(node, ast.ImportFrom) and node.module == "datetime":
            of_datetime |= {alias.asname or alias.name for alias in node.names}
    in_hash = {
        id(inner)
        for node in statements(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__hash__"
        for inner in ast.walk(node)
    }
    for node in statements(tree):
        # Not only calls: a function that is handed on is called elsewhere.
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in FORBIDDEN_CALLS:
            if not (node.id == "hash" and id(node) in in_hash):
                yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_METHODS:
            of = {inner.id for inner in ast.walk(node.value) if isinstance(inner, ast.Name)}
            if of & of_datetime:
                yield node.lineno, ast.unparse(node)


def walk(root: Path) -> tuple[set[str], list[str]]:
    """Every module that the engine reaches, and its faults."""
    engine = root / "engine"
    waiting = [
        ".".join(["streams", *path.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")
        for path in sorted(engine.rglob("*.py"))
    ]
    reached: set[str] = set()
    faults: list[str] = []
    while waiting:
        module = waiting.pop()
        path = source_of(root, module)
        if module in reached or path is None:
            continue
        reached.add(module)
        parent = module.rpartition(".")[0]
        if parent:
            waiting.append(parent)  # importing a module runs its packages
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        faults += [f"{module}:{line} calls {name}" for line, name in calls(tree)]
        for line, target, names in imports(tree, module, path.name == "__init__.py"):
            submodules = [f"{target}.{name}" for name in names if source_of(root, f"{target}.{name}") is not None]
            if target.split(".")[0] != "streams":
                submodules = []
            found = submodules if submodules and len(submodules) == len(names) else [target, *submodules]
            faults += [f"{module}:{line} imports {name}" for name in found if not allowed(name)]
            waiting += [name for name in found if name.split(".")[0] == "streams"]
    return reached, faults


def test_the_engine_imports_and_calls_nothing_that_does_io() -> None:
    reached, faults = walk(ROOT)
    assert faults == []
    assert {"streams.engine.detectors.clicks", "streams.engine.detectors.windows"} <= reached
    assert "streams.contracts.touchpoint" in reached


def package(root: Path, code: str) -> Path:
    for name in ("engine", "contracts", "definitions", "worker"):
        (root / name).mkdir()
        (root / name / "__init__.py").write_text("")
    (root / "__init__.py").write_text("")
    (root / "contracts" / "touchpoint.py").write_text("import msgspec\n")
    (root / "contracts" / "codec.py").write_text("")
    (root / "worker" / "loop.py").write_text("")
    (root / "definitions" / "model.py").write_text("def f() -> None:\n    import socket\n")
    (root / "definitions" / "load.py").write_text("")
    (root / "engine" / "core.py").write_text(code)
    return root


@pytest.mark.parametrize(
    "code",
    [
        *(
            f"import {name}"
            for name in (
                "time", "random", "asyncio", "logging", "threading", "os", "socket", "io", "sys", "pathlib", "secrets",
                "uuid", "subprocess", "faust", "confluent_kafka", "aiokafka", "prometheus_client", "os.path",
            )
        ),
        "from time import monotonic",
        "def f():\n    import time",
        "import math, random",
        "from streams.worker import loop",
        "from streams.worker.loop import x",
        "from streams.contracts import touchpoint, codec",
        "from ..worker import loop",
        "from .. import worker",
        "import streams.definitions.load",
        "from streams.definitions.model import f",
        "print(1)",
        "open('x')",
        "input()",
        "f = print",
        "x = hash('a')",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime as dt\ndt.utcnow()",
        "from datetime import date\ndate.today()",
        "import datetime as d\nclock = d.datetime.now",
    ],
)  # fmt: skip
def test_what_is_not_pure_is_found(tmp_path: Path, code: str) -> None:
    reached, faults = walk(package(tmp_path, code))
    assert "streams.engine.core" in reached
    assert len(faults) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import heapq, zlib, hashlib",
        "from streams.contracts.touchpoint import Touchpoint",
        "from streams.contracts import touchpoint",
        "from ..contracts import touchpoint",
        "from . import other",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from streams.worker import loop",
        "from datetime import datetime\ndatetime.fromisoformat('2026-01-01')",
        "class A:\n    def __hash__(self):\n        return hash(1)",
        "now = 1\nself.now()",
    ],
)
def test_what_is_pure_passes(tmp_path: Path, code: str) -> None:
    _, faults = walk(package(tmp_path, code))
    assert faults == []
