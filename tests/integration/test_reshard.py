"""``journey reshard`` on a real broker: half the touchpoints before the move, half after, and nothing is different.

The reference is the engine alone over the old number of partitions, uninterrupted. Capacity shares are dealt out anew,
so of the capped channel only the number is compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.output_codec import OutputReader
from streams.contracts.outputs import Signal, Trigger
from streams.contracts.routing import partition_for
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files
from streams.engine.engine import Engine
from streams.settings import load
from streams.tools.reshard.copy import copy
from streams.tools.reshard.survey import Stage, survey
from streams.tools.topics import delete_topics
from tests.conftest import PARTITIONS
from tests.support.produce import happened, produce, records
from tests.support.workers import Worker, Workers, ready, until

pytestmark = pytest.mark.integration

AFTER: Final = 6
S: Final = 1_000
M: Final = 60 * S
D: Final = 24 * 60 * M
CALLS: Final = 10
"""Capacity of the phone."""
CROWD: Final = [f"crowd-{n}" for n in range(40)]
DEFINITION: Final = """
version: 1
time: {allowed_lateness: 2s, session_gap: 30m}
channels:
  phone: {at_most: %d, per: %dd, opt_in: false}
journeys:
  purchase:
    type: purchase
    goal: {event: Order Completed, within: 14d}
    stages:
      cart: {on: [Product Added]}
    abandonment:
      cart: {after: 20m}
    friction:
      - {name: payment_failed_twice, count: {event: Payment Failed, at_least: 2, within: 30s}, severity: high}
actions:
  call:
    purpose: service
    when: {signal: friction, name: payment_failed_twice}
    channel: [phone]
    value: 30
    expires_after: 2h
  reminder:
    purpose: service
    when: {signal: abandonment, journey: purchase}
    channel: [web]
    value: 5
    expires_after: 2h
"""
_S = TypeVar("_S", bound=msgspec.Struct)


class Story:
    """Touchpoints around the move, 50 minutes ago to now: deadlines are due either before now or well after it."""

    def __init__(self) -> None:
        now = int(time.time() * 1000)
        self.now = now
        self.base = base = now - 50 * M
        # So that no window of the capacity ends within the story.
        self.days = 31 if now // (31 * D) == (now - 60 * M) // (31 * D) else 30
        first = [happened(f"{who}/1", "Product Added", who, base + n * S) for n, who in enumerate(("early", *CROWD))]
        for n, who in enumerate(CROWD[:4]):
            first += [happened(f"{who}/f{k}", "Payment Failed", who, base + M + (2 * n + k) * S) for k in (1, 2)]
        first += [
            happened("saved/1", "Product Added", "saved", base + 15 * M),
            happened("open/1", "Product Added", "open", base + 20 * M),
            *(happened(f"w{n}/1", "Page Viewed", f"w{n}", base + 22 * M + n) for n in range(20)),
        ]
        second = []
        for n, who in enumerate(CROWD[4:]):
            second += [happened(f"{who}/f{k}", "Payment Failed", who, base + 25 * M + (2 * n + k) * S) for k in (1, 2)]
        second += [
            happened("early/2", "Order Completed", "early", base + 27 * M),
            happened("saved/2", "Order Completed", "saved", base + 28 * M),
            *(happened(f"w{n}/2", "Page Viewed", f"w{n}", base + 45 * M + n) for n in range(20)),
        ]
        self.first, self.second = first, second

    def write_definition(self, folder: Path) -> Path:
        file = folder / "shop.journey.yaml"
        file.write_text(DEFINITION % (CALLS, self.days))
        return file

    def uninterrupted(self, definition: Path) -> tuple[list[Signal], list[Trigger]]:
        """Each old partition's engine over both halves, then time up to now."""
        for tp in (*self.first, *self.second):
            tp.key = (tp.customer_id or "").encode()
        signals: list[Signal] = []
        triggers: list[Trigger] = []
        for number in range(PARTITIONS):
            engine = Engine(load_files([definition], 1), partition=number, partitions=PARTITIONS, start_issuing_at=0)
            mine = [tp for tp in (*self.first, *self.second) if partition_of(tp) == number]
            for out in (engine.process(mine, None), engine.advance(self.now, None)):
                signals += out.signals
                triggers += out.triggers
        return signals, triggers


def partition_of(touchpoint: Touchpoint) -> int:
    return partition_for((touchpoint.customer_id or "").encode(), PARTITIONS)


class Move:
    """The commands, in this process."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self.environment = {
            "JOURNEY_KAFKA_BOOTSTRAP": bootstrap,
            "JOURNEY_PREFIX": topics.prefix,
            "JOURNEY_APP": topics.app,
            "JOURNEY_GROUP_SESSION_TIMEOUT": "6s",
            "JOURNEY_GROUP_HEARTBEAT": "1s",
        }
        self.settings = load(self.environment)

    def step(self, *arguments: str, status: int = 0, command: str = "reshard", **more: str) -> str:
        result = CliRunner().invoke(app, [command, *arguments], env=self.environment | more)
        assert result.exit_code == status, (result.output, result.exception)
        return str(result.output)

    def at(self) -> Stage:
        return survey(self.settings).stage


@pytest.fixture
def after(kafka: Any, topics: Topics) -> Iterator[Topics]:
    yield topics.after()
    kafka.start()
    delete_topics({"bootstrap.servers": kafka.bootstrap}, topics.after())


def read(bootstrap: str, topics: Iterable[tuple[str, int]], struct: type[_S]) -> list[_S]:
    reader = OutputReader(PackagedSchemas())
    return [
        reader.read(struct, message.value())
        for topic, partitions in topics
        for message in records(bootstrap, topic, partitions=partitions)
    ]


def processed(worker: Worker, number: int) -> None:
    until(lambda: worker.total("journey_events_processed_total") >= number, 60, f"{number} are processed", [worker])


@pytest.mark.timeout(240)
def test_half_before_half_after_is_as_uninterrupted(kafka: Any, topics: Topics, after: Topics, tmp_path: Path) -> None:
    story = Story()
    definition = story.write_definition(tmp_path)
    move = Move(kafka.bootstrap, topics)
    workers = Workers(kafka.bootstrap, topics, tmp_path, definitions=[definition])
    far = {"JOURNEY_IDLE_AFTER": "1h"}  # the story is 50 minutes old: its clock is moved by touchpoints alone
    try:
        worker = workers.start(more=far)
        ready(worker)
        produce(kafka.bootstrap, topics, story.first)
        processed(worker, len(story.first))

        # Nothing is to be done yet but the first step.
        for early in ("switch", "drain", "fence", "copy", "verify"):
            assert "is not next: `journey reshard prepare" in move.step(early, status=1)
        assert "has 4 partitions already" in move.step("plan", "--partitions", str(PARTITIONS), status=1)
        assert f"{AFTER} partitions, with topics of its own" in move.step("plan", "--partitions", str(AFTER))
        assert move.at() is Stage.NOTHING
        move.step("prepare", "--partitions", str(AFTER))
        assert "prepared already" in move.step("prepare", "--partitions", str(AFTER))
        assert "is there already, with 6 partitions" in move.step("prepare", "--partitions", "8", status=1)
        produce(kafka.bootstrap, after, story.second[:1])
        assert not records(kafka.bootstrap, after.touchpoints, partitions=AFTER), "it is closed"
        assert "is not next" in move.step("fence", status=1)
        move.step("switch")
        assert "switched already" in move.step("switch")
        produce(kafka.bootstrap, after, story.second)
        assert worker.end() == 0

        # The old partitions are silent now and nothing may be concluded from it: their clocks stand, though the
        # deadline of "open" is past by the wall clock.
        worker = workers.start(more={"JOURNEY_IDLE_AFTER": "300ms"})
        ready(worker)
        move.step("drain", "--quiet", "1")
        assert "drained already" in move.step("drain")
        assert "stop them first" in move.step("fence", status=1)
        assert worker.end() == 0
        before = read(kafka.bootstrap, [(topics.signals, PARTITIONS)], Signal)
        assert not [s for s in before if s.customer in ("open", "saved") and s.kind == "abandonment"]
        assert [s for s in before if s.customer == "early" and s.kind == "abandonment"]

        new_workers = Workers(kafka.bootstrap, after, tmp_path, definitions=[definition], started=workers.started)
        assert "`journey reshard fence`" in move.step("copy", status=1)
        move.step("fence")
        assert "fenced already" in move.step("fence")
        assert "has moved to partitioning 2" in workers.refused()

        # Interrupted after the first partition, the copy is run again.
        with pytest.raises(InterruptedError):
            copy(move.settings, PackagedSchemas(), interrupted)
        assert move.at() is Stage.FENCE
        move.step("copy")
        assert "copied already" in move.step("copy")
        assert "byte by byte" in move.step("verify")
        assert "then start the workers with JOURNEY_PARTITIONING=2" in move.step("status")

        worker = new_workers.start()
        processed(worker, len(story.second))
        signals, triggers = story.uninterrupted(definition)
        both = [(topics.signals, PARTITIONS), (after.signals, AFTER)]
        until(lambda: len(read(kafka.bootstrap, both, Signal)) >= len(signals), 30, "all is found", [worker])
        assert worker.end() == 0
        live = read(kafka.bootstrap, both, Signal)
        assert in_order(live) == in_order(signals)
        assert [s for s in live if s.customer == "open" and s.kind == "abandonment"]
        assert not [s for s in live if s.customer == "saved" and s.kind == "abandonment"]

        issued = read(kafka.bootstrap, [(topics.triggers, PARTITIONS), (after.triggers, AFTER)], Trigger)
        ours = [t for t in triggers if t.action == "reminder"]
        assert in_order([t for t in issued if t.action == "reminder"]) == in_order(ours)
        assert {(t.status, t.end_reason) for t in issued if t.customer == "early"} == {
            ("issued", None),
            ("cancelled", "goal_reached"),
        }
        calls = [t for t in issued if t.action == "call" and t.status == "issued"]
        assert len({t.trigger_id for t in calls}) == len(calls) == CALLS

        # Log and journal of both give again what was live, the second from the state that was copied.
        for partitioning in ("1", "2"):
            said = move.step("--from-kafka", "--compare", command="replay", JOURNEY_PARTITIONING=partitioning)
            assert "lost 0" in said
        assert "byte by byte" in move.step("verify")
    finally:
        workers.end_all()


def interrupted(line: str) -> None:
    raise InterruptedError(line)


def in_order(found: Iterable[Any]) -> list[Any]:
    return sorted((msgspec.to_builtins(one) for one in found), key=str)
