"""What is counted: a scrape sees whole transactions only, and no touchpoint can make a series."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter, defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.registry import Collector

from streams.contracts.codec import TouchpointCodec
from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import SIGNAL_KINDS
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import REASONS, Touchpoint
from streams.definitions.load import load_files, shipped
from streams.engine.engine import Engine
from streams.learner.process.metrics import LearnerMetrics, LearnerTally
from streams.settings import load
from streams.worker.batch import Tally
from streams.worker.metric import Side
from streams.worker.metric_catalogue import side
from streams.worker.metrics import NOTED, RESULTS, Metrics
from streams.worker.ports import Intake
from streams.worker.processing import Processing, first_marker

TOPICS = Topics()
T0 = 1_767_571_200_000
_codec = TouchpointCodec(PackagedSchemas())
_outputs = OutputCodec(PackagedSchemas(), "/test")


def families(registry: Collector) -> dict[str, str]:
    """Name -> type of all that a registry serves, the process's own apart."""
    found = {}
    for family in registry.collect():
        if not family.name.startswith(("process_", "python_")):
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            found[family.name + suffix] = "gauge" if family.type == "info" else family.type
    return found


def test_each_side_serves_its_part_of_the_catalogue_and_nothing_else() -> None:
    sides: list[tuple[Metrics, tuple[Side, ...]]] = [
        (Metrics(), ("worker",)),
        (LearnerMetrics(), ("worker", "learner")),
    ]
    for metrics, of in sides:
        assert families(metrics.registry) == {metric.full_name: metric.kind for metric in side(*of)}


def values(metrics: Metrics) -> defaultdict[str, float]:
    """Sums over all labels, of one scrape."""
    found: defaultdict[str, float] = defaultdict(float)
    for family in metrics.registry.collect():
        for sample in family.samples:
            found[sample.name] += sample.value
    return found


def test_a_scrape_sees_whole_transactions_only() -> None:
    """Between two scrapes anything may have moved; within one, everything belongs together."""
    metrics = LearnerMetrics()
    stop = threading.Event()
    tally = LearnerTally(
        consumed=7, already_applied=2, state_records=5, state_bytes=50, dead_letters=Counter(malformed=1),
        counts=Counter(processed=4, duplicate=1), refused=Counter(malformed=1), learned=Counter(churn=4),
    )  # fmt: skip

    def work() -> None:
        while not stop.is_set():
            metrics.taken("topic", 9)
            metrics.settled(tally, 0.0)
            metrics.taken("topic", 9)
            metrics.abandoned(tally)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(150):
            seen = values(metrics)
            assert seen["journey_events_consumed_total"] == (
                seen["journey_events_processed_total"] + seen["journey_events_in_flight"]
            )
            assert seen["journey_state_written_bytes_total"] == 10 * seen["journey_state_written_records_total"]
            assert seen["journey_examples_learned_total"] == 4 * seen["journey_commits_total"]
    finally:
        stop.set()
        worker.join()
        sys.setswitchinterval(before)
    assert metrics.processed.labels("abandoned")._value.get() > 0


def test_what_is_given_up_before_it_is_committed_is_not_in_flight_any_more() -> None:
    metrics = Metrics()
    metrics.taken("topic", 5)
    metrics.abandoned(Tally(consumed=3, already_applied=2))
    metrics.taken("topic", 4)
    metrics.settled(Tally(already_applied=4), 0.0)  # all of it was applied before a restart
    seen = values(metrics)
    assert seen["journey_events_in_flight"] == 0
    assert seen["journey_events_processed_total"] == seen["journey_events_consumed_total"] == 9


DEFINITION = replace(load_files([shipped("shop")]), number=1)
ALL_JOURNEYS = {journey.name for journey in DEFINITION.journeys} | {""}
ALLOWED: dict[str, set[str]] = {
    "topic": {TOPICS.touchpoints, TOPICS.state},
    "partition": {"0"},
    "result": {*RESULTS, "committed", "aborted", "unknown", "fenced"},
    "action": {action.name for action in DEFINITION.actions} | {"applied", "too_late"},
    "kind": set(SIGNAL_KINDS),
    "journey": ALL_JOURNEYS,
    "stage": {stage.name for journey in DEFINITION.journeys for stage in journey.stages},
    "change": {"entered", "left"},
    "status": {"issued", "fulfilled", "cancelled", "expired"},
    "what": set(NOTED),
    "risk": {risk.name for risk in DEFINITION.risks} | {f"action.{action.name}" for action in DEFINITION.actions},
    "label": {"true", "false"},
}
BOUNDED_BY_THE_CODE = {"reason", "arm", "le", "version"}


def processing(metrics: Metrics) -> Processing:
    rt: Any = SimpleNamespace(
        settings=load({"JOURNEY_START_ISSUING": "beginning", "JOURNEY_DEAD_LETTERS_LIMIT": "0"}),
        topics=TOPICS,
        outputs=_outputs,
        metrics=metrics,
        definitions=SimpleNamespace(end=7),
        models=SimpleNamespace(newest=lambda _risk, _signature: None),
        intake=Intake(TOPICS.touchpoints, TOPICS.state, TOPICS.journal),
    )
    begins = first_marker(rt, "topic", 0, -1, DEFINITION.number)
    engine = Engine(DEFINITION, partition=0, partitions=1, start_issuing_at=begins.start_issuing_at)
    return Processing(0, rt, engine, begins)


KNOWN = (
    "Product Viewed", "Product Added", "Checkout Started", "Payment Info Entered", "Payment Failed", "Order Completed",
    "Element Clicked", "Message Sent", "Survey Answered", "Contact Started", "Contact Ended",
)  # fmt: skip
FIELDS = (
    "channel", "location", "session_id", "journey", "case_id", "contact_id", "topic", "queue", "team", "agent_id",
    "direction", "currency", "emotion", "intent", "comment", "survey", "campaign", "dispatch", "referrer", "trigger_id",
    "outcome", "experiment", "variant", "source", "schema_source",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_no_touchpoint_makes_a_series(seed: int) -> None:
    rng = random.Random(seed)
    metrics = Metrics()
    work = processing(metrics)
    records = []
    for offset in range(40):
        text = "hostile " + "".join(rng.choices('aé\n"{},=\\ 😀', k=6))
        given_fields = rng.sample(FIELDS, rng.randrange(6))
        made = _outputs.touchpoint(
            Touchpoint(
                event_id=f"hostile e{offset}",
                type=rng.choice(KNOWN) if rng.random() < 0.5 else text,
                occurred_at=T0 + offset * 1_000,
                customer_id=f"hostile {offset % 3}",
                sentiment=rng.choice([None, -1.0, 1.0]),
                properties={text: text, "product_id": text},
                traits={text: text},
                **dict.fromkeys(given_fields, text),  # type: ignore[arg-type]  # all of them are texts
            )
        )
        value = made.value if rng.randrange(10) else text.encode()
        records.append(
            SimpleNamespace(
                offset=offset, timestamp=T0 + offset * 1_000, key=made.key, value=value, headers=((text, b"x"),)
            )
        )
    builder = work.builder()
    chunk = SimpleNamespace(records=records, start=0, next=len(records))
    work.apply(chunk, _codec.decode(records), T0, builder)
    metrics.settled(work.close(builder).tally, T0 / 1000)
    work.show(metrics, "0", T0 / 1000)
    assert values(metrics)["journey_events_in_flight"] == 0
    assert values(metrics)["journey_events_consumed_total"] == len(records)
    for family in metrics.own.collect():
        for sample in family.samples:
            for label, found in sample.labels.items():
                assert "hostile" not in found, (sample.name, label)
                if label == "reason" and family.name == "journey_dead_letters":
                    assert found in REASONS
                elif label not in BOUNDED_BY_THE_CODE:
                    assert found in ALLOWED[label], (sample.name, label)
