"""Which models have been published, and from when on no journal can name one any more.

Owns the rule of their keeping: a model that a newer one of the same risk and signature has replaced, or whose
definition is not in force any more, is named by journals until these have passed their retention; a margin later it is
taken back. Time is the record time of the examples, so that the same examples take back the same models.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.contracts.outputs import Model
from streams.definitions.model import Definition
from streams.engine.decisions.plan import served


class Snapshot(msgspec.Struct, array_like=True):
    name: str
    version: int
    signature: str
    replaced_at: int | None = None
    """Record time in ms from which on nobody begins to use it; None: it is the newest of its kind."""

    @property
    def key(self) -> str:
        return f"{self.name}@{self.version}"


class Published:
    def __init__(self, snapshots: Iterable[Snapshot] = (), now_ms: int = 0) -> None:
        self.snapshots = list(snapshots)
        self.now_ms = now_ms
        """Highest record time so far."""

    def come_to(self, record_ms: int) -> None:
        self.now_ms = max(self.now_ms, record_ms)

    def add(self, model: Model) -> None:
        for snapshot in self.snapshots:
            if snapshot.replaced_at is None and (snapshot.name, snapshot.signature) == (model.name, model.signature):
                snapshot.replaced_at = self.now_ms
        self.snapshots.append(Snapshot(model.name, model.version, model.signature))

    def adopt(self, definition: Definition) -> None:
        """What serves no risk of it is replaced; what serves one again is in use again."""
        taken = set(served(definition))
        newest = {(s.name, s.signature): s.version for s in sorted(self.snapshots, key=lambda s: s.version)}
        for snapshot in self.snapshots:
            kind = (snapshot.name, snapshot.signature)
            if kind in taken and snapshot.version == newest[kind]:
                snapshot.replaced_at = None
            elif snapshot.replaced_at is None:
                snapshot.replaced_at = self.now_ms

    def take_back(self, keep_ms: int | None) -> list[str]:
        """name@version of those that were replaced longer ago than ``keep_ms``; None: journals are kept for ever."""
        if keep_ms is None:
            return []
        limit = self.now_ms - keep_ms
        over = [s for s in self.snapshots if s.replaced_at is not None and s.replaced_at < limit]
        if over:
            self.snapshots = [s for s in self.snapshots if s not in over]
        return [snapshot.key for snapshot in over]
