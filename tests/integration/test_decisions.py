"""Contact policy on running workers: what partitions share is kept, and log and journal give the decisions again."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streams.contracts.output_codec import OutputReader
from streams.contracts.outputs import Decision, Trigger
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.settings import Settings
from streams.tools.importer import import_touchpoints
from streams.tools.replay import log
from streams.tools.replay.compare import compare_with_live
from streams.tools.replay.kafka import Reading, replay_kafka
from streams.tools.replay.published import published_definitions
from tests.integration.test_import_replay import PATIENCE_S, settings_for, wait_until, worker

pytestmark = pytest.mark.integration

POLICY = """
version: 1
time: {timezone: Europe/London, allowed_lateness: 500ms, session_gap: 30m}
channels:
  store: {at_most: 6, per: 1h}
journeys:
  purchase:
    type: purchase
    goal: {event: Order Completed, within: 1d}
    stages: {cart: {on: [Product Added]}}
    friction:
      - {name: failed_twice, count: {event: Payment Failed, at_least: 2, within: 10m}}
actions:
  visit:
    purpose: service
    when: {signal: friction, name: failed_twice}
    channel: store
    value: 9
    expires_after: 30m
  write:
    purpose: marketing
    when: {signal: friction, name: failed_twice}
    channel: post
    value: 5
    expires_after: 1h
    experiment:
      name: tone
      arms: {kind: {share: 0.5, content: {key: kind}}, short: {share: 0.5, content: {key: short}}}
    steps: [{after: 2s, channel: agent}]
contact_policy:
  limits: [{channel: post, at_most: 1, per: day}]
  holdout: {purpose: marketing, share: 0.4, salt: spring}
"""
CUSTOMERS = 40


def buyers(who: str) -> list[Touchpoint]:
    now = int(time.time() * 1000) - 200
    told = []
    for n in range(CUSTOMERS):
        for at, type_ in enumerate(("identify", "Product Added", "Payment Failed", "Payment Failed")):
            told.append(
                Touchpoint(
                    f"{who}-{n}-{at}", type_, now + at, customer_id=f"{who}-{n}", channel="web",
                    traits={"address": "Main St"} if type_ == "identify" else None,
                )
            )  # fmt: skip
    return sorted(told, key=lambda touchpoint: touchpoint.occurred_at)


def said(settings: Settings, topics: Topics) -> tuple[list[Decision], list[Trigger]]:
    reading = OutputReader(PackagedSchemas())
    decisions = [
        reading.read(Decision, record.value or b"")
        for n in range(4)
        for record in log.read(settings, topics.decisions, n)
    ]
    triggers = [
        reading.read(Trigger, record.value or b"")
        for n in range(4)
        for record in log.read(settings, topics.triggers, n)
    ]
    return decisions, triggers


def wait_for_steps(settings: Settings, topics: Topics, number: int) -> None:
    """As many first steps of ``write`` as there were, so many second ones."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        decisions, _ = said(settings, topics)
        first = sum(d.chosen == "write" and d.step == 0 for d in decisions)
        if len({d.customer for d in decisions}) == number and first == sum(d.step == 1 for d in decisions):
            return
        assert time.monotonic() < deadline, Counter((d.step, d.outcome, d.reason) for d in decisions)
        time.sleep(0.5)


def test_capacity_holdout_and_sequences_live_and_again(kafka: Any, topics: Topics, tmp_path: Path) -> None:
    settings = settings_for(kafka.bootstrap, topics)
    definition = tmp_path / "policy.yaml"
    definition.write_text(POLICY)
    with worker(settings, definition, tmp_path) as process:
        wait_until(process, topics, settings, lambda marker: marker.definition == 1)
        import_touchpoints(settings, topics, buyers("a"))
        wait_for_steps(settings, topics, CUSTOMERS)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with worker(settings, definition, tmp_path) as process:
        import_touchpoints(settings, topics, buyers("b"))
        wait_for_steps(settings, topics, 2 * CUSTOMERS)
    decisions, triggers = said(settings, topics)
    issued = [t for t in triggers if t.status == "issued"]
    visits = Counter(t.issued_at // 3_600_000 for t in issued if t.action == "visit")
    assert visits
    assert all(n <= 6 for n in visits.values()), "four partitions share it: 2, 2, 1 and 1"
    assert {t.arm for t in issued if t.action == "write"} == {"kind", "short"}
    ghosts = {d.customer for d in decisions if d.outcome == "held_out"}
    assert 0 < len(ghosts) < 2 * CUSTOMERS
    assert not ghosts & {t.customer for t in issued if t.purpose == "marketing"}
    assert any("capacity" in {c.closed_by for c in d.candidates} for d in decisions)
    result = replay_kafka(settings, topics, published_definitions(settings, topics), Reading(settings.source))
    comparison = compare_with_live(settings, topics, result)
    assert comparison.equal, str(comparison)
