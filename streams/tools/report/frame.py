"""What a report looks at: the period, the one before, and by what every figure is split.

Owns the splits and their bounds. An observation (an instance, an answer, a contact, a decision) belongs to the time at
which it began, and counts once in each split: week, segment (once for each segment held), location, channel, origin,
definition version, since which dated change, variant of an experiment run elsewhere, and fields that the reader named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Generic, TypeVar
from zoneinfo import ZoneInfo

from streams.definitions.model import Definition
from streams.definitions.policy import Change
from streams.tools.report.history import History
from streams.tools.report.records import Touch

Split = tuple[str, str]
"""(by what, value)."""
WHOLE: Final[Split] = ("all", "")
PREVIOUS: Final[Split] = ("previous", "")
EXPERIMENT: Final = "experiment "
"""Begins the name of a split by the variants of an experiment run elsewhere."""
NONE: Final = "(none)"
OTHERS: Final = "(others)"
MOST_VALUES: Final = 100
"""Of one split, weeks excepted; later ones are put together."""
QUARTER_HOUR_MS: Final = 900_000


@dataclass(frozen=True, slots=True)
class Frame:
    """The period [start, end) and how times are called."""

    start: int
    end: int
    length: int | None = None
    """ms; the previous period is [start - length, start). None: everything is one period and nothing was before."""
    zone: str = "UTC"
    changes: tuple[Change, ...] = ()
    by: tuple[str, ...] = ()
    """Fields that the reader asked to split by."""
    known_until: int = 0
    """Last moment of which the data tell (ms): what is later has not happened yet."""
    _week: Callable[[int], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        zone = ZoneInfo(self.zone)

        @lru_cache(maxsize=4096)
        def week(quarter: int) -> str:
            day = datetime.fromtimestamp(quarter * QUARTER_HOUR_MS / 1000, zone).date()
            monday = day - timedelta(days=day.weekday())
            return monday.isoformat()

        object.__setattr__(self, "_week", week)

    @property
    def previously_known_until(self) -> int | None:
        """Up to when the previous period is looked at, so that it has had as much time as this one; None without one.

        Otherwise the older period would always convert better: more of its instances have come to their end.
        """
        return None if self.length is None else self.known_until - self.length

    def is_previous(self, time: int) -> bool:
        return self.length is not None and self.start - self.length <= time < self.start

    def week(self, time: int) -> str:
        """Its Monday in the company's time zone, ISO 8601."""
        return self._week(time // QUARTER_HOUR_MS)

    def marks(self, journey: str | None = None) -> list[tuple[str, str, str]]:
        """(Monday of the week, day, title) of the dated changes that concern a journey (None: all)."""
        zone = ZoneInfo(self.zone)
        return [
            (
                self.week(change.at_ms),
                datetime.fromtimestamp(change.at_ms / 1000, zone).date().isoformat(),
                change.title,
            )
            for change in self.changes
            if journey is None or change.journey in (None, journey)
        ]

    def era(self, time: int, journey: str | None) -> str | None:
        """The last dated change before ``time``; None where none is declared."""
        mine = [change for change in self.changes if change.journey is None or change.journey == journey]
        if not mine:
            return None
        past = [change for change in mine if change.at_ms <= time]
        return f"since {past[-1].title}" if past else f"before {mine[0].title}"

    def splits(
        self,
        history: History,
        time: int,
        *,
        until: int | None = None,
        touch: Touch | None = None,
        channel: str | None = None,
        journey: str | None = None,
        definition: int | None = None,
    ) -> list[Split]:
        """Where an observation counts; empty outside both periods. ``until``: its end, by when variants were seen."""
        if not self.start <= time < self.end:
            return [PREVIOUS] if self.is_previous(time) else []
        found: list[Split] = [WHOLE, ("week", self.week(time))]
        found.extend(("segment", name) for name in sorted(history.segments_at(time)) or (NONE,))
        location = touch.location if touch is not None else None
        found.append(("location", location or history.location_at(time) or NONE))
        found.append(("channel", channel or (touch.channel if touch is not None else None) or NONE))
        if touch is not None:
            found.append(("origin", touch.origin))
            found.extend((name, value or NONE) for name, value in zip(self.by, touch.by, strict=False))
        if definition is not None:
            found.append(("definition", str(definition)))
        era = self.era(time, journey)
        if era is not None:
            found.append(("change", era))
        for experiment, variant in history.variants_until(time if until is None else until).items():
            found.append((f"{EXPERIMENT}{experiment}", variant or NONE))
        return found


def frame_of(
    definition: Definition,
    first: int,
    last: int,
    *,
    length_ms: int | None = None,
    until_ms: int | None = None,
    by: tuple[str, ...] = (),
) -> Frame:
    """``length_ms``: of the period that ends with the data (or at ``until_ms``); None: all of it."""
    end = last + 1 if until_ms is None else until_ms
    start = first if length_ms is None else end - length_ms
    return Frame(start, end, length_ms, definition.time.timezone, definition.changes, by, last)


Cell = TypeVar("Cell")


class Splits(Generic[Cell]):
    """One cell of figures for each value of each split."""

    def __init__(self, make: Callable[[], Cell]) -> None:
        self._make = make
        self.cells: dict[Split, Cell] = {}
        self._values: dict[str, int] = {}

    def at(self, splits: list[Split]) -> Iterator[Cell]:
        """The cells in which an observation counts."""
        for split in splits:
            cell = self.cells.get(split)
            yield cell if cell is not None else self._new(split)

    def _new(self, split: Split) -> Cell:
        by = split[0]
        if by != "week":
            known = self._values.get(by, 0)
            if known >= MOST_VALUES:
                split = (by, OTHERS)
                if split in self.cells:
                    return self.cells[split]
            self._values[by] = known + 1
        cell = self.cells[split] = self._make()
        return cell

    @property
    def whole(self) -> Cell:
        return self.cells.get(WHOLE) or self._make()

    @property
    def previous(self) -> Cell | None:
        return self.cells.get(PREVIOUS)

    def by(self, name: str) -> dict[str, Cell]:
        """Value -> cell, by name."""
        return {value: cell for (by, value), cell in sorted(self.cells.items()) if by == name}

    @property
    def names(self) -> list[str]:
        """The splits there are, besides the whole and the previous period."""
        return list(dict.fromkeys(by for by, _ in self.cells if by not in (WHOLE[0], PREVIOUS[0])))
