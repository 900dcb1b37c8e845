"""The HTML page: whole in itself, its charts valid, its texts only texts."""

from __future__ import annotations

import json
import re
import sys
import warnings
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from streams.tools.report.charts import Chart, action_charts, feeling_charts, journey_charts
from streams.tools.report.page import PlotlyAbsentError, embedded, page
from streams.tools.report.records import Record
from streams.tools.report.report import Report, report_of
from tests.unit.report.stories import (
    DAY,
    HOUR,
    bought,
    by_customer,
    definition,
    entered,
    found,
    frame,
    left,
    looked,
    touch,
)
from tests.unit.report.test_action_figures import ACTION, choice

EVIL = "</script><script>alert(1)</script>&\"'"


@pytest.fixture(scope="module")
def report() -> Report:
    records: list[Record] = []
    for n in range(12):
        who = f"c{n}"
        records += bought(n * DAY, who, channel="web", origin=EVIL) if n % 3 else looked(n * DAY, who, channel="web")
        records += [choice(n * DAY + 1, who, "issued" if n % 2 else "held_out")]
        records += [touch("Survey Answered", n * DAY + HOUR, who, survey="nps", score=float(n % 11), sentiment=0.1)]
    for n in range(4):
        who = f"f{n}"
        records += [entered("look", n, who), found("friction", n + 1, EVIL, who, stage="look")]
        records.append(left("look", n + HOUR, "expired", who, touchpoints=2))
    text = ACTION + f'changes: [{{at: "2024-05-05", title: {EVIL!r}}}]\n'.replace("\\'", "''")
    loaded = definition(text)
    return report_of(loaded, frame(loaded), by_customer(records))


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def elements(report: Report) -> Elements:
    read = Elements()
    read.feed(page(report))
    return read


def test_the_page_is_whole_and_loads_nothing(elements: Elements) -> None:
    assert elements.open == []
    for tag, attributes in elements.found:
        assert tag not in ("link", "img", "iframe", "object")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    policy = next(a["content"] for t, a in elements.found if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_links_lead_to_sections_that_are_there(elements: Elements) -> None:
    links = [str(a["href"])[1:] for tag, a in elements.found if tag == "a"]
    assert links
    assert set(links) <= {str(a.get("id")) for tag, a in elements.found if tag == "h2"}


def test_texts_from_data_are_texts(elements: Elements) -> None:
    assert [tag for tag, _ in elements.found].count("script") == 2, "plotly and the page's own"
    assert EVIL in elements.text


def test_every_chart_has_its_place_and_its_figure(report: Report, elements: Elements) -> None:
    places = [a["id"] for tag, a in elements.found if tag == "div" and str(a.get("id", "")).startswith("chart-")]
    (figures,) = re.findall(r"<script>const figures = (.*);\n", page(report))
    assert len(msgspec.json.decode(figures.replace("<\\/", "</"))) == len(places) >= 6
    assert places == [f"chart-{n}" for n in range(len(places))]


def test_no_text_ends_the_script() -> None:
    figure = [{"type": "scatter", "y": [EVIL]}]
    found = embedded([Chart("t", figure, {})])
    assert "</" not in found
    assert json.loads(found) == [[figure, {}]]


def charts(report: Report) -> list[Chart]:
    assert report.feelings is not None
    journeys = [chart for journey in report.journeys for chart in journey_charts(journey)]
    return [*journeys, *action_charts(report.actions), *feeling_charts(report.feelings)]


def test_charts_are_what_plotly_understands(report: Report) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from plotly.graph_objects import Figure  # noqa: PLC0415 - slow

        kinds = [trace.type for chart in charts(report) for trace in Figure(chart.data, chart.layout).data]
    assert {"sankey", "funnel", "scatter"} == set(kinds)


def test_plotly_is_given_no_tags(report: Report) -> None:
    """It would read some of them, links for one."""
    titles = [text["text"] for chart in charts(report) for text in chart.layout.get("annotations", ())]
    rows = [name for chart in charts(report) for trace in chart.data for name in trace.get("y", ())]
    found = [text for text in (*titles, *rows) if isinstance(text, str) and "script" in text]
    assert len(found) >= 2
    assert not any("<" in text for text in found)


def test_the_flow_loses_nobody(report: Report) -> None:
    flow: dict[str, Any] = charts(report)[0].data[0]
    labels, links = flow["node"]["label"], flow["link"]
    into: dict[str, int] = {}
    out: dict[str, int] = {}
    for a, b, n in zip(links["source"], links["target"], links["value"], strict=True):
        out[labels[a]] = out.get(labels[a], 0) + n
        into[labels[b]] = into.get(labels[b], 0) + n
    assert out["start"] == report.journeys[0].whole.entrants
    assert {name: into[name] for name in out if name != "start"} == {n: out[n] for n in out if n != "start"}


def test_without_plotly_it_says_what_to_install(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(PlotlyAbsentError, match=r"pip install 'journey-streams\[report\]'"):
        page(report)
