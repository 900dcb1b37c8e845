"""docs/operations.md and docs/metrics.md say what the worker reads and counts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.settings import ENVIRONMENT, Settings
from streams.worker.metric_catalogue import ABSENT, CATALOGUE
from streams.worker.reference import PAGES, rewritten

DOCS = Path(__file__).parents[3] / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_are_those_of_the_code(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert rewritten(name, page) == page, f"run: python -m streams.worker.reference docs/{name}"


def test_every_setting_that_is_printed_is_on_the_page() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    for name in Settings().printed():
        assert name.startswith(ENVIRONMENT)
        assert f"| `{name}` |" in page


def test_every_metric_has_a_unit_a_meaning_and_a_remedy() -> None:
    assert len(CATALOGUE) > 50
    for name, metric in CATALOGUE.items():
        assert metric.unit, name
        assert metric.meaning.endswith("."), name
        assert metric.wrong.endswith((".", "`")), name
        assert (metric.kind == "histogram") == bool(metric.buckets), name
        assert not set(metric.labels) & {"customer", "profile", "event", "event_id", "customer_id"}, name
        if metric.kind == "histogram":
            assert list(metric.buckets) == sorted(metric.buckets), name


def test_units_are_in_the_names() -> None:
    """Seconds and bytes, as Prometheus wants them."""
    for name, metric in CATALOGUE.items():
        assert (metric.unit == "seconds") == (name.endswith("_seconds") and "timestamp" not in name), name
        assert (metric.unit == "bytes") == ("bytes" in name), name


def test_names_of_alerts_in_the_table_are_in_the_runbook() -> None:
    alerts = {line.removeprefix("## ").strip() for line in RUNBOOK.splitlines() if line.startswith("## ")}
    words = {word.strip(".,:;()") for metric in CATALOGUE.values() for word in metric.wrong.split()}
    named = {word for word in words if re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)+", word)}
    assert named
    assert named <= alerts


EXPECTED = """
events_consumed_total{topic} events_processed_total{result} batch_processing_duration_seconds end_to_end_latency_seconds
consumer_lag_records{topic,partition} consumer_lag_seconds{partition} committed_offset{partition}
log_end_offset{partition} last_progress_timestamp_seconds{partition} commits_total{result} commit_duration_seconds
rebalances_total rebalance_duration_seconds assigned_partitions recovery_remaining_records{partition}
recovery_duration_seconds state_entries{partition} state_bytes{partition} watermark_lag_seconds{partition}
late_events_total{action} duplicate_events_total dead_letters_total{reason} produce_errors_total{topic}
batch_size_records webhook_deliveries_total{result} event_loop_lag_seconds build_info{version} ready
signals_total{kind,journey} triggers_total{action,arm,status} suppressed_total{reason} churn_score{risk}
model_version{risk,partition} model_auc{risk,model} stage_transitions_total{journey,stage,change}
"""
"""What operators look for in an engine of this kind."""


def test_what_operators_look_for_is_there_or_said_to_be_absent() -> None:
    names = {metric.full_name.removeprefix("journey_"): metric for metric in CATALOGUE.values()}
    for entry in EXPECTED.split():
        name, _, labels = entry.rstrip("}").partition("{")
        if name in ABSENT:
            continue
        assert names[name].labels == tuple(filter(None, labels.split(","))), name
    assert not set(ABSENT) & set(names)
