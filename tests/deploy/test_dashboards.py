"""Dashboards: as made by their module, every query is PromQL and reads what there is, every panel is explained."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.grafana.dashboards import ALL, FOLDER, WIDTH, Dashboard, as_sent, text
from tests.deploy.queries import DEPLOY, faults, names, promtool, read_yaml, recorded, series

PROVISIONING: Final = DEPLOY / "grafana" / "provisioning"


def queries(dashboard: Dashboard) -> list[str]:
    """As Grafana would send them, with its variables filled in."""
    return [as_sent(target["expr"], dashboard) for panel in read(dashboard)["panels"] for target in panel["targets"]]


def read(dashboard: Dashboard) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{dashboard.uid}.json").read_text(encoding="utf-8"))
    return found


def test_the_files_are_those_of_the_module() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{dashboard.uid}.json" for dashboard in ALL}
    for dashboard in ALL:
        written = (FOLDER / f"{dashboard.uid}.json").read_text(encoding="utf-8")
        assert written == text(dashboard), "run: python deploy/grafana/dashboards.py"


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.uid)
def test_every_query_reads_what_there_is(dashboard: Dashboard) -> None:
    found = queries(dashboard)
    assert found
    for query in found:
        assert names(query), query
        assert "$" not in query, "a variable that the dashboard has not"
        assert not faults(query, series(), recorded()), query


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.uid)
def test_labels_of_legends_and_variables_are_labels_of_their_series(dashboard: Dashboard) -> None:
    known = {name: labels | {"job", "instance"} for name, labels in series().items()}
    known |= {name: frozenset({"job", "instance", "result"}) for name in recorded()}
    for panel in dashboard.panels:
        for legend, query in panel.queries:
            labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
            assert labels <= frozenset().union(
                *(known[name] for name in names(query.replace("$__rate_interval", "1m")))
            )
            grouped = re.search(r"\bby \(([^)]*)\)", query)
            if grouped and query.startswith(("sum", "max", "histogram_quantile")):
                assert labels == set(re.split(r",\s*", grouped[1])) - {"le"}, query
    for variable in dashboard.variables:
        assert variable.label in known[variable.series.partition("{")[0]]


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.uid)
def test_panels_are_described_and_do_not_overlap(dashboard: Dashboard) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in read(dashboard)["panels"]:
        assert panel["title"]
        assert panel["description"].endswith((".", "`"))
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= WIDTH
        taken.update((at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"]))
    assert set(taken.values()) == {1}


def test_what_is_provisioned_is_there() -> None:
    (source,) = read_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    asked = {panel["datasource"]["uid"] for dashboard in ALL for panel in read(dashboard)["panels"]}
    assert asked == {source["uid"]}
    (provider,) = read_yaml(PROVISIONING / "dashboards" / "journey.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


def test_every_query_is_promql(tmp_path: Path) -> None:
    """Each as a recording rule, which promtool parses."""
    found = [query for dashboard in ALL for query in queries(dashboard)]
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(found)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", file, of="the queries of the dashboards are")
