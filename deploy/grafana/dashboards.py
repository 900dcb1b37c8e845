"""The Grafana dashboards: their panels and queries, and how they become JSON.

Owns every file in ``deploy/grafana/dashboards``. ``python deploy/grafana/dashboards.py`` writes them again; a test fails
while they differ, or while a query does not parse or names a metric that there is not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "dashboards"
SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}
"""The data source of provisioning/datasources."""
WIDTH: Final = 24
"""Columns of Grafana's grid."""


@dataclass(frozen=True)
class Panel:
    """One picture. ``unit`` is Grafana's name of it: short, s, bytes, percentunit, reqps."""

    title: str
    queries: tuple[tuple[str, str], ...]
    """Legend and PromQL."""
    means: str
    """What it shows and when it looks wrong; shown behind the panel's i."""
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    red_from: float | None = None
    """Stat panels: the value from which it is red."""
    red_below: float | None = None
    stacked: bool = False


@dataclass(frozen=True)
class Variable:
    """A choice at the head of a dashboard."""

    name: str
    series: str
    label: str


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()


def histogram(quantile: float, name: str, where: str = "", by: str = "") -> str:
    by = f", {by}" if by else ""
    return f"histogram_quantile({quantile}, sum by (le{by}) (rate({name}_bucket{where}[$__rate_interval])))"


W: Final = '{job="journey-worker"}'
I: Final = '{job="journey-worker", instance=~"$instance"}'  # noqa: E741 - an instance, in queries that are long enough
J: Final = '{journey=~"$journey"}'
R: Final = '{risk=~"$risk"}'

OVERVIEW: Final = Dashboard(
    "journey-overview",
    "Journey: overview",
    "Is it healthy, is it fresh, does it keep up.",
    (
        Panel("Workers ready", (("", f"sum(journey_ready{W})"),), "Ready members of the group.", kind="stat", width=4,
              height=4, red_below=1),
        Panel("Late triggers, 1 h", (("", 'journey:freshness_errors:ratio_rate1h{job="journey-worker"}'),),
              "Share of triggers committed later than 30 s after their signal. Objective: at most 1 %.", "percentunit",
              "stat", 4, 4, red_from=0.01),
        Panel("Records waiting", (("", 'journey:consumer_lag_records:sum{job="journey-worker"}'),),
              "Lag over all partitions.", kind="stat", width=4, height=4, red_from=10000),
        Panel("Dead letters", (("", 'journey:dead_letters:ratio_rate5m{job="journey-worker"}'),),
              "Share of the records of five minutes.", "percentunit", "stat", 4, 4, red_from=0.01),
        Panel("Partitions paused", (("", f"sum(journey_paused{W})"),),
              "Stopped by their dead letters; `journey partitions resume N`.", kind="stat", width=4, height=4, red_from=1),
        Panel("Touchpoints unaccounted", (("", 'sum(abs(journey:events_unaccounted:sum{job="journey-worker"}))'),),
              "0, always. Anything else for minutes is a defect.", kind="stat", width=4, height=4, red_from=1),
        Panel("Touchpoints", (("{{result}}", 'journey:events_processed:rate5m{job="journey-worker"}'),),
              "By what became of them.", "reqps", stacked=True, width=12),
        Panel("From signal to trigger", (
            ("median", 'journey:end_to_end_latency_seconds:p50_5m{job="journey-worker"}'),
            ("99 %", 'journey:end_to_end_latency_seconds:p99_5m{job="journey-worker"}')),
              "High without lag: producers hold touchpoints back.", "s", width=12),
        Panel("Lag by partition", (("{{partition}}", f"max by (partition) (journey_consumer_lag_records{W})"),),
              "Growing everywhere: more workers. Growing in one: a key with most of the traffic.", width=8),
        Panel("Event time behind", (("{{partition}}", f"max by (partition) (journey_watermark_lag_seconds{W})"),),
              "Wall clock minus watermark. Above a minute without lag: silence is noticed late.", "s"),
        Panel("Dead letters by reason", (("{{reason}}", f"sum by (reason) (rate(journey_dead_letters_total{W}[$__rate_interval]))"),),
              "docs/contracts.md explains each reason.", "reqps"),
        Panel("Triggers issued", (("{{action}}", 'sum by (action) (rate(journey_triggers_total{job="journey-worker", status="issued"}[$__rate_interval]))'),),
              "By action.", "reqps", stacked=True),
        Panel("Transactions not committed at once", (
            ("{{result}}", 'sum by (result) (rate(journey_commits_total{job="journey-worker", result!="committed"}[$__rate_interval]))'),),
              "Aborted ones are sent again, unknown ones settled by the marker: nothing is lost.", "reqps"),
        Panel("Assignments", (("{{instance}}", f"increase(journey_rebalances_total{W}[15m])"),),
              "Of the last 15 minutes. Above 6: a storm."),
    ),
)  # fmt: skip

WORKER: Final = Dashboard(
    "journey-worker",
    "Journey: a worker",
    "What one process does and what it costs.",
    (
        Panel("Ready", (("{{instance}}", f"journey_ready{I}"),), "`/readyz` says in words what is missing.", kind="stat",
              width=6, height=4, red_below=1),
        Panel("Partitions", (("{{instance}}", f"journey_assigned_partitions{I}"),), "Assigned by the group.", kind="stat",
              width=6, height=4),
        Panel("Profiles", (("{{instance}}", f"sum by (instance) (journey_state_entries{I})"),), "Held in memory.",
              kind="stat", width=6, height=4),
        Panel("State", (("{{instance}}", f"sum by (instance) (journey_state_bytes{I})"),),
              "As the state topic holds it, estimated.", "bytes", "stat", 6, 4),
        Panel("Taken into transactions", (("{{instance}}", f"sum by (instance) (rate(journey_events_consumed_total{I}[$__rate_interval]))"),),
              "Touchpoints a second.", "reqps"),
        Panel("CPU", (("{{instance}}", f"rate(process_cpu_seconds_total{I}[$__rate_interval])"),),
              "Cores. A process cannot use more than about one: add processes.", "short"),
        Panel("Memory", (("{{instance}}", f"process_resident_memory_bytes{I}"),), "Resident.", "bytes"),
        Panel("Time for a transaction", (
            ("engine, median", histogram(0.5, "journey_batch_processing_duration_seconds", I)),
            ("engine, 99 %", histogram(0.99, "journey_batch_processing_duration_seconds", I)),
            ("commit, median", histogram(0.5, "journey_commit_duration_seconds", I)),
            ("commit, 99 %", histogram(0.99, "journey_commit_duration_seconds", I))),
              "Which of the two grows: the engine, or Kafka.", "s"),
        Panel("Touchpoints in a transaction", (("median", histogram(0.5, "journey_batch_size_records", I)),
                                               ("99 %", histogram(0.99, "journey_batch_size_records", I))),
              "Near JOURNEY_BATCH_TRANSACTION_RECORDS: it works off a backlog."),
        Panel("Event loop behind", (("{{instance}}", f"journey_event_loop_lag_seconds{I}"),),
              "Above 1: chunks are too large.", "s"),
        Panel("Lag", (("{{instance}} {{partition}}", f"journey_consumer_lag_records{I}"),), "Records waiting."),
        Panel("Age of what is read", (("{{instance}} {{partition}}", f"journey_consumer_lag_seconds{I}"),),
              "While there is lag.", "s"),
        Panel("Event time behind", (("{{instance}} {{partition}}", f"journey_watermark_lag_seconds{I}"),),
              "Wall clock minus watermark.", "s"),
        Panel("Since the last progress", (("{{instance}} {{partition}}", f"time() - journey_last_progress_timestamp_seconds{I}"),),
              "Above JOURNEY_GROUP_STALLED_AFTER the process ends itself.", "s"),
        Panel("State still to read", (("{{instance}} {{partition}}", f"journey_recovery_remaining_records{I}"),),
              "Falls steadily to 0 while a partition is restored."),
        Panel("Time to take over", (("99 %", histogram(0.99, "journey_recovery_duration_seconds", I)),),
              "Of a partition.", "s"),
        Panel("State written", (("{{instance}}", f"sum by (instance) (rate(journey_state_written_bytes_total{I}[$__rate_interval]))"),),
              "What the state topic grows by before it is compacted.", "bytes"),
        Panel("Transactions", (("{{result}}", f"sum by (result) (rate(journey_commits_total{I}[$__rate_interval]))"),),
              "By result.", "reqps"),
        Panel("Peculiar touchpoints", (("{{what}}", f"sum by (what) (rate(journey_noted_events_total{I}[$__rate_interval]))"),),
              "docs/operations.md explains each.", "reqps"),
    ),
    (Variable("instance", 'journey_ready{job="journey-worker"}', "instance"),),
)  # fmt: skip

JOURNEYS: Final = Dashboard(
    "journey-journeys",
    "Journey: journeys and actions",
    "What customers do and what is done about it. Figures with intervals are those of `journey report`.",
    (
        Panel("Stages entered", (("{{journey}} {{stage}}", 'sum by (journey, stage) (rate(journey_stage_transitions_total{journey=~"$journey", change="entered"}[$__rate_interval]))'),),
              "A stage that nobody enters any more: an event is missing.", "reqps", width=12),
        Panel("Signals", (("{{journey}} {{kind}}", f"sum by (journey, kind) (rate(journey_signals_total{J}[$__rate_interval]))"),),
              "By kind.", "reqps", width=12),
        Panel("Triggers by what happened to them", (("{{status}}", "sum by (status) (rate(journey_triggers_total[$__rate_interval]))"),),
              "Over all actions.", "reqps", stacked=True),
        Panel("Triggers issued", (("{{action}} {{arm}}", 'sum by (action, arm) (rate(journey_triggers_total{status="issued"}[$__rate_interval]))'),),
              "By action and arm.", "reqps", stacked=True),
        Panel("Decisions that issued nothing", (("{{reason}}", "sum by (reason) (rate(journey_suppressed_total[$__rate_interval]))"),),
              "By reason; docs/decisions.md explains each.", "reqps", stacked=True),
        Panel("Late touchpoints", (("{{action}}", "sum by (action) (rate(journey_late_events_total[$__rate_interval]))"),),
              "too_late ones are dropped: raise time.allowed_lateness.", "reqps"),
        Panel("Definition in force", (("{{partition}}", "max by (partition) (journey_definition_number)"),),
              "Differs between partitions only while it is rolled out.", kind="stat"),
        Panel("Event names that no definition uses", (("", "max(journey_unused_event_names)"),),
              "Rises after a release of a producer: a name was changed.", kind="stat", red_from=1),
    ),
    (Variable("journey", "journey_signals_total", "journey"),),
)  # fmt: skip

MODELS: Final = Dashboard(
    "journey-models",
    "Journey: model quality",
    "How good the scores are, judged by labels that came later.",
    (
        Panel("AUC", (("{{risk}} {{model}}", f"journey_model_auc{R}"),),
              "0.5 is chance. Falls: docs/runbook.md, ModelDegraded."),
        Panel("Log loss", (("{{risk}} {{model}}", f"journey_model_log_loss{R}"),), "Lower is better."),
        Panel("Calibration error", (("{{risk}} {{model}}", f"journey_model_calibration_error{R}"),),
              "By how much scores miss the share that came true."),
        Panel("Share that came true", (("{{risk}}", f"journey_model_base_rate{R}"),), "Of the labels.", "percentunit"),
        Panel("Labels learned", (("{{risk}}", f"sum by (risk) (rate(journey_examples_learned_total{R}[$__rate_interval]))"),),
              "None: the horizon never ends, or the learner is away.", "reqps"),
        Panel("Labels by what came true", (("{{risk}} {{label}}", f"sum by (risk, label) (rate(journey_examples_total{R}[$__rate_interval]))"),),
              "Of one class only: the deciding event does not arrive.", "reqps"),
        Panel("Scores that wait for their label", (("", "sum(journey_labels_waiting)"),), "Over all partitions."),
        Panel("Scores", (("{{risk}}, median", histogram(0.5, "journey_churn_score", R, "risk")),
                         ("{{risk}}, 90 %", histogram(0.9, "journey_churn_score", R, "risk"))),
              "All alike: the prior, or a model that has learned nothing.", "percentunit"),
        Panel("Drift noticed", (("{{risk}} {{on}}", f"sum by (risk, on) (increase(journey_model_drift_total{R}[1h]))"),),
              "An hour. On a feature: what it measures may have changed."),
        Panel("Version in use", (("{{risk}} {{partition}}", f"max by (risk, partition) (journey_model_version{R})"),),
              "0: the prior scores. Differs between partitions only for moments."),
        Panel("Models published", (("{{risk}}", f"sum by (risk) (increase(journey_models_published_total{R}[1h]))"),),
              "An hour."),
        Panel("Models and labels refused", (
            ("model, {{reason}}", "sum by (reason) (increase(journey_models_refused_total[1h]))"),
            ("label, {{reason}}", "sum by (reason) (increase(journey_examples_refused_total[1h]))")),
              "An hour. Tampered or foreign: find out who writes to the models topic."),
    ),
    (Variable("risk", "journey_examples_total", "risk"),),
)  # fmt: skip

ALL: Final = (OVERVIEW, WORKER, JOURNEYS, MODELS)


def as_json(dashboard: Dashboard) -> dict[str, Any]:
    """What Grafana (10 and newer) imports."""
    panels, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(dashboard.panels, 1):
        if x + panel.width > WIDTH:
            x, y, row = 0, y + row, 0
        panels.append(_panel(panel, number, x, y))
        x, row = x + panel.width, max(row, panel.height)
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["journey"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [
            {"type": "dashboards", "title": "Journey", "tags": ["journey"], "asDropdown": True, "includeVars": False}
        ],
        "templating": {"list": [_variable(variable) for variable in dashboard.variables]},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    options: dict[str, Any] = {}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
        if panel.red_from is not None:
            steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.red_from}]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        elif panel.red_below is not None:
            steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        else:
            defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": "blue", "value": None}]}
    else:
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        defaults["custom"] = {"fillOpacity": 30 if panel.stacked else 5, "showPoints": "never"}
        if panel.stacked:
            defaults["custom"]["stacking"] = {"mode": "normal"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.means,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": query, "legendFormat": legend or "__auto"}
            for n, (legend, query) in enumerate(panel.queries)
        ],
    }


def _variable(variable: Variable) -> dict[str, Any]:
    query = f"label_values({variable.series}, {variable.label})"
    return {
        "name": variable.name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": variable.name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def as_sent(query: str, dashboard: Dashboard, rate_interval: str = "1m") -> str:
    """The query as Grafana sends it with every choice at *All*."""
    for variable in dashboard.variables:
        query = query.replace(f"${variable.name}", ".*")
    return query.replace("$__rate_interval", rate_interval)


def text(dashboard: Dashboard) -> str:
    return json.dumps(as_json(dashboard), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in ALL:
        (FOLDER / f"{each.uid}.json").write_text(text(each), encoding="utf-8")
