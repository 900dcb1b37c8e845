"""Where a partition goes on reading, or why it must not (semantics, rule 18).

Pure: the marker, the log as it is, and what the group has committed go in; a start or a refusal comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.worker.marker import Marker
from streams.worker.outcomes import Refused


@dataclass(frozen=True, slots=True)
class Log:
    """The input partition as the brokers have it."""

    topic: str
    partition: int
    topic_id: str
    first: int
    end: int
    committed: int | None
    """What the group has committed; None if nothing (brokers forget it when the group is empty for a week)."""
    journalled: bool
    """The partition's journal holds lines, so it has been started before."""
    noun: str = "touchpoints"
    command: str = "journey run"

    @property
    def one(self) -> str:
        return self.noun.removesuffix("s")


@dataclass(frozen=True, slots=True)
class Start:
    next: int
    offset: int
    """Last touchpoint applied."""
    keeps: Literal["state", "nothing"]
    loss: str | None = None
    """What was accepted as lost."""


def start(marker: Marker | None, log: Log, *, accept_loss: bool) -> Start:
    """Raises ``Refused`` where something was lost and nobody has accepted it."""
    if marker is None:
        if log.committed is None and not log.journalled:
            return Start(log.first, -1, "nothing")
        done = f"up to {log.committed}" if log.committed is not None else "before (its journal tells)"
        found = (
            f"the group has processed {log.noun} {done}, but the state topic holds no marker of this partition: the "
            "state was emptied or belongs to another application name"
        )
        # Where nobody knows how far it was, what the log still holds builds the state anew.
        at = log.committed if log.committed is not None else log.first
        accepted = Start(min(max(at, log.first), log.end), at - 1, "nothing", "state of a partition")
    elif marker.topic_id != log.topic_id:
        found = (
            f"the {log.one} topic was made anew since (its id is {log.topic_id}, the state knows {marker.topic_id}): "
            f"its offsets mean other {log.noun}"
        )
        accepted = Start(log.first, -1, "state", f"a {log.one} topic that was made anew")
    elif marker.next < log.first:
        found = (
            f"reading must go on at offset {marker.next}, but the log begins at {log.first}: retention has deleted "
            f"{log.first - marker.next} offsets that were never processed"
        )
        accepted = Start(log.first, marker.offset, "state", f"{log.noun} deleted by retention")
    elif marker.next > log.end:
        found = (
            f"reading must go on at offset {marker.next}, but the log ends at {log.end}: the brokers have lost "
            f"{log.noun} that were processed"
        )
        accepted = Start(log.end, marker.offset, "state", f"{log.noun} lost by the brokers")
    else:
        return Start(marker.next, marker.offset, "state")
    if accept_loss:
        return accepted
    raise Refused(
        f"{log.topic} partition {log.partition}: {found}. Find out why; `{log.command} --accept-loss` goes on at "
        f"offset {accepted.next} {'with' if accepted.keeps == 'state' else 'without'} the state. See "
        "docs/operations.md, loss."
    )
