"""Charts of the report as plotly figures (plain dicts: data and layout).

Owns which figures become a picture and how: a journey's flow as a Sankey diagram, its funnel, conversion by week with
target and dated changes, the effect of friction and uplift with their intervals, satisfaction by stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from streams.tools.report.actions import ActionFigures
from streams.tools.report.feelings import FeelingFigures
from streams.tools.report.journeys import GOAL, LEFT, OPEN, START, JourneyFigures
from streams.tools.report.statistics import Interval

BLUE, GREEN, RED, GREY = "#4269d0", "#3ca951", "#ff725c", "#9498a0"
COLOURS: Final = {START: GREY, GOAL: GREEN, LEFT: RED, OPEN: GREY}
FAINT: Final = {BLUE: "rgba(66,105,208,.3)", GREEN: "rgba(60,169,81,.4)", RED: "rgba(255,114,92,.3)",
                GREY: "rgba(148,152,160,.3)"}  # fmt: skip
MOST_BARS: Final = 25


class Chart(NamedTuple):
    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def journey_charts(journey: JourneyFigures) -> Iterator[Chart]:
    if not journey.whole.entrants:
        return
    yield _flow(journey)
    yield _funnel(journey)
    weeks = _weeks(journey)
    if weeks is not None:
        yield weeks
    effects = [(one.rule, one.effect) for one in journey.friction if one.effect is not None]
    if effects:
        yield _bars(f"Effect of friction on conversion: {journey.journey}", effects, "percentage points", 100)


def _flow(journey: JourneyFigures) -> Chart:
    stages = [stage.stage for stage in journey.whole.stages]
    used = {name for a, b, _ in journey.flow for name in (a, b)}
    nodes = [name for name in (START, *stages, GOAL, LEFT, OPEN) if name in used]
    nodes += sorted(used - set(nodes))
    place = {name: n for n, name in enumerate(nodes)}
    colours = [COLOURS.get(name, BLUE) for name in nodes]
    links = {
        "source": [place[a] for a, _, _ in journey.flow],
        "target": [place[b] for _, b, _ in journey.flow],
        "value": [n for _, _, n in journey.flow],
        "color": [FAINT[COLOURS.get(b, BLUE)] for _, b, _ in journey.flow],
    }
    data = {
        "type": "sankey",
        "arrangement": "snap",
        "node": {"label": [escaped(name) for name in nodes], "color": colours, "pad": 18},
        "link": links,
    }
    return Chart(f"Flow: {journey.journey}", [data], {"height": 420})


def _funnel(journey: JourneyFigures) -> Chart:
    whole = journey.whole
    names = [f"{stage.stage} (critical)" if stage.critical else stage.stage for stage in whole.stages]
    counts = [stage.passed for stage in whole.stages]
    data = {
        "type": "funnel",
        "y": [*map(escaped, names), GOAL],
        "x": [*counts, whole.conversion.count],
        "textinfo": "value+percent initial",
        "marker": {"color": [BLUE] * len(names) + [GREEN]},
    }
    layout = {"height": 90 + 55 * (len(names) + 1), "yaxis": {"automargin": True}}
    return Chart(f"Funnel (this stage or a later one): {journey.journey}", [data], layout)


def _weeks(journey: JourneyFigures) -> Chart | None:
    weeks = [one for one in journey.splits if one.by == "week" and one.conversion_interval is not None]
    if len(weeks) < 2:
        return None
    intervals = [one.conversion_interval for one in weeks if one.conversion_interval is not None]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "conversion",
            "x": [one.value for one in weeks],
            "y": [100 * one.estimate for one in intervals],
            "error_y": _whiskers(intervals, 100),
            "line": {"color": BLUE},
        }
    ]
    layout: dict[str, Any] = {"height": 340, "yaxis": {"title": {"text": "%"}, "rangemode": "tozero"}, "shapes": []}
    if journey.target is not None:
        ends = [weeks[0].value, weeks[-1].value]
        level = [100 * journey.target] * 2
        dash = {"color": GREEN, "dash": "dash"}
        data.append({"type": "scatter", "mode": "lines", "name": "target", "x": ends, "y": level, "line": dash})
    layout["annotations"] = [
        {"x": day, "y": 1, "yref": "paper", "text": escaped(title), "showarrow": False, "xanchor": "left"}
        for _, day, title in journey.marks
    ]
    layout["shapes"] = [
        {"type": "line", "x0": day, "x1": day, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": RED, "dash": "dot"}}
        for _, day, _ in journey.marks
    ]
    return Chart(f"Conversion by week of entrance: {journey.journey}", data, layout)


def action_charts(actions: Sequence[ActionFigures]) -> Iterator[Chart]:
    uplifts, values = [], []
    for action in actions:
        for group in action.whole.groups:
            if group.against is not None:
                name = f"{action.action}: {group.group} - {group.against}"
                uplifts.append((name, group.uplift))
                values.append((name, group.value_uplift))
    for title, unit, found, factor in (
        ("Uplift of the conversion rate", "percentage points", uplifts, 100),
        ("Uplift of the value of a customer", "currency", values, 1),
    ):
        known = [(name, interval) for name, interval in found if interval is not None]
        if known:
            yield _bars(title, known, unit, factor)


def feeling_charts(feelings: FeelingFigures) -> Iterator[Chart]:
    stages = [one for one in feelings.splits if one.by == "stage"]
    nps = [(one.value, one.nps) for one in stages if one.nps is not None]
    if nps:
        yield _bars("NPS by stage", nps, "-100 to 100", 1)
    moods = [(one.value, one.sentiment) for one in stages if one.sentiment is not None]
    if moods:
        yield _bars("Sentiment by stage", moods, "-1 to 1", 1)


def _bars(title: str, found: Sequence[tuple[str, Interval | None]], unit: str, factor: float) -> Chart:
    """Points with their 95 % intervals, one below the other; green above 0, red below, grey where 0 lies inside."""
    rows = [(name, interval) for name, interval in found[:MOST_BARS] if interval is not None]
    intervals = [interval for _, interval in rows]
    colours = [{"up": GREEN, "down": RED, "unclear": GREY}[interval.says] for interval in intervals]
    data = {
        "type": "scatter",
        "mode": "markers",
        "x": [factor * one.estimate for one in intervals],
        "y": [escaped(name) for name, _ in rows],
        "error_x": _whiskers(intervals, factor),
        "marker": {"color": colours, "size": 10},
    }
    layout = {
        "height": 110 + 32 * len(rows),
        "xaxis": {"title": {"text": unit}, "zeroline": True},
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
    }
    return Chart(title, [data], layout)


def _whiskers(intervals: Sequence[Interval], factor: float) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [factor * (one.high - one.estimate) for one in intervals],
        "arrayminus": [factor * (one.estimate - one.low) for one in intervals],
        "color": GREY,
    }


def escaped(text: str) -> str:
    """Plotly reads a few HTML tags in texts; names are texts and nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
