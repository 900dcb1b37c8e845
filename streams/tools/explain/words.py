"""A decision in plain words: why it came to be made, what could have been done, what was, and what became of it.

Owns the wording. Nothing of a record is taken as markup: contents come from outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import nan
from typing import Any, Final

import msgspec
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streams.contracts.outputs import Candidate, Decision, Model, Trigger
from streams.engine.actions import in_words
from streams.engine.decisions.context import Context, of_names
from streams.engine.scoring.features import FEATURES, Feature
from streams.engine.scoring.scorer import ModelRefused
from streams.engine.scoring.words import strongest, words
from streams.tools.explain.stories import Story

CLOSED: Final = {
    "paused": "the definition or an operator has paused it",
    "guardrail": "it has done too much harm to go on",
    "rollout": "it is rolled out to a part of the customers, and this one is not among them yet",
    "eligibility": "the customer is not eligible",
    "applicability": "it does not apply to the customer's situation",
    "suitability": "it does not suit the customer now",
    "value": "it has no value, or costs more than it is worth",
    "weight": "its weight could not be computed",
    "expired": "it would not have been valid any more",
    "channel": "no channel reaches the customer with the consent that it needs",
    "already_open": "the same is open already",
    "marketing_pause": "marketing rests, because of an open contact or what the customer has said",
    "contact_limit": "the customer has had as many contacts as the policy allows",
    "quiet_hours": "it is quiet time where the customer is",
    "suppression": "the customer has refused it too often",
    "closed": "the channel is closed at that time",
    "capacity": "the channel has no more room at that time",
    "budget": "its budget is spent",
    "goal_reached": "the goal was reached while it waited",
    "cancel_on": "something happened while it waited that makes it needless",
    "answered": "the customer has answered an earlier step",
    "replaced": "an earlier step of it gave way to something better",
    "late": "what the customer had done before became known while it waited",
    "definition": "an earlier step of it was withdrawn by another definition",
    "slot": "what is open on that channel has as high a priority",
    "limit": "too many triggers are open",
    "lower_value": "another one has a higher priority",
    "not_drawn": "the draw took another one",
}
"""Gate -> why a candidate was not chosen."""
REASONS: Final = {
    "warm_up": "history only builds state: triggers are issued from the start of issuing on",
    "stale": "it would have come too late to be of use",
    "session_over": "the session in which it was to be shown was over",
    "too_large": "the customer's open triggers would have become too large",
}
"""Reason of a decision that issued nothing although a candidate was chosen."""
ENDED: Final = {
    "late": "what the customer had done before became known later",
    "goal_reached": "the goal was reached",
    "cancel_on": "something happened that makes it needless",
    "replaced": "something better took its place",
    "consent": "the consent was withdrawn",
    "definition": "the definition removed or paused it",
    "guardrail": "the action has done too much harm to go on",
}


def tell(story: Story) -> Iterator[RenderableType]:
    """What a terminal shows of one decision."""
    decision = story.decision
    yield _headline(decision)
    for signal in story.signals:
        yield _line("because", f"{moment(signal.time)}  {in_words(signal)}")
    if not story.signals:
        yield _line("because", f"signal {decision.signal_id}, which is not in the log any more")
    if decision.candidates:
        yield _candidates(decision)
        for one in decision.candidates:
            if one.closed_by is not None:
                yield _line("not", f"{one.action}: {CLOSED.get(one.closed_by, one.closed_by)}")
        for one in decision.candidates:
            if one.usual is not None:
                yield _line("P", _own(one, decision, story.models.get(one.model or "")))
    for name, value in _how(decision):
        yield _line(name, value)
    for trigger in story.trigger:
        yield _line(*_revision(trigger))


def as_json(story: Story) -> bytes:
    """All of it as one JSON object."""
    return msgspec.json.encode({"decision": story.decision, "signals": story.signals, "trigger": story.trigger})


def moment(ms: int) -> str:
    """Date and local time; milliseconds where the calendar ends."""
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, OSError, ValueError):
        return f"{ms} ms"


def _headline(decision: Decision) -> Text:
    text = Text()
    text.append(moment(decision.time), "bright_black")
    text.append(f"  {decision.customer}  ", "bold")
    if decision.outcome == "none":
        text.append("nothing was done", "yellow")
        why = REASONS.get(decision.reason) or CLOSED.get(decision.reason, decision.reason)
        what = f"{decision.chosen}: " if decision.chosen is not None else ""
        text.append(f": {what}{why}")
    elif decision.outcome == "held":
        text.append("nothing was done yet", "yellow")
        text.append(f": {CLOSED.get(decision.reason, decision.reason)}; it will be decided again")
    else:
        style = {"issued": "bold green", "held_out": "cyan"}.get(decision.outcome, "yellow")
        text.append(f"{decision.chosen} ", "bold")
        text.append(f"by {decision.channel} ", "cyan")
        text.append(OUTCOMES.get(decision.outcome, decision.outcome), style)
    return _plain(text)


OUTCOMES: Final = {
    "issued": "was issued",
    "held_out": "was held out: the customer is in the group that gets nothing, so that its effect can be measured",
}


def _candidates(decision: Decision) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("candidate", "channel", "P", "C", "V", "L", "priority", "chance", ""):
        in_words = name in ("candidate", "channel", "")
        table.add_column(name, justify="left" if in_words else "right", no_wrap=name == "candidate")
    for one in decision.candidates:
        chosen = one.action == decision.chosen and one.closed_by is None
        table.add_row(
            _plain(Text(one.action)),
            _plain(Text(one.channel or "")),
            *(_number(value) for value in (one.p, one.c, one.v, one.l, one.priority)),
            "" if one.propensity is None else f"{one.propensity:.1%}",
            "chosen" if chosen else "",
            style="bold" if chosen else "",
        )
    return table


def _own(one: Candidate, decision: Decision, model: Model | None) -> str:
    """How likely this customer was taken to respond, and why."""
    text = f"{one.action}: {one.p or 0.0:.1%} for this customer, {one.usual or 0.0:.1%} for everyone"
    if model is None:
        return text
    try:
        context = Context(model)
    except ModelRefused:
        return text
    values = of_names(context.names, decision.features)
    if values is None:
        return text
    rising = (one.p or 0.0) >= (one.usual or 0.0)
    shown = strongest(context.names, context.contributions(values), rising=rising)
    features = [FEATURES.get(name) or Feature(name, "", name, read=lambda _: nan) for name in context.names]
    why = words(features, values.filled, context.usual(), shown)
    return f"{text}: {', '.join(why)}" if why else text


def _how(decision: Decision) -> Iterator[tuple[str, str]]:
    by = [f"definition {decision.definition}" if decision.definition else "a definition that is not published"]
    if decision.model:
        by.append(decision.model)
    by += [one.model for one in decision.candidates if one.model and "@" in one.model]
    if decision.draw is not None:
        by.append(f"draw {decision.draw:.6f}")
    yield "decided by", ", ".join(dict.fromkeys(by))
    if decision.experiment:
        yield "experiment", f"{decision.experiment}, arm {decision.arm}"
    if decision.step:
        yield "step", f"{decision.step + 1} of its sequence"
    if decision.held_until is not None:
        yield "held until", moment(decision.held_until)


def _revision(trigger: Trigger) -> tuple[str, str]:
    if trigger.status == "issued":
        shown = f"{trigger.trigger_id}, {trigger.purpose}, valid until {moment(trigger.expires_at)}"
        return "trigger", f"{moment(trigger.issued_at)}  {shown}"
    why = f": {ENDED.get(trigger.end_reason, trigger.end_reason)}" if trigger.end_reason else ""
    by = f" ({trigger.replaced_by})" if trigger.replaced_by else ""
    return "ended", f"{moment(trigger.ended_at or trigger.issued_at)}  {trigger.status}{why}{by}"


def _line(name: str, value: str) -> Text:
    text = Text(f"  {name:<11}", "bright_black")
    text.append(value, "default")
    return _plain(text)


_CONTROL: Final = dict.fromkeys((*range(32), *range(127, 160)), "�")


def _plain(text: Text) -> Text:
    # One for one, so that the colours stay in place: a line break or an escape sequence must not reach the terminal.
    text.plain = text.plain.translate(_CONTROL)
    return text


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3g}"
