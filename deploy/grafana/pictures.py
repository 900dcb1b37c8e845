"""Draws the dashboards from their own JSON, with their own queries answered by a Prometheus, as PNG files.

Owns the pictures of docs/pictures. They are no screenshots of Grafana: panels, places, queries, legends, units and
thresholds are those of the JSON, the drawing is plotly's. Needs the extra `report` of the package and a Chromium:

    python -m deploy.grafana.pictures --prometheus http://127.0.0.1:9090 --chromium /usr/bin/chromium --minutes 15
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deploy.grafana.dashboards import ALL, FOLDER, SOURCE, WIDTH, Dashboard, as_sent

OUTPUT: Final = Path(__file__).parents[2] / "docs" / "pictures"
PIXELS: Final = 1400
ROW: Final = 36
"""Pixels of one row of Grafana's grid, with its gap."""
HEAD: Final = 64
POINTS: Final = 240
FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--virtual-time-budget=8000",
)  # fmt: skip
UNITS: Final[dict[str, dict[str, Any]]] = {
    "percentunit": {"tickformat": ".3~p"},
    "s": {"ticksuffix": " s"},
    "bytes": {"tickformat": ".3~s", "ticksuffix": "B"},
}
SCHEMES: Final = ("http://", "https://")
COLOURS: Final = (
    "#73bf69",
    "#f2cc0c",
    "#5794f2",
    "#ff9830",
    "#b877d9",
    "#e0226e",
    "#37872d",
    "#8ab8ff",
    "#96d98d",
    "#c4162a",
)
NAMED: Final = {"green": "#56a64b", "red": "#e02f44", "blue": "#3274d9"}

STYLE: Final = f"""
body {{ margin: 0; background: #f4f5f5; font: 13px 'Open Sans', sans-serif; color: #24292e; width: {PIXELS}px; }}
header {{ height: {HEAD - 14}px; padding: 10px 14px 0; }}
h1 {{ font-size: 19px; margin: 0; }} header p {{ margin: 2px 0; }}
main {{ position: relative; }}
section {{ position: absolute; box-sizing: border-box; background: #fff; border: 1px solid #dcdfe3; border-radius: 3px;
  overflow: hidden; }}
h2 {{ font-size: 12.5px; font-weight: 600; margin: 6px 9px 0; height: 18px; white-space: nowrap; overflow: hidden; }}
.figures {{ position: absolute; inset: 26px 0 0; display: flex; }} .none {{ color: #8e9297; }}
.figures div {{ flex: 1; display: flex; flex-direction: column; align-items: center; justify-content: center; }}
.figures b {{ font-size: 32px; font-weight: 600; }}
"""


class Silent(Exception):  # noqa: N818 - an answer about a run
    """Prometheus cannot be asked, or has nothing at all; the text says what was asked."""


def asked(address: str, query: str, start: float, end: float) -> list[dict[str, Any]]:
    """The series of a range query. Raises ``Silent``."""
    parameters = {"query": query, "start": start, "end": end, "step": max(1.0, (end - start) / POINTS)}
    url = f"{address}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as got:  # noqa: S310 - main checks the scheme
            found: list[dict[str, Any]] = json.load(got)["data"]["result"]
    except OSError as error:
        raise Silent(f"{address} does not answer {query}: {error}") from error
    return found


def written(value: float, unit: str) -> str:
    """A figure in Grafana's unit: short, s, bytes, percentunit, reqps."""
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit == "bytes":
        for name in ("B", "KiB", "MiB", "GiB"):
            if abs(value) < 1024 or name == "GiB":
                return f"{value:.3g} {name}"
            value /= 1024
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    text = f"{value / 1000:.3g} K" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} req/s" if unit == "reqps" else text


def series(
    panel: dict[str, Any], dashboard: Dashboard, address: str, start: float, end: float
) -> list[tuple[str, Any]]:
    """(legend, [[time, value], …]) of all queries of a panel; what is no number is left out."""
    found = []
    for target in panel["targets"]:
        for one in asked(address, as_sent(target["expr"], dashboard), start, end):
            labels, legend = one["metric"], target["legendFormat"]
            if legend == "__auto":
                legend = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__")
            legend = re.sub(r"\{\{(\w+)\}\}", lambda match: str(labels.get(match[1], "")), legend).strip()  # noqa: B023 - used at once
            points = [(at, float(value)) for at, value in one["values"]]
            points = [(at, value) for at, value in points if abs(value) < float("inf")]
            if points:
                found.append((legend, points))
    return sorted(found)


def utc(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def colour(value: float, panel: dict[str, Any]) -> str:
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", ())
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return NAMED[reached[-1]] if reached else "#24292e"


def stat(panel: dict[str, Any], found: list[tuple[str, Any]]) -> str:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    figures = [
        f"<div><b style='color:{colour(points[-1][1], panel)}'>{html.escape(written(points[-1][1], unit))}</b>"
        f"{html.escape(legend) if len(found) > 1 else ''}</div>"
        for legend, points in found
    ]
    return f"<div class=figures>{''.join(figures) or '<div class=none>No data</div>'}</div>"


def figure(panel: dict[str, Any], found: list[tuple[str, Any]], start: float, end: float) -> dict[str, Any]:
    """A time series as plotly draws it."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    stacked = "stacking" in panel["fieldConfig"]["defaults"]["custom"]
    highest = max(value for _, points in found for _, value in points)
    ticks: dict[str, Any] = {"tickformat": ".3~s" if highest >= 1000 else ".3~f"}
    if unit in UNITS:
        ticks = UNITS[unit]
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": html.escape(legend),
            "line": {"width": 1.4, "color": COLOURS[n % len(COLOURS)]},
            "x": [utc(at) for at, _ in points],
            "y": [value for _, value in points],
            **({"stackgroup": "one"} if stacked else {}),
        }
        for n, (legend, points) in enumerate(found)
    ]
    ends = [utc(start), utc(end)]
    layout = {
        "margin": {"l": 54, "r": 10, "t": 6, "b": 22}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff",
        "font": {"family": "Open Sans, sans-serif", "size": 10.5, "color": "#52575c"},
        "xaxis": {"range": ends, "gridcolor": "#eceff1", "tickformat": "%H:%M"},
        "yaxis": {"rangemode": "tozero", "gridcolor": "#eceff1", **ticks},
        "showlegend": len(found) > 1, "legend": {"orientation": "h", "y": -0.14, "font": {"size": 9.5}},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def page(dashboard: Dashboard, address: str, start: float, end: float) -> tuple[str, int]:
    """The document and its height in pixels."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra, and slow to import

    found = json.loads((FOLDER / f"{dashboard.uid}.json").read_text(encoding="utf-8"))
    sections, scripts, bottom = [], [], 0
    for panel in found["panels"]:
        assert panel["datasource"] == SOURCE  # noqa: S101 - there is one
        at, got = panel["gridPos"], series(panel, dashboard, address, start, end)
        column = PIXELS / WIDTH
        width, height = round(at["w"] * column) - 8, at["h"] * ROW - 8
        if panel["type"] == "stat":
            body = stat(panel, got)
        elif got:
            body = f"<div id=p{panel['id']} style='width:{width - 2}px;height:{height - 28}px'></div>"
            drawn = json.dumps(figure(panel, got, start, end))
            scripts.append(f"draw('p{panel['id']}', {drawn});")
        else:
            body = "<div class=figures><div class=none>No data</div></div>"
        bottom = max(bottom, (at["y"] + at["h"]) * ROW)
        sections.append(
            f"<section style='left:{round(at['x'] * column) + 4}px;top:{at['y'] * ROW}px;width:{width}px;"
            f"height:{height}px'><h2>{html.escape(panel['title'])}</h2>{body}</section>"
        )
    about = f"{found['description']} {utc(start)} - {utc(end)} UTC"
    about += "".join(f", {variable.name}: All" for variable in dashboard.variables)
    return (
        f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><script>{get_plotlyjs()}</script>"
        f"<header><h1>{html.escape(found['title'])}</h1><p>{html.escape(about)}</p></header>"
        f"<main>{''.join(sections)}</main><script>function draw(id, f) {{ Plotly.newPlot(id, f.data, f.layout, "
        f"{{staticPlot: true}}); }}\n{''.join(scripts)}</script>"
    ), bottom + HEAD


def drawn(dashboard: Dashboard, address: str, start: float, end: float, chromium: str, output: Path) -> Path:
    """The file of the picture. Raises ``CalledProcessError`` where Chromium does not draw."""
    text, height = page(dashboard, address, start, end)
    output.mkdir(parents=True, exist_ok=True)
    picture = output / f"{dashboard.uid}.png"
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "page.html"
        document.write_text(text, encoding="utf-8")
        subprocess.run(  # noqa: S603 - the program that the caller names, on a page made here
            [
                chromium, *FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={PIXELS},{height}",
                f"--screenshot={picture.resolve()}", document.as_uri(),
            ],
            check=True, capture_output=True, timeout=180,
        )  # fmt: skip
    return picture


def main() -> Iterator[str]:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--prometheus", default="http://127.0.0.1:9090", help="address of a Prometheus with a run")
    options.add_argument("--chromium", default="chromium", help="the program that draws")
    options.add_argument("--minutes", type=float, default=15.0, help="how far back from the end")
    options.add_argument("--until", type=datetime.fromisoformat, help="the end, in ISO 8601 with a zone; default: now")
    options.add_argument("--output", type=Path, default=OUTPUT)
    given = options.parse_args()
    if not given.prometheus.startswith(SCHEMES):
        options.error("--prometheus begins with http:// or https://")
    end = given.until.timestamp() if given.until else time.time()
    for dashboard in ALL:
        yield str(
            drawn(dashboard, given.prometheus.rstrip("/"), end - given.minutes * 60, end, given.chromium, given.output)
        )


if __name__ == "__main__":
    for line in main():
        print(line)  # noqa: T201 - what it has made
