"""Law: no score depends on anything after it. Another future, or the same one shuffled, changes none that was made."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.scoring.labels import unpack
from streams.engine.state import decode
from tests.support.engines import T0, D, H, M, touchpoint
from tests.support.risks import RISKS
from tests.support.worlds import LARGEST, LATENESS, MIXES, STRESS, Log, Run, Scoring, carried_out, law, loaded, logs
from tests.support.worlds import decode as touchpoints_of

LONG_LIVED = STRESS.replace("forget_after: 2d", "forget_after: 400d")


@pytest.fixture(scope="module", autouse=True)
def _scored() -> Iterator[None]:
    Scoring.on = True
    yield
    Scoring.on = False


GRID = 30 * M
"""Everybody is scored for one of the risks at its multiples: what follows at once is most tempting to know."""


def after(log: Log, s: int, prefix: str) -> Log:
    """The same touchpoints, as what happened after ``s``."""
    return [
        touchpoint(
            s + 1 + one.occurred_at - T0,
            one.type,
            one.customer_id,
            event_id=f"{prefix}{one.event_id}",
            **{
                name: getattr(one, name)
                for name in ("actor", "case_id", "contact_id", "channel", "topic", "traits", "consent", "properties")
            },
            **{name: getattr(one, name) for name in ("survey", "score", "sentiment", "emotion")},
        )
        for one in log
    ]


def scores(log: Log, s: int) -> dict[tuple[str, str, int], Any]:
    """Every score made at or before ``s``: of what, from what, by what, how high; and the signals that they gave."""
    run = Run(loaded(LONG_LIVED))
    run.hear(*carried_out(log, loaded(LONG_LIVED)))
    run.until(max(s, max(one.occurred_at for one in log) - T0) + LATENESS + 1)
    found: dict[tuple[str, str, int], Any] = {}
    names = {risk.name: risk.features for risk in loaded(LONG_LIVED).risks}
    for example in [one for one in run.examples if one.risk in names]:
        found[example.customer, example.risk, example.scored_at] = (example.features, example.score, example.model)
    for blob in run.save().values():
        p = decode(blob)
        for risk, state in p.risks.items():
            for snapshot in state.waiting:
                values = zip(names[risk], unpack(snapshot.values), strict=True)
                known = {name: x for name, x in values if x == x}
                found[p.id, risk, snapshot.at] = (known, snapshot.score, snapshot.model)
    signals = {
        (x.customer, x.name, x.time): (x.band, x.figures["score"], x.contributions, x.words)
        for x in run.signals
        if x.kind == "churn_risk" and x.band is not None
    }
    assert run.totals["snapshots_full"] == run.totals["labels_censored"] == 0
    return {key: (value, signals.get(key)) for key, value in found.items() if key[2] - T0 <= s}


def shuffled(log: Log, order: Sequence[int]) -> Log:
    """The same times, other touchpoints at them."""
    times = [one.occurred_at - T0 for one in log]
    mixed = [log[i % len(log)] for i in order]
    return [
        touchpoint(t, one.type, one.customer_id, event_id=f"m{i}", channel=one.channel, properties=one.properties)
        for i, (t, one) in enumerate(zip(times, mixed, strict=False))
    ]


@law(80)
@given(
    logs(25, delays=(0,)), logs(15), logs(15), st.sampled_from((0, 1, 5 * M, 2 * H, GRID)), st.permutations(range(15))
)
def test_another_future_changes_no_score(past: Log, one: Log, other: Log, pause: int, order: list[int]) -> None:
    s = max(touch.occurred_at for touch in past) - T0
    s = -(-s // GRID) * GRID if pause == GRID else s + pause
    future, another = after(one, s, "f"), after(other, s, "g")
    made = scores(past + future, s)
    assert made == scores(past + another, s)
    assert made == scores(past + shuffled(future, order), s)
    assert made == scores(past, s), "or none at all"


def test_the_law_is_about_something() -> None:
    rng = random.Random(3)
    log = touchpoints_of([rng.randrange(LARGEST) for _ in range(60)], MIXES[4], delays=(0,))
    s = log[-1].occurred_at - T0
    made = scores(log, s)
    assert {key[1] for key in made} == {risk.name for risk in RISKS}
    assert sum(signal is not None for _, signal in made.values()) > 3
    again = scores(log[:-20], s)
    assert made != again, "what came before a score does change it"
    assert s > D
