"""Keys to partitions as Java does it."""

from __future__ import annotations

import os

import pytest
from aiokafka.partitioner import DefaultPartitioner

from streams.contracts.routing import murmur2, partition_for


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # org.apache.kafka.common.utils.UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_javas_own_vectors(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected & 0xFFFFFFFF


@pytest.mark.parametrize("length", range(41))
def test_aiokafkas_default_partitioner_agrees(length: int) -> None:
    default = DefaultPartitioner()
    partitions = list(range(12))
    for _ in range(20):
        key = os.urandom(length)
        assert default(key, partitions, partitions) == partition_for(key, 12)


def test_a_key_outside_ascii_goes_by_its_utf_8_bytes() -> None:
    key = "Zoë-客户".encode()
    assert partition_for(key, 7) == DefaultPartitioner()(key, list(range(7)), list(range(7)))
