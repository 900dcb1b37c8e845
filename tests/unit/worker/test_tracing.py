"""Spans of transactions, before a collector that takes what a real one takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest

from streams.settings import Settings, SettingsError, TracingSettings, load
from streams.worker.batch import Batch, Tally
from streams.worker.marker import Marker
from streams.worker.outcomes import Refused
from streams.worker.tracing import LINKS, Tracing
from tests.support.collector import Collector

MARKER = Marker(sequence=3, offset=99, next=100, topic_id="x", definition=2, start_issuing_at=5)


def headers(number: int, flags: str = "01") -> list[tuple[str, bytes]]:
    return [
        ("traceparent", f"00-{number:032x}-{number:016x}-{flags}".encode()),
        ("tracestate", b"shop=1"),
    ]


def batch(**tally: object) -> Batch:
    return Batch((), MARKER, Tally(**tally))  # type: ignore[arg-type]


def tracing(collector: Collector, sample: float) -> Tracing:
    settings = replace(Settings(app="shop"), tracing=TracingSettings(collector.endpoint, sample))
    return Tracing(settings, "worker-7")


def test_a_transaction_is_a_span_with_its_commit_inside_and_links_to_the_touchpoints_it_answered() -> None:
    with Collector() as collector:
        made = tracing(collector, 1.0)
        traces = [headers(1), headers(2, "00"), *[headers(n) for n in range(3, 3 + LINKS + 5)]]
        began_s = time.time() - 2
        issued = Counter({("help", "", "issued"): 4})
        made.committed(
            "touchpoints", 3,
            batch(consumed=7, seconds=0.5, triggers=issued, traces=traces, began_s=began_s),
            0.25, 1,
        )  # fmt: skip
        made.stop()
    commit, transaction = sorted(collector.spans, key=lambda span: span.name)
    assert (commit.name, transaction.name) == ("journey.commit", "journey.transaction")
    assert (commit.trace, commit.parent) == (transaction.trace, transaction.span)
    assert transaction.parent == ""
    assert abs(transaction.begin_ns - began_s * 1e9) < 1e6
    assert transaction.begin_ns < commit.begin_ns < commit.end_ns == transaction.end_ns
    assert commit.end_ns - commit.begin_ns == 250_000_000
    # That of the second touchpoint is not recorded by whoever sent it.
    assert transaction.links == tuple((f"{n:032x}", f"{n:016x}") for n in [1, *range(3, 2 + LINKS)])
    assert transaction.attributes == {
        "messaging.system": "kafka",
        "messaging.destination.name": "touchpoints",
        "messaging.destination.partition.id": "3",
        "messaging.batch.message_count": 7,
        "journey.offset": 99,
        "journey.definition": 2,
        "journey.messages": 0,
        "journey.triggers": 4,
        "journey.traced_triggers": len(traces),
        "journey.dead_letters": 0,
        "journey.processing_seconds": 0.5,
        "journey.aborted": 1,
    }
    assert transaction.resource["service.name"] == "journey-streams"
    assert transaction.resource["service.instance.id"] == "worker-7"
    assert transaction.resource["journey.app"] == "shop"


def test_only_a_share_of_the_transactions_has_one() -> None:
    with Collector() as collector:
        for sample in (0.0, 0.3):
            made = tracing(collector, sample)
            for _ in range(400):
                made.committed("touchpoints", 0, batch(consumed=1), 0.01, 0)
            made.stop()
            if sample == 0:
                assert collector.spans == []
    # Of 400 with probability 0.3: further from 120 than seven standard deviations does not happen.
    assert 55 < sum(span.name == "journey.transaction" for span in collector.spans) < 185


def test_without_the_packages_it_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(Refused, match=r"pip install 'journey-streams\[tracing\]'"):
        Tracing(Settings(), "worker-0")


def test_an_endpoint_is_an_address() -> None:
    with pytest.raises(SettingsError, match="JOURNEY_TRACING_ENDPOINT"):
        load({"JOURNEY_TRACING_ENDPOINT": "collector:4317"})
    assert load({"JOURNEY_TRACING_SAMPLE": "0.5"}).tracing.sample == 0.5


def test_a_worker_without_an_endpoint_does_not_even_import_it() -> None:
    code = "import sys, streams.worker.tracing, streams.worker.partition; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
