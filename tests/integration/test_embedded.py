"""The embedded Kafka and registry, run for real: data kept, instances told apart, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.tools.embedded import EmbeddedError, EmbeddedKafka, EmbeddedRegistry

pytestmark = pytest.mark.integration

OWNER = """
import sys, time
from pathlib import Path
from streams.tools.embedded import EmbeddedKafka
kafka = EmbeddedKafka(Path(sys.argv[1]))
kafka.start()
print(kafka.bootstrap, flush=True)
time.sleep(600)
"""


def produce(bootstrap: str, values: list[str]) -> None:
    """Returns when all are acknowledged."""
    refusals: list[Any] = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce("t", value.encode(), on_delivery=lambda error, _: refusals.append(error) if error else None)
    assert producer.flush(60) == 0
    assert refusals == []


def transact(bootstrap: str, values: list[str]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "test", "transaction.timeout.ms": 10_000})
    producer.init_transactions(60)
    producer.begin_transaction()
    for value in values:
        producer.produce("t", value.encode())
    producer.commit_transaction(60)


def consume(bootstrap: str) -> list[bytes]:
    """Everything that is committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition("t", 0, 0)])
    values = []
    while True:
        message = consumer.poll(60)
        assert message is not None, "the broker brought nothing"
        if message.error():
            break
        value = message.value()
        assert value is not None
        values.append(bytes(value))
    consumer.close()
    return values


def create_topic(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic("t", 1, 1)]).values():
        future.result()


@pytest.mark.timeout(180)
def test_data_outlive_a_restart_and_a_kill(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "data") as kafka:
        address = kafka.bootstrap
        create_topic(address)
        produce(address, ["a", "b"])
        kafka.restart()
        assert kafka.bootstrap == address
        transact(address, ["c"])
        kafka.kill()
        assert not kafka.running
        kafka.start()
        assert kafka.bootstrap == address
        assert consume(address) == [b"a", b"b", b"c"]
    with EmbeddedKafka(tmp_path / "data") as another:
        # A new object on the same folder, as a second `journey demo` is.
        assert another.bootstrap == address
        assert consume(address) == [b"a", b"b", b"c"]


def test_a_damaged_class_cache_is_left_aside(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.aot"
    damaged.write_bytes(b"no cache of classes" * 1000)
    with EmbeddedKafka(tmp_path / "data", java_options=[f"-XX:AOTCache={damaged}"]) as kafka:
        create_topic(kafka.bootstrap)


def test_one_broker_for_a_folder_and_a_port(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "data") as kafka:
        with pytest.raises(EmbeddedError, match="already runs on") as caught:
            EmbeddedKafka(tmp_path / "data").start()
        assert caught.value.fault == "in_use"
        assert kafka.bootstrap in str(caught.value)
        with pytest.raises(EmbeddedError, match=f"Port {kafka.port} ") as caught:
            EmbeddedKafka(tmp_path / "other", kafka.port).start()
        assert caught.value.fault == "port_in_use"
        # Neither attempt touched the one that runs.
        create_topic(kafka.bootstrap)
        produce(kafka.bootstrap, ["a"])


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        (data / "ports.json").write_text(json.dumps({"port": taken}), encoding="utf-8")
        with EmbeddedKafka(data) as kafka:
            assert kafka.port != taken
            create_topic(kafka.bootstrap)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=r"data folder .* cannot be written") as caught:
        EmbeddedKafka(tmp_path / "file" / "data").start()
    assert caught.value.fault == "no_permission"


def test_server_settings_that_kafka_refuses_are_shown_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"num\.io\.threads"):
        EmbeddedKafka(tmp_path / "data", properties={"num.io.threads": "many"}).start()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can only be made by root on Linux")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.timeout(180)
def test_a_full_disk_is_named_and_nothing_acknowledged_is_lost(small_disk: Path) -> None:
    kafka = EmbeddedKafka(small_disk / "data")
    kafka.start()
    try:
        create_topic(kafka.bootstrap)
        produce(kafka.bootstrap, ["before"])
        silent = {"bootstrap.servers": kafka.bootstrap, "message.timeout.ms": 2_000, "log_level": 0}
        producer = Producer(silent)
        while kafka.running:
            with contextlib.suppress(BufferError):
                producer.produce("t", os.urandom(500_000))
            producer.poll(0.01)
        producer.purge()
        failure = kafka.failure()
        assert failure is not None
        assert failure.fault == "disk_full"
        kafka.stop()
        assert kafka.failure() is None
        with pytest.raises(EmbeddedError, match="is full") as caught:
            kafka.start()
        assert caught.value.fault == "disk_full"
        subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)], check=True)
        kafka.start()
        assert consume(kafka.bootstrap)[0] == b"before"
    finally:
        kafka.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc to tell what runs")
def test_kill_9_of_the_owner_leaves_no_java_behind(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(data)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith("127.0.0.1:")
        assert processes_of(data) != []
        os.kill(owner.pid, signal.SIGKILL)
    while processes_of(data):
        time.sleep(0.05)  # the test's own time limit is the bound
    with EmbeddedKafka(data) as kafka:
        create_topic(kafka.bootstrap)


def processes_of(data: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(data / "server.properties").encode() in command:
                found.append(int(entry.name))
    return found


def test_the_registry_speaks_the_confluent_api_and_forgets_at_its_end(registry: EmbeddedRegistry) -> None:
    schema = json.dumps({"schema": json.dumps({"type": "record", "name": "Known", "fields": []})})
    request = urllib.request.Request(
        f"{registry.url}/subjects/known-value/versions",
        schema.encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request) as response:
        number = json.load(response)["id"]
    with urllib.request.urlopen(f"{registry.url}/schemas/ids/{number}") as response:
        assert json.loads(json.load(response)["schema"])["name"] == "Known"
    registry.restart()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{registry.url}/subjects/known-value/versions/1")
