"""Feeds files to an engine: one partition, no idle clock, time moving on at the end until all is decided.

Owns the order of calls and where a replay stops. Touchpoints go in one by one, so that the order of the outputs does
not depend on how they were batched, and so that a model is in use from the touchpoint after the label that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from streams.contracts.outputs import Outputs
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.engine.engine import Engine
from streams.tools.replay.learning import Learning
from streams.tools.replay.rows import Refused
from streams.tools.replay.summary import Summary
from streams.tools.replay.write import Sink, lines, model_line, refused_line

Ending = Literal["drain", "stop"]
"""At the end time moves on until every open deadline is decided, or deadlines stay open."""


def replay(
    definition: Definition,
    items: Iterable[Touchpoint | Refused],
    sink: Sink | None = None,
    *,
    until_ms: int | None = None,
    ending: Ending = "drain",
    start_issuing_at: int | None = None,
    learn: bool = False,
    each: Callable[[Outputs], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Run the engine over ``items``; write JSON lines to ``sink``, give outputs to ``each``, and count.

    ``until_ms``: later touchpoints are left out, and time moves on no further. ``learn``: risks are learned on the way.
    ``progress`` hears of the number of touchpoints every thousand.
    """
    engine = Engine(definition, start_issuing_at=start_issuing_at)
    summary = Summary.of(definition)
    learning = Learning(definition) if learn else None
    customers: set[str] = set()
    first = last = None
    offset = -1

    def take(outputs: Outputs) -> None:
        summary.add(outputs)
        if each is not None:
            each(outputs)
        if sink is not None:
            for line in lines(outputs):
                sink.write(line)
        if learning is not None:
            for model in learning.hear(outputs.examples, engine):
                if sink is not None:
                    sink.write(model_line(model))

    for item in items:
        if isinstance(item, Refused):
            summary.refused[item.reason] += 1
            if sink is not None:
                sink.write(refused_line(item))
            continue
        time = item.occurred_at
        if until_ms is not None and (time if item.record_time is None else item.record_time) > until_ms:
            continue
        offset += 1
        item.offset = offset
        customers.add(item.customer_id or item.anonymous_id or "")
        if first is None or time < first:
            first = time
        if last is None or time > last:
            last = time
        outputs = engine.process((item,), None)
        if outputs.signals or outputs.decisions or outputs.triggers or outputs.examples:
            take(outputs)
        else:
            summary.add_counts(outputs.counts)
            if each is not None:
                each(outputs)
        if progress is not None and offset % 1000 == 0:
            progress(offset)
    if ending == "drain":
        if learning is not None and until_ms is not None:
            while (due := engine.next_due_ms) is not None and due <= until_ms:
                take(engine.advance(due, None))
        take(engine.drain(until_ms))
    summary.touchpoints, summary.customers = offset + 1, len(customers)
    summary.first, summary.last = first, last
    summary.add_unused(engine.event_names_unused)
    if learning is not None:
        summary.risks = learning.qualities(last if until_ms is None or ending == "stop" else until_ms)
    return summary
