"""Parts of the engine again, by brute force: for one customer whose touchpoints are all known and in order of time.

Owns no state and no timers: each function looks at the whole list and says which signals there must be. Nothing of the
engine is imported. A signal is (time, kind, name, instance, evidence).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from streams.contracts.touchpoint import Touchpoint

Found = tuple[int, str, str, str | None, tuple[str, ...]]
Key = Callable[[Touchpoint], Any]
FOREVER = 1 << 60


def counts(
    log: Sequence[Touchpoint], name: str, event: str, at_least: int, within: int, group: Key, value: Key, instance: Key
) -> list[Found]:
    """The number of values in [t - within, t] rises to at_least. A touchpoint whose group or value is None is none."""
    found: list[Found] = []
    told = [one for one in log if one.type == event and group(one) is not None and value(one) is not None]
    for i, one in enumerate(told):
        t = one.occurred_at
        before = [e for e in told[:i] if group(e) == group(one) and e.occurred_at >= t - within]
        if len({value(e) for e in before}) < at_least <= len({value(e) for e in [*before, one]}):
            newest = {value(e): e.event_id for e in [*before, one]}
            evidence = [e.event_id for e in [*before, one] if e.event_id in newest.values()]
            found.append((t, "friction", name, instance(one), tuple(evidence)))
    return found


def sequences(
    log: Sequence[Touchpoint], name: str, events: Sequence[str], within: int, group: Key, instance: Key
) -> list[Found]:
    """One of each in this order, of all that fit the one with the latest first element; what matched is used up."""
    found: list[Found] = []
    used: set[str] = set()
    for i, one in enumerate(log):
        if one.type != events[-1] or group(one) is None:
            continue
        free = [e for e in log[:i] if e.event_id not in used and group(e) == group(one)]
        places = [[k for k, e in enumerate(free) if e.type == event] for event in events[:-1]]
        fitting = [
            chosen
            for chosen in product(*places)
            if list(chosen) == sorted(chosen) and free[chosen[0]].occurred_at >= one.occurred_at - within
        ]
        if fitting:
            evidence = [free[k].event_id for k in max(fitting)] + [one.event_id]
            used.update(evidence)
            found.append((one.occurred_at, "friction", name, instance(one), tuple(evidence)))
    return found


def absences(
    log: Sequence[Touchpoint], name: str, of: str, after: str, within: int, opens: str, goal: str, group: Key
) -> list[Found]:
    """From the first unanswered one on, ``within`` passes without an answer; an end of its instance drops it.

    An answer that does not say to which instance answers all that are open.
    """
    found: list[Found] = []
    quiet_until: dict[Any, int] = {}
    for i, one in enumerate(log):
        key, t = group(one), one.occurred_at
        if one.type != after or key is None or t < quiet_until.get(key, 0):
            continue
        entries = [e for e in log[:i] if group(e) == key and e.type in {opens, goal}]
        owned = bool(entries) and entries[-1].type == opens
        due = t + within
        for later in log[i + 1 :]:
            if later.occurred_at > due:
                continue
            answer = later.type == of and group(later) in {key, None}
            if answer or (later.type == goal and group(later) == key and owned):
                # Whatever came between moved nothing; what comes at this instant or later begins anew.
                quiet_until[key] = later.occurred_at + answer
                break
        else:
            quiet_until[key] = due + 1
            found.append((due, "friction", name, key, (one.event_id,)))
    return found


def silences(
    log: Sequence[Touchpoint], stages: Sequence[tuple[str, str, int]], goal: str, stalled: tuple[str, str, int]
) -> list[Found]:
    """Stages, abandonment and one stalled rule of a journey without instances. ``stages``: (name, event, after)."""
    found: list[Found] = []
    events = {event: rank for rank, (_, event, _) in enumerate(stages)}
    mine = [one for one in log if one.type in events or one.type == goal]
    rank = -1
    entered = FOREVER
    rule, stage, longer = stalled
    for i, one in enumerate(mine):
        t = one.occurred_at
        if one.type == goal:
            if rank >= 0:
                found.append((t, "stage_left", stages[rank][0], "", (one.event_id,)))
            found.append((t, "goal_reached", "purchase", "", (one.event_id,)))
            rank = -1
        elif events[one.type] > rank:
            if rank >= 0:
                found.append((t, "stage_left", stages[rank][0], "", (one.event_id,)))
            rank, entered = events[one.type], t
            found.append((t, "stage_entered", stages[rank][0], "", (one.event_id,)))
        upcoming = mine[i + 1].occurred_at if i + 1 < len(mine) else FOREVER
        if rank >= 0 and upcoming > t + stages[rank][2]:
            found.append((t + stages[rank][2], "abandonment", stages[rank][0], "", (one.event_id,)))
        if rank >= 0 and stages[rank][0] == stage and t <= entered + longer < upcoming:
            found.append((entered + longer, "stalled", rule, "", (one.event_id,)))
    return found


def sessions(log: Sequence[Touchpoint], segment: str, gap: int, cap: int) -> list[Found]:
    """A segment of those whose session is open."""
    found: list[Found] = []
    start = last = -FOREVER
    for one in log:
        t = one.occurred_at
        if t > min(last + gap, start + cap):
            if start >= 0:
                found.append((min(last + gap, start + cap), "segment_left", segment, None, ()))
            start = t
            found.append((t, "segment_entered", segment, None, (one.event_id,)))
        last = t
    if start >= 0:
        found.append((min(last + gap, start + cap), "segment_left", segment, None, ()))
    return found
