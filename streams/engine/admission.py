"""Whether a touchpoint may be applied in this partition: key and partition of a profile that is seen first (rule 2)."""

from __future__ import annotations

from streams.contracts.routing import partition_for
from streams.contracts.touchpoint import Rejection, Touchpoint


def misrouted(tp: Touchpoint, profile_id: str, partition: int, partitions: int | None) -> Rejection | None:
    """Why it is in the wrong place, None if it is not; ``partitions`` None: it comes from a file."""
    if partitions is None:
        return None
    key = profile_id.encode()
    if tp.key != key:
        return Rejection(tp.offset, "misrouted", "the record's key is not customer_id, else anonymous_id, as UTF-8")
    right = partition_for(key, partitions)
    if right == partition:
        return None
    return Rejection(
        tp.offset,
        "misrouted",
        f"found in partition {partition}, murmur2 of the key gives {right} of {partitions}: "
        "set the producer's partitioner to murmur2_random",
    )
