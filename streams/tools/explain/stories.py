"""What is known about one customer's decisions: gathered from Kafka, or from the output of a replay.

Owns finding the records: whose a trigger or decision is, and what belongs together. ``words`` tells it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.contracts.outputs import Decision, LastTouchpoint, Model, Signal, Trigger
from streams.contracts.schemas import SchemaSource
from streams.contracts.topics import Topics
from streams.tools.replay.sources import GZIP
from streams.tools.tail import Stream, tail

Record = Decision | Signal | Trigger | Model
_STRUCTS: Final[dict[str, type[Record]]] = {
    "decision": Decision,
    "signal": Signal,
    "trigger": Trigger,
    "model": Model,
}


class NotFoundError(LookupError):
    """Nobody and nothing has that id; the text says where was looked."""


@dataclass(slots=True)
class Story:
    """One decision: the signals that asked for it, and the life of the trigger that it issued."""

    decision: Decision
    signals: list[Signal] = field(default_factory=list)
    trigger: list[Trigger] = field(default_factory=list)
    """Revisions, oldest first; of a ghost there is none."""
    models: dict[str, Model] = field(default_factory=dict)
    """By name@version: the contextual ones that weighed its candidates, as far as they are still known."""


def stories(
    records: Callable[[str, str | None], Iterable[Record]], wanted: str, *, newest: int | None = None
) -> list[Story]:
    """The decisions about ``wanted`` (a trigger's, decision's or signal's id, else a customer's), oldest first.

    ``records(kind, customer)`` gives all of a kind, of one customer or of all. Raises ``NotFoundError``.
    """
    # A customer's decisions lie together, those of an id can be anywhere.
    decisions = [one for one in records("decision", wanted) if isinstance(one, Decision)]
    if not decisions:
        decisions = [one for one in records("decision", None) if isinstance(one, Decision) and _is_about(one, wanted)]
    if not decisions:
        raise NotFoundError(
            f"No decision is about {wanted!r}: it is no id of a trigger, a decision or a signal that was decided on, "
            "and no customer has it that anything was decided for. Decisions as old as the topic keeps are known."
        )
    decisions.sort(key=lambda one: one.time)
    if newest is not None:
        decisions = decisions[-newest:]
    customer = decisions[0].customer
    signals = {one.signal_id: one for one in records("signal", customer) if isinstance(one, Signal)}
    triggers: dict[str, list[Trigger]] = {}
    for one in records("trigger", customer):
        if isinstance(one, Trigger):
            triggers.setdefault(one.trigger_id, []).append(one)
    models = _models(records, decisions)
    return [
        Story(
            one,
            [signals[key] for key in dict.fromkeys((one.signal_id, *one.signals)) if key in signals],
            sorted(triggers.get(one.trigger_id or "", ()), key=lambda t: t.revision),
            {c.model: models[c.model] for c in one.candidates if c.usual is not None and c.model in models},
        )
        for one in decisions
    ]


def _models(records: Callable[[str, str | None], Iterable[Record]], decisions: Iterable[Decision]) -> dict[str, Model]:
    wanted = {c.model for one in decisions for c in one.candidates if c.usual is not None}
    if not wanted:
        return {}  # nothing is read in vain
    found = {f"{one.name}@{one.version}": one for one in records("model", None) if isinstance(one, Model)}
    return {key: one for key, one in found.items() if key in wanted}


def _is_about(decision: Decision, wanted: str) -> bool:
    return wanted in (decision.trigger_id, decision.decision_id, decision.signal_id, *decision.signals)


class File:
    """The output of ``journey replay``, plain or .gz."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, kind: str, customer: str | None) -> Iterator[Record]:
        """Raises ``ValueError`` for a line that is none of a replay, and for a file that is damaged."""
        with self._path.open("rb") as raw:
            opened = gzip.open if raw.read(2) == GZIP else open
        # A quick look: most lines of a replay are signals, and most are about somebody else.
        start = f'{{"kind":"{kind}",'.encode()
        name = None if customer is None else msgspec.json.encode(customer)
        with opened(self._path, "rb") as lines:
            for number, line in enumerate(self._lines(lines), 1):
                if not line.startswith(start) or (name is not None and name not in line):
                    continue
                try:
                    fields: dict[str, Any] = msgspec.json.decode(line)
                    fields["kind"] = fields.pop("signal", None)  # of a signal; its own kind makes room for the record's
                    if "last_touchpoints" in fields:
                        fields["last_touchpoints"] = [
                            [one.get(name) for name in LastTouchpoint.__struct_fields__]
                            for one in fields["last_touchpoints"]
                        ]
                    record = msgspec.convert(fields, _STRUCTS[kind])
                except msgspec.MsgspecError as error:
                    raise ValueError(f"{self._path}, line {number}: {error}") from error
                if customer is None or isinstance(record, Model) or record.customer == customer:
                    yield record

    def _lines(self, packed: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from packed
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{self._path} is damaged: {error}") from None


class Log:
    """The output topics of a deployment; committed records only."""

    def __init__(self, config: Mapping[str, Any], topics: Topics, schemas: SchemaSource) -> None:
        self._config = config
        self._topics = topics
        self._schemas = schemas

    def __call__(self, kind: str, customer: str | None) -> Iterator[Record]:
        """Raises ``TailError`` where a topic cannot be read."""
        stream: Stream = _STREAMS[kind]
        for read in tail(
            self._config, self._topics, stream, self._schemas, customer=customer, since="beginning", until="end"
        ):
            if isinstance(read.value, Decision | Signal | Trigger | Model):
                yield read.value


_STREAMS: Final[dict[str, Stream]] = {
    "decision": "decisions",
    "signal": "signals",
    "trigger": "triggers",
    "model": "models",
}
