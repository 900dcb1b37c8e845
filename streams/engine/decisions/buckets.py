"""Buckets: which of 10,000 equal parts of all customers one belongs to, for a salt. Sticky, the same everywhere.

Owns the hash behind roll-outs, holdouts, experiments and draws. It depends on the salt and the profile's id alone: no
worker, partition, time or number of a definition changes it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from streams.definitions.policy import Arm, Experiment

BUCKETS: Final = 10_000
_SEPARATOR: Final = "\x1f"


def bucket(salt: str, customer: str) -> int:
    """0 to 9,999."""
    return int.from_bytes(blake2b(f"{salt}{_SEPARATOR}{customer}".encode(), digest_size=8).digest(), "big") % BUCKETS


def within(share: float, salt: str, customer: str) -> bool:
    """Among the first ``share`` of the buckets: a larger share keeps whom a smaller one had."""
    bound = round(share * BUCKETS)
    return bound >= BUCKETS or (bound > 0 and bucket(salt, customer) < bound)


def arm(experiment: Experiment, customer: str) -> Arm | None:
    """The customer's arm; None for those who are in none."""
    at = bucket(experiment.salt, customer)
    upto = 0.0
    for one in experiment.arms:
        upto += one.share
        if at < round(upto * BUCKETS):
            return one
    return None


def uniform(*parts: str) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    digest = blake2b(_SEPARATOR.join(parts).encode(), digest_size=8, person=b"draw").digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
