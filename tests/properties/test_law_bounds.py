"""Laws of size: a profile stays small whatever it is sent, and what waits in memory does not grow with history."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from streams.contracts.touchpoint import Touchpoint
from streams.engine.engine import Engine
from streams.engine.state import INSTANCES, LEAST_ROOM, MAX_BYTES, SEEN, TRAIL, decode, encode
from streams.engine.timers import next_timer
from tests.support.compare import said, stored
from tests.support.engines import T0, H, M, S, touchpoint
from tests.support.worlds import KINDS, LARGEST, STRESS, Run, loaded
from tests.support.worlds import decode as touchpoints_of

BUSY = STRESS.replace("forget_after: 2d", "forget_after: 400d")


def busy(n: int, seed: int) -> Iterator[Touchpoint]:
    """One customer who never rests, with as many cases, topics, products, traits and long texts as can be."""
    rng = random.Random(seed)
    t = 0
    for i in range(n):
        t += rng.choice((0, 1, 100, 1 * S, 20 * S, 11 * M, 2 * H) if i % 50 == 0 else (1, 100, 1 * S))
        name, fields = rng.choice(KINDS)
        wide = {f"{name} {rng.randrange(500)}": "x" * rng.randrange(300)} if rng.random() < 0.3 else {}
        fields = {**fields, "product_id": f"p{rng.randrange(900)}", "query": "q" * 400}
        fields["traits"] = {**fields.get("traits", {}), **wide}
        fields["consent"] = {**fields.get("consent", {}), f"channel{rng.randrange(200)}": True}
        yield touchpoint(
            max(0, t - rng.choice((0, 0, 0, 5 * S))),
            name,
            event_id=f"{'e' * rng.choice((1, 40))}{i}",
            case_id=f"case-{rng.randrange(400)}" if rng.random() < 0.8 else None,
            contact_id=f"contact-{rng.randrange(5000)}",
            topic=f"topic {rng.randrange(1000)} " * 3,
            channel=f"channel{rng.randrange(60)}",
            locale="l" * 90,
            intent=f"intent {i}" * 60,
            **fields,
        )


def test_a_profile_stays_small_after_20_000_touchpoints(scoring: bool) -> None:
    """Or 8,000, where no features are kept: the bound is reached long before."""
    run = Run(loaded(BUSY))
    n = 20_000 if scoring else 8_000
    largest = []
    waiting = []
    batch: list[Touchpoint] = []
    for i, one in enumerate(busy(n, 7)):
        batch.append(one)
        if len(batch) == 200:
            run.hear(*batch)
            batch.clear()
            (blob,) = run.save().values()
            largest.append(len(blob))
            waiting.append(len(run.engine.store.heap))
        if i == n // 2:
            run.restart()
    assert run.totals["processed"] == n
    assert max(largest) <= MAX_BYTES
    assert max(waiting) < 2_000
    (blob,) = run.save().values()
    p = decode(blob)
    assert len(p.trail) <= TRAIL
    assert len(p.seen) <= SEEN
    assert all(sum(i.journey == name for i in p.open.values()) <= INSTANCES for name in ("purchase", "support"))
    assert len(run.engine.event_names_unused) <= 200
    assert run.totals["shed"] > 0, "otherwise the test does not reach the bound"


WIDE = ("é" * 500, "😀" * 300, "x" * 512, "w" * 64, "ü" * 64, "s", "t")
"""Texts of every width that the contract lets through."""


def hostile(n: int, seed: int) -> Iterator[Touchpoint]:
    """One customer whose every text is as long as it may be, and always another."""
    rng = random.Random(seed)
    t = 0

    def text() -> str:
        return f"{rng.randrange(400)}{rng.choice(WIDE)}"[:512]

    for i in range(n):
        t += rng.choice((0, 1, 100, 20 * S, 3 * M, 11 * M, 2 * H) if i % 20 == 0 else (1, 100, 1 * S))
        name, fields = rng.choice(KINDS)
        fields = {"query": text(), "product_id": text(), "category": text(), "path": text(), **fields}
        fields = {"emotion": text(), "actor": rng.choice((None, None, None, text())), **fields}
        fields |= {"target": text()} if name == "Element Clicked" else {}
        fields |= {"survey": text(), "score": 5.0} if rng.random() < 0.1 else {}
        if rng.random() < 0.3:
            fields["traits"] = {text(): text() for _ in range(rng.choice((1, 100)))}
            fields["consent"] = {text(): True for _ in range(rng.choice((1, 100)))}
        yield touchpoint(
            max(0, t - rng.choice((0, 0, 0, 5 * S, 9 * M))),
            name if rng.random() < 0.9 else text(),
            event_id=f"{i}{text()}",
            case_id=rng.choice((None, text(), "k")),
            contact_id=rng.choice((None, text())),
            topic=text(),
            channel=text(),
            locale=text(),
            time_zone=text(),
            intent=text(),
            anonymous_id=text(),
            **fields,
        )


@pytest.mark.usefixtures("scoring")
@pytest.mark.parametrize("seed", range(4))
def test_no_text_however_wide_makes_a_profile_larger_than_its_bound(seed: int) -> None:
    """What a touchpoint adds is known before it is measured: the room that is left is never less than is said."""
    run = Run(loaded(BUSY))
    shed = 0
    for one in hostile(1_500, seed):
        run.hear(one)
        (p,) = run.engine.store.hot.values()
        size = len(encode(p))
        assert size <= MAX_BYTES
        assert p.room <= max(MAX_BYTES - size, LEAST_ROOM)
        shed = run.totals["shed"]
    assert shed > 0, "otherwise the test does not reach the bound"


def sudden(n: int) -> Iterator[Touchpoint]:
    """A customer who fills most of the bound slowly and the rest at once."""
    for i in range(n):
        yield touchpoint(i, "page", event_id=f"{'e' * 12}{i}", path=f"/{i}")
    for i in range(150):
        yield touchpoint(n + i, "Product Added", event_id=f"a{i}", product_id=f"{i}{'p' * 60}", price=1.0)
    yield touchpoint(n + 150, "identify", event_id="i", traits={f"t{k}": "y" * 256 for k in range(100)})
    for i in range(20):
        yield touchpoint(n + 151 + i, "Payment Failed", event_id=f"f{i}", path="/")


@pytest.mark.usefixtures("scoring")
@pytest.mark.parametrize(
    "log",
    [lambda: busy(4_000, 3), lambda: sudden(700), lambda: sudden(990), lambda: hostile(600, 9)],
    ids=["busy", "sudden", "more sudden", "hostile"],
)
def test_what_is_shed_does_not_depend_on_what_was_stored(log: Callable[[], Iterator[Touchpoint]]) -> None:
    storing, restoring, replaying = Run(loaded(BUSY)), Run(loaded(BUSY)), Run(loaded(BUSY))
    for i, one in enumerate(log()):
        for run in (storing, restoring, replaying):
            run.hear(one)
        storing.save()
        if i % 97 == 0:
            restoring.restart()
    assert storing.totals["shed"] > 0
    assert said(storing) == said(restoring) == said(replaying)
    assert stored(storing) == stored(restoring) == stored(replaying)


@pytest.mark.usefixtures("scoring")
def test_timers_that_were_moved_on_do_not_pile_up() -> None:
    """Each silence sets and leaves timers far ahead; only those in force may stay."""
    run = Run(loaded(BUSY))
    for day in range(100):
        for customer in "abcdefghijkl":
            for k, name in enumerate(("Product Viewed", "Product Added", "Signed Up")):
                run.hear(touchpoint(day * 24 * H + k * M, name, customer, product_id="p", event_id=f"{day}{k}"))
    assert len(run.engine.store.heap) < 2_000
    assert run.engine.profiles == 12


def first_decision(engine: Engine) -> int | None:
    """By looking at every profile: the earliest timer that is not the calendar's."""
    everyone = [engine.store.get(name) for name in [*engine.store.hot, *engine.store.cold]]
    timers = [next_timer(engine._step, p, calendar=False) for p in everyone if p is not None]
    return min((timer.due for timer in timers if timer is not None), default=None)


def test_draining_many_customers_decides_every_deadline_once(scoring: bool) -> None:
    if scoring:
        return  # the log's end makes no scores; stepping does
    run, stepping = Run(loaded(BUSY)), Run(loaded(BUSY))
    rng = random.Random(5)
    log = touchpoints_of([rng.randrange(LARGEST) for _ in range(50)])
    for n in range(300):
        for i in range(3):
            log.append(
                touchpoint(24 * 30 * H + n, KINDS[(n + i) % 12][0], f"c{n}", event_id=f"c{n}.{i}", product_id="p")
            )
    run.hear(*log)
    stepping.hear(*log)
    run.drain()
    while (due := first_decision(stepping.engine)) is not None:
        stepping.until(due + 1 - T0)
    assert said(run) == said(stepping)
    assert run.engine.watermark == stepping.engine.watermark
    for p in run.engine.store.hot.values():
        assert not p.triggers
        assert not p.absences
        assert all(not inst.due for inst in p.open.values())
