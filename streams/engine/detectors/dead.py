"""Clicks that got no answer, a late one or an error: dead clicks of four vendors, Amplitude's error click.

Owns what an answer is: any of ``REACTIONS`` in the same session (the caller drops the state at its end). A dead click
is decided by silence: ``next_due`` and ``fire``.
"""

from __future__ import annotations

from typing import ClassVar, Final

from streams.engine.detectors.preset import (
    CLICKED,
    ERROR,
    LATENESS_MS,
    LIMIT,
    OUTSIDE_KINDS,
    REACTIONS,
    TEXT_KINDS,
    ClickPreset,
    Entry,
    Family,
    Finding,
    Properties,
    State,
    place,
    short,
    surplus,
    text,
)

T: Final = 0
ID: Final = 1
DONE: Final = 2
TARGET: Final = 3
ANSWERED: Final = 4


class DeadClick(ClickPreset):
    """What the vendors' definitions have in common.

    Clicks on the same target, each < 1000 ms after the one before, are one burst that is judged by its first click
    (PostHog and Sentry ignore repeated clicks on a node for a second). Needs target and target_kind: text inputs,
    external links and downloads are left out, their effect is not seen on the page.

    Entries: [t, event_id, done (0 or 1), target, time of the first reaction or None] for a click, [t] for a reaction.
    """

    family: ClassVar[Family] = "dead"
    reads: ClassVar[frozenset[str]] = REACTIONS | {CLICKED}
    burst_ms: ClassVar[int] = 1000
    wait_ms: ClassVar[int]
    """Silence after which the click is found."""
    answer_ms: ClassVar[int]
    """A reaction at most so long after the click keeps it from being found."""
    before_ms: ClassVar[int] = 0
    """A reaction so shortly before the click belongs to it."""

    def missing(self, event: str, p: Properties) -> bool:
        return event == CLICKED and not (text(p.get("target")) and text(p.get("target_kind")))

    def observe(self, state: State, event: str, t: int, event_id: str, p: Properties) -> Finding | None:
        before = self.before_ms
        if event != CLICKED:
            place(state, [t])
            for e in state:
                if len(e) > 1 and e[T] - before <= t and (e[ANSWERED] is None or t < e[ANSWERED]):
                    e[ANSWERED] = t
        elif (
            not self.missing(event, p) and p["target_kind"] not in TEXT_KINDS and p["target_kind"] not in OUTSIDE_KINDS
        ):
            answered = next((e[T] for e in state if len(e) == 1 and e[T] >= t - before), None)
            place(state, [t, event_id, 0, short(p["target"]), answered])
        else:
            return None
        self._trim(state)
        return None

    def next_due(self, state: State) -> int | None:
        open_clicks = self._open(state)
        return open_clicks[0][T] + self.wait_ms if open_clicks else None

    def fire(self, state: State, due: int) -> Finding | None:
        for e in self._open(state):
            if e[T] + self.wait_ms <= due:
                e[DONE] = 1
                waited = self.wait_ms if e[ANSWERED] is None else min(e[ANSWERED] - e[T], self.wait_ms)
                return Finding(e[T] + self.wait_ms, [e[ID]], {"waited_ms": float(waited)})
        return None

    def _open(self, state: State) -> list[Entry]:
        """First clicks of the bursts that are neither answered nor found, in order of time."""
        if all(len(e) == 1 or e[DONE] or self._answered(e) for e in state):
            return []  # mostly: no burst need be made out
        bursts: list[list[Entry]] = []
        newest: dict[str, list[Entry]] = {}
        for e in state:
            if len(e) == 1:
                continue
            burst = newest.get(e[TARGET])
            if burst is not None and e[T] - burst[-1][T] < self.burst_ms:
                burst.append(e)
            else:
                newest[e[TARGET]] = burst = [e]
                bursts.append(burst)
        return [b[0] for b in bursts if not self._answered(b[0]) and not any(e[DONE] for e in b)]

    def _answered(self, click: Entry) -> bool:
        return click[ANSWERED] is not None and click[ANSWERED] - click[T] <= self.answer_ms

    def _trim(self, state: State) -> None:
        oldest = state[-1][T] - self.wait_ms - LATENESS_MS
        while state[0][T] < oldest:
            self._drop(state, 0)
        if len(state) > LIMIT:
            # Rather a reaction, which is kept for late clicks only: it has answered those that came before.
            self._drop(state, next((i for i, e in enumerate(state) if len(e) == 1), 0))

    def _drop(self, state: State, i: int) -> None:
        """The burst is judged by its first click: when that is dropped, the next one must not begin a burst."""
        dropped = state.pop(i)
        if len(dropped) == 1:
            return
        following = next((e for e in state[i:] if len(e) > 1 and e[TARGET] == dropped[TARGET]), None)
        if following is not None and following[T] - dropped[T] < self.burst_ms:
            following[DONE] = 1


class MixpanelDead(DeadClick):
    """No reaction from 100 ms before to 500 ms after the click, both included (<=).

    Source: mixpanel-js ``autocapture/deadclick.js``: looked at >= 500 ms after the click, and a change from 100 ms
    before it on counts.
    """

    name = "dead_click/mixpanel"
    wait_ms = 500
    answer_ms = 500
    before_ms = 100


class PosthogDead(DeadClick):
    """No reaction < 2500 ms after the click: one at exactly 2500 ms comes too late.

    Source: posthog-js ``dead-clicks-autocapture.ts``, ``mutation_threshold_ms`` (``<``). PostHog gives scrolling and
    selecting only 100 ms; here every reaction has the whole time.
    """

    name = "dead_click/posthog"
    wait_ms = 2500
    answer_ms = 2499


class AmplitudeDead(DeadClick):
    """No reaction <= 3000 ms after the click.

    Source: Amplitude-TypeScript ``autocapture/track-dead-click.ts``: a timer of ``DEFAULT_DEAD_CLICK_WINDOW_MS`` that
    any change stops.
    """

    name = "dead_click/amplitude"
    wait_ms = 3000
    answer_ms = 3000


class SentryDead(DeadClick):
    """No reaction <= 3000 ms after the click; decided 7000 ms after it, with how long the answer took (7000: none).

    Source: sentry-javascript ``replay/coreHandlers/handleClick.ts``, ``SLOW_CLICK_THRESHOLD`` (``<=``) and
    ``slowClickTimeout``. Between 3 and 7 s Sentry calls the click slow, without an answer dead.
    """

    name = "dead_click/sentry"
    wait_ms = 7000
    answer_ms = 3000


class AmplitudeError(ClickPreset):
    """An error >= 0 and <= 2000 ms after a click, counted from the last click before it. One finding a click.

    Needs no field. Source: Amplitude-TypeScript ``autocapture/track-error-click.ts``, ``ERROR_CLICK_TIMEOUT``.
    At exactly 2 s its timer and the error race; taken as ``<=``.

    Entries: [t, event_id, done (0 or 1), click (1) or error (0)].
    """

    name = "error_click/amplitude"
    family: ClassVar[Family] = "error"
    reads: ClassVar[frozenset[str]] = frozenset({CLICKED, ERROR})
    window_ms: ClassVar[int] = 2000

    def missing(self, event: str, p: Properties) -> bool:  # noqa: ARG002 - it needs no field
        return False

    def observe(self, state: State, event: str, t: int, event_id: str, p: Properties) -> Finding | None:  # noqa: ARG002 - the same
        entry: Entry = [t, event_id, 0, 1 if event == CLICKED else 0]
        i = place(state, entry)
        click = error = None
        if entry[TARGET]:
            click = entry
            following = state[i + 1 : i + 2]
            error = following[0] if following and not following[0][TARGET] else None
        else:
            error = entry
            click = next((e for e in reversed(state[:i]) if e[TARGET]), None)
        finding = None
        if click and error and not (click[DONE] or error[DONE]) and error[T] - click[T] <= self.window_ms:
            click[DONE] = error[DONE] = 1
            finding = Finding(error[T], [click[ID], error[ID]], {"error_after_ms": float(error[T] - click[T])})
        k = surplus(state, self.window_ms + LATENESS_MS)
        if k:
            del state[:k]
        return finding
