"""What a report keeps of each record: the fields that a figure needs, in one small struct for each contract.

Owns the way from a line of a replay, a record of a topic or a touchpoint to these structs. Fields have the names of the
contracts, so a line of a replay decodes as it is, and one written before a field existed has its default.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from streams.contracts.outputs import Decision, Model, Signal, Trigger
from streams.contracts.touchpoint import RESERVED_PREFIX, Touchpoint
from streams.definitions.model import Definition
from streams.engine.clock import corrected

DIRECT: Final = "direct"
"""Source of a touchpoint with neither campaign nor referrer."""


class Found(msgspec.Struct, tag_field="kind", tag="signal", gc=False, omit_defaults=True):
    """A signal; its kind stands under ``signal``, as in the lines of a replay."""

    signal: str
    customer: str
    name: str
    time: int
    signal_id: str = ""
    journey: str | None = None
    instance: str | None = None
    stage: str | None = None
    reason: str | None = None
    evidence: list[str] = []
    figures: dict[str, float] = {}
    definition: int = 0


class Life(msgspec.Struct, tag_field="kind", tag="trigger", gc=False, omit_defaults=True):
    """One revision of a trigger."""

    trigger_id: str
    status: str
    customer: str
    action: str
    issued_at: int
    channel: str = ""
    end_reason: str | None = None
    ended_at: int | None = None
    experiment: str | None = None
    arm: str | None = None
    definition: int = 0
    test: bool = False
    outcome: str | None = None
    """The newest that the engine has matched to it."""


class Option(msgspec.Struct, gc=False, omit_defaults=True):
    """A candidate of a decision."""

    action: str
    closed_by: str | None = None
    channel: str | None = None
    v: float | None = None
    propensity: float | None = None
    p: float | None = None
    usual: float | None = None
    """P of everyone, where ``p`` is the customer's own."""


class Choice(msgspec.Struct, tag_field="kind", tag="decision", gc=False, omit_defaults=True):
    """A decision."""

    decision_id: str
    customer: str
    time: int
    outcome: str
    reason: str
    signal_id: str
    journey: str | None = None
    instance: str | None = None
    candidates: list[Option] = []
    chosen: str | None = None
    trigger_id: str | None = None
    channel: str | None = None
    experiment: str | None = None
    arm: str | None = None
    step: int = 0
    propensity: float | None = None
    definition: int = 0


class Intended(msgspec.Struct, tag_field="kind", tag="intended", gc=False, omit_defaults=True):
    """What another definition would have decided on a signal."""

    customer: str
    signal_id: str
    time: int
    journey: str | None = None
    chances: dict[str, float] = {}
    """Action -> probability with which it would be chosen; empty: nothing would have been done."""
    instance: str | None = None


class Touch(msgspec.Struct, tag_field="kind", tag="touchpoint", gc=False, omit_defaults=True):
    """A touchpoint, its event by the standard name, its time corrected as the engine does it (semantics, rule 4)."""

    event_id: str
    type: str
    customer: str
    time: int
    actor: str = "customer"
    channel: str | None = None
    location: str | None = None
    origin: str = DIRECT
    """Where the customer came from: the campaign, else the host of the referrer, else ``direct``."""
    case_id: str | None = None
    contact_id: str | None = None
    topic: str | None = None
    wait_ms: int | None = None
    value: float | None = None
    sentiment: float | None = None
    emotion: str | None = None
    survey: str | None = None
    score: float | None = None
    trigger_id: str | None = None
    outcome: str | None = None
    experiment: str | None = None
    variant: str | None = None
    by: list[str | None] = []
    """Values of the fields that the reader asked to split by."""


Record = Found | Life | Choice | Touch | Intended
_line: Final[msgspec.json.Decoder[Found | Life | Choice]] = msgspec.json.Decoder(Found | Life | Choice)
_model: Final = msgspec.json.Decoder(Model)
_kind: Final = msgspec.json.Decoder(dict[str, Any])
OUTPUTS: Final = frozenset({"signal", "trigger", "decision", "model"})


class RecordError(ValueError):
    """A line that is none of a replay; says why."""


def read_line(text: bytes) -> Found | Life | Choice | Model | None:
    """A line of a replay's output; None for what no figure needs (dead letters, examples)."""
    try:
        return _line.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        why = str(error)
    try:
        kind = _kind.decode(text).get("kind")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RecordError("it is no JSON object") from None
    if kind in ("dead_letter", "example"):
        return None
    if kind == "model":
        try:
            return _model.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            why = str(error)
    if kind in OUTPUTS:
        raise RecordError(why)
    raise RecordError("it is no output of `journey replay`: its 'kind' is none of signal, trigger, decision")


def of_output(record: Signal | Trigger | Decision) -> Found | Life | Choice:
    """What is kept of a record of a topic."""
    if isinstance(record, Signal):
        fields = {name: getattr(record, name) for name in Found.__struct_fields__ if name != "signal"}
        return Found(signal=record.kind, **fields)
    if isinstance(record, Trigger):
        return Life(**{name: getattr(record, name) for name in Life.__struct_fields__})
    kept = {name: getattr(record, name) for name in Choice.__struct_fields__ if hasattr(record, name)}
    kept["candidates"] = [
        Option(**{name: getattr(one, name) for name in Option.__struct_fields__}) for one in record.candidates
    ]
    return Choice(**kept)


def of_touchpoint(tp: Touchpoint, definition: Definition, by: tuple[str, ...] = ()) -> Touch | None:
    """What is kept of a touchpoint; None for commands. ``by``: touchpoint fields, else property names."""
    if tp.type.startswith(RESERVED_PREFIX):
        return None
    event = definition.aliases.get(tp.type, tp.type)
    info = definition.events.get(event)
    actor = tp.actor or (info.actor if info is not None else None) or "customer"
    time, _ = corrected(tp, definition.time)
    return Touch(
        event_id=tp.event_id,
        type=event,
        customer=tp.customer_id or tp.anonymous_id or "",
        time=time,
        actor=actor,
        channel=tp.channel,
        location=tp.location,
        origin=_origin(tp),
        case_id=tp.case_id,
        contact_id=tp.contact_id,
        topic=tp.topic,
        wait_ms=tp.wait_ms,
        value=tp.value,
        sentiment=_sentiment(tp, definition),
        emotion=tp.emotion,
        survey=tp.survey.lower() if tp.survey else None,
        score=tp.score,
        trigger_id=tp.trigger_id,
        outcome=tp.outcome,
        experiment=tp.experiment,
        variant=tp.variant,
        by=[_field(tp, name) for name in by],
    )


def _origin(tp: Touchpoint) -> str:
    if tp.campaign:
        return tp.campaign
    if tp.referrer:
        try:
            host = urlsplit(tp.referrer).hostname
        except ValueError:
            host = None
        return host or tp.referrer[:64]
    return DIRECT


def _sentiment(tp: Touchpoint, definition: Definition) -> float | None:
    """The stated sentiment, else that of the emotion word; -1 to 1."""
    if tp.sentiment is not None:
        return max(-1.0, min(1.0, tp.sentiment))
    return definition.satisfaction.words.get(tp.emotion.lower()) if tp.emotion else None


def _field(tp: Touchpoint, name: str) -> str | None:
    value = getattr(tp, name, None)
    if value is None and tp.properties is not None:
        value = tp.properties.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:64] if isinstance(value, (str, int, float)) and value != "" else None
