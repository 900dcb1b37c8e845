"""Holds what was copied against its source: every profile once, in its partition, byte by byte, with its timers.

Owns the comparison. It reads the old state and the topic of beginnings, so it says the same before and after workers
have begun on the copy; where none has, their state is compared, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from streams.contracts.routing import partition_for
from streams.engine.state import NEVER, decode, next_due
from streams.settings import Settings
from streams.tools.replay import beginning
from streams.tools.reshard.merge import Sources
from streams.tools.reshard.survey import Stage, survey
from streams.worker.changelog import restore
from streams.worker.marker import PROFILE


@dataclass(slots=True)
class Sum:
    """Of profiles, in any order."""

    profiles: int = 0
    size: int = 0
    """Bytes of their records."""
    timers: int = 0
    """Profiles with a timer that is not the calendar's end."""
    triggers: int = 0
    """Open ones."""
    digest: int = 0

    def add(self, key: bytes, blob: bytes) -> None:
        profile = decode(blob)
        self.profiles += 1
        self.size += len(blob)
        self.timers += next_due(blob) < NEVER
        self.triggers += len(profile.triggers)
        hashed = blake2b(len(key).to_bytes(4, "big") + key + blob, digest_size=16).digest()
        self.digest = (self.digest + int.from_bytes(hashed, "big")) % (1 << 128)


@dataclass(slots=True)
class Verdict:
    source: Sum = field(default_factory=Sum)
    copied: Sum = field(default_factory=Sum)
    faults: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.faults


def verify(settings: Settings) -> Verdict:
    """Raises ``ReshardError`` before the copy."""
    found = survey(settings)
    found.require(Stage.COPY, "verify")
    old, new = found.old, found.new
    verdict = Verdict()
    for number in range(old.partitions):
        for key, blob in restore(old.settings, old.topics.state, number).profiles.items():
            verdict.source.add(key, blob)
    begun = []
    lost: Counter[int] = Counter()
    for number in range(new.partitions):
        first = beginning.read(new.settings, new.topics, number)
        for key, blob in first.profiles.items():
            verdict.copied.add(key, blob)
            lost[number] += partition_for(key.removeprefix(PROFILE), new.partitions) != number
        if first.marker is None:
            verdict.faults.append(f"partition {number}: {new.topics.beginning} has no marker")
        elif new.markers[number] != first.marker:
            begun.append(number)
        else:
            state = restore(new.settings, new.topics.state, number)
            if state.profiles != first.profiles:
                verdict.faults.append(f"partition {number}: its state differs from what was copied")
        if new.markers[number].watermark != (watermark := Sources.of(old.markers).watermark) and number not in begun:
            verdict.faults.append(f"partition {number}: watermark {new.markers[number].watermark}, not {watermark}")
    verdict.faults += _differences(verdict.source, verdict.copied, lost)
    return verdict


def _differences(source: Sum, copied: Sum, lost: Mapping[int, int]) -> list[str]:
    faults = [f"partition {number}: {count} profiles that belong elsewhere" for number, count in lost.items() if count]
    if source != copied:
        faults.append(f"the copy is another state: {copied} instead of {source}")
    return faults
