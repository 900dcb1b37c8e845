"""Counts in a moving window and sequences: pure functions on plain lists that MessagePack can store.

Owns the meaning of ``count`` (``same`` and ``different`` included) and ``sequence`` in a friction rule. The lists
belong to the caller, who keeps one for each rule and instance key, and are changed in place. They are sorted by time,
at equal time in the order of arrival.

A *burst* is a longest stretch of time in which the window [x - within, x], both ends included, holds at least
``at_least`` elements. One signal is due for each burst. With elements in order that is: the number rises to at_least,
and again only after it fell below. An element that arrives late signals if it makes a burst where there was none; if it
only lengthens or joins bursts, they have been signalled already.
"""

from __future__ import annotations

from typing import Any, Final

from streams.contracts.touchpoint import Scalar

COUNT_BOUND: Final = 64
"""Elements kept for a count; four times at_least where that is more, but no more than so many beyond at_least."""
SEQUENCE_BOUND: Final = 50

State = list[list[Any]]


def _place(state: State, element: list[Any]) -> int:
    """Insert by time, after those of the same time, and return the index. Late elements are few and not very late."""
    t = element[0]
    i = len(state)
    while i and state[i - 1][0] > t:
        i -= 1
    state.insert(i, element)
    return i


def _most(at_least: int) -> int:
    return min(4 * at_least, at_least + COUNT_BOUND)


def _trim(state: State, oldest: int) -> None:
    """Drop what is older than ``oldest``."""
    k = 0
    while state[k][0] < oldest:
        k += 1
    if k:
        del state[:k]


def count_add(state: State, t: int, event_id: str, within_ms: int, at_least: int, horizon_ms: int) -> list[str] | None:
    """Add an element [t, event_id]; the evidence, oldest first, if a burst begins because of it.

    ``horizon_ms`` is how late an element may be and still be counted exactly. An element may make two bursts at once
    (one of which ends before the other begins); the earlier is returned.
    """
    start = t - within_ms
    if not state or t >= state[-1][0]:
        state.append([t, event_id])
        if state[0][0] < start - horizon_ms:
            _trim(state, start - horizon_ms)
        elif len(state) > COUNT_BOUND and len(state) > _most(at_least):
            del state[0]
        # It rises exactly when the window holds at_least with this element: one more, and it was there before.
        first = len(state) - at_least
        if first < 0 or state[first][0] < start or (first and state[first - 1][0] >= start):
            return None
        return [e[1] for e in state[first:]]
    if t < state[-1][0] - within_ms - horizon_ms:
        return None
    i = lo = _place(state, [t, event_id])
    while lo and state[lo - 1][0] >= start:
        lo -= 1
    n = len(state)
    evidence: list[str] | None = None
    for j in range(i, n):
        start = state[j][0] - within_ms
        if start > t:
            break
        while state[lo][0] < start:
            lo += 1
        # at_least in the window, and the first of them leaves it before the next element comes: otherwise the next
        # one had at_least before, without the late element.
        if j - lo + 1 == at_least and (j + 1 == n or state[lo][0] < state[j + 1][0] - within_ms):
            evidence = [e[1] for e in state[lo : j + 1]]
            break
    if n > COUNT_BOUND and n > _most(at_least):
        del state[0]
    return evidence


def distinct_add(
    state: State, t: int, event_id: str, value: Scalar, within_ms: int, at_least: int, horizon_ms: int
) -> list[str] | None:
    """``count_add`` where the number is that of the different values in the window (``different`` in a definition).

    Elements are [t, event_id, value]. The evidence is the newest touchpoint of each value, oldest first.
    """
    start = t - within_ms
    if not state or t >= state[-1][0]:
        state.append([t, event_id, value])
        if state[0][0] < start - horizon_ms:
            _trim(state, start - horizon_ms)
        elif len(state) > COUNT_BOUND and len(state) > _most(at_least):
            del state[_least_needed(state)]
        j = len(state) - 1
        before = _values(state, j, start)
        if value in before or len(before) + 1 != at_least:
            return None
        return _newest_of_each(state, j, start)
    if t < state[-1][0] - within_ms - horizon_ms:
        return None
    i = _place(state, [t, event_id, value])
    evidence: list[str] | None = None
    for j in range(i, len(state)):
        start = state[j][0] - within_ms
        if start > t:
            break
        before = _values(state, j, start)
        if state[j][2] not in before and len(before) + 1 == at_least and _new_burst(state, i, j, within_ms, at_least):
            evidence = _newest_of_each(state, j, start)
            break
    if len(state) > COUNT_BOUND and len(state) > _most(at_least):
        del state[_least_needed(state)]
    return evidence


def _values(state: State, end: int, start: int, without: int = -1) -> set[Scalar]:
    """Different values of the elements before index ``end`` that are not older than ``start``."""
    found: set[Scalar] = set()
    for k in range(end - 1, -1, -1):
        if state[k][0] < start:
            break
        if k != without:
            found.add(state[k][2])
    return found


def _newest_of_each(state: State, j: int, start: int) -> list[str]:
    ids: list[str] = []
    seen: set[Scalar] = set()
    for k in range(j, -1, -1):
        e = state[k]
        if e[0] < start:
            break
        if e[2] not in seen:
            seen.add(e[2])
            ids.append(e[1])
    ids.reverse()
    return ids


def _new_burst(state: State, late: int, j: int, within_ms: int, at_least: int) -> bool:
    """Whether the burst that begins at j holds no burst that was there without the element at ``late``."""
    for k in range(j, len(state)):
        start = state[k][0] - within_ms
        if k > j and len(_values(state, k, start)) < at_least:
            return True
        if k != late and len(_values(state, k + 1, start, without=late)) >= at_least:
            return False
    return True


def _least_needed(state: State) -> int:
    """The oldest element whose value comes again later; only late arrivals could miss it."""
    later = [e[2] for e in state]
    for k, value in enumerate(later):
        if value in later[k + 1 :]:
            return k
    return 0


def sequence_add(
    state: State, t: int, k: int, event_id: str, n: int, within_ms: int, horizon_ms: int | None = None
) -> list[str] | None:
    """Add an element [t, k, event_id], the k-th of n; the evidence, oldest first, if it completes a sequence.

    A sequence is one element of each k in order of time (of arrival at equal time), others may lie between, first and
    last at most ``within_ms`` apart, of different touchpoints. Of several the one with the earliest last and then the
    latest first element is taken. It uses its touchpoints up. A touchpoint that may stand at several places is added
    with rising k until a call returns a match.

    ``horizon_ms`` is how late an element may be: so long last elements wait for it, and first elements for a late last
    one. None: last elements wait ``within_ms``, first ones not longer than that either.
    """
    newest = max(state[-1][0], t) if state else t
    i = len(state)
    match: list[int] | None = None
    last = n - 1
    oldest = newest - within_ms - (horizon_ms or 0)
    if t == newest:
        state.append([t, k, event_id])
    elif t < oldest:
        return None
    else:
        i = _place(state, [t, k, event_id])
        if k != last:
            for j in range(i + 1, len(state)):
                if state[j][0] - within_ms > t:
                    break
                if state[j][1] == last:
                    match = _backwards(state, j, last, within_ms)
                    if match is not None:
                        break
    if k == last:
        match = _backwards(state, i, last, within_ms)
    if match is None:
        _forget(state, oldest, oldest if horizon_ms is None else newest - horizon_ms, last)
        return None
    ids: list[str] = [state[j][2] for j in match]
    state[:] = [e for e in state if e[2] not in ids]
    return ids


def _backwards(state: State, j: int, last: int, within_ms: int) -> list[int] | None:
    """Indices of the sequence that ends at j: always the latest that fits, which also makes the first the latest."""
    start = state[j][0] - within_ms
    found = [j]
    want = last - 1
    event_id = state[j][2]
    while want >= 0:
        j -= 1
        if j < 0:
            return None
        e = state[j]
        if e[0] < start:
            return None
        if e[1] == want and e[2] != event_id:
            found.append(j)
            event_id = e[2]
            want -= 1
    found.reverse()
    return found


def _forget(state: State, oldest: int, oldest_last: int, last: int) -> None:
    """Drop what no element to come can need: too old, or a last element for which nothing can come late any more."""
    if state[0][0] < oldest:
        _trim(state, oldest)
    if any(e[1] == last and e[0] < oldest_last for e in state):
        state[:] = [e for e in state if e[1] != last or e[0] >= oldest_last]
    if len(state) > SEQUENCE_BOUND:
        del state[0]
