"""Recording rules and alerts: they read what there is, each has a runbook entry, and fires when it should."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from streams.worker.metric_catalogue import LATENCY_S
from tests.deploy.queries import DEPLOY, ROOT, faults, names, promtool, read_yaml, recorded, series

PROMETHEUS: Final = DEPLOY / "prometheus"
RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
CASES: Final = sorted((ROOT / "tests" / "deploy").glob("*.test.yml"))


def alerts() -> dict[str, dict[str, Any]]:
    groups = read_yaml(PROMETHEUS / "alerts.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


ALERTS: Final = alerts()
ENTRIES: Final = dict(re.findall(r"^## (\w+)\n\n(.+?)(?=^## |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE))


def test_every_alert_has_an_entry_and_every_entry_an_alert() -> None:
    assert ENTRIES
    assert sorted(ENTRIES) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_where_its_entry_is(name: str) -> None:
    alert, entry = ALERTS[name], ENTRIES[name]
    severity = alert["labels"]["severity"]
    assert severity in ("page", "ticket")
    assert entry.startswith(f"*{severity.capitalize()}.*")
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
    assert alert["annotations"]["summary"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_reads_what_there_is(name: str) -> None:
    assert not faults(ALERTS[name]["expr"], series(), recorded())


@pytest.mark.parametrize("name", recorded())
def test_a_recording_rule_reads_what_there_is(name: str) -> None:
    assert not faults(recorded()[name], series(), recorded())
    assert names(recorded()[name])


def test_the_runbook_names_metrics_and_places_that_there_are() -> None:
    known = series()
    bases = {name.removesuffix("_bucket") for name in known} | set(known)
    for name in re.findall(r"`(journey_\w+)`", RUNBOOK):
        assert name in bases, name
    for page, place in re.findall(r"\]\(([\w.]*)#([\w-]+)\)", RUNBOOK):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8") if page else RUNBOOK
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        places = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert place in places, f"{page}#{place}"


def test_the_objective_is_a_bucket_of_the_histogram() -> None:
    bounds = {float(bound) for rule in recorded().values() for bound in re.findall(r'le="([\d.]+)"', rule)}
    assert bounds == {30.0}
    assert bounds <= set(LATENCY_S)


def test_a_name_that_is_not_there_is_found() -> None:
    assert faults("sum by (job) (rate(journey_no_such_total[5m])) offset 1d", series(), ()) == [
        "no such metric: journey_no_such_total"
    ]
    assert faults('journey_ready{risk="a", job="b"}', series(), ()) == ["journey_ready has no label risk"]


def test_every_alert_has_a_case_that_fires_it_and_one_that_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for case in [test for path in CASES for test in read_yaml(path)["tests"]]:
        for expected in case.get("alert_rule_test", ()):
            (fires if expected["exp_alerts"] else silent).add(expected["alertname"])
    assert fires == silent == set(ALERTS)


def test_prometheus_takes_configuration_and_rules() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml", of="its configuration and the rules are")


def test_the_cases_come_out_as_stated() -> None:
    promtool("test", "rules", *CASES, of="the alerts are")
