"""The smaller parts of the worker: marker, dead-letter window, inbox, logs, health, the reading of Kafka's errors."""

from __future__ import annotations

import io
import json
import logging
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from prometheus_client import CollectorRegistry, Counter

from streams.settings import Settings
from streams.worker import marker as markers
from streams.worker.dead_letters import DeadLetterWindow
from streams.worker.health import HealthServer
from streams.worker.inbox import Inbox
from streams.worker.logs import Sparse, configure
from streams.worker.marker import Marker, Paused
from streams.worker.opening import refuse_moved
from streams.worker.outcomes import Fenced, Refused
from streams.worker.transactions import raise_if_decided


def test_a_marker_survives_its_encoding() -> None:
    marker = Marker(
        sequence=3,
        offset=9,
        next=11,
        topic_id="x",
        definition=2,
        start_issuing_at=5,
        paused=Paused("why", 4),
        engine=b"e",
    )
    assert markers.decode(markers.encode(marker)) == marker


def test_a_marker_of_a_newer_version_is_not_guessed_at() -> None:
    newer = Marker(
        format=markers.NEWEST + 1, sequence=1, offset=0, next=1, topic_id="", definition=1, start_issuing_at=0
    )
    with pytest.raises(ValueError, match="newer version"):
        markers.decode(markers.encode(newer))


def test_a_state_that_has_moved_or_is_still_to_come_is_nobodys() -> None:
    marker = Marker(sequence=1, offset=0, next=1, topic_id="", definition=1, start_issuing_at=0)
    refuse_moved(None, "state", 3)
    refuse_moved(marker, "state", 3)
    with pytest.raises(Refused, match=r"state partition 3: its state has moved .* Set JOURNEY_PARTITIONING=2"):
        refuse_moved(structs.replace(marker, moved_to=2), "state", 3)
    with pytest.raises(Refused, match=r"still to be copied from partitioning 1. With JOURNEY_PARTITIONING=1"):
        refuse_moved(structs.replace(marker, awaits=1), "state", 3)


def test_keys_of_profiles_are_never_taken_for_the_marker() -> None:
    assert markers.PROFILE + b"" != markers.KEY
    assert not (markers.PROFILE + b"m").startswith(markers.KEY)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), max_size=40), st.sampled_from([0.1, 0.5, 1.0]))
def test_the_window_trips_only_with_enough_dead_letters_among_the_latest(
    chunks: list[tuple[int, int]], limit: float
) -> None:
    window = DeadLetterWindow(limit, 100)
    history: list[bool] = []
    for records, at_most in chunks:
        dead = min(at_most, records)
        window.add(records, dead)
        history += [True] * dead + [False] * (records - dead)
        # By whole chunks: the latest hundred and at most one chunk more.
        assert sum(history[-100:]) <= window.dead <= sum(history[-140:])
        assert window.tripped == (window.dead >= limit * 100)


def test_a_limit_of_zero_never_pauses() -> None:
    window = DeadLetterWindow(0.0, 10)
    window.add(1_000, 1_000)
    assert not window.tripped


@dataclass
class Feed:
    """Remembers what an inbox asks of the transport."""

    asked: list[tuple[str, int]] = field(default_factory=list)

    def read_from(self, partition: int, offset: int) -> None:
        self.asked.append(("read_from", offset))

    def hold(self, partition: int) -> None:
        self.asked.append(("hold", partition))

    def release(self, partition: int) -> None:
        self.asked.append(("release", partition))


def chunk(start: int, end: int) -> Any:
    return SimpleNamespace(start=start, next=end, records=[None] * (end - start))


def test_an_inbox_takes_what_follows_and_asks_again_for_what_is_missing() -> None:
    feed = Feed()
    inbox = Inbox(4, feed, 1_000)  # type: ignore[arg-type]  # the part of a feed that an inbox uses
    assert inbox.put(chunk(10, 20), 10)
    assert not inbox.put(chunk(30, 40), 10)
    assert feed.asked == [("read_from", 20)]
    assert not inbox.put(chunk(10, 20), 10)
    assert inbox.put(chunk(15, 40), 10)
    assert inbox.records == 35


def test_an_inbox_holds_its_partition_while_too_much_waits() -> None:
    feed = Feed()
    inbox = Inbox(4, feed, 100)  # type: ignore[arg-type]  # the part of a feed that an inbox uses
    for start in range(0, 200, 50):
        inbox.put(chunk(start, start + 50), 0)
    assert feed.asked == [("hold", 4)]
    inbox.pop()
    inbox.pop()
    assert feed.asked == [("hold", 4)]
    inbox.pop()
    assert feed.asked == [("hold", 4), ("release", 4)]
    inbox.clear()
    assert feed.asked == [("hold", 4), ("release", 4)]


@pytest.mark.parametrize("code", [KafkaError._FENCED, KafkaError._FATAL, KafkaError.INVALID_PRODUCER_EPOCH])
def test_fencing_is_told_by_its_codes(code: int) -> None:
    with pytest.raises(Fenced):
        raise_if_decided(KafkaError(code), "commit")


@pytest.mark.parametrize(
    "code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED]
)
def test_a_missing_permission_says_which_are_needed(code: int) -> None:
    with pytest.raises(Refused, match="WRITE on transactional ids"):
        raise_if_decided(KafkaError(code), "commit")


@pytest.mark.parametrize("code", [KafkaError._STATE, KafkaError._TIMED_OUT, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER])
def test_other_errors_decide_nothing(code: int) -> None:
    raise_if_decided(KafkaError(code), "commit")


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before[0], before[1]


@pytest.mark.usefixtures("root_logger")
def test_logs_are_json_where_nobody_watches() -> None:
    out = io.StringIO()
    configure(Settings(), "host-0", out)
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("streams.worker.test").exception("it failed: %s", "x")
    line = json.loads(out.getvalue())
    assert (line["level"], line["worker"], line["message"]) == ("ERROR", "host-0", "it failed: x")
    assert "ValueError: wrong" in line["exception"]
    assert logging.getLogger("aiokafka").level >= logging.WARNING


@pytest.mark.usefixtures("root_logger")
def test_logs_are_lines_for_people_where_the_setting_says_so() -> None:
    out = io.StringIO()
    configure(changed_settings(log_format="text"), "host-0", out)
    logging.getLogger("streams.worker.test").info("hello")
    assert out.getvalue().rstrip().endswith("hello")
    assert not out.getvalue().startswith("{")


def changed_settings(**changed: Any) -> Settings:
    from dataclasses import replace  # noqa: PLC0415 - only here

    return replace(Settings(), **changed)


def test_a_client_that_repeats_itself_is_heard_once_in_a_while() -> None:
    sparse = Sparse(10.0)

    def heard(at: float, message: str) -> bool:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, message, None, None)
        record.created = at
        return sparse.filter(record)

    assert [heard(at, "FAIL x") for at in (100.0, 100.1, 109.9, 110.0)] == [True, False, False, True]
    assert heard(110.1, "GETPID x")


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_one_port_tells_metrics_life_and_readiness() -> None:
    registry = CollectorRegistry()
    Counter("journey_test", "for the test", registry=registry).inc(3)
    why: list[str | None] = ["partition 3: restoring"]
    server = HealthServer("127.0.0.1", 0, registry, lambda: None, lambda: why[0])
    server.start()
    try:
        assert get(server.port, "/livez") == (200, "ok\n")
        assert get(server.port, "/readyz") == (503, "partition 3: restoring\n")
        why[0] = None
        assert get(server.port, "/readyz?verbose") == (200, "ok\n")
        assert "journey_test_total 3.0" in get(server.port, "/metrics")[1]
        assert get(server.port, "/")[0] == 404
        with pytest.raises(Refused, match="JOURNEY_HTTP_PORT"):
            HealthServer("127.0.0.1", server.port, registry, lambda: None, lambda: None)
    finally:
        server.stop()


def test_markers_are_messagepack_with_named_fields() -> None:
    marker = Marker(sequence=3, offset=9, next=11, topic_id="x", definition=2, start_issuing_at=5)
    assert msgspec.msgpack.decode(markers.encode(marker))["next"] == 11
    assert sys.getsizeof(markers.encode(marker)) < 300
