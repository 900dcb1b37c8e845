"""The report as one HTML file that needs nothing else: charts (plotly.js inside the file) and the terminal's tables.

Owns the document. Its content security policy lets nothing be loaded from anywhere, and whatever comes from data is
escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streams.tools.report.charts import Chart, action_charts, feeling_charts, journey_charts
from streams.tools.report.report import Report
from streams.tools.report.terminal import head_tables, journey_tables
from streams.tools.report.terminal_actions import action_tables, policy_tables
from streams.tools.report.terminal_drivers import driver_tables, mood_tables
from streams.tools.report.terminal_people import cohort_tables, feeling_tables, service_tables

POLICY: Final = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; color: #1b1e23; }
h1 { font-size: 1.7rem; } h2 { border-bottom: 2px solid #4269d0; margin-top: 3rem; padding-bottom: .2rem; }
h3 { margin: 1.6rem 0 .4rem; font-size: 1.02rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .22rem .6rem; border-bottom: 1px solid #dde1e7; vertical-align: top; text-align: right; }
td { white-space: nowrap; }
th.name, td.name { text-align: left; white-space: normal; }
th { background: #f2f4f8; } tr.end td { border-bottom: 2px solid #9498a0; }
.caption { color: #5b626d; font-size: .84rem; max-width: 80ch; } .harmful { color: #b3261e; font-weight: 600; }
.warning { color: #8a5a00; font-weight: 600; } nav a { margin-right: 1rem; }
"""


class PlotlyAbsentError(Exception):
    """The library of the charts is not installed; the text says how to get it."""


def plotly_script() -> str:
    """plotly.js, minified, as the Python package brings it."""
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise PlotlyAbsentError(
            "the HTML report needs plotly (pip install 'journey-streams[report]'); tables and --json do not"
        ) from None
    return str(get_plotlyjs())


def page(report: Report) -> str:
    """The whole document; raises ``PlotlyAbsentError``."""
    script = plotly_script()
    charts: list[Chart] = []
    body = "".join(_body(report, charts))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Journey report</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>'
        f"<script>{script}</script></head><body>{body}"
        f"<script>const figures = {embedded(charts)};\n{DRAW}</script></body></html>\n"
    )


def embedded(charts: Sequence[Chart]) -> str:
    """Data and layout as JSON in a script, where "</" must not occur: it would end it."""
    return msgspec.json.encode([[one.data, one.layout] for one in charts]).decode().replace("</", "<\\/")


DRAW: Final = """
figures.forEach(([data, layout], n) => Plotly.newPlot("chart-" + n, data, Object.assign(
  {margin: {t: 20, r: 20, b: 50, l: 60}, font: {family: "system-ui, sans-serif"}, showlegend: data.length > 1}, layout),
  {displaylogo: false, responsive: true}));
"""


def _body(report: Report, charts: list[Chart]) -> Iterator[str]:
    sections: list[tuple[str, str, Iterable[RenderableType], Iterable[Chart]]] = [
        (
            f"journey-{n}",
            journey.journey,
            [*journey_tables(journey, "full"), *driver_tables(drivers, "full")],
            journey_charts(journey),
        )
        for n, (journey, drivers) in enumerate(zip(report.journeys, report.drivers, strict=True))
    ]
    sections.append(("actions", "actions", action_tables(report.actions, "full"), action_charts(report.actions)))
    if report.policy is not None:
        sections.append(("policy", "the other policy", policy_tables(report.policy), ()))
    if report.feelings is not None:
        charted = feeling_charts(report.feelings)
        sections.append(("satisfaction", "satisfaction", feeling_tables(report.feelings, "full"), charted))
    if report.mood is not None:
        sections.append(("mood", "changes of satisfaction", mood_tables(report.mood), ()))
    if report.service is not None:
        sections.append(("service", "service", service_tables(report.service, "full"), ()))
    sections.append(("cohorts", "cohorts", cohort_tables(report.cohorts), ()))
    made = [(anchor, name, "".join(_parts(parts, anchor, found, charts))) for anchor, name, parts, found in sections]
    yield "<h1>Journey report</h1><nav>"
    yield "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, content in made if content)
    yield "</nav>"
    yield from _parts(head_tables(report), "", (), charts)
    yield from (content for _, _, content in made)


def _parts(
    parts: Iterable[RenderableType], anchor: str, pictures: Iterable[Chart], charts: list[Chart]
) -> Iterator[str]:
    """A section: its title and warnings, its charts, its tables."""
    tables = list(parts)
    for n, part in enumerate(tables):
        if isinstance(part, Text):
            yield _text(part, anchor if n == 0 else "")
    for chart in pictures:
        yield f'<h3>{escape(chart.title)}</h3><div id="chart-{len(charts)}"></div>'
        charts.append(chart)
    for part in tables:
        if isinstance(part, Table):
            yield _table(part)


def _text(part: Text, anchor: str) -> str:
    words = escape(part.plain.strip())
    style = str(part.style)
    if "underline" in style:
        return f'<h2 id="{anchor}">{words}</h2>'
    kind = "harmful" if "red" in style else "warning" if "yellow" in style else ""
    return f'<p class="{kind}">{words}</p>'


def _table(table: Table) -> str:
    columns = table.columns
    kinds = ["" if column.justify == "right" else ' class="name"' for column in columns]
    rows = zip(*(list(column.cells) for column in columns), strict=True)
    heads = "".join(f"<th{kind}>{escape(str(c.header))}</th>" for kind, c in zip(kinds, columns, strict=True))
    body = "".join(
        ('<tr class="end">' if row.end_section else "<tr>")
        + "".join(f"<td{kind}>{escape(str(cell))}</td>" for kind, cell in zip(kinds, cells, strict=True))
        + "</tr>"
        for row, cells in zip(table.rows, rows, strict=True)
    )
    title = f"<h3>{escape(str(table.title))}</h3>" if table.title else ""
    caption = f'<p class="caption">{escape(str(table.caption))}</p>' if table.caption else ""
    head = f"<thead><tr>{heads}</tr></thead>" if table.show_header else ""
    return f'{title}<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>{caption}'
