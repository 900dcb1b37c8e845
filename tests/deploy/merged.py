"""The Compose files as Docker Compose reads them: one after the other, the later over the earlier.

Owns the rules of merging, as the Compose specification states them ("Merge"): mappings key by key, lists one behind the
other, what is mounted or given as a secret by its place in the container, commands and checks as a whole; ``!override``
puts its value in the place of the earlier one, ``!reset`` takes it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from tests.deploy.queries import ROOT

PLAIN: Final = (ROOT / "docker-compose.yml",)
HARDENED: Final = (*PLAIN, ROOT / "docker-compose.hardened.yml")
WHOLE: Final = {"command", "entrypoint", "test"}


@dataclass(frozen=True)
class Override:
    """What a tag of the specification says about a value."""

    value: Any


RESET: Final = Override(None)


class _Constructor(SafeConstructor):
    pass


def _override(constructor: Any, node: Any) -> Override:
    if isinstance(node, SequenceNode):
        return Override(constructor.construct_sequence(node, deep=True))
    if isinstance(node, MappingNode):
        return Override(SafeConstructor.construct_mapping(constructor, node, deep=True))
    assert isinstance(node, ScalarNode)
    return Override(constructor.construct_scalar(node))


_Constructor.add_constructor("!override", _override)
_Constructor.add_constructor("!reset", lambda constructor, node: RESET)


def read(path: Path) -> dict[str, Any]:
    """A file with its tags as ``Override``."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"))
    return found


def bare(value: Any) -> Any:
    """Without the tags, for a schema that knows nothing of them."""
    if isinstance(value, Override):
        return bare(value.value)
    if isinstance(value, dict):
        return {name: bare(each) for name, each in value.items() if each is not RESET}
    return [bare(each) for each in value] if isinstance(value, list) else value


def place(name: str, entry: Any) -> Any:
    """What makes an entry of a list the same one: mounts and secrets by where they lie in the container."""
    return entry.split(":")[1] if name == "volumes" and isinstance(entry, str) and ":" in entry else entry


def merge(name: str, earlier: Any, later: Any) -> Any:
    if isinstance(later, Override):
        return bare(later)
    if earlier is None:
        return bare(later)
    if isinstance(earlier, dict) and isinstance(later, dict):
        merged = {key: merge(key, earlier.get(key), value) for key, value in later.items() if value is not RESET}
        return {key: value for key, value in earlier.items() if later.get(key) is not RESET} | merged
    if isinstance(earlier, list) and isinstance(later, list) and name not in WHOLE:
        entries = {place(name, entry): entry for entry in (*earlier, *later)}
        return list(entries.values())
    return bare(later)


def compose(*paths: Path) -> dict[str, Any]:
    """Files merged in that order."""
    found: dict[str, Any] = {}
    for path in paths:
        found = merge("", found, read(path))
    return found
