"""Rage clicks: many clicks in one place in a short time, as five vendors define it.

Owns the rule that a burst is one finding. Clicks that follow each other closely enough to be *linked* form a chain; the
chain is found once, when ``count`` clicks in a row in it first *fit* the vendor's window, and further clicks of the
chain raise nothing. What would veto the burst but happens after that comes too late: the finding is raised at once.

Entries: [t, event_id, raised (0 or 1), x, y, target] for a click, [t] for a scroll or a selection.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Final

from streams.engine.detectors.preset import (
    CLICKED,
    LATENESS_MS,
    SCROLLED,
    SELECTED,
    STEPPING_KINDS,
    TEXT_KINDS,
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

T: Final = 0
ID: Final = 1
RAISED: Final = 2
X: Final = 3
Y: Final = 4
TARGET: Final = 5


class RageClick(ClickPreset):
    """What the vendors' definitions have in common."""

    family: ClassVar[Family] = "rage"
    reads: ClassVar[frozenset[str]] = frozenset({CLICKED})
    count: ClassVar[int]
    window_ms: ClassVar[int]
    fields: ClassVar[tuple[str, ...]] = ("x", "y")
    """Without any of these a click is ignored."""
    ignored_kinds: ClassVar[frozenset[str]] = frozenset()
    veto_ends_chain: ClassVar[bool] = True
    """What a scroll or selection between two clicks does, where it is read: unlink them, or spoil the whole chain."""

    @abstractmethod
    def linked(self, a: Entry, b: Entry) -> bool:
        """Whether b, the next click after a, belongs to the same chain."""

    def fits(self, clicks: list[Entry]) -> bool:  # noqa: ARG002 - for vendors with a window over all clicks
        """Whether ``count`` linked clicks in a row are rage."""
        return True

    def missing(self, event: str, p: Properties) -> bool:
        if event != CLICKED:
            return False
        for field in self.fields:
            value = p.get(field)
            if not (number(value) if field in {"x", "y"} else text(value)):
                return True
        return False

    def observe(self, state: State, event: str, t: int, event_id: str, p: Properties) -> Finding | None:
        if event != CLICKED:
            place(state, [t])
            self._trim(state)
            return None
        if self.missing(event, p) or (self.ignored_kinds and p["target_kind"] in self.ignored_kinds):
            return None
        fields = self.fields
        click: Entry = [t, event_id, 0]
        if "x" in fields:
            click += (p["x"], p["y"])
            if "target" in fields:
                click.append(short(p["target"]))
        i = place(state, click)
        finding = None
        before = state[i - 1] if i else click
        if len(before) > 1 and before[RAISED] and self.linked(before, click):
            click[RAISED] = 1  # a long burst costs no more than a single click
        else:
            chain, at, vetoed = self._chain(state, i)
            if len(chain) >= self.count and not vetoed:
                finding = self._raise(chain, at)
            if finding is None and any(c[RAISED] for c in chain):
                click[RAISED] = 1
        self._trim(state)
        return finding

    def _trim(self, state: State) -> None:
        k = surplus(state, self.window_ms + LATENESS_MS)
        if k:
            del state[:k]

    def _chain(self, state: State, i: int) -> tuple[list[Entry], int, bool]:
        """The clicks linked to the one at i, its place among them, and whether the chain is vetoed."""
        ends = self.veto_ends_chain
        click = state[i]
        chain = [click]
        vetoed = veto = False
        for k in range(i - 1, -1, -1):
            e = state[k]
            if len(e) == 1:
                veto = True
                if ends:
                    break
            elif self.linked(e, chain[-1]):
                chain.append(e)
                vetoed |= veto
                veto = False
            else:
                break
        chain.reverse()
        at = len(chain) - 1
        veto = False
        for k in range(i + 1, len(state)):
            e = state[k]
            if len(e) == 1:
                veto = True
                if ends:
                    break
            elif self.linked(chain[-1], e):
                chain.append(e)
                vetoed |= veto
                veto = False
            else:
                break
        return chain, at, vetoed

    def _raise(self, chain: list[Entry], at: int) -> Finding | None:
        """The first ``count`` clicks in a row that fit and have the one at ``at`` among them, if none was raised."""
        count = self.count
        for k in range(max(at - count + 1, 0), min(at, len(chain) - count) + 1):
            clicks = chain[k : k + count]
            if self.fits(clicks):
                if any(c[RAISED] for c in chain):
                    return None
                for c in chain:
                    c[RAISED] = 1
                span = clicks[-1][T] - clicks[0][T]
                return Finding(
                    clicks[-1][T], [c[ID] for c in clicks], {"clicks": float(count), "within_ms": float(span)}
                )
        return None


def _apart_squared(a: Entry, b: Entry) -> float:
    dx = a[X] - b[X]
    dy = a[Y] - b[Y]
    return float(dx * dx + dy * dy)


class PosthogRage(RageClick):
    """3 clicks, each < 30 px (Manhattan) from and < 1000 ms after the one before.

    Text inputs, steppers, next and previous are ignored, so x, y and target_kind are needed.
    Source: posthog-js ``extensions/rageclick.ts`` (``<`` for both) and its ``ignore_text_selection`` and
    ``content_ignorelist``. PostHog raises at exactly the third click of a chain, once.
    """

    name = "rage_click/posthog"
    count = 3
    window_ms = 1000
    fields = ("x", "y", "target_kind")
    ignored_kinds = TEXT_KINDS | STEPPING_KINDS

    def linked(self, a: Entry, b: Entry) -> bool:
        return bool(b[T] - a[T] < 1000 and abs(b[X] - a[X]) + abs(b[Y] - a[Y]) < 30)


class DatadogRage(RageClick):
    """3 clicks on the same target, first to last <= 1 s, each <= 100 px (Euclidean) and <= 1 s from the last.

    A scroll or a text selection between clicks of a chain vetoes the whole chain. Needs x, y and target.
    Source: browser-sdk ``clickChain.ts`` (``<=`` for distance and gap) and ``computeFrustration.ts`` (``<=`` for the
    second; scroll or selection: no rage). Its documentation says "more than three", its code three.
    """

    name = "rage_click/datadog"
    reads = frozenset({CLICKED, SCROLLED, SELECTED})
    count = 3
    window_ms = 1000
    fields = ("x", "y", "target")
    veto_ends_chain = False

    def linked(self, a: Entry, b: Entry) -> bool:
        return b[T] - a[T] <= 1000 and a[TARGET] == b[TARGET] and _apart_squared(a, b) <= 10_000

    def fits(self, clicks: list[Entry]) -> bool:
        return bool(clicks[-1][T] - clicks[0][T] <= 1000)


class AmplitudeRage(RageClick):
    """4 clicks on the same target, first to last < 1000 ms, in a box of <= 50 px a side.

    A text selection ends the chain: what follows it starts anew. Needs x, y and target.
    Source: Amplitude-TypeScript ``autocapture/track-rage-click.ts`` (``>=`` the window or ``>`` the box starts anew),
    ``DEFAULT_RAGE_CLICK_*``.
    """

    name = "rage_click/amplitude"
    reads = frozenset({CLICKED, SELECTED})
    count = 4
    window_ms = 1000
    fields = ("x", "y", "target")

    def linked(self, a: Entry, b: Entry) -> bool:
        return bool(b[T] - a[T] < 1000 and a[TARGET] == b[TARGET])

    def fits(self, clicks: list[Entry]) -> bool:
        if clicks[-1][T] - clicks[0][T] >= 1000:
            return False
        xs = [c[X] for c in clicks]
        ys = [c[Y] for c in clicks]
        return bool(max(xs) - min(xs) <= 50 and max(ys) - min(ys) <= 50)


class MixpanelRage(RageClick):
    """4 clicks, each < 30 px (Euclidean) from and < 1000 ms after the one before. Needs x and y.

    Source: mixpanel-js ``autocapture/rageclick.js`` (``<`` for both). Mixpanel starts counting again after each four;
    here a chain is one burst.
    """

    name = "rage_click/mixpanel"
    count = 4
    window_ms = 1000

    def linked(self, a: Entry, b: Entry) -> bool:
        return b[T] - a[T] < 1000 and _apart_squared(a, b) < 900


class ConvivaRage(RageClick):
    """3 clicks, first to last <= 2 s, wherever they are. Needs no field; a pause of > 2 s ends the burst.

    Source: Conviva's published metric, ">= 3 in 2 s", which names neither place nor strictness: taken as ``<=``.
    """

    name = "rage_click/conviva"
    count = 3
    window_ms = 2000
    fields = ()

    def linked(self, a: Entry, b: Entry) -> bool:
        return bool(b[T] - a[T] <= 2000)

    def fits(self, clicks: list[Entry]) -> bool:
        return bool(clicks[-1][T] - clicks[0][T] <= 2000)
