"""The clockwork: repeatable, in order, indifferent to how it is driven, and open to what triggers do."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.outputs import Trigger
from streams.contracts.touchpoint import ACTORS, Touchpoint
from streams.tools.simulator import (
    DEFAULT_START_MS,
    Fact,
    Habits,
    Pace,
    Simulation,
    arrivals_for,
    customers_for,
    generate,
)

HOUR = 3_600_000
CHANNELS = {"web", "mobile_app", "email", "chat", "call", "store"}


@pytest.fixture(scope="module")
def touchpoints() -> list[Touchpoint]:
    return list(generate(7, 2_000, 20_000))


def test_the_same_seed_makes_the_same_touchpoints_and_the_same_truth(touchpoints: list[Touchpoint]) -> None:
    facts: list[Fact] = []
    again: list[Fact] = []
    assert list(generate(7, 2_000, 20_000, truth=facts.append)) == touchpoints
    assert list(generate(7, 2_000, 20_000, truth=again.append)) == touchpoints
    assert facts == again
    assert facts


def test_another_seed_makes_another_life(touchpoints: list[Touchpoint]) -> None:
    other = list(generate(8, 2_000, 20_000))
    same = sum(a.type == b.type and a.occurred_at == b.occurred_at for a, b in zip(touchpoints, other, strict=True))
    assert same < 100


def test_a_customer_lives_the_same_life_whoever_else_is_there() -> None:
    """Each customer has an own random stream: others change when, never what."""

    def lives(customers: int) -> list[str]:
        simulation = Simulation(3, customers, DEFAULT_START_MS, arrivals_ms=customers)
        return [t.type for t in simulation.events(DEFAULT_START_MS + 100 * HOUR) if t.event_id.startswith("e0-")]

    assert lives(1) == lives(50)
    assert len(lives(1)) > 3


def test_there_are_exactly_as_many_as_asked_for_in_the_order_of_the_log(touchpoints: list[Touchpoint]) -> None:
    assert len(touchpoints) == 20_000
    assert [t.offset for t in touchpoints] == list(range(20_000))
    times = [t.occurred_at for t in touchpoints]
    assert times == sorted(times)
    assert times[0] >= DEFAULT_START_MS
    assert len({t.event_id for t in touchpoints}) == 20_000


@pytest.mark.parametrize(("customers", "count"), [(2_000, 20_000), (100, 10_000), (500, 4_000)])
def test_nearly_everybody_appears(customers: int, count: int) -> None:
    seen = {t.event_id.partition("-")[0] for t in generate(1, customers, count)}
    assert len(seen) >= 0.97 * customers


def test_every_touchpoint_is_complete(touchpoints: list[Touchpoint]) -> None:
    for t in touchpoints:
        assert t.key == (t.customer_id or t.anonymous_id or "").encode() != b""
        assert t.actor is None or t.actor in ACTORS
        assert t.record_time == t.occurred_at + Pace().transport_ms


def test_a_name_in_front_of_the_ids_keeps_two_runs_apart() -> None:
    first = {t.event_id for t in generate(1, 50, 500, run="a")}
    assert first.isdisjoint(t.event_id for t in generate(1, 50, 500, run="b"))


def test_all_channels_actors_and_ways_of_being_known_occur(touchpoints: list[Touchpoint]) -> None:
    assert {t.channel for t in touchpoints if t.channel} >= CHANNELS
    assert {t.actor for t in touchpoints} >= {None, "agent", "company"}
    anonymous = sum(t.customer_id is None for t in touchpoints)
    assert 0.1 < anonymous / len(touchpoints) < 0.7
    surveys = {t.survey for t in generate(7, 300, 20_000) if t.type == "Survey Answered"}
    assert surveys == {"nps", "csat", "ces"}


def test_nobody_is_known_before_they_say_who_they_are(touchpoints: list[Touchpoint]) -> None:
    identified: set[str] = set()
    for t in touchpoints:
        if t.customer_id is not None and t.customer_id not in identified:
            assert t.type == "identify"
            assert t.traits is not None
            assert t.consent is not None
            identified.add(t.customer_id)


def test_a_contact_ends_once_and_after_it_began(touchpoints: list[Touchpoint]) -> None:
    open_contacts: set[str] = set()
    ended: Counter[str] = Counter()
    for t in touchpoints:
        if t.contact_id is None:
            continue
        if t.type == "Contact Started":
            open_contacts.add(t.contact_id)
        assert t.contact_id in open_contacts
        assert not ended[t.contact_id]
        assert t.case_id is not None
        if t.type == "Contact Ended":
            ended[t.contact_id] += 1
    assert len(ended) > 100


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1_000), st.lists(st.integers(1, 9 * HOUR), min_size=1, max_size=6))
def test_it_does_not_matter_in_which_steps_time_goes_on(seed: int, steps: list[int]) -> None:
    end = DEFAULT_START_MS + sum(steps)
    whole = list(Simulation(seed, 20, DEFAULT_START_MS, arrivals_ms=HOUR).events(end))
    stepwise = Simulation(seed, 20, DEFAULT_START_MS, arrivals_ms=HOUR)
    now, parts = DEFAULT_START_MS, []
    for step in steps:
        now += step
        some = list(stepwise.events(now))
        assert all(t.record_time is not None and t.record_time <= now for t in some)
        parts += some
    assert parts == whole


def test_a_scaled_pace_lives_faster_but_hands_stay_hands() -> None:
    pace = Pace()
    quick = pace.scaled(60)
    assert quick.cart_ms == pace.cart_ms // 60
    assert quick.away_ms == pace.away_ms // 60
    assert quick.click_gap_ms == pace.click_gap_ms
    with pytest.raises(ValueError, match="above 0"):
        pace.scaled(0)


@pytest.mark.parametrize(("scale", "rate", "minutes"), [(1.0, 0.1, 3_000), (60.0, 5.0, 60)])
def test_a_rate_can_be_asked_for(scale: float, rate: float, minutes: int) -> None:
    pace = Pace().scaled(scale)
    simulation = Simulation(1, customers_for(rate, pace), 0, pace=pace, keep_truth=False)
    made = sum(1 for _ in simulation.events(minutes * 60_000))
    assert 0.8 < made / (minutes * 60 * rate) < 1.25


def trigger(customer: str, action: str, status: str = "issued", channel: str = "email") -> Trigger:
    return Trigger(f"t-{action}", 1, status, customer, action, "marketing", channel, 0, 1 << 50)


ALWAYS = Habits(not_sent=0, bounced=0, opened=1, unsubscribes=0, clicked=1, buys_after_reminder=1)


def known_customer(simulation: Simulation, until: int) -> str:
    return next(t.customer_id for t in simulation.events(until) if t.customer_id is not None)


def test_an_issued_trigger_is_carried_out_step_by_step() -> None:
    simulation = Simulation(5, 30, DEFAULT_START_MS, habits=ALWAYS, arrivals_ms=HOUR)
    now = DEFAULT_START_MS + 2 * HOUR
    customer = known_customer(simulation, now)
    simulation.react(trigger(customer, "renewal_offer"), now)
    after = [t for t in simulation.events(now + 12 * HOUR) if t.trigger_id == "t-renewal_offer"]
    assert [t.outcome for t in after] == ["sent", "delivered", "opened", "clicked"]
    assert {t.customer_id for t in after} == {customer}
    assert after[0].occurred_at >= now


def test_a_withdrawn_trigger_is_not_sent() -> None:
    simulation = Simulation(5, 30, DEFAULT_START_MS, habits=ALWAYS, arrivals_ms=HOUR)
    now = DEFAULT_START_MS + 2 * HOUR
    customer = known_customer(simulation, now)
    simulation.react(trigger(customer, "renewal_offer"), now)
    simulation.react(trigger(customer, "renewal_offer", "cancelled"), now)
    assert not [t for t in simulation.events(now + 12 * HOUR) if t.trigger_id is not None]


def test_a_reminder_brings_customers_back_to_buy() -> None:
    def orders(*, remind: bool) -> int:
        simulation = Simulation(5, 300, DEFAULT_START_MS, habits=ALWAYS, arrivals_ms=HOUR)
        now = DEFAULT_START_MS + 2 * HOUR
        left = {t.customer_id for t in simulation.events(now) if t.type == "Product Added"}
        for customer in sorted(c for c in left if c is not None):
            if remind:
                simulation.react(trigger(customer, "cart_reminder"), now)
        return sum(t.type == "Order Completed" for t in simulation.events(now + 2 * HOUR))

    assert orders(remind=True) > 3 * orders(remind=False)


def test_triggers_for_unknown_profiles_change_nothing() -> None:
    simulation = Simulation(5, 30, DEFAULT_START_MS, arrivals_ms=HOUR)
    untouched = Simulation(5, 30, DEFAULT_START_MS, arrivals_ms=HOUR)
    for name in ("me", "c-", "c-999999", "-", ""):
        simulation.react(trigger(name, "cart_reminder"), DEFAULT_START_MS)
    end = DEFAULT_START_MS + 20 * HOUR
    assert list(simulation.events(end)) == list(untouched.events(end))


def test_first_visits_are_spread_for_the_number_of_touchpoints() -> None:
    pace = Pace()
    assert arrivals_for(1_000, 100_000, pace) > arrivals_for(1_000, 10_000, pace) > 0


def test_a_simulation_needs_customers() -> None:
    with pytest.raises(ValueError, match="at least 1 customer"):
        Simulation(1, 0, 0)
