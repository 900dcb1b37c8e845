"""Frustration with pages rather than with what is on them: loops, a thrashed cursor, slow pages."""

from __future__ import annotations

from typing import ClassVar, Final

from streams.engine.detectors.preset import (
    CURSOR,
    LATENESS_MS,
    LIMIT,
    PAGE_VIEWS,
    VITAL,
    ClickPreset,
    Entry,
    Family,
    Finding,
    Properties,
    State,
    number,
    place,
    short,
    surplus,
    text,
)
from streams.engine.detectors.windows import count_add

T: Final = 0
ID: Final = 1


class ConvivaPageLoop(ClickPreset):
    """The same page seen >= 3 times, first to last <= 15 s; again only after it fell below.

    Needs url or path; the page is its url where there is one. Source: Conviva's published metric, "the same URL >= 3
    times in 15 s"; it does not name the strictness: taken as ``<=``.

    Entries: [t, event_id, page].
    """

    name = "page_loop/conviva"
    family: ClassVar[Family] = "u_turn"
    reads: ClassVar[frozenset[str]] = PAGE_VIEWS
    count: ClassVar[int] = 3
    window_ms: ClassVar[int] = 15_000

    def missing(self, event: str, p: Properties) -> bool:  # noqa: ARG002 - it reads page views only
        return not (text(p.get("url")) or text(p.get("path")))

    def observe(self, state: State, event: str, t: int, event_id: str, p: Properties) -> Finding | None:
        if self.missing(event, p):
            return None
        page = short(p["url"] if text(p.get("url")) else p["path"])
        views = [e for e in state if e[2] == page]
        place(state, [t, event_id, page])
        k = surplus(state, self.window_ms + LATENESS_MS)
        if k:
            del state[:k]
        if len(views) + 1 < self.count:
            return None
        ids = count_add([e[:2] for e in views], t, event_id, self.window_ms, self.count, LATENESS_MS)
        if ids is None:
            return None
        times = {e[ID]: e[T] for e in views}
        times[event_id] = t
        end = times[ids[-1]]
        return Finding(end, ids, {"views": float(len(ids)), "within_ms": float(end - times[ids[0]])})


class AmplitudeCursor(ClickPreset):
    """>= 20 changes of the cursor's direction, from the beginning of the first movement to the end of the last <= 2 s.

    ``Cursor Moved`` sums a movement up: direction_changes during the duration_ms before its time; both are needed. A
    movement longer than 2 s is found if some 2 s of it must hold 20 changes. Again only when no movement of the burst
    is among the 2 s any more. Source: Amplitude's ``track-thrashed-cursor.ts``: first to last change < 2000 ms (a
    movement begins before its first change, hence <= here). 20 is what Amplitude documents; the code takes 10 on one
    axis.

    Entries: [t, event_id, raised (0 or 1), changes, beginning].
    """

    name = "thrashed_cursor/amplitude"
    family: ClassVar[Family] = "cursor"
    reads: ClassVar[frozenset[str]] = frozenset({CURSOR})
    changes: ClassVar[int] = 20
    window_ms: ClassVar[int] = 2000

    def missing(self, event: str, p: Properties) -> bool:  # noqa: ARG002 - it reads one event only
        return not (number(p.get("direction_changes")) and number(p.get("duration_ms")))

    def observe(self, state: State, event: str, t: int, event_id: str, p: Properties) -> Finding | None:
        if self.missing(event, p):
            return None
        duration = max(int(p["duration_ms"]), 0)
        changes = int(p["direction_changes"])
        if duration > self.window_ms:
            # Of n pieces that are not longer than the window one has at least an n-th of the changes.
            changes = -(-changes // -(-duration // self.window_ms))
            duration = self.window_ms
        if changes <= 0:
            return None
        i = place(state, [t, event_id, 0, changes, t - duration])
        finding = None
        for j in range(i, len(state)):
            start = state[j][T] - self.window_ms
            if start > t - duration:
                break
            moves = [e for e in state[: j + 1] if e[4] >= start]
            total = sum(e[3] for e in moves)
            if total >= self.changes:
                if not any(e[2] for e in moves):
                    span = state[j][T] - min(e[4] for e in moves)
                    figures = {"direction_changes": float(total), "within_ms": float(span)}
                    finding = Finding(state[j][T], [e[ID] for e in moves], figures)
                for e in moves:
                    e[2] = 1
                break
        k = surplus(state, self.window_ms + LATENESS_MS)
        if k:
            del state[:k]
        return finding


class SlowPage(ClickPreset):
    """Largest Contentful Paint > 4000 ms, once for each load of the page.

    Needs name, and for LCP value_ms and path. A view of the path, or a measure of <= 4000 ms for it, ends the burst.
    Source: web.dev, Core Web Vitals: LCP is poor when "greater than 4 seconds".

    Entries: [t, path] of pages that are slow.
    """

    name = "slow_page"
    family: ClassVar[Family] = "slow"
    reads: ClassVar[frozenset[str]] = PAGE_VIEWS | {VITAL}
    limit_ms: ClassVar[int] = 4000

    def missing(self, event: str, p: Properties) -> bool:
        if event != VITAL:
            return False
        name = p.get("name")
        return not text(name) or (name == "LCP" and not (number(p.get("value_ms")) and text(p.get("path"))))

    def observe(self, state: State, event: str, t: int, event_id: str, p: Properties) -> Finding | None:
        if event == VITAL:
            if self.missing(event, p) or p["name"] != "LCP":
                return None
            value = p["value_ms"]
        elif state and text(p.get("path")):
            value = 0
        else:
            return None
        path = short(p["path"])
        known: Entry | None = next((e for e in state if e[1] == path), None)
        if value <= self.limit_ms:
            if known is not None and known[T] < t:
                state.remove(known)
            return None
        if known is not None:
            if known[T] < t:
                state.remove(known)
                place(state, [t, path])
            return None
        place(state, [t, path])
        if len(state) > LIMIT:
            del state[0]
        return Finding(t, [event_id], {"lcp_ms": float(value)})
