"""Outputs as JSON lines: ``{"kind": "signal" | "trigger" | ..., ...fields of the contract}``.

Owns the form and the order of the lines. For each touchpoint (and for the timers it lets fire): its dead letter if it
is refused, then the signals, the decisions, the triggers and the examples, each in the order in which the engine gave
them, and the models that the examples made. The kind of a signal stands under ``signal``, the word that a definition's
``when`` has for it, because ``kind`` is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgspec

from streams.contracts.dead_letter import DeadLetter
from streams.contracts.outputs import Decision, Example, Model, Outputs, Signal, Trigger
from streams.tools.replay.rows import Refused


class Sink(Protocol):
    """Takes bytes; a file opened for writing is one."""

    def write(self, data: bytes, /) -> Any: ...


_json: Final = msgspec.json.Encoder()


def signal_line(signal: Signal) -> bytes:
    fields: dict[str, Any] = {"kind": "signal", "signal": signal.kind}
    for name in Signal.__struct_fields__:
        if name != "kind":
            fields[name] = getattr(signal, name)
    return _json.encode(fields) + b"\n"


def trigger_line(trigger: Trigger) -> bytes:
    fields = {"kind": "trigger"} | msgspec.structs.asdict(trigger)
    # An array in memory and in state, a record in the contract.
    fields["last_touchpoints"] = [msgspec.structs.asdict(step) for step in trigger.last_touchpoints]
    return _json.encode(fields) + b"\n"


def decision_line(decision: Decision) -> bytes:
    return b'{"kind":"decision",' + _json.encode(decision)[1:] + b"\n"


def example_line(example: Example) -> bytes:
    return b'{"kind":"example",' + _json.encode(example)[1:] + b"\n"


def model_line(model: Model) -> bytes:
    """A model without body and signature."""
    fields = {"kind": "model"} | msgspec.structs.asdict(model)
    del fields["body"], fields["mac"]
    return _json.encode(fields) + b"\n"


def refused_line(refused: Refused) -> bytes:
    """A dead letter of a file: ``topic`` is the file, ``offset`` the row, ``text`` the line as it stands there."""
    fields = {
        "kind": "dead_letter",
        "reason": refused.reason,
        "topic": refused.file,
        "partition": 0,
        "offset": refused.row,
        "detail": refused.detail,
        "text": refused.original,
    }
    return _json.encode(fields) + b"\n"


def dead_letter_line(letter: DeadLetter) -> bytes:
    """A dead letter of a topic; bytes are base64."""
    return b'{"kind":"dead_letter",' + _json.encode(letter)[1:] + b"\n"


def lines(outputs: Outputs) -> Iterator[bytes]:
    """The lines of one call of the engine."""
    for signal in outputs.signals:
        yield signal_line(signal)
    for decision in outputs.decisions:
        yield decision_line(decision)
    for trigger in outputs.triggers:
        yield trigger_line(trigger)
    for example in outputs.examples:
        yield example_line(example)
