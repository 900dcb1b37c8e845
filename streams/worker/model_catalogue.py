"""Which snapshot of each risk is the newest that may be used. No I/O: records go in, scorers come out.

Owns what is accepted. A snapshot that must not be used (tampered, unsigned, malformed, written by a newer version) is
counted by its reason, and the next older one takes its place. Of the others only the place in the topic is kept: a
forest of trees is some MiB, and a topic keeps every version that a journal names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.contracts.output_codec import OutputReader
from streams.contracts.outputs import Model
from streams.definitions.model import Definition
from streams.engine.decisions.plan import served
from streams.engine.scoring.scorer import ModelRefused, Scorer

log = logging.getLogger(__name__)

MakeScorer = Callable[[Model, bytes | None], Scorer]
"""A snapshot and the deployment's key -> what scores. Raises ``ModelRefused``."""


def make_scorer(model: Model, key: bytes | None) -> Scorer:
    """``learner.snapshots.scorer_of``, imported where the first snapshot comes: without risks River is not needed."""
    from streams.learner.snapshots import scorer_of  # noqa: PLC0415

    return scorer_of(model, key)


def name_and_version(key: bytes | None) -> tuple[str, int] | None:
    """Of a record's key ``name@version``; None for any other."""
    name, at, version = (key or b"").decode("utf-8", "replace").rpartition("@")
    usable = at and name and version.isascii() and version.isdigit() and len(version) < 19
    return (name, int(version)) if usable else None


def read_model(key: bytes | None, value: bytes, schemas: OutputReader) -> Model:
    """The snapshot in a record. Raises ``ModelRefused`` for bytes that are none."""
    try:
        model = schemas.read(Model, value)
    except ValueError as error:
        raise ModelRefused("malformed", f"the record {(key or b'')[:80]!r} is no model: {error}") from error
    if name_and_version(key) != (model.name, model.version):
        raise ModelRefused(
            "malformed", f"the record {(key or b'')[:80]!r} holds the model {model.name}@{model.version}"
        )
    return model


@dataclass(slots=True)
class _Line:
    """The snapshots of one risk with one signature."""

    risk: str
    offsets: dict[int, int] = field(default_factory=dict)
    """Version -> where it lies."""
    unjudged: Model | None = None
    """The newest since the last judgement."""
    accepted: Scorer | None = None
    version: int = 0
    """Of the accepted one."""


class ModelCatalogue:
    """Filled and judged by one thread; asked by others, which see whole values only."""

    def __init__(
        self,
        schemas: OutputReader,
        key: bytes | None,
        *,
        read_again: Callable[[int], tuple[bytes | None, bytes | None]],
        refused: Callable[[str], None],
        scorer_of: MakeScorer = make_scorer,
    ) -> None:
        """``key``: the deployment's. ``read_again``: offset -> key and value of that record. ``refused`` hears each
        reason."""
        self._schemas = schemas
        self._key = key
        self._record_at = read_again
        self._count = refused
        self._scorer_of = scorer_of
        self._lines: dict[tuple[str, str], _Line] = {}
        self._offsets: dict[str, int] = {}
        """name@version -> where it lies, of every snapshot that is there."""
        self._refused: dict[str, str] = {}
        """name@version -> why it must not be used."""
        self._foreign: set[str] = set()
        """name@version of those that were noted to be of another definition."""
        self.unjudged = False
        """Something came or was refused since ``judge``."""

    # -- what may be asked from any thread ---------------------------------------------------------------------------

    def newest(self, risk: str, signature: str) -> Scorer | None:
        line = self._lines.get((risk, signature))
        return line.accepted if line is not None else None

    def holds(self, key: str) -> bool:
        """The snapshot is there, and nothing speaks against it so far."""
        return key in self._offsets and key not in self._refused

    def why_not(self, key: str) -> str | None:
        return self._refused.get(key)

    def refuse(self, key: str, reason: str, why: str) -> None:
        if key not in self._refused:
            self._refused[key] = why
            self.unjudged = True
            self._count(reason)
            log.error("A model is refused (%s): %s", reason, why)

    def scorer(self, key: str) -> Scorer:
        """Read at its place. Raises ``ModelRefused`` (noted and counted already) or what reading raises."""
        try:
            offset = self._offsets.get(key)
            if offset is None:
                raise ModelRefused("gone", f"the model {key} was taken back")
            name, value = self._record_at(offset)
            if name != key.encode() or value is None:
                raise ModelRefused("gone", f"the model {key} was replaced or taken back while it was read")
            return self._scorer_of(read_model(name, value, self._schemas), self._key)
        except ModelRefused as refusal:
            self.refuse(key, refusal.reason, str(refusal))
            raise

    # -- what the thread does that reads the topic -------------------------------------------------------------------

    def take(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        """One record of the topic, in its order."""
        name = (key or b"").decode("utf-8", "replace")[:200]
        if value is None:
            self._forget(name)
            return
        if self._offsets.get(name) == offset:
            return  # the topic is read again after a failure
        self.unjudged = True
        try:
            model = read_model(key, value, self._schemas)
        except ModelRefused as refusal:
            self.refuse(f"{name} at offset {offset}", refusal.reason, str(refusal))
            return
        self._refused.pop(name, None)
        line = self._lines.setdefault((model.name, model.signature), _Line(model.name))
        line.offsets[model.version] = self._offsets[name] = offset
        if line.unjudged is None or model.version >= line.unjudged.version:
            line.unjudged = model

    def _forget(self, name: str) -> None:
        """Taken back: no journal names it any more."""
        offset = self._offsets.pop(name, None)
        for line in self._lines.values():
            line.offsets = {version: at for version, at in line.offsets.items() if at != offset}

    def judge(self, definition: Definition | None) -> None:
        """In each line the newest that may be used, from above down to the one in use. ``definition``: the latest."""
        self.unjudged = False
        for line in list(self._lines.values()):
            if line.accepted is not None and line.accepted.key in self._refused:
                line.accepted, line.version = None, 0
            self._judge(line)
            line.unjudged = None
        if definition is not None:
            self._note_foreign(definition)

    def _judge(self, line: _Line) -> None:
        for version in sorted(line.offsets, reverse=True):
            key = f"{line.risk}@{version}"
            if version <= line.version:
                return
            if key in self._refused:
                continue
            try:
                if line.unjudged is not None and line.unjudged.version == version:
                    found = self._scorer_of(line.unjudged, self._key)
                else:
                    found = self.scorer(key)
            except ModelRefused as refusal:
                self.refuse(key, refusal.reason, str(refusal))
            else:
                line.accepted, line.version = found, version
                return

    def _note_foreign(self, definition: Definition) -> None:
        """The newest snapshot of a risk is of another definition: counted, and not used while that is so."""
        taken = set(served(definition))
        newest: dict[str, tuple[int, str]] = {}
        for (risk, signature), line in self._lines.items():
            newest[risk] = max(newest.get(risk, (0, "")), (max(line.offsets, default=0), signature))
        for risk, (version, signature) in newest.items():
            key = f"{risk}@{version}"
            if version and (risk, signature) not in taken and key not in self._foreign:
                self._foreign.add(key)
                self._count("other_definition")
                log.warning(
                    "The model %s serves no risk of definition %d: it was learned for other features or labels "
                    "(signature %s).",
                    key, definition.number, signature,
                )  # fmt: skip
