"""The engine knows how many scores wait for their labels, without looking into profiles that nobody touches."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition, EventRef, Risk, Time
from streams.engine.engine import Engine
from streams.engine.state import KEY_PREFIX, decode

DAY = 86_400_000
T0 = 20_000 * DAY


def definition() -> Definition:
    risk = Risk(
        "churn",
        "without",
        (EventRef("Order Completed"),),
        5 * DAY,
        every_ms=DAY,
        features=("touchpoints",),
        signature="s",
    )
    return Definition(1, "d", (), time=Time(allowed_lateness_ms=0, forget_after_ms=200 * DAY), risks=(risk,))


def counted(state: dict[bytes, bytes]) -> int:
    profiles = [decode(blob) for key, blob in state.items() if key[:1] == KEY_PREFIX]
    return sum(len(risk.waiting) for p in profiles for risk in p.risks.values())


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["Product Viewed", "Order Completed"]), st.integers(0, 3)),
        min_size=1,
        max_size=40,
    ),
    st.sets(st.integers(0, 40)),
)
def test_those_that_wait_are_counted_over_batches_restarts_and_profiles_that_are_forgotten(
    steps: list[tuple[str, str, int]], restarts: set[int]
) -> None:
    engine = Engine(definition(), hot_profiles=2)
    state: dict[bytes, bytes] = {}
    now = T0

    def commit() -> None:
        nonlocal state
        for key, value in engine.changed():
            state = {**state, key: value} if value is not None else {k: v for k, v in state.items() if k != key}
        assert engine.labels_waiting == counted(state)

    for number, (customer, event, days) in enumerate(steps):
        now += days * DAY + 1
        touchpoint: Any = Touchpoint(f"{number}", event, now, customer_id=customer)
        engine.process([touchpoint], None)
        commit()
        if number in restarts:
            record = engine.partition_record()
            engine = Engine(definition(), hot_profiles=2)
            engine.restore(dict(state), record)
            assert engine.labels_waiting == counted(state)
    engine.advance(now + 400 * DAY, None)
    commit()
    assert not state
    assert engine.labels_waiting == 0


def test_each_score_waits_until_its_label_is_known() -> None:
    engine = Engine(definition())
    viewed: Any = Touchpoint("1", "Product Viewed", T0, customer_id="a")
    engine.process([viewed], None)
    engine.changed()
    engine.advance(T0 + 3 * DAY + 2, None)
    engine.changed()
    assert engine.labels_waiting == 3
    bought: Any = Touchpoint("2", "Order Completed", T0 + 3 * DAY + 5, customer_id="a")
    assert len(engine.process([bought], None).examples) == 3
    engine.changed()
    assert engine.labels_waiting == 0
