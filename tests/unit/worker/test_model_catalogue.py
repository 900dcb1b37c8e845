"""Which snapshot of a model is used: the newest that may be, whatever else lies in the topic."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Model
from streams.contracts.record import Encoded
from streams.contracts.schemas import PackagedSchemas
from streams.definitions.model import Definition, EventRef, Risk
from streams.engine.scoring.scorer import ModelRefused
from streams.learner import snapshots
from streams.worker.model_catalogue import ModelCatalogue, name_and_version

KEY = b"k" * 32
_codec = OutputCodec(PackagedSchemas(), "/test")


def model(version: int, signature: str = "s", key: bytes | None = KEY) -> Model:
    made = Model("churn", version, signature, "linear", "logistic", ["a"], [float(version)], [0.0], [1.0])
    return made if key is None else snapshots.signed(made, key)


def tampered(version: int) -> Model:
    return msgspec.structs.replace(model(version), weights=[9.0])


def definition(signature: str = "s") -> Definition:
    risk = Risk("churn", "without", (EventRef("Order Completed"),), 1, features=("a",), signature=signature)
    return Definition(1, "d", (), risks=(risk,))


@dataclass
class Topic:
    """Records as they lie in the topic, and the catalogue that has read them."""

    key: bytes | None = KEY
    records: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    read_again: int = 0

    def __post_init__(self) -> None:
        self.catalogue = ModelCatalogue(
            OutputReader(PackagedSchemas()), self.key, read_again=self._at, refused=lambda r: self.refusals.update([r])
        )

    def _at(self, offset: int) -> tuple[bytes | None, bytes | None]:
        self.read_again += 1
        return self.records[offset]

    def add(self, *added: Model | Encoded) -> Topic:
        for one in added:
            made = _codec.model(one) if isinstance(one, Model) else one
            self.records.append((made.key, made.value))
            self.catalogue.take(made.key, made.value, len(self.records) - 1)
        return self

    def newest(self, signature: str = "s", latest: Definition | None = None) -> str | None:
        if self.catalogue.unjudged:
            self.catalogue.judge(latest or definition())
        found = self.catalogue.newest("churn", signature)
        return found.key if found is not None else None


def test_the_newest_is_used_and_the_others_are_not_even_loaded() -> None:
    topic = Topic().add(model(1), model(3), model(2))
    assert topic.newest() == "churn@3"
    assert topic.read_again == 0
    assert topic.add(model(4)).newest() == "churn@4"
    assert topic.add(model(2)).newest() == "churn@4"
    assert not topic.refusals


def test_one_that_was_tampered_with_is_refused_and_the_one_before_it_used() -> None:
    topic = Topic().add(model(1), model(2), tampered(3), model(4, key=None), model(5, key=b"another key" * 4))
    assert topic.newest() == "churn@2"
    assert topic.refusals == {"tampered": 2, "unsigned": 1}
    assert topic.catalogue.why_not("churn@3")
    assert topic.add(model(6)).newest() == "churn@6"
    assert topic.refusals.total() == 3, "each is counted once"


def test_without_a_key_only_plain_numbers_are_used() -> None:
    river = msgspec.structs.replace(model(2, key=None), form="river", body=b"x")
    topic = Topic(key=None).add(model(1, key=None), river)
    assert topic.newest() == "churn@1"
    assert topic.refusals == {"unsigned": 1}


def test_of_another_definition_is_counted_and_serves_nobody() -> None:
    topic = Topic().add(model(1), model(2, "other"))
    assert topic.newest() == "churn@1"
    assert topic.newest("other") == "churn@2"
    assert topic.refusals == {"other_definition": 1}
    assert topic.add(model(3)).newest() == "churn@3"
    assert topic.refusals.total() == 1


def test_what_a_partition_refuses_is_offered_no_more() -> None:
    topic = Topic().add(model(1), model(2))
    assert topic.newest() == "churn@2"
    topic.catalogue.refuse("churn@2", "signature", "it does not fit")
    assert topic.newest() == "churn@1"
    assert topic.refusals == {"signature": 1}


def test_one_that_was_taken_back_is_gone_but_stays_in_use() -> None:
    topic = Topic().add(model(1), model(2))
    assert topic.newest() == "churn@2"
    topic.add(Encoded(b"churn@1", None, []))
    assert not topic.catalogue.holds("churn@1")
    assert topic.newest() == "churn@2"
    with pytest.raises(ModelRefused):
        topic.catalogue.scorer("churn@1")


def test_a_named_snapshot_is_read_at_its_place_and_checked_as_any_other() -> None:
    topic = Topic().add(model(1), tampered(2), model(3))
    assert topic.catalogue.holds("churn@1")
    assert topic.catalogue.scorer("churn@1").score([2.0]) == topic.catalogue.scorer("churn@1").score([2.0])
    with pytest.raises(ModelRefused):
        topic.catalogue.scorer("churn@2")
    assert not topic.catalogue.holds("churn@2")
    # Whoever mends the record under the same key is believed.
    topic.add(model(2))
    assert topic.catalogue.holds("churn@2")
    assert topic.catalogue.scorer("churn@2").key == "churn@2"


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.none(), st.binary(max_size=30)), st.binary(max_size=60), st.integers(0, 80))
def test_any_record_of_the_topic_is_a_model_or_a_refusal(key: bytes | None, junk: bytes, cut: int) -> None:
    topic = Topic().add(model(1))
    whole = _codec.model(model(2)).value or b""
    topic.add(Encoded(key, junk, []), Encoded(b"churn@2", whole[: len(whole) - 1 - cut], []), Encoded(key, whole, []))
    assert topic.newest() == "churn@1"
    assert set(topic.refusals) == {"malformed"}


@pytest.mark.parametrize("key", [None, b"", b"churn", b"@1", b"churn@", b"churn@x", b"churn@-1", b"churn@" + b"9" * 30])
def test_keys_that_name_no_version(key: bytes | None) -> None:
    assert name_and_version(key) is None


def test_a_name_may_hold_what_separates_it() -> None:
    assert name_and_version(b"a@b@12") == ("a@b", 12)


def test_plain_numbers_are_scored_without_river() -> None:
    program = (
        "import sys; import streams.worker.run; from tests.unit.worker.test_model_catalogue import Topic, model;"
        "print(Topic().add(model(1)).newest(), any(name.split('.')[0] == 'river' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["churn@1", "False"], done.stderr
