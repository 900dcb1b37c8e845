"""What goes into a transaction: the real engine and codec, without a broker."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.codec import TouchpointCodec
from streams.contracts.dead_letter import DeadLetter
from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Decision, JournalLine, Trigger
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files, load_texts
from streams.definitions.model import Definition
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.plan import signature
from streams.engine.engine import Engine
from streams.settings import Settings, load
from streams.worker import marker as markers
from streams.worker.batch import Batch
from streams.worker.marker import Marker
from streams.worker.metrics import Metrics
from streams.worker.ports import Intake
from streams.worker.processing import Processing, first_marker

SHOP = Path(__file__).parents[2] / "support" / "shop.journey.yaml"
TOPICS = Topics()
T0 = 1_767_571_200_000
_codec = TouchpointCodec(PackagedSchemas())
_outputs = OutputCodec(PackagedSchemas(), "/test")
_reader = OutputReader(PackagedSchemas())


def shop(number: int = 1) -> Definition:
    return load_files([SHOP], number)


def runtime(made: Settings | None = None) -> Any:
    return SimpleNamespace(
        settings=made or load({"JOURNEY_START_ISSUING": "beginning"}),
        topics=TOPICS,
        outputs=_outputs,
        metrics=Metrics(),
        definitions=SimpleNamespace(end=7),
        models=SimpleNamespace(newest=lambda _risk, _signature: None),
        tracing=None,
        intake=Intake(TOPICS.touchpoints, TOPICS.state, TOPICS.journal),
    )


def begin(rt: Any) -> Processing:
    definition = shop()
    begins = first_marker(rt, "topic", 0, -1, definition.number)
    engine = Engine(definition, partition=0, partitions=1, start_issuing_at=begins.start_issuing_at)
    return Processing(0, rt, engine, begins)


def record(offset: int, value: bytes | None, key: bytes | None = b"c") -> Any:
    return SimpleNamespace(offset=offset, timestamp=T0 + offset * 1_000, key=key, value=value, headers=())


def touched(offset: int, name: str, customer: str = "c", event_id: str | None = None) -> Any:
    made = _outputs.touchpoint(
        Touchpoint(event_id=event_id or f"e{offset}", type=name, occurred_at=T0 + offset * 1_000, customer_id=customer)
    )
    return record(offset, made.value, made.key)


def feed(processing: Processing, records: list[Any], size: int, now_ms: int = T0) -> Batch:
    """One transaction of chunks of that size."""
    builder = processing.builder()
    for start in range(0, len(records), size):
        part = records[start : start + size]
        chunk = SimpleNamespace(records=part, start=part[0].offset, next=part[-1].offset + 1)
        processing.apply(chunk, _codec.decode(part), now_ms, builder)
    return processing.close(builder)


def of(batch: Batch, topic: str) -> list[Any]:
    return [message for message in batch.messages if message.topic == topic]


def lines(batch: Batch) -> list[JournalLine]:
    return [_reader.read(JournalLine, message.value) for message in of(batch, TOPICS.journal)]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Product Added", "Payment Info Entered", "Payment Failed", "Order Completed", "garbage", "twice"]
            ),
            st.sampled_from(["a", "b", "c"]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 40),
)
def test_chunks_of_any_size_give_the_same_transaction_and_nothing_is_uncounted(
    events: list[tuple[str, str]], size: int
) -> None:
    records = []
    for offset, (name, customer) in enumerate(events):
        if name == "garbage":
            records.append(record(offset, b"\x00garbage"))
        elif name == "twice":
            records.append(touched(offset, "Product Added", customer, f"same {customer}"))
        else:
            records.append(touched(offset, name, customer))
    whole, cut = feed(begin(runtime()), records, 100), feed(begin(runtime()), records, size)
    assert sorted(map(str, whole.messages)) == sorted(map(str, cut.messages))
    for topic in (TOPICS.signals, TOPICS.triggers, TOPICS.decisions, TOPICS.dead_letters):
        assert of(whole, topic) == of(cut, topic)
    tally = cut.tally
    counted = tally.counts["processed"] + tally.counts["duplicate"] + tally.counts["too_late"]
    assert tally.consumed == len(events) == counted + tally.dead_letters.total()
    assert all(message.partition == 0 for message in cut.messages)


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.sampled_from(["Product Added", "Payment Failed", "Order Completed"]), min_size=2, max_size=20),
    st.data(),
)
def test_an_engine_restored_from_the_messages_goes_on_as_if_nothing_had_happened(
    names: list[str], data: st.DataObject
) -> None:
    records = [touched(offset, name) for offset, name in enumerate(names)]
    cut = data.draw(st.integers(1, len(records) - 1))
    rt = runtime()
    steady = begin(rt)
    first = feed(steady, records[:cut], 10)
    state = {m.key: m.value for m in of(first, TOPICS.state)}
    marker = markers.decode(state.pop(markers.KEY))
    engine = Engine(shop(), partition=0, partitions=1, start_issuing_at=marker.start_issuing_at)
    engine.restore({k: v for k, v in state.items() if v is not None}, marker.engine)
    restored = Processing(0, rt, engine, marker)
    assert feed(restored, records[cut:], 10).messages == feed(steady, records[cut:], 10).messages


def test_the_first_start_is_journalled_before_anything_else() -> None:
    rt = runtime(load({"JOURNEY_START_ISSUING": "2026-01-05T00:00:00Z"}))
    batch = begin(rt).first_start()
    assert [(line.after_offset, line.kind, line.value) for line in lines(batch)] == [
        (-1, "start", {"start_issuing_at": T0, "definition": 1})
    ]
    assert (batch.marker.sequence, batch.marker.next) == (1, 0)


def test_touchpoints_read_again_are_counted_and_not_applied() -> None:
    processing = begin(runtime())
    records = [touched(offset, "Product Added", f"c{offset}") for offset in range(6)]
    feed(processing, records[:4], 10)
    batch = feed(processing, records, 10)
    assert (batch.tally.already_applied, batch.tally.consumed, batch.tally.counts["processed"]) == (4, 2, 2)


def test_a_stale_trigger_is_a_decision_and_journalled_before_its_chunk() -> None:
    processing = begin(runtime())
    feed(processing, [touched(0, "Product Added")], 10)
    batch = feed(processing, [touched(1, "Payment Failed"), touched(2, "Payment Failed")], 10, now_ms=T0 + 86_400_000)
    assert not of(batch, TOPICS.triggers)
    decisions = [_reader.read(Decision, m.value) for m in of(batch, TOPICS.decisions)]
    assert [d.reason for d in decisions] == ["stale"]
    assert [(line.after_offset, line.kind) for line in lines(batch)] == [(0, "stale")]
    assert len(lines(batch)[0].value["triggers"]) == 1


def test_idle_time_goes_from_timer_to_timer_and_each_move_is_journalled() -> None:
    processing = begin(runtime())
    feed(processing, [touched(0, "Product Added", "a"), touched(1, "Product Added", "b")], 10)
    assert processing.move_time(T0, T0) is None
    first_due = processing.engine.next_due_ms
    assert first_due is not None
    batch = processing.move_time(first_due + 1_000, T0)
    assert batch is not None
    moves = [(line.after_offset, line.kind, line.value["to"]) for line in lines(batch)]
    assert moves == [(1, "idle", first_due), (1, "idle", first_due + 1_000)]
    assert processing.engine.watermark == first_due + 1_000
    triggers = [_reader.read(Trigger, m.value) for m in of(batch, TOPICS.triggers)]
    assert Counter(t.action for t in triggers) == {"reminder": 2}
    assert batch.marker.watermark == first_due + 1_000


def test_too_many_dead_letters_pause_durably_and_in_order() -> None:
    rt = runtime(load({"JOURNEY_DEAD_LETTERS_WINDOW_RECORDS": "10", "JOURNEY_START_ISSUING": "beginning"}))
    processing = begin(rt)
    records = [record(offset, b"junk") for offset in range(8)]
    batch = feed(processing, records, 10)
    letters = [_reader.read(DeadLetter, m.value) for m in of(batch, TOPICS.dead_letters)]
    assert [letter.offset for letter in letters] == list(range(8))
    assert batch.marker.paused is not None
    assert batch.marker.paused.since == 7
    resumed = processing.resume()
    assert resumed.marker.paused is None
    assert resumed.marker.next == 8


def test_misrouted_and_malformed_records_are_dead_letters_in_the_order_of_the_log() -> None:
    rt = runtime()
    definition = shop()
    begins = Marker(sequence=0, offset=-1, next=0, topic_id="t", definition=1, start_issuing_at=0)
    engine = Engine(definition, partition=1, partitions=4, start_issuing_at=0)
    processing = Processing(1, rt, engine, begins)
    records = [touched(offset, "Product Added", f"c{offset}") for offset in range(12)]
    records[5] = record(5, b"junk")
    batch = feed(processing, records, 20)
    offsets = [_reader.read(DeadLetter, m.value).offset for m in of(batch, TOPICS.dead_letters)]
    assert offsets == sorted(offsets)
    assert 5 in offsets
    assert set(batch.tally.dead_letters) >= {"misrouted"}


def test_an_adopted_definition_is_journalled_where_it_took_effect() -> None:
    processing = begin(runtime())
    feed(processing, [touched(0, "Product Added")], 10)
    changed = load_texts([("s", SHOP.read_text().replace("at_least: 2", "at_least: 1"))], 2)
    batch = processing.adopt(changed, T0)
    assert [(line.after_offset, line.kind, line.value) for line in lines(batch)] == [(0, "definition", {"number": 2})]
    assert batch.marker.definition == 2


def test_what_an_adopted_definition_triggers_may_come_too_late() -> None:
    """A stage is taken away, and the action that answers is over before a worker that lags comes to it."""
    text = SHOP.read_text().replace(
        "  reminder:\n", "  sorry: {when: {signal: stage_left}, channel: web, expires_after: 1h}\n  reminder:\n"
    )
    gone = text.replace("      payment:\n        on: [Payment Info Entered]\n", "").replace(
        "      payment: {after: 6s}\n", ""
    )
    for late_ms, reason in ((0, "issued"), (3_600_001, "stale")):
        processing = begin(runtime())
        feed(processing, [touched(0, "Product Added"), touched(1, "Payment Info Entered")], 10)
        watermark = processing.engine.watermark
        assert watermark is not None
        batch = processing.adopt(load_texts([("s", gone)], 2), watermark + late_ms)
        assert [_reader.read(Decision, m.value).reason for m in of(batch, TOPICS.decisions)] == [reason]
        assert len(of(batch, TOPICS.triggers)) == (reason == "issued")
        assert ("stale" in [line.kind for line in lines(batch)]) == (reason == "stale")


def test_the_idle_clock_comes_to_what_an_adopted_definition_has_made_due() -> None:
    processing = begin(runtime())
    feed(processing, [touched(0, "Product Added"), touched(200_000, "Product Viewed", "d")], 200_010)
    watermark = processing.engine.watermark
    assert watermark is not None
    processing.adopt(load_texts([("s", SHOP.read_text().replace("within: 14d", "within: 1d"))], 2), T0)
    batch = processing.move_time(watermark, T0)
    assert batch is not None
    assert [line.kind for line in lines(batch)] == ["idle"]
    assert len(of(batch, TOPICS.signals)) == 1
    assert processing.engine.watermark == watermark
    assert not processing.timer_due(watermark)


def test_an_actions_model_is_adopted_journalled_and_named_by_the_marker() -> None:
    rt = runtime()
    processing = begin(rt)
    action = processing.engine.definition.actions[0]
    name = f"action.{action.name}"
    found = ActionModel(f"{name}@3", name, signature(action, processing.engine.definition), 4.0, 6.0)
    rt.definitions.latest = None
    rt.models = SimpleNamespace(newest=lambda n, s: found if (n, s) == (name, found.signature) else None)
    assert processing.has_news()
    batch = processing.take_news(T0)
    assert batch is not None
    assert [(line.kind, line.value) for line in lines(batch)] == [("model", {"risk": name, "model": f"{name}@3"})]
    assert batch.marker.models == {name: f"{name}@3"}
    assert not processing.has_news()
    told = feed(processing, [touched(n, "Payment Failed") for n in range(3)], 10)
    decisions = [_reader.read(Decision, message.value) for message in of(told, TOPICS.decisions)]
    assert {(c.model, c.p) for d in decisions for c in d.candidates if c.action == action.name} == {
        (f"{name}@3", 4.5 / 11)
    }


def traced(offset: int, name: str, number: int, customer: str = "c") -> Any:
    made = touched(offset, name, customer)
    parent = f"00-{number:032x}-{number:016x}-01".encode()
    made.headers = [("ce_type", b"x"), ("traceparent", parent), ("tracestate", b"shop=1")]
    return made


def test_a_trigger_carries_the_trace_of_the_touchpoint_in_whose_step_it_is_said() -> None:
    def log(*, traces: bool) -> list[Any]:
        events = [
            *[(name, "c") for name in ("Product Added", "Payment Failed", "Payment Failed", "Order Completed")],
            ("Product Added", "silent"),
            *[("Page Viewed", "other")] * 3,
            *[("Product Added", "silent")] * 3,  # 6 s after its first: the deadline fires before one of these
        ]
        at = [0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22]
        return [
            traced(offset, name, number + 1, customer) if traces else touched(offset, name, customer)
            for number, (offset, (name, customer)) in enumerate(zip(at, events, strict=True))
        ]

    whole = feed(begin(runtime()), log(traces=True), 100)
    triggers = of(whole, TOPICS.triggers)
    said = [
        (_reader.read(Trigger, message.value).status, _reader.read(Trigger, message.value).action,
         dict(message.headers).get("traceparent"), dict(message.headers).get("tracestate"))
        for message in triggers
    ]  # fmt: skip
    assert (
        said
        == [
            ("issued", "payment_help", f"00-{3:032x}-{3:016x}-01".encode(), b"shop=1"),
            ("cancelled", "payment_help", f"00-{4:032x}-{4:016x}-01".encode(), b"shop=1"),
            ("issued", "reminder", None, None),  # of a deadline: no touchpoint said it
            ("cancelled", "reminder", None, None),
        ][: len(said)]
    )
    assert len(said) >= 3
    for size in (1, 2, 3, 5):
        assert of(feed(begin(runtime()), log(traces=True), size), TOPICS.triggers) == triggers
    bare = feed(begin(runtime()), log(traces=False), 100)
    without = [m._replace(headers=[h for h in m.headers if not h[0].startswith("trace")]) for m in triggers]
    assert without == of(bare, TOPICS.triggers)
    assert [m for m in whole.messages if m.topic != TOPICS.triggers] == [
        m for m in bare.messages if m.topic != TOPICS.triggers
    ]
