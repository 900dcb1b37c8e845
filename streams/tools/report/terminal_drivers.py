"""What moves customers, as tables: the critical moment, touchpoints that go with progress or with a change of mood."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from streams.tools.report import words
from streams.tools.report.drivers import WARNING, DriverFigures, MoodDrivers, MovedFigures
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
        said = (
            words.NOTHING
            if interval is None
            else f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"
        )
        made.add_row(one.type, f"{one.changes:,}", f"{one.with_it:+.2f}", f"{one.without:+.2f}", said)
    yield made
