"""Holds a replay against what the worker wrote: keys, headers and Avro bodies, byte for byte.

Owns what counts as lost, duplicated and different. A record is known by its partition, key and CloudEvents id; the
registry's prefix is left out of the comparison, because a replay does not ask the registry.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.contracts.record import Encoded
from streams.contracts.topics import Topics
from streams.settings import Settings
from streams.tools.replay import log
from streams.tools.replay.kafka import Output, PartitionReplay, ReplayResult
from streams.worker.changelog import last_marker

PREFIX: Final = 5
"""Bytes of the Confluent wire format before the body."""
EXAMPLES: Final = 5

Bytes = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
"""Key, body and headers of a record."""


class LiveMoved(Exception):  # noqa: N818 - a state of the world that passes
    """The worker committed something between the replay and the comparison: replay again."""


@dataclass(slots=True)
class TopicComparison:
    topic: str
    live: int = 0
    replayed: int = 0
    lost: int = 0
    """Replayed, but not in the topic."""
    duplicated: int = 0
    """In the topic more often than replayed."""
    unexpected: int = 0
    """In the topic, but not replayed at all."""
    different: int = 0
    """The same record with other bytes."""
    misordered: int = 0
    """In another place of their partition, where nothing else is wrong."""
    examples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not (self.lost or self.duplicated or self.unexpected or self.different or self.misordered)

    def note(self, partition: int, what: str, identity: tuple[bytes, bytes]) -> None:
        if len(self.examples) < EXAMPLES:
            # The id of the record, not the customer's: reports may be passed on.
            self.examples.append(f"{what}: partition {partition}, id {identity[1].decode('utf-8', 'replace')}")


@dataclass(slots=True)
class Comparison:
    topics: list[TopicComparison]

    @property
    def equal(self) -> bool:
        return all(topic.equal for topic in self.topics)

    @property
    def lost(self) -> int:
        return sum(topic.lost for topic in self.topics)

    @property
    def duplicated(self) -> int:
        return sum(topic.duplicated + topic.unexpected for topic in self.topics)

    @property
    def different(self) -> int:
        return sum(topic.different + topic.misordered for topic in self.topics)

    def __str__(self) -> str:
        rows = [
            f"{t.topic}: live {t.live}, replayed {t.replayed}, lost {t.lost}, duplicated {t.duplicated}, "
            f"unexpected {t.unexpected}, different {t.different}, misordered {t.misordered}"
            + "".join(f"\n  {example}" for example in t.examples)
            for t in self.topics
        ]
        return "\n".join(rows)


def compare_with_live(settings: Settings, topics: Topics, result: ReplayResult) -> Comparison:
    """Compare all output topics with a replay.

    Raises ``LiveMoved`` where the worker went on after the replay had read its position.
    """
    names: dict[Output, str] = {
        "signals": topics.signals,
        "triggers": topics.triggers,
        "decisions": topics.decisions,
        "dead_letters": topics.dead_letters,
    }
    found = [_compare_log(settings, topic, output, result.partitions) for output, topic in names.items()]
    found.append(_compare_examples(settings, topics.examples, result.partitions))
    found.append(_compare_table(settings, topics.customers, result.partitions))
    for replayed in result.partitions:
        marker = last_marker(settings, topics.state, replayed.partition, lambda: False)
        if marker is None or marker.sequence != replayed.marker.sequence:
            raise LiveMoved(f"partition {replayed.partition} went on while it was compared")
    return Comparison(found)


def _compare_log(
    settings: Settings, topic: str, output: Output, partitions: Sequence[PartitionReplay]
) -> TopicComparison:
    report = TopicComparison(topic)
    for replayed in partitions:
        live = [_of_record(record) for record in log.read(settings, topic, replayed.partition)]
        ours = [_of_encoded(encoded) for encoded in replayed.outputs[output]]
        if output == "dead_letters":
            # Within a chunk the codec's come before the engine's; their order says nothing, their positions do.
            live, ours = sorted(live, key=_identity), sorted(ours, key=_identity)
        compare_records(report, replayed.partition, live, ours)
    return report


def _compare_examples(settings: Settings, topic: str, partitions: Sequence[PartitionReplay]) -> TopicComparison:
    """All partitions write into one, in an order among themselves that says nothing."""
    report = TopicComparison(topic)
    # Those of another partitioning of this deployment are in the same topic.
    source = ("ce_source", settings.source.encode())
    read = (_of_record(record) for record in log.read(settings, topic, 0))
    live = sorted((record for record in read if source in record[2]), key=_identity)
    ours = sorted((_of_encoded(e) for p in partitions for e in p.outputs["examples"]), key=_identity)
    compare_records(report, 0, live, ours)
    return report


def compare_records(report: TopicComparison, partition: int, live: Sequence[Bytes], replayed: Sequence[Bytes]) -> None:
    """Add one partition's comparison to a report."""
    report.live += len(live)
    report.replayed += len(replayed)
    if live == replayed:
        return
    right = True
    theirs, ours = _by_identity(live), _by_identity(replayed)
    for identity, mine in ours.items():
        seen = theirs.get(identity, [])
        if len(seen) < len(mine):
            report.lost += len(mine) - len(seen)
            report.note(partition, "lost", identity)
        elif len(seen) > len(mine):
            report.duplicated += len(seen) - len(mine)
            report.note(partition, "duplicated", identity)
        right = right and len(seen) == len(mine)
        # Bytes that the other side does not have, as far as there is a record to hold against them.
        other = sum((Counter(seen) - Counter(mine)).values()) - max(0, len(seen) - len(mine))
        if seen and other > 0:
            report.different += other
            report.note(partition, "different", identity)
            right = False
    for identity, seen in theirs.items():
        if identity not in ours:
            report.unexpected += len(seen)
            report.note(partition, "unexpected", identity)
            right = False
    if right:
        report.misordered += sum(a != b for a, b in zip(live, replayed, strict=True))


def _compare_table(settings: Settings, topic: str, partitions: Sequence[PartitionReplay]) -> TopicComparison:
    """A compacted topic: the last record of each key counts, and a tombstone is as good as no record."""
    report = TopicComparison(topic)
    for replayed in partitions:
        live: dict[bytes, Bytes] = {}
        for record in log.read(settings, topic, replayed.partition):
            live[record.key or b""] = _of_record(record)
        live = {key: record for key, record in live.items() if record[1] is not None}
        ours = {key: _of_encoded(e) for key, e in replayed.customers.items() if e.value is not None}
        report.live += len(live)
        report.replayed += len(ours)
        for key in ours.keys() | live.keys():
            identity = (key, b"of the customers' topic")
            if key not in live:
                report.lost += 1
                report.note(replayed.partition, "lost", identity)
            elif key not in ours:
                report.unexpected += 1
                report.note(replayed.partition, "unexpected", identity)
            elif live[key] != ours[key]:
                report.different += 1
                report.note(replayed.partition, "different", identity)
    return report


def _of_record(record: log.LogRecord) -> Bytes:
    return record.key, _body(record.value), tuple((name, bytes(value)) for name, value in record.headers)


def _of_encoded(encoded: Encoded) -> Bytes:
    return encoded.key, _body(encoded.value), tuple(encoded.headers)


def _body(value: bytes | None) -> bytes | None:
    return None if value is None else value[PREFIX:]


def _identity(record: Bytes) -> tuple[bytes, bytes]:
    key, body, headers = record
    return key or b"", dict(headers).get("ce_id", body or b"")


def _by_identity(records: Iterable[Bytes]) -> dict[tuple[bytes, bytes], list[Bytes]]:
    grouped: dict[tuple[bytes, bytes], list[Bytes]] = defaultdict(list)
    for record in records:
        grouped[_identity(record)].append(record)
    return grouped
