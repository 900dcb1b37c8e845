"""Nothing of the project reads or writes a format that runs what it names, nor evaluates text as code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = sorted(
    path for folder in ("streams", "deploy", "examples") for path in (ROOT / folder).rglob("*.py")
)  # fmt: skip
FORBIDDEN: Final = frozenset(
    {
        "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "yaml",
        "multiprocessing.connection", "code", "codeop",
    }
)  # fmt: skip
"""yaml: PyYAML's default loaders make any object; definitions and settings are read with ruamel.yaml's safe one."""
EVALUATED: Final = frozenset({"eval", "exec", "compile", "__import__"})
GENERATED: Final = {"streams/contracts/avro_writer.py": "exec of functions made from nothing but the packaged schemas"}


def forbidden(tree: ast.AST) -> Iterator[str]:
    """What a module must not do, with the line."""
    for node in ast.walk(tree):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module), level=0):
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case ast.Call(func=ast.Name(id=name)) if name in EVALUATED:
                yield f"line {node.lineno}: {name}()"
            case ast.Call(func=ast.Name(id="import_module"), args=[ast.Constant(value=str(name))]):
                names = [name]
            case ast.keyword(arg="typ", value=ast.Constant(value="unsafe")):
                yield "YAML(typ='unsafe')"
        for name in names:
            if name in FORBIDDEN or name.partition(".")[0] in FORBIDDEN:
                yield f"line {getattr(node, 'lineno', 0)}: import of {name}"


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from pickle import loads", "def f():\n    import marshal", "eval('1')", "import yaml.loader",
     "YAML(typ='unsafe')", "from multiprocessing import connection"],
)  # fmt: skip
def test_what_must_not_be_is_found(text: str) -> None:
    assert list(forbidden(ast.parse(text)))


def test_no_module_reads_pickles_or_runs_text() -> None:
    assert len(SOURCES) > 200
    found = {
        path.relative_to(ROOT).as_posix(): faults
        for path in SOURCES
        if (faults := list(forbidden(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert set(found) == set(GENERATED), found
    assert all(fault.endswith("exec()") for fault in found["streams/contracts/avro_writer.py"])
