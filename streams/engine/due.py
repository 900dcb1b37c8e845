"""Firing what is due: of one profile before its touchpoint, of the partition when the watermark has moved.

Owns the order (due, customer, rule) and the heap's upkeep; ``timers.py`` knows which timers a profile has.
"""

from __future__ import annotations

from streams.engine import application, segments
from streams.engine.routes import Route
from streams.engine.state import Profile, measure
from streams.engine.step import Step
from streams.engine.store import Store
from streams.engine.timers import Timer, fire, may_score, next_due, next_timer


class Due:
    __slots__ = ("step", "store")

    def __init__(self, step: Step, store: Store) -> None:
        self.step = step
        self.store = store

    def recount(self, p: Profile) -> int:
        """When the profile's next timer is due, exactly; noted in the profile and the heap."""
        due = next_due(self.step, p)
        if due != p.next_due or self.step.armed:
            p.next_due = due
            self.step.armed = False
            self.store.push(p, due)
        return due

    def own(self, p: Profile, t: int, only: Route | None) -> None:
        """The profile's timers that were due before its touchpoint at ``t``."""
        while self.recount(p) < t:
            timer = next_timer(self.step, p, only)
            if timer is None or timer.due >= t or not self._fire(p, timer):
                return

    def for_scores(self, p: Profile, t: int) -> None:
        """A score must not know what came after it: before a touchpoint that counts for nobody but moves something,
        what a score waits for fires too."""
        while self.recount(p) < t and may_score(self.step, p, t):
            timer = next_timer(self.step, p)
            if timer is None or not self._fire(p, timer):
                return

    def partition(self, watermark: int) -> list[str]:
        """All timers that the watermark has passed, in the order (due, customer, rule); whose they were."""
        store = self.store
        fired: list[str] = []
        step = self.step
        while (entry := store.first()) is not None and entry[0] < watermark:
            p = store.get(entry[1])
            assert p is not None  # noqa: S101 - first() has just seen it
            due = next_due(step, p)
            if due == entry[0]:
                timer = next_timer(step, p)
                assert timer is not None  # noqa: S101 - without ``only`` there is at least the forgetting
                fired.append(p.id)
                if not self._fire(p, timer):
                    continue
                due = next_due(step, p)
                step.armed = False
            p.next_due = due
            if due != entry[0]:  # else more is due at the same instant, and the entry stays
                store.postpone(p, due)
        return fired

    def _fire(self, p: Profile, timer: Timer) -> bool:
        """False if the profile is gone."""
        step = self.step
        step.begin(p, timer.due, "", None)
        step.counting = False
        if timer.what == "forget":
            application.forget(step)
            self.store.forget(p)
            return False
        p.room -= 100
        fire(step, timer)
        if step.dirty:
            if p.open:
                application.run_unnamed(step)
            segments.observe(step)
        if step.found or step.view:
            application.conclude(step)
        if p.room < 0:
            step.out.counts.shed += measure(p)
        self.store.touched[p.id] = p
        return True

    def undecided(self, profile_id: str) -> bool:
        """A timer of the profile is a decision and not the calendar's."""
        p = self.store.get(profile_id)
        return p is not None and next_timer(self.step, p, calendar=False) is not None
