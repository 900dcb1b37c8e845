"""The optional part of a build: the engine compiled to C with mypyc.

Owns which modules are compiled and how. Off by default; HATCH_BUILD_HOOK_ENABLE_CUSTOM=true switches it on for a wheel
(`make accelerate` does), which then runs on the kind of machine and the version of Python that it was built with. It
needs a C compiler. The modules lie in the wheel as Python, too: without the extension beside them they are what runs.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES: Final = ("streams/engine",)
NAME: Final = "journey_streams"
"""Of the library that all compiled modules share."""


def compiled(root: Path) -> Iterator[str]:
    """Paths below ``root`` of the modules that are compiled: those of the engine that define no ``msgspec.Struct``.

    The options of a Struct (``array_like``) are arguments of its class statement, which mypyc drops.
    """
    for package in PACKAGES:
        for path in sorted(root.joinpath(package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if path.name != "__init__.py" and not any(_is_struct(node) for node in ast.walk(tree)):
                yield path.relative_to(root).as_posix()


def _is_struct(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Struct") for base in node.bases)


def extensions(root: Path, build: Path) -> list[Any]:
    """The modules translated to C in ``build``. Ends the process where mypy finds a fault."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only there, and only needed, where the engine is compiled

    build.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(root):  # mypy's settings are read there, and names of modules are made of relative paths
        return list(
            mypycify(
                ["--follow-imports=silent", f"--cache-dir={build / 'mypy'}", *compiled(root)],
                opt_level="2",
                debug_level="0",
                group_name=NAME,
                target_dir=str(build),
            )
        )


def build_extensions(root: Path, build: Path) -> Path:
    """Translate and compile; the folder with the libraries, to be laid over that which holds ``streams``."""
    from setuptools import Distribution  # noqa: PLC0415 - as above

    made = extensions(root, build)
    distribution = Distribution({"name": NAME, "ext_modules": made})
    command: Any = distribution.get_command_obj("build_ext")
    command.build_lib = str(build / "lib")
    command.build_temp = str(build / "temp")
    command.ensure_finalized()
    with contextlib.chdir(root):
        command.run()
    return build / "lib"


class Accelerate(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            raise RuntimeError("an editable install is Python only: a library beside a module would hide its changes")
        root = Path(self.root)
        libraries = build_extensions(root, root / "build" / "accelerated")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for library in libraries.rglob("*.*"):
            build_data["force_include"][str(library)] = library.relative_to(libraries).as_posix()
