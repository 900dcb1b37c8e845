"""Starts in half the time: a cache of the classes that a service's Java loads and links (JEP 483 and 514).

Owns where such a cache lies and for what it is good. ``rehearsal`` makes it; without it a service starts as ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from streams.tools.embedded.artifacts import cache_folder

LEAST_JAVA: Final = 25


def class_cache(name: str, java: Path, jars: Iterable[Path]) -> Path | None:
    """Where the cache of the service ``name`` lies, whether there is one yet or not; None where Java has no such thing.

    It is good for one build of Java and for the same jars at the same place and of the same age, as Java wants it.
    """
    try:
        release = (java.resolve().parents[1] / "release").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    version = next((line for line in release.splitlines() if line.startswith("JAVA_VERSION=")), "")
    major = version.partition('"')[2].partition(".")[0].rstrip('"')
    if not major.isdecimal() or int(major) < LEAST_JAVA:
        return None
    known = "\n".join([str(java.resolve()), release, *(f"{jar} {jar.stat().st_mtime_ns}" for jar in jars)])
    return cache_folder() / "classes" / f"{name}-{hashlib.sha256(known.encode()).hexdigest()[:16]}.aot"


def options(name: str, java: Path, jars: Iterable[Path]) -> list[str]:
    """What ``java`` is told so that it uses the cache, if there is one. One that is damaged it leaves aside."""
    cache = class_cache(name, java, jars)
    return [f"-XX:AOTCache={cache}", "-Xlog:aot=off", "-Xlog:cds=off"] if cache is not None and cache.exists() else []
