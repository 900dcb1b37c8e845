"""The worker on a real broker: what it takes, what it refuses, when it stands still, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.contracts.dead_letter import DeadLetter
from streams.contracts.outputs import JournalLine, Signal, Trigger
from streams.contracts.topics import Topics
from tests.conftest import Kafka
from tests.support.produce import happened, now_ms, produce, produce_bytes, produce_in_transactions, read, records
from tests.support.workers import SESSION_S, Worker, Workers, ready, running, until

pytestmark = pytest.mark.integration

SHOP = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
ABANDONED_AFTER_MS = 6_000
LATENESS_MS = 2_000


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP])


def processed(worker: Worker) -> float:
    return worker.total("journey_events_processed_total")


def conserved(worker: Worker) -> bool:
    """consumed = processed + duplicate + too late + dead-lettered + already applied + abandoned + in flight."""
    return worker.total("journey_events_consumed_total") == processed(worker) + worker.total("journey_events_in_flight")


def test_touchpoints_in_signals_and_triggers_out_and_a_clean_end(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    worker = workers.start()
    ready(worker)
    produce(
        kafka.bootstrap,
        topics,
        [
            happened("1", "Product Added", "me"),
            happened("2", "Payment Failed", "me"),
            happened("3", "Payment Failed", "me"),
            happened("3", "Payment Failed", "me"),
            happened("4", "Order Completed", "me"),
        ],
    )
    until(lambda: processed(worker) == 5, 30, "five touchpoints are processed", [worker])
    kinds = [found.kind for found in read(kafka.bootstrap, topics.signals, Signal)]
    assert kinds == ["stage_entered", "friction", "goal_reached", "stage_left"] or set(kinds) == {
        "stage_entered", "friction", "goal_reached", "stage_left",
    }  # fmt: skip
    statuses = [dict(m.headers())["ce_type"] for m in records(kafka.bootstrap, topics.triggers)]
    assert [s.rsplit(b".", 1)[-1] for s in statuses] == [b"issued", b"cancelled"]
    metrics = worker.metrics()
    assert metrics["journey_duplicate_events_total", ()] == 1
    assert conserved(worker)
    until(lambda: worker.total("journey_state_entries") == 1, 10, "the gauges are shown", [worker])
    assert worker.total("journey_state_bytes") == worker.total("journey_state_written_bytes_total") / worker.total(
        "journey_state_written_records_total"
    )
    assert worker.total("journey_committed_offset") == 5
    assert worker.get("/livez") == (200, "ok\n")
    assert not [labels for _, labels in metrics if any(value == "me" for _, value in labels)]
    assert worker.end() == 0
    assert worker.said("Asked to end")


def test_a_deadline_of_an_idle_partition_fires_although_its_worker_is_killed(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    first, second = workers.start(0), workers.start(1)
    ready(first, second)
    at = now_ms()
    produce(kafka.bootstrap, topics, [happened("1", "Product Added", "silent", at)])
    until(lambda: processed(first) + processed(second) == 1, 30, "the touchpoint is processed", [first, second])
    owner, other = (first, second) if processed(first) else (second, first)
    owner.kill()
    due = at + ABANDONED_AFTER_MS

    def abandoned() -> list[Signal]:
        return [s for s in read(kafka.bootstrap, topics.signals, Signal) if s.kind == "abandonment"]

    until(lambda: bool(abandoned()), 60, "the deadline fires", [other], pause=0.5)
    late_s = (now_ms() - due - LATENESS_MS) / 1000
    assert abandoned()[0].time == due
    assert late_s < 20
    moves = [line for line in read(kafka.bootstrap, topics.journal, JournalLine) if line.kind == "idle"]
    assert [line.after_offset for line in moves] == [0]


def test_records_that_are_no_touchpoints_are_dead_letters_and_too_many_pause_the_partition_durably(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    workers.settings |= {"JOURNEY_DEAD_LETTERS_WINDOW_RECORDS": "40", "JOURNEY_BATCH_CHUNK_RECORDS": "10"}
    worker = workers.start()
    ready(worker)
    poison: list[bytes | None] = [None, b"", b"{}", b"\x00\x00\x00\x00\x63abc", b"\x00\x00\x00\x00\x01\x02"]
    produce_bytes(kafka.bootstrap, topics.touchpoints, poison, 2)
    until(lambda: processed(worker) == 5, 30, "five records are dead letters", [worker])
    letters = read(kafka.bootstrap, topics.dead_letters, DeadLetter)
    assert [(letter.partition, letter.offset, letter.value) for letter in letters] == [
        (2, offset, value) for offset, value in enumerate(poison)
    ]
    assert {letter.reason for letter in letters} >= {"empty", "not_avro", "unknown_schema", "malformed"}
    assert conserved(worker)

    produce_bytes(kafka.bootstrap, topics.touchpoints, [b"x"] * 60, 2)
    until(lambda: worker.total("journey_paused") == 1, 30, "the partition is paused", [worker])
    assert worker.said("journey partitions resume 2")
    assert worker.get("/readyz")[0] == 200
    paused_at = len(records(kafka.bootstrap, topics.dead_letters))
    assert paused_at < 65
    assert worker.end() == 0

    again = workers.start()
    ready(again)
    until(lambda: again.total("journey_paused") == 1, 30, "the next owner stands still as well", [again])
    assert len(records(kafka.bootstrap, topics.dead_letters)) == paused_at

    # Half of what follows is fine, so the partition stays up once it is told to go on.
    environment = {
        "JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "JOURNEY_APP": topics.app,
        "JOURNEY_PREFIX": topics.prefix,
    }
    workers.settings["JOURNEY_DEAD_LETTERS_LIMIT"] = "0"
    journey(["partitions", "resume", "2"], environment)
    until(lambda: again.total("journey_paused") == 0 or again.said("resumed"), 30, "the partition goes on", [again])
    again.end()
    third = workers.start()
    ready(third)
    journey(["partitions", "resume", "2"], environment)
    until(lambda: len(records(kafka.bootstrap, topics.dead_letters)) == 65, 30, "all is read", [third], pause=0.5)
    offsets = [letter.offset for letter in read(kafka.bootstrap, topics.dead_letters, DeadLetter)]
    assert offsets == list(range(65))


def journey(arguments: list[str], environment: dict[str, str]) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JOURNEY_")} | environment
    done = subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_definition_is_adopted_between_batches_journalled_and_never_given_up(
    kafka: Kafka, topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    worker = workers.start()
    ready(worker)
    environment = {
        "JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "JOURNEY_APP": topics.app,
        "JOURNEY_PREFIX": topics.prefix,
    }
    assert journey(["definitions", "apply", str(SHOP)], environment).startswith("1  unchanged")
    changed = tmp_path / "changed.yaml"
    changed.write_text(SHOP.read_text().replace("at_least: 2", "at_least: 1"))
    assert journey(["definitions", "apply", str(changed)], environment).startswith("2  published")

    def adopted(number: int) -> None:
        until(
            lambda: [v for (n, _), v in worker.metrics().items() if n == "journey_definition_number"] == [number] * 4,
            30,
            f"every partition has adopted definition {number}",
            [worker],
        )

    adopted(2)
    produce(kafka.bootstrap, topics, [happened("1", "Payment Failed", "me")])
    until(lambda: processed(worker) == 1, 30, "the touchpoint is processed", [worker])
    assert [s.name for s in read(kafka.bootstrap, topics.signals, Signal)] == ["payment_failed_twice"]
    kinds = [(line.kind, line.value.get("number")) for line in read(kafka.bootstrap, topics.journal, JournalLine)]
    assert kinds.count(("definition", 2)) == 4
    # Pausing an action withdraws what is open of it.
    assert journey(["pause", "payment_help"], environment).startswith("3  payment_help is paused")
    adopted(3)
    until(
        lambda: (
            [(t.status, t.end_reason) for t in read(kafka.bootstrap, topics.triggers, Trigger)]
            == [("issued", None), ("cancelled", "definition")]
        ),
        30,
        "the open trigger is withdrawn",
        [worker],
    )
    worker.kill()

    # It publishes the first content again: number 4, since what is in force is 3; the pause outlives it.
    again = workers.start()
    ready(again)
    assert again.said("The definition is number 4")
    assert again.said("Paused: payment_help.")
    shown = journey(["definitions", "show"], environment).splitlines()
    assert [line.split()[0] for line in shown] == ["1", "2", "3", "4"]
    assert [line.endswith("paused: payment_help") for line in shown] == [False, False, True, True]
    assert "at_least: 1" in journey(["definitions", "show", "2"], environment)


def test_transactions_of_producers_and_their_holes_are_stepped_over(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    worker = workers.start()
    ready(worker)
    batches = [
        ([happened(f"{n}-{i}", "Product Viewed", f"c{i % 7}") for i in range(25)], n % 3 != 1) for n in range(12)
    ]
    produce_in_transactions(kafka.bootstrap, topics, batches)
    wanted = sum(len(batch) for batch, committed in batches if committed)
    until(lambda: processed(worker) == wanted, 60, f"{wanted} touchpoints are processed", [worker])
    until(
        lambda: worker.total("journey_consumer_lag_records") == 0,
        20,
        "the position steps over control records",
        [worker],
    )
    produce(kafka.bootstrap, topics, [happened("last", "Product Added", "c1")])
    until(lambda: processed(worker) == wanted + 1, 30, "one more", [worker])
    worker.kill()
    again = workers.start()
    ready(again)
    produce(kafka.bootstrap, topics, [happened("very last", "Product Viewed", "c1")])
    until(lambda: processed(again) == 1, 30, "it goes on where the other was", [again])


def test_starts_are_refused_with_what_to_do(kafka: Kafka, topics: Topics, workers: Workers, tmp_path: Path) -> None:
    said = workers.refused(more={"JOURNEY_PREFIX": "nowhere"})
    assert "nowhere.touchpoints.v1: does not exist" in said
    assert "journey topics create" in said
    said = workers.refused(more={"JOURNEY_KAFKA_BOOTSTRAP": "127.0.0.1:1", "JOURNEY_BROKER_WAIT": "2s"}, status=69)
    assert "no broker answers at 127.0.0.1:1 after 2 s" in said
    said = workers.refused(more={"JOURNEY_IDLE_AFTER": "soon", "JOURNEY_BATCH_LINGER": "1"})
    assert "JOURNEY_IDLE_AFTER: 'soon'" in said
    assert "JOURNEY_BATCH_LINGER: '1'" in said
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\njourneys: 5\n")
    said = workers.refused("--definition", str(broken))
    assert "broken.yaml:2" in said
    said = workers.refused(
        more={"JOURNEY_REGISTRY_URL": "http://127.0.0.1:1", "JOURNEY_REGISTRY_WAIT": "1s"}, status=69
    )
    assert "JOURNEY_REGISTRY_URL" in said


def make_anew(kafka: Kafka, topic: str, partitions: int = 4) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([topic])[topic].result()
    until(lambda: topic not in admin.list_topics(timeout=10).topics, 30, f"{topic} is gone")
    compact = "-state." in topic
    config = {"cleanup.policy": "compact"} if compact else {"message.timestamp.type": "LogAppendTime"}
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result()
    until(lambda: topic in admin.list_topics(timeout=10).topics, 30, f"{topic} is there")
    time.sleep(1.0)


def delete_all_records(kafka: Kafka, topic: str) -> None:
    """As retention would."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    ends = [TopicPartition(topic, partition, OFFSET_END) for partition in range(4)]
    for future in admin.delete_records(ends).values():
        future.result()


def test_a_first_transaction_that_was_never_committed_is_no_loss(
    kafka: Kafka, topics: Topics, workers: Workers
) -> None:
    """A worker that dies in it leaves records that nobody may read; they take offsets all the same."""
    dead = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": f"{topics.prefix}-dead"})
    dead.init_transactions(30)
    dead.begin_transaction()
    for partition in range(4):
        for topic in (topics.journal, topics.state):
            dead.produce(topic, b"never", partition=partition)
    assert dead.flush(30) == 0
    dead.abort_transaction(30)
    worker = workers.start()
    ready(worker)
    produce(kafka.bootstrap, topics, [happened("1", "Product Viewed", "c1")])
    until(lambda: processed(worker) == 1, 30, "it goes on as at a first start", [worker])
    assert worker.end() == 0

    # What was committed still tells that there was state.
    make_anew(kafka, topics.state)
    assert "the state topic holds no marker of this partition" in workers.refused()


def test_loss_is_refused_until_it_is_accepted(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    worker = workers.start()
    ready(worker)
    produce(kafka.bootstrap, topics, [happened(str(i), "Product Viewed", f"c{i}") for i in range(40)])
    until(lambda: processed(worker) == 40, 30, "forty touchpoints are processed", [worker])
    assert worker.end() == 0

    make_anew(kafka, topics.state)
    said = workers.refused()
    assert "the state topic holds no marker of this partition" in said
    assert "--accept-loss" in said
    second = workers.start(0, "--accept-loss")
    ready(second)
    assert second.total("journey_accepted_losses_total") >= 1
    produce(kafka.bootstrap, topics, [happened("new", "Product Viewed", "c1")])
    until(lambda: processed(second) == 1, 30, "only what is new is processed", [second])
    assert second.end() == 0

    produce(kafka.bootstrap, topics, [happened(f"gone {i}", "Product Viewed", f"c{i}") for i in range(40)])
    delete_all_records(kafka, topics.touchpoints)
    assert "retention has deleted" in workers.refused()

    make_anew(kafka, topics.touchpoints)
    said = workers.refused()
    assert "the touchpoint topic was made anew" in said
    third = workers.start(0, "--accept-loss")
    ready(third)
    produce(kafka.bootstrap, topics, [happened("other", "Product Viewed", "c2")])
    until(lambda: processed(third) == 1, 30, "the new topic is read from its beginning", [third])


def test_processes_under_one_parent_come_back_and_end_together(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    parent = workers.start(0, "--processes", "2", more={"JOURNEY_RESTART_BACKOFF": "200ms"})
    children = f"/proc/{parent.process.pid}/task/{parent.process.pid}/children"

    def alive() -> list[int]:
        return [int(pid) for pid in Path(children).read_text().split()]

    until(lambda: len(alive()) == 2, 30, "two workers run", [parent])
    before = alive()
    produce(kafka.bootstrap, topics, [happened(str(i), "Product Added", f"c{i}") for i in range(20)])
    until(lambda: len(read(kafka.bootstrap, topics.signals, Signal)) == 20, 60, "all is processed", [parent], pause=0.5)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(alive()) == 2 and before[0] not in alive(), 30, "the dead one is started again", [parent])
    produce(kafka.bootstrap, topics, [happened(f"b{i}", "Order Completed", f"c{i}") for i in range(20)])
    until(
        lambda: sum(s.kind == "goal_reached" for s in read(kafka.bootstrap, topics.signals, Signal)) == 20,
        60,
        "all goals are seen once",
        [parent],
        pause=0.5,
    )
    left = alive()
    parent.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), 30, "workers end without their parent")
    again = workers.start(0, "--processes", "2")
    children = f"/proc/{again.process.pid}/task/{again.process.pid}/children"
    until(lambda: len(alive()) == 2, 30, "two workers run", [again])
    left = alive()
    assert again.end() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in left)


def test_a_zombie_finds_its_partitions_taken_and_joins_again(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    zombie, other = workers.start(0), workers.start(1)
    ready(zombie, other)
    produce(kafka.bootstrap, topics, [happened(str(i), "Product Added", f"c{i}") for i in range(40)])
    until(lambda: processed(zombie) + processed(other) == 40, 30, "forty are processed", [zombie, other])
    zombie.stop()
    produce(kafka.bootstrap, topics, [happened(f"b{i}", "Payment Info Entered", f"c{i}") for i in range(40)])

    def signals(kind: str) -> int:
        return sum(s.kind == kind for s in read(kafka.bootstrap, topics.signals, Signal))

    until(lambda: signals("stage_left") == 40, SESSION_S * 8, "the other one takes over", [other], pause=0.5)
    zombie.go_on()
    produce(kafka.bootstrap, topics, [happened(f"d{i}", "Order Completed", f"c{i}") for i in range(40)])
    until(lambda: signals("goal_reached") == 40, 60, "all goals are seen once", [zombie, other], pause=0.5)
    ready(zombie, other)
    assert signals("stage_entered") == 80
    assert conserved(zombie)
    assert conserved(other)


def test_two_workers_of_one_name_are_told(kafka: Kafka, topics: Topics, workers: Workers) -> None:
    first = workers.start(0)
    ready(first)
    second = workers.start(0)
    # They take the membership from each other; which of them gives in first depends on their heartbeats.
    until(lambda: not (first.running and second.running), 60, "one of them ends", [first, second])
    ended, other = (second, first) if first.running else (first, second)
    assert ended.process.wait() == 78
    assert ended.said("Another worker has joined the group")
    assert ended.said("JOURNEY_INSTANCE")
    ready(other)
    produce(kafka.bootstrap, topics, [happened("1", "Product Added", "me")])
    until(lambda: processed(other) == 1, 30, "the other goes on", [other])


def test_a_session_that_the_brokers_do_not_take_is_refused(workers: Workers) -> None:
    said = workers.refused(more={"JOURNEY_GROUP_SESSION_TIMEOUT": "2s", "JOURNEY_GROUP_HEARTBEAT": "500ms"})
    assert "JOURNEY_GROUP_SESSION_TIMEOUT=2000ms" in said
    assert "group.min.session.timeout.ms" in said
