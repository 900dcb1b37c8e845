"""The definitions and mappings that come with the package, by name.

Owns how the argument of an option becomes a file: a path that exists, else a shipped name (``shop``, ``ecom``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import streams.definitions

SHIPPED: Final = Path(streams.definitions.__file__).parent / "shipped"
Kind = Literal["journey", "mapping"]


def names(kind: Kind) -> list[str]:
    return sorted(path.name.removesuffix(f".{kind}.yaml") for path in SHIPPED.rglob(f"*.{kind}.yaml"))


def find(given: str, kind: Kind) -> Path:
    """The file that is meant; raises ``FileNotFoundError`` naming what there is."""
    path = Path(given)
    if path.exists():
        return path
    for folder in (SHIPPED, SHIPPED / "data"):
        shipped = folder / f"{given}.{kind}.yaml"
        if shipped.is_file():
            return shipped
    what = {"journey": "definition", "mapping": "mapping"}[kind]
    raise FileNotFoundError(f"there is no file {given} and no shipped {what} of that name ({', '.join(names(kind))})")
