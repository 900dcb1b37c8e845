"""What moves customers, as tables: the critical moment, touchpoints that go with progress or with a change of mood."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from streams.tools.report import words
from streams.tools.report.drivers import LEAST_GROUP, WARNING, DriverFigures, MoodDrivers, MovedFigures
from streams.tools.report.statistics import Interval
from streams.tools.report.terminal_table import SHOWN, Detail, table


def driver_tables(drivers: DriverFigures, detail: Detail) -> Iterator[RenderableType]:
    if any(one.friction.count for one in drivers.moments):
        declared = [one.stage for one in drivers.moments if one.declared]
        if drivers.measured is None:
            said = "measured: none, friction costs no stage conversions beyond chance"
        elif drivers.measured in declared:
            said = f"measured: {drivers.measured}, as declared"
        else:
            said = f"measured: {drivers.measured}; declared: {', '.join(declared) or 'none'}"
        made = table(
            f"Critical moment ({said})",
            ("stage", "declared"),
            ("first friction there", "effect on conversion", "conversions"),
            "Measured: where friction costs most conversions, beyond chance. A comparison, not an experiment.",
        )
        for one in drivers.moments:
            made.add_row(
                f"{one.stage}{' << measured' if one.stage == drivers.measured else ''}",
                "critical" if one.declared else "",
                words.count_of(one.friction),
                words.points(one.effect),
                words.NOTHING if one.conversions is None else f"{one.conversions:+,.0f}",
            )
        yield made
    if drivers.moved and detail == "full":
        made = table(
            "Touchpoints and the next stage",
            ("in stage", "touchpoint"),
            ("within", "stays with it", "came on later", "without it", "difference"),
            "Of those still in the stage after that time: who came on, with and without the touchpoint in it. "
            + WARNING,
        )
        for moved in _firsts(drivers):
            made.add_row(
                moved.stage,
                moved.type,
                words.duration(moved.landmark_s),
                f"{moved.with_it.of:,}",
                words.share(moved.with_it),
                words.share(moved.without),
                words.points(moved.difference),
            )
        yield made
    if detail == "full":
        yield from _groups(drivers)


def _groups(drivers: DriverFigures) -> Iterator[RenderableType]:
    """Weeks, segments and locations that are large enough; how many are not."""
    left = ", ".join(f"{n:,} by {by}" for by, n in drivers.too_small.items() if n)
    if not drivers.splits:
        if left:
            yield Text(f"What moves customers by week, segment and location: too few in each ({left}).", style="dim")
        return
    made = table(
        "What moves customers by week, segment and location",
        ("by", "group"),
        ("instances", "critical moment", "conversions", "touchpoint that goes with progress most", "difference"),
        f"Of groups with at least {LEAST_GROUP} instances{f'; smaller: {left}' if left else ''}. {WARNING}",
    )
    for one in drivers.splits:
        cost = next((moment.conversions for moment in one.moments if moment.stage == one.measured), None)
        first = one.moved[0] if one.moved else None
        made.add_row(
            one.by,
            one.value,
            f"{one.instances:,}",
            one.measured or words.NOTHING,
            words.NOTHING if cost is None else f"{cost:+,.0f}",
            words.NOTHING if first is None else f"{first.type} in {first.stage}",
            words.NOTHING if first is None else words.points(first.difference),
        )
    yield made


def _firsts(drivers: DriverFigures) -> Iterator[MovedFigures]:
    """The strongest of each stage."""
    shown: dict[str, int] = {}
    for moved in drivers.moved:
        shown[moved.stage] = shown.get(moved.stage, 0) + 1
        if shown[moved.stage] <= SHOWN // 2:
            yield moved


def mood_tables(mood: MoodDrivers) -> Iterator[RenderableType]:
    if not mood.drivers:
        return
    yield Text("\nWhat goes with a change of satisfaction", style="bold underline")
    made = table(
        f"Change between two readings ({mood.changes:,} of them; each reading -1 to 1)",
        ("touchpoint between",),
        ("changes with it", "mean", "without it", "difference"),
        WARNING,
    )
    for one in mood.drivers[:SHOWN]:
        interval = one.difference
        said = _mean(interval)
        made.add_row(one.type, f"{one.changes:,}", f"{one.with_it:+.2f}", f"{one.without:+.2f}", said)
    yield made
    if mood.splits:
        left = ", ".join(f"{n:,} by {by}" for by, n in mood.too_small.items() if n)
        groups = table(
            "The same by week, segment and location",
            ("by", "group"),
            ("changes", "mean", "touchpoint that goes with it most", "difference"),
            f"Of groups with at least {LEAST_GROUP} changes{f'; smaller: {left}' if left else ''}.",
        )
        for part in mood.splits:
            first = part.drivers[0] if part.drivers else None
            groups.add_row(
                part.by,
                part.value,
                f"{part.changes:,}",
                _mean(part.mean),
                words.NOTHING if first is None else first.type,
                words.NOTHING if first is None else _mean(first.difference),
            )
        yield groups


def _mean(interval: Interval | None) -> str:
    if interval is None:
        return words.NOTHING
    return f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"
