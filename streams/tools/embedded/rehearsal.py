"""A rehearsal of each service, from which Java keeps the classes: later starts take half the time and CPU.

It takes ten seconds of a core for each service, once for a Java and its jars, so it pays for whoever starts many of
them, as the tests do.
"""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
from pathlib import Path

from streams.tools.embedded.artifacts import cache_folder, fetch, java
from streams.tools.embedded.errors import EmbeddedError
from streams.tools.embedded.fast_start import class_cache
from streams.tools.embedded.kafka import EmbeddedKafka
from streams.tools.embedded.registry import EmbeddedRegistry, runner


def rehearse() -> None:
    """Make the caches that are missing. One process makes them; others that come meanwhile wait for it."""
    folder = cache_folder() / "classes"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rehearsal.lock").open("w", encoding="utf-8") as lock, tempfile.TemporaryDirectory() as scratch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kafka = class_cache("kafka", java(), fetch("kafka"))
        if kafka is not None and not kafka.exists():
            _record(kafka, EmbeddedKafka(Path(scratch) / "kafka", java_options=[f"-XX:AOTCacheOutput={_draft(kafka)}"]))
        registry = class_cache("registry", java(), [runner()])
        if registry is not None and not registry.exists():
            record = [f"-XX:AOTCacheOutput={_draft(registry)}"]
            _record(registry, EmbeddedRegistry(Path(scratch) / "registry", java_options=record))


def _draft(cache: Path) -> Path:
    return cache.with_suffix(".draft")


def _record(cache: Path, service: EmbeddedKafka | EmbeddedRegistry) -> None:
    """Java writes the cache at the end of an orderly run. Under another name first: a cache that is there is whole."""
    _draft(cache).unlink(missing_ok=True)
    with contextlib.suppress(EmbeddedError), service:  # whoever needs the service will hear what is wrong with it
        pass
    with contextlib.suppress(FileNotFoundError):
        _draft(cache).rename(cache)
