"""Restoring a worker's state: 200,000 customers whose changelog still holds all of their ten versions.

``write`` makes that changelog: the engine processes simulated touchpoints one by one, ten for each profile in the mean,
and each changed profile is written every time, as if every touchpoint had been a transaction of its own and nothing
were compacted yet. Each profile stands for several customers of other names. ``main`` restores it with the worker's
own functions, one thread for each partition.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from streams.contracts.routing import partition_for
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files
from streams.definitions.model import Definition
from streams.engine.engine import Engine
from streams.tools.simulator import generate
from streams.worker import changelog
from tests.bench.meter import Mark, peak_mb, resident_mb, tell
from tests.bench.place import PARTITIONS, SEED, TRANSACTION, Place

COPIES: Final = 10
UPDATES: Final = 10
PROFILES_PER_CUSTOMER: Final = 1.36
"""A customer who was anonymous at first leaves two profiles; in the mean over the simulator's customers."""

Version = tuple[int, bytes, bytes]
"""Partition, profile id and encoded profile."""


def versions(definition: Definition, touchpoints: Iterator[Touchpoint]) -> Iterator[Version]:
    """Every version of every profile, in the order in which the worker would write them."""
    engines = [Engine(definition, partition=number, partitions=PARTITIONS) for number in range(PARTITIONS)]
    for touchpoint in touchpoints:
        profile = (touchpoint.customer_id or touchpoint.anonymous_id or "").encode()
        partition = partition_for(profile, PARTITIONS)
        touchpoint.key = profile
        engine = engines[partition]
        engine.process([touchpoint], None)
        for key, value in engine.changed():
            if value is not None:
                yield partition, key[1:], value


def write(place: Place, definition: Path, customers: int) -> int:
    """Writes the changelog of so many customers; the number of records."""
    profiles = customers // COPIES
    simulated = int(profiles / PROFILES_PER_CUSTOMER)
    producer = Producer(
        {
            **place.admin,
            "transactional.id": place.run,
            "linger.ms": 50,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.init_transactions(30)
    topic = place.topics.state
    found = list(versions(load_files([definition]), generate(SEED, simulated, profiles * UPDATES)))
    written = 0
    for copy in range(COPIES):
        letter = b"%c" % (ord("A") + copy)
        for i in range(0, len(found), TRANSACTION):
            producer.begin_transaction()
            for partition, profile, value in found[i : i + TRANSACTION]:
                # Of the same length, so that the encoding stays right.
                name = letter + profile[1:]
                producer.produce(topic, value.replace(profile, name), b"p" + name, partition)
                written += 1
            producer.commit_transaction(30)
    return written


def main(definition: Path) -> None:
    place = Place.given()
    loaded = load_files([definition])
    before_mb = resident_mb()
    begin = Mark.now()

    def restored(number: int) -> tuple[Engine, int, int]:
        found = changelog.restore(place.settings, place.topics.state, number)
        engine = Engine(loaded, partition=number, partitions=PARTITIONS)
        engine.restore(found.profiles, None)
        return engine, found.records, found.bytes

    with ThreadPoolExecutor(PARTITIONS) as pool:
        parts = list(pool.map(restored, range(PARTITIONS)))
    end = Mark.now()
    customers = sum(engine.profiles for engine, _, _ in parts)
    time.sleep(0.5)  # what the clients held is given back
    tell(
        {
            "customers": customers,
            "seconds": end.wall - begin.wall,
            "cpu_s": end.cpu - begin.cpu,
            "records": sum(records for _, records, _ in parts),
            "bytes_read": sum(size for _, _, size in parts),
            "profile_bytes": sum(engine.store.cold_bytes for engine, _, _ in parts) / max(1, customers),
            "memory_bytes": (resident_mb() - before_mb) * 2**20 / max(1, customers),
            "peak_mb": peak_mb(),
        }
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
