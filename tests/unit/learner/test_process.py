"""The learner's process without a broker: what goes into its transactions, and what a restart finds there."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Example
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.definitions.model import Definition, EventRef, Pipeline, Risk
from streams.definitions.model import Learning as LearningRules
from streams.engine.scoring.scorer import ModelRefused
from streams.learner.process import chunks
from streams.learner.process.examples import ExampleCodec, Refusal
from streams.learner.process.learning import Kept, Learning, kept_by, taught
from streams.learner.process.metrics import LearnerMetrics, LearnerTally
from streams.learner.process.published import Published, Snapshot
from streams.worker import marker as markers
from streams.worker.batch import Batch
from streams.worker.marker import Marker
from streams.worker.outcomes import DefinitionAbsent
from streams.worker.ports import Intake

TOPICS = Topics()
KEY = b"k" * 32
T0 = 1_767_571_200_000
DAY = 86_400_000
HOUR = 3_600_000
_outputs = OutputCodec(PackagedSchemas(), "/test")


def rules(**more: Any) -> LearningRules:
    return LearningRules(
        **{"challengers": (Pipeline("tree", "hoeffding_tree"),), "at_least": 20, "publish_every": 15, **more}
    )


def definition(number: int = 1, signature: str = "s", names: tuple[str, ...] = ("churn",), **more: Any) -> Definition:
    on = (EventRef("Order Completed"),)
    return Definition(
        number,
        f"digest {number}",
        (),
        risks=tuple(
            Risk(name, "without", on, DAY, features=("a", "b"), learning=rules(**more), signature=signature)
            for name in names
        ),
    )


class Definitions:
    """Those that are compiled; numbers below the highest that are missing were never published."""

    def __init__(self, *known: Definition) -> None:
        self.known = {one.number: one for one in known}

    def loaded(self, number: int) -> Definition | None:
        return self.known.get(number)

    def never(self, number: int) -> bool:
        return number not in self.known and number < max(self.known)


class Process:
    """A learner with its topics in memory; ``restart`` makes another one of what is there."""

    def __init__(self, *known: Definition, keep_ms: int | None = None) -> None:
        self.definitions = Definitions(*(known or (definition(),)))
        self.codec = ExampleCodec(PackagedSchemas())
        self.codec.known = self.definitions
        self.runtime: Any = SimpleNamespace(
            topics=TOPICS,
            intake=Intake(TOPICS.examples, TOPICS.learner_state, None, "examples", "journey learn"),
            outputs=_outputs,
            metrics=LearnerMetrics(),
            definitions=self.definitions,
        )
        self.keep_ms = keep_ms
        self.state: dict[bytes, bytes] = {}
        self.models: list[tuple[bytes | None, bytes | None]] = []
        self.tally = LearnerTally()
        self.learning = self._begin(Kept(), Marker(
            sequence=0, offset=-1, next=0, topic_id="t", definition=0, start_issuing_at=0
        ))  # fmt: skip

    def _begin(self, kept: Kept, begins: Marker) -> Learning:
        known = self.definitions.loaded(begins.definition)
        learning = Learning(0, self.runtime, taught(known, self.state, kept, KEY), kept, begins, self.keep_ms)
        self.codec.in_force = lambda: learning.definition
        return learning

    def restart(self) -> None:
        marker = markers.decode(self.state[markers.KEY])
        self.learning = self._begin(kept_by(marker), marker)

    def commit(self, batch: Batch) -> None:
        for message in batch.messages:
            if message.topic == TOPICS.models:
                self.models.append((message.key, message.value))
            elif message.value is None:
                self.state.pop(message.key or b"", None)
            else:
                self.state[message.key or b""] = message.value
        self.runtime.metrics.settled(batch.tally, 0.0)
        self.tally = batch.tally  # type: ignore[assignment]  # a learner makes no other

    def feed(self, records: list[Any], size: int = 50) -> Batch:
        """One transaction of chunks of that size; not committed."""
        builder = self.learning.builder()
        for start in range(0, len(records), size):
            part = records[start : start + size]
            chunk = SimpleNamespace(records=part, next=part[-1].offset + 1)
            self.learning.apply(chunk, self.codec.decode(part), 0, builder)
        return self.learning.close(builder)


def example(n: int, seed: int = 1, **more: Any) -> Example:
    """The risk comes true where ``a`` is large."""
    draw = random.Random(f"{seed} {n}")
    a, b = draw.gauss(0, 1), draw.gauss(0, 1)
    fields: dict[str, Any] = {"definition": 1, "features": {"a": a, "b": b}, **more}
    return Example(
        f"e{n}", f"c{n}", "churn", "s", T0 + n * HOUR, T0 + n * HOUR + DAY, a + draw.gauss(0, 0.5) > 0, **fields
    )


def record(offset: int, value: Example | bytes | None, at: int = T0) -> Any:
    data = _outputs.example(value).value if isinstance(value, Example) else value
    return SimpleNamespace(offset=offset, timestamp=at + offset, key=b"c", value=data, headers=())


def steady(records: list[Any]) -> Process:
    process = Process()
    process.commit(process.feed(records))
    return process


RECORDS = [record(n, example(n)) for n in range(90)]
STEADY = steady(RECORDS)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=6), st.integers(1, 60))
def test_killed_at_any_moment_it_ends_with_the_models_of_an_uninterrupted_pass(
    steps: list[tuple[int, bool]], size: int
) -> None:
    process, done = Process(), 0
    for examples, committed in [*steps, (len(RECORDS), True)]:
        part = RECORDS[done : done + examples]
        batch = process.feed(part, size) if part else process.learning.refresh()
        if committed:
            process.commit(batch)
            done += len(part)
        elif markers.KEY not in process.state:
            process = Process()
            continue
        process.restart()
    assert process.models == STEADY.models
    assert len(process.models) >= 4
    assert {k: v for k, v in process.state.items() if k != markers.KEY} == {
        k: v for k, v in STEADY.state.items() if k != markers.KEY
    }


def test_examples_read_again_are_counted_and_not_learned_twice() -> None:
    process = Process()
    process.commit(process.feed(RECORDS[:40]))
    batch = process.feed(RECORDS)
    tally = batch.tally
    assert (tally.already_applied, tally.consumed, tally.counts["processed"]) == (40, 50, 50)


def test_an_example_that_comes_twice_is_learned_once() -> None:
    process = Process()
    batch = process.feed([record(0, example(1)), record(1, example(2)), record(2, example(1))])
    assert (batch.tally.counts["processed"], batch.tally.counts["duplicate"]) == (2, 1)


def test_what_cannot_be_learned_is_refused_by_its_reason_and_the_rest_goes_on() -> None:
    process = Process(definition(2))
    broken = _outputs.example(example(1)).value or b""
    records = [
        record(0, None),
        record(1, b"junk"),
        record(2, broken[:-3]),
        record(3, example(3, definition=2, features={"a": float("nan"), "b": 1.0})),
        record(4, example(4, definition=2, features={"a": float("inf")})),
        record(5, example(5, definition=1)),
        record(6, example(6, definition=2)),
        record(7, msgspec.structs.replace(example(7, definition=2), signature="other")),
        record(8, msgspec.structs.replace(example(8, definition=2), risk="other")),
        record(9, example(9, definition=2)),
    ]
    batch = process.feed(records)
    assert isinstance(batch.tally, LearnerTally)
    assert batch.tally.refused == {"malformed": 5, "unknown_definition": 1, "other_definition": 2}
    assert batch.tally.counts["processed"] == 2
    assert batch.marker.next == 10


def test_an_example_of_a_definition_that_is_not_here_yet_waits() -> None:
    process = Process(definition(1))
    with pytest.raises(DefinitionAbsent) as absent:
        process.codec.decode([record(0, example(1, definition=7))])
    assert absent.value.number == 7
    process.definitions.known[7] = definition(7)
    process.feed([record(0, example(1, definition=7))])
    # One of an older definition needs nothing: the learner never goes back.
    assert not isinstance(process.codec.decode([record(1, example(2, definition=3))])[0], Refusal)
    assert process.learning.definition == 7


def test_another_definition_begins_anew_where_labels_or_features_changed_and_versions_go_on() -> None:
    process = Process(definition(1), definition(2, "s2"), definition(3, "s2", ("complaint",)), definition(4))
    process.commit(process.feed(RECORDS[:60]))
    before = len(process.models)
    later = [record(60 + n, msgspec.structs.replace(example(60 + n, definition=2), signature="s2")) for n in range(40)]
    process.commit(process.feed(later))
    versions = [int((key or b"").rpartition(b"@")[2]) for key, _ in process.models]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) > before
    process.restart()
    gone = record(100, msgspec.structs.replace(example(100, definition=3), risk="complaint", signature="s2"))
    process.commit(process.feed([gone]))
    assert set(chunks.joined(process.state)) == {"complaint"}
    process.restart()
    process.commit(process.feed([record(101 + n, example(101 + n, definition=4)) for n in range(40)]))
    versions = [int((key or b"").rpartition(b"@")[2]) for key, _ in process.models]
    assert versions == list(range(1, len(versions) + 1))


def test_old_models_are_taken_back_when_no_journal_names_them_any_more() -> None:
    process = Process(keep_ms=30 * DAY)
    process.commit(process.feed(RECORDS[:60]))
    keys = [key for key, _ in process.models]
    assert len(keys) >= 3
    process.commit(process.feed([record(60, example(60), T0 + 30 * DAY - DAY)]))
    assert all(value is not None for _, value in process.models)
    process.restart()
    process.commit(process.feed([record(61, example(61), T0 + 31 * DAY)]))
    assert [key for key, value in process.models if value is None] == keys[:-1]
    assert process.tally.taken_back == {"churn": len(keys) - 1}


def test_a_state_of_another_key_is_refused_and_can_be_given_up_without_giving_a_version_twice() -> None:
    process = Process()
    process.commit(process.feed(RECORDS[:60]))
    before = len(process.models)
    marker = markers.decode(process.state[markers.KEY])
    kept, known = kept_by(marker), process.definitions.loaded(1)
    with pytest.raises(ModelRefused, match="another key"):
        taught(known, process.state, kept, KEY[::-1] + b"!")
    school = taught(known, {}, kept, KEY[::-1] + b"!")
    process.learning = Learning(0, process.runtime, school, kept, marker, None)
    process.learning.unwritten = set(school.learners)
    process.commit(process.learning.refresh())
    assert taught(known, process.state, kept_by(markers.decode(process.state[markers.KEY])), KEY[::-1] + b"!")
    process.commit(process.feed([record(60 + n, example(60 + n)) for n in range(30)]))
    versions = [int((key or b"").rpartition(b"@")[2]) for key, _ in process.models]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) > before


def test_where_journals_are_kept_for_ever_so_are_models() -> None:
    process = Process(keep_ms=None)
    process.commit(process.feed(RECORDS[:60]))
    process.commit(process.feed([record(60, example(60), T0 + 10_000 * DAY)]))
    assert all(value is not None for _, value in process.models)


def test_a_model_is_in_use_again_with_its_definition() -> None:
    published = Published([Snapshot("churn", 1, "s"), Snapshot("churn", 2, "s"), Snapshot("churn", 3, "s2")], 0)
    published.adopt(definition(2, "s2"))
    assert [s.replaced_at for s in published.snapshots] == [0, 0, None]
    published.come_to(10)
    published.adopt(definition(3, "s"))
    assert [s.replaced_at for s in published.snapshots] == [0, None, 10]
    published.come_to(100)
    assert published.take_back(95) == ["churn@1"]
    assert published.take_back(95) == []


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 3 * chunks.PIECE_BYTES), st.integers(0, 3 * chunks.PIECE_BYTES), st.text(min_size=1, max_size=9))
def test_a_state_of_any_size_is_cut_and_joined(first: int, second: int, risk: str) -> None:
    topic: dict[bytes, bytes] = {markers.KEY: b"m"}
    pieces = 0
    for state in (bytes([1]) * first, bytes([2]) * second):
        for key, value in chunks.cut(risk, state, pieces):
            assert key[:1] not in {markers.KEY, markers.PROFILE}
            if value is None:
                del topic[key]
            else:
                assert len(value) + len(key) < 1_000_000
                topic[key] = value
        pieces = chunks.pieces_of(state)
    assert chunks.joined(topic) == {risk: bytes([2]) * second}


def test_a_state_with_a_hole_is_not_used() -> None:
    topic = {key: value for key, value in chunks.cut("r", b"x" * (3 * chunks.PIECE_BYTES), 0) if value is not None}
    del topic[chunks.key("r", 1)]
    with pytest.raises(chunks.Torn, match="of 3"):
        chunks.joined(topic)
