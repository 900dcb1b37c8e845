"""What goes wrong on the way, at the rates asked for, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice, pairwise
from typing import NamedTuple

import msgspec
import pytest

from streams.contracts.codec import TouchpointCodec
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import Rejection, Touchpoint
from streams.tools.simulator import DEFAULT_START_MS, Disturbance, Fact, Garbage, Simulation, generate

COUNT = 12_000
CUSTOMERS = 1_200
FROM_THE_LOG = ("offset", "record_time")


def made(disturbance: Disturbance | None = None, count: int = COUNT) -> list[Touchpoint]:
    simulation = Simulation(
        11, CUSTOMERS, DEFAULT_START_MS, disturbance=disturbance, arrivals_ms=100_000_000, keep_truth=False
    )
    return list(islice(simulation.events(1 << 62), count))


def content(t: Touchpoint) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(t).items() if name not in FROM_THE_LOG}


@pytest.fixture(scope="module")
def clean() -> dict[str, Touchpoint]:
    return {t.event_id: t for t in made(count=COUNT + 5_000)}


def test_disturbed_touchpoints_are_repeatable_too() -> None:
    disturbance = Disturbance(duplicates=0.02, late=0.02, shuffle_ms=20_000, skewed=0.1)
    assert made(disturbance) == made(disturbance)


def test_record_time_never_goes_back_and_is_never_before_the_touchpoint() -> None:
    touchpoints = made(Disturbance(duplicates=0.02, late=0.02, shuffle_ms=20_000))
    times = [t.record_time or 0 for t in touchpoints]
    assert times == sorted(times)
    assert all(t.record_time is not None and t.record_time > t.occurred_at for t in touchpoints)
    assert [t.offset for t in touchpoints] == list(range(COUNT))


def test_duplicates_are_equal_and_come_soon_after(clean: dict[str, Touchpoint]) -> None:
    touchpoints = made(Disturbance(duplicates=0.05, duplicate_within_ms=60_000))
    seen: dict[str, Touchpoint] = {}
    again = 0
    for t in touchpoints:
        first = seen.setdefault(t.event_id, t)
        if first is not t:
            again += 1
            assert content(first) == content(t) == content(clean[t.event_id])
            assert 0 <= (t.record_time or 0) - (first.record_time or 0) < 60_000
    assert 0.04 < again / len(seen) < 0.06


def test_late_ones_come_later_than_allowed(clean: dict[str, Touchpoint]) -> None:
    touchpoints = made(Disturbance(late=0.03, late_least_ms=30_000, late_most_ms=600_000))
    delays = [(t.record_time or 0) - t.occurred_at for t in touchpoints]
    late = [d for d in delays if d > 30_000]
    assert 0.02 < len(late) / COUNT < 0.04
    assert max(late) <= 600_050
    assert {d for d in delays if d <= 30_000} == {50}
    assert all(content(t) == content(clean[t.event_id]) for t in touchpoints)


def test_a_shuffle_stays_within_its_bound_and_disorders() -> None:
    touchpoints = made(Disturbance(shuffle_ms=20_000))
    assert max((t.record_time or 0) - t.occurred_at for t in touchpoints) <= 20_050
    inversions = sum(a.occurred_at > b.occurred_at for a, b in pairwise(touchpoints))
    assert inversions > COUNT // 10


def by_profile(touchpoints: list[Touchpoint]) -> dict[bytes | None, list[str]]:
    orders: dict[bytes | None, list[str]] = defaultdict(list)
    for t in touchpoints:
        orders[t.key].append(t.event_id)
    return orders


def test_a_shuffle_between_customers_keeps_the_order_of_each(clean: dict[str, Touchpoint]) -> None:
    mixed = made(Disturbance(shuffle_ms=20_000, shuffle="between customers"))
    assert [t.event_id for t in mixed] != list(clean)[:COUNT]
    ordered = by_profile(list(clean.values()))
    for profile, events in by_profile(mixed).items():
        assert events == ordered[profile][: len(events)]
    disordered = by_profile(made(Disturbance(shuffle_ms=20_000)))
    assert any(events != ordered[profile][: len(events)] for profile, events in disordered.items())


def test_wrong_clocks_are_told_by_sent_at_and_can_be_corrected(clean: dict[str, Touchpoint]) -> None:
    touchpoints = made(Disturbance(skewed=0.2))
    skewed = {t.key for t in touchpoints if t.sent_at is not None}
    assert 0.15 < len(skewed) / len({t.key for t in touchpoints}) < 0.25
    signs: Counter[bool] = Counter()
    for t in touchpoints:
        true_time = clean[t.event_id].occurred_at
        if t.sent_at is None:
            assert t.occurred_at == true_time
            continue
        assert t.actor is None
        skew = t.occurred_at - true_time
        assert 360_000 <= abs(skew) <= 5_400_000
        signs[skew > 0] += 1
        corrected = t.occurred_at + (t.record_time or 0) - t.sent_at
        assert abs(corrected - true_time) <= 50
    assert min(signs[True], signs[False]) > 100


def test_the_truth_does_not_depend_on_the_way_to_the_log() -> None:
    clean_facts: list[Fact] = []
    facts: list[Fact] = []
    list(generate(2, 500, 8_000, truth=clean_facts.append))
    touchpoints = list(generate(2, 500, 8_000, truth=facts.append, disturbance=Disturbance(shuffle_ms=15_000)))
    end = min(max(t.occurred_at for t in touchpoints), max(f.time for f in clean_facts)) - 20_000
    assert [f for f in facts if f.time < end] == [f for f in clean_facts if f.time < end]


class Received(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@pytest.mark.parametrize("allow_json", [True, False])
def test_garbage_is_never_a_touchpoint(allow_json: bool) -> None:
    rubbish = Garbage(3, 1.0)
    records = [rubbish.next() for _ in range(300)]
    assert all(r and b"\n" not in r for r in records)
    codec = TouchpointCodec(PackagedSchemas(), allow_json=allow_json)
    decoded = codec.decode([Received(n, 0, None, r, []) for n, r in enumerate(records)])
    assert all(isinstance(d, Rejection) for d in decoded)
    assert len({d.reason for d in decoded if isinstance(d, Rejection)}) >= (4 if allow_json else 2)


def test_garbage_comes_at_its_share() -> None:
    rubbish = Garbage(3, 0.05)
    assert 400 < sum(rubbish.next() is not None for _ in range(10_000)) < 600
    assert not any(Garbage(3, 0.0).next() for _ in range(1_000))


@pytest.mark.parametrize(
    "wrong",
    [
        {"duplicates": 1.5},
        {"late": -0.1},
        {"late_least_ms": 10, "late_most_ms": 5},
        {"skew_least_ms": -1},
        {"shuffle_ms": -1},
        {"duplicate_within_ms": 0},
    ],
)
def test_impossible_disturbances_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"share|must lie|at least"):
        Disturbance(**wrong)  # type: ignore[arg-type]  # the point of the test
