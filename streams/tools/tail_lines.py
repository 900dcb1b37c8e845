"""How a record of each stream looks to people: one line, what matters first. And as JSON, whole.

Owns the wording of ``journey tail``. Nothing of a record is taken as markup: contents come from outside.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from rich.text import Text

from streams.contracts.dead_letter import DeadLetter
from streams.contracts.outputs import Customer, Decision, Example, JournalLine, Model, Signal, Trigger
from streams.contracts.touchpoint import FROM_THE_LOG, Touchpoint
from streams.engine.decisions.plan import MODEL_PREFIX
from streams.tools.tail import Read, Tombstone, Unreadable

STATUS_STYLE: Final = {
    "issued": "bold green",
    "fulfilled": "bold cyan",
    "cancelled": "yellow",
    "expired": "bright_black",
}
SEVERITY_STYLE: Final = {"low": "", "medium": "yellow", "high": "red", "critical": "bold red"}
MOST_PROPERTIES: Final = 6
_CONTROL: Final = dict.fromkeys((*range(32), *range(127, 160)), "�")


def json_line(read: Read) -> bytes:
    """The record as one JSON object; bytes that are no text are in base64, as JSON has none."""
    return msgspec.json.encode(
        {
            "topic": read.topic,
            "partition": read.partition,
            "offset": read.offset,
            "timestamp": read.timestamp,
            "key": None if read.key is None else read.key.decode("utf-8", "backslashreplace"),
            "type": read.kind,
            "value": _json_value(read.value),
        }
    )


def _json_value(value: msgspec.Struct) -> Any:
    if isinstance(value, Tombstone):
        return None
    if isinstance(value, Touchpoint):
        fields = {name: getattr(value, name) for name in Touchpoint.__struct_fields__ if name not in FROM_THE_LOG}
        return {name: field for name, field in fields.items() if field is not None}
    return msgspec.to_builtins(value)


def line(read: Read) -> Text:
    """The record as one coloured line."""
    write = _WRITERS.get(type(read.value), _unreadable)
    text = Text()
    write(text, read)
    # One for one, so that the colours stay in place: a line break or an escape sequence must not reach the terminal.
    text.plain = text.plain.translate(_CONTROL)
    return text


def clock(ms: int) -> str:
    """Local time of day with milliseconds, and the date where it is another one than today's."""
    try:
        at = datetime.fromtimestamp(ms / 1000, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return f"{ms} ms"
    shown = f"{at:%H:%M:%S}.{ms % 1000:03d}"
    return shown if at.date() == datetime.now(UTC).astimezone().date() else f"{at:%Y-%m-%d} {shown}"


def _head(text: Text, ms: int, customer: str) -> None:
    text.append(clock(ms), "bright_black")
    text.append("  ")
    text.append(customer, "bold")
    text.append("  ")


def _trigger(text: Text, read: Read) -> None:
    t: Any = read.value
    _head(text, t.issued_at if t.ended_at is None else t.ended_at, t.customer)
    text.append(t.status, STATUS_STYLE.get(t.status, ""))
    text.append(f"  {t.action} ")
    text.append(f"on {t.channel}", "cyan")
    if t.status == "issued":
        if t.reason_words:
            text.append(f"  because {t.reason_words}")
        text.append(f"  until {clock(t.expires_at)}", "bright_black")
    else:
        if t.end_reason:
            text.append(f"  {t.end_reason}")
        if t.replaced_by:
            text.append(f" by {t.replaced_by}")
    text.append(f"  {t.trigger_id} r{t.revision}", "bright_black")


def _signal(text: Text, read: Read) -> None:
    s: Any = read.value
    _head(text, s.time, s.customer)
    text.append(s.kind, SEVERITY_STYLE.get(s.severity or "", "") or "bold")
    text.append(f" {s.name}")
    place = "/".join(part for part in (s.journey, s.instance, s.stage) if part)
    if place:
        text.append(f"  in {place}")
    if s.severity:
        text.append(f"  {s.severity}", SEVERITY_STYLE.get(s.severity, ""))
    if s.band:
        text.append(f"  {s.band}", "bold red" if s.figures.get("score", 0.0) > s.figures.get("was", 0.0) else "green")
    if s.model:
        text.append(f"  by {s.model}")
    if s.reason:
        text.append(f"  {s.reason}")
    if s.words:
        text.append("  " + ", ".join(s.words))
    if s.figures:
        text.append("  " + _pairs(s.figures), "bright_black")
    if s.historical:
        text.append("  historical", "bright_black")


def _touchpoint(text: Text, read: Read) -> None:
    t: Any = read.value
    _head(text, t.occurred_at, t.customer_id or t.anonymous_id or "?")
    text.append(t.type)
    if t.channel:
        text.append(f"  {t.channel}", "cyan")
    if t.actor and t.actor != "customer":
        text.append(f"  by {t.actor}")
    if t.value is not None:
        text.append(f"  {t.value:g} {t.currency or ''}".rstrip())
    if t.outcome:
        text.append(f"  {t.outcome}" + (f" of {t.trigger_id}" if t.trigger_id else ""))
    if t.properties:
        text.append("  " + _pairs(t.properties), "bright_black")


def _customer(text: Text, read: Read) -> None:
    c: Any = read.value
    _head(text, c.time, c.customer)
    stages = [f"{s.journey}{f'[{s.instance}]' if s.instance else ''}: {s.stage}" for s in c.stages]
    text.append(", ".join(stages) or "in no journey")
    if c.segments:
        text.append(f"  {', '.join(c.segments)}", "cyan")
    for risk in c.risks:
        text.append(f"  {risk.risk} {risk.band} ({risk.score:.2f})", "magenta")
    for trigger in c.open_triggers:
        text.append(f"  {trigger.action} on {trigger.channel} {trigger.outcome or 'open'}", "green")
    for contact in c.open_contacts:
        text.append(f"  in contact {contact.contact}", "magenta")


def _decision(text: Text, read: Read) -> None:
    d: Any = read.value
    _head(text, d.time, d.customer)
    text.append(d.outcome, "bold green" if d.outcome == "issued" else "")
    if d.chosen:
        text.append(f" {d.chosen} on {d.channel}")
    text.append(f"  {d.reason}")
    own = next((one for one in d.candidates if one.action == d.chosen and one.usual is not None), None)
    if own is not None:
        text.append(f"  P {_percent(own.p)} (everyone's {_percent(own.usual)})", "cyan")
    closed = [f"{candidate.action}: {candidate.closed_by}" for candidate in d.candidates if candidate.closed_by]
    if closed:
        text.append("  " + ", ".join(closed), "bright_black")


def _dead_letter(text: Text, read: Read) -> None:
    d: Any = read.value
    key = "?" if d.key is None else d.key.decode("utf-8", "backslashreplace")
    _head(text, d.recorded_at if d.recorded_at is not None else read.timestamp, key)
    text.append(d.reason, "bold red")
    text.append(f"  {d.detail}  {d.topic} partition {d.partition} offset {d.offset}")
    if d.value:
        text.append(f"  {len(d.value)} bytes: {base64.b64encode(d.value[:24]).decode()}", "bright_black")


def _journal(text: Text, read: Read) -> None:
    j: Any = read.value
    _head(text, read.timestamp, f"partition {read.partition}")
    text.append(j.kind, "bold")
    text.append(f"  after offset {j.after_offset}  {_pairs(j.value)}")


def _example(text: Text, read: Read) -> None:
    e: Any = read.value
    _head(text, e.matured_at, e.customer)
    text.append(e.risk, "bold")
    text.append("  came true" if e.label else "  did not come true", "red" if e.label else "green")
    text.append(f"  {e.score:.2f} by {e.model} at {clock(e.scored_at)}")
    if e.historical:
        text.append("  historical", "bright_black")
    text.append(f"  {_pairs(e.features)}", "bright_black")


def _model(text: Text, read: Read) -> None:
    m: Any = read.value
    _head(text, m.learned_until, f"{m.name}@{m.version}")
    if m.name.startswith(MODEL_PREFIX):
        _action_model(text, m)
        return
    text.append(f"{m.algorithm} ({m.form})  {m.examples} labels, {m.base_rate:.1%} came true")
    text.append("  " + _pairs(m.evaluation), "bright_black")


def _action_model(text: Text, m: Any) -> None:
    text.append(f"{m.positives:.0f} successes of {m.examples} contacts ({m.base_rate:.1%})")
    if m.paused:
        text.append("  paused by a guardrail", "bold red")
    figures = m.evaluation
    if m.form == "contextual":
        text.append(f"  P of each customer, by {len(m.features)} features ({m.algorithm})", "cyan")
    else:
        text.append("  one P for everyone")
    if "contextual_lead" in figures:
        judged, ahead, chance = (figures[f"contextual_{name}"] for name in ("labels", "lead", "lead_error"))
        text.append(
            f"  judged on {judged:.0f} contacts: log loss by features {figures['contextual_log_loss']:.4f}, for "
            f"everyone {figures['counts_log_loss']:.4f} ({ahead:+.4f}, standard error {chance:.4f})",
            "bright_black",
        )
    broken = [name.removeprefix("guardrail_") for name in figures if name.startswith("guardrail_")]
    if broken:
        text.append(f"  guardrails broken: {', '.join(broken)}", "red")


def _tombstone(text: Text, read: Read) -> None:
    _head(text, read.timestamp, "?" if read.key is None else read.key.decode("utf-8", "backslashreplace"))
    text.append("forgotten", "bright_black")


def _unreadable(text: Text, read: Read) -> None:
    _head(text, read.timestamp, "?" if read.key is None else read.key.decode("utf-8", "backslashreplace"))
    text.append("cannot be read", "bold red")
    reason = read.value.reason if isinstance(read.value, Unreadable) else "of no known contract"
    text.append(f"  {reason}  partition {read.partition} offset {read.offset}")


def _pairs(values: dict[str, Any]) -> str:
    shown = [f"{name}={_short(value)}" for name, value in list(values.items())[:MOST_PROPERTIES]]
    more = len(values) - len(shown)
    return " ".join(shown) + (f" and {more} more" if more > 0 else "")


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:.1%}"


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


_WRITERS: Final[dict[type[msgspec.Struct], Callable[[Text, Read], None]]] = {
    Trigger: _trigger,
    Signal: _signal,
    Touchpoint: _touchpoint,
    Customer: _customer,
    Decision: _decision,
    DeadLetter: _dead_letter,
    JournalLine: _journal,
    Example: _example,
    Model: _model,
    Tombstone: _tombstone,
    Unreadable: _unreadable,
}
