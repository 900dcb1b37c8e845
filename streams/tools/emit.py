"""Writes touchpoints that somebody made up at the command line, and waits until the broker has them.

Owns how words become a touchpoint. The producer is set up as the contract asks: murmur2, idempotent, acks of all.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from streams.contracts.limits import Limits, Refused, check
from streams.contracts.output_codec import OutputCodec
from streams.contracts.touchpoint import FROM_THE_LOG, RESERVED_PREFIX, Properties, Touchpoint

# What librdkafka says goes to whoever configures logging, not straight to the terminal.
_log = logging.getLogger("streams.kafka.emit")
_log.addHandler(logging.NullHandler())

DELIVERY_S: Final = 15.0
FIELDS: Final = frozenset(Touchpoint.__struct_fields__) - {
    *FROM_THE_LOG,
    "event_id",
    "type",
    "occurred_at",
}
"""What may be said of a touchpoint beside its type; the rest is made here or by the broker."""


class EmitError(Exception):
    """The touchpoints could not be made or delivered; the text says why."""


class Delivered(NamedTuple):
    """Where a touchpoint is now."""

    touchpoint: Touchpoint
    partition: int
    offset: int


def scalar(text: str) -> Any:
    """``12.5`` a number, ``true`` a bool, ``null`` nothing, ``[1, 2]`` a list; anything else is the text itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text


def pairs(texts: Sequence[str] | None, option: str) -> Properties:
    """``name=value`` texts -> map. EmitError names the one that is none."""
    found: Properties = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise EmitError(f"{option} {text!r} is not name=value")
        found[name] = scalar(value)
    return found


def made(types: Sequence[str], now_ms: int, fields: Mapping[str, Any]) -> list[Touchpoint]:
    """One touchpoint of each type, a millisecond apart in the order given, the last one now; ``fields`` for all."""
    if not (fields.get("customer_id") or fields.get("anonymous_id")):
        raise EmitError("Say whose touchpoint it is: --customer, or --anonymous for a visitor without one.")
    for name in fields:
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=1)
            raise EmitError(f"{name} is no field of a touchpoint" + (f"; did you mean {near[0]}?" if near else "."))
    for type_ in types:
        if not type_:
            raise EmitError("An event without a name cannot be emitted.")
        if type_.startswith(RESERVED_PREFIX):
            raise EmitError(f"{type_!r} cannot be emitted: types that begin with journey. are commands of the workers.")
    first = now_ms - len(types) + 1
    try:
        touchpoints = [
            msgspec.convert(
                {**fields, "event_id": str(uuid.uuid4()), "type": type_, "occurred_at": first + n}, Touchpoint
            )
            for n, type_ in enumerate(types)
        ]
        for touchpoint in touchpoints:
            # What a worker would put aside as a dead letter is told here, to whoever can mend it.
            check(msgspec.structs.asdict(touchpoint), Limits(), frozenset(), "malformed")
    except msgspec.ValidationError as error:
        raise EmitError(f"A value does not fit the contract: {error}") from error
    except Refused as refused:
        raise EmitError(f"A value does not fit the contract: {refused.detail} ({refused.reason})") from refused
    return touchpoints


def emit(
    config: Mapping[str, Any], topic: str, codec: OutputCodec, touchpoints: Sequence[Touchpoint]
) -> list[Delivered]:
    """Produce and wait; EmitError if any of them was not taken."""
    refused: list[str] = []
    delivered: dict[int, Delivered] = {}
    producer = Producer(
        {
            **config,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": int(DELIVERY_S * 1000),
        },
        logger=_log,
    )
    for number, touchpoint in enumerate(touchpoints):

        def done(error: KafkaError | None, message: Message, number: int = number, t: Touchpoint = touchpoint) -> None:
            if error is not None:
                refused.append(error.str())
                return
            partition, offset = message.partition(), message.offset()
            if partition is not None and offset is not None:
                delivered[number] = Delivered(t, partition, offset)

        record = codec.touchpoint(touchpoint)
        producer.produce(topic, record.value, record.key, headers=record.headers, on_delivery=done)
    producer.flush(DELIVERY_S + 5)
    if refused or len(delivered) < len(touchpoints):
        why = refused[0] if refused else "no answer"
        raise EmitError(
            f"{topic} at {config.get('bootstrap.servers')} did not take {len(touchpoints) - len(delivered)} of"
            f" {len(touchpoints)} touchpoints: {why}"
        )
    return [delivered[number] for number in sorted(delivered)]
