"""The truth against recomputations from the touchpoints that share no code with the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import fields
from itertools import pairwise

import pytest

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files, shipped
from streams.definitions.model import Absence, Count, Definition, Preset, Sequence, Stalled
from streams.tools.simulator import Fact, Pace, Simulation, generate
from streams.tools.simulator.truth import rules

MINUTE = 60_000
HOUR = 60 * MINUTE
LOOKS = {"Product Viewed", "Product List Viewed", "Products Searched"}


@pytest.fixture(scope="module")
def definition() -> Definition:
    return load_files([shipped("shop"), shipped("service")])


class Lived:
    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.touchpoints = list(generate(21, 1_500, 40_000, truth=self.facts.append))
        self.end = self.touchpoints[-1].occurred_at
        self.by_profile: dict[str, list[Touchpoint]] = defaultdict(list)
        for t in self.touchpoints:
            self.by_profile[t.customer_id or t.anonymous_id or ""].append(t)

    def of(self, kind: str, name: str) -> set[tuple[str, int]]:
        return {(f.customer, f.time) for f in self.facts if f.kind == kind and f.name == name}


@pytest.fixture(scope="module")
def lived() -> Lived:
    return Lived()


def test_facts_come_by_time_and_none_is_from_the_future(lived: Lived) -> None:
    times = [f.time for f in lived.facts]
    assert times == sorted(times)
    assert times[-1] <= lived.end
    assert {f.customer for f in lived.facts} <= set(lived.by_profile)


def test_evidence_is_the_completing_touchpoint(lived: Lived) -> None:
    known = {t.event_id: t for t in lived.touchpoints}
    seen = 0
    for f in lived.facts:
        for event_id in f.evidence:
            seen += 1
            t = known[event_id]
            assert (t.customer_id or t.anonymous_id) == f.customer
            assert t.occurred_at <= f.time
    assert seen > 1_000


def test_browsing_left_behind_for_good_is_abandoned(lived: Lived) -> None:
    """Profiles that only ever looked around, in one go: the silence is 30 minutes after their last look."""
    expected = set()
    considered = set()
    for profile, touchpoints in lived.by_profile.items():
        looks = [t.occurred_at for t in touchpoints if t.type in LOOKS]
        others = {t.type for t in touchpoints} & {"Product Added", "Checkout Started", "Order Completed", "page"}
        if others or not looks or any(b - a > 30 * MINUTE for a, b in pairwise(looks)):
            continue
        considered.add(profile)
        if len(looks) >= 3 and looks[-1] + 30 * MINUTE <= lived.end:
            expected.add((profile, looks[-1] + 30 * MINUTE))
    assert len(expected) > 200
    assert {f for f in lived.of("abandonment", "browsing") if f[0] in considered} == expected


def test_a_cart_is_abandoned_once_for_each_contents(lived: Lived) -> None:
    """Profiles that never came to the checkout nor took anything out, judged pause by pause."""
    expected = set()
    considered = set()
    for profile, touchpoints in lived.by_profile.items():
        kinds = {t.type for t in touchpoints}
        if "Product Added" not in kinds or kinds & {"Checkout Started", "Product Removed", "Order Completed", "page"}:
            continue
        steps = [t for t in touchpoints if t.type in LOOKS or t.type == "Product Added"]
        first = next(t.occurred_at for t in steps if t.type == "Product Added")
        if steps[-1].occurred_at - steps[0].occurred_at > 13 * 24 * HOUR:
            continue
        considered.add(profile)
        in_cart, signalled = 0, 0
        for t, following in zip(steps, [*steps[1:], None], strict=True):
            in_cart += t.type == "Product Added"
            due = t.occurred_at + 30 * MINUTE
            silent = due <= lived.end if following is None else due < following.occurred_at
            if t.occurred_at >= first and silent and in_cart > signalled:
                signalled = in_cart
                expected.add((profile, due))
    assert len(expected) > 100
    assert {f for f in lived.of("abandonment", "cart") if f[0] in considered} == expected


def test_two_failed_payments_in_ten_minutes_are_a_friction(lived: Lived) -> None:
    expected = set()
    for profile, touchpoints in lived.by_profile.items():
        failed = [t.occurred_at for t in touchpoints if t.type == "Payment Failed"]
        recent = 0
        for n, at in enumerate(failed):
            before, recent = recent, sum(at - 10 * MINUTE <= other for other in failed[: n + 1])
            if recent == 2 and before < 2:
                expected.add((profile, at))
    assert len(expected) > 10
    assert lived.of("friction", "payment_failed_twice") == expected


def test_parcels_that_take_more_than_two_days_are_a_friction(lived: Lived) -> None:
    expected = set()
    for profile, touchpoints in lived.by_profile.items():
        waiting: int | None = None
        for t in [*touchpoints, None]:
            now = lived.end if t is None else t.occurred_at
            if waiting is not None and waiting + 48 * HOUR < now:
                expected.add((profile, waiting + 48 * HOUR))
                waiting = None
            if t is not None and t.type == "Order Completed" and waiting is None:
                waiting = now
            elif t is not None and t.type == "Order Shipped":
                waiting = None
    assert len(expected) > 3
    assert lived.of("friction", "not_shipped") == expected


def test_goals_are_the_events_that_reach_them(lived: Lived) -> None:
    for journey, event in (
        ("purchase", "Order Completed"),
        ("onboarding", "Onboarding Completed"),
        ("support", "Case Resolved"),
    ):
        reached = Counter((t.customer_id, t.occurred_at) for t in lived.touchpoints if t.type == event)
        assert lived.of("goal_reached", journey) == set(reached)


def test_promoters_and_detractors_are_what_they_answered(lived: Lived) -> None:
    nps = [
        (t.customer_id, t.occurred_at, t.score) for t in lived.touchpoints if t.survey == "nps" and t.score is not None
    ]
    assert lived.of("satisfaction", "promoter") == {(c, at) for c, at, score in nps if score >= 9}
    assert lived.of("satisfaction", "detractor") == {(c, at) for c, at, score in nps if score <= 6}
    assert len(nps) > 20


def test_each_detector_of_both_definitions_has_something_to_find(definition: Definition) -> None:
    facts: list[Fact] = []
    list(generate(21, 2_500, 150_000, truth=facts.append))
    happened = Counter((f.journey, f.name) for f in facts)
    for journey in definition.journeys:
        expected = {f.name for f in journey.friction} | {a.stage for a in journey.abandonment} | {journey.name}
        if journey.name == "follow_up":
            expected -= {"called_back"}  # takes 30 days of silence after a call
        missing = {name for name in expected if not happened[journey.name, name]}
        assert not missing, journey.name
    visits = happened["purchase", "browsing"] + happened["purchase", "cart"] + happened["purchase", "purchase"]
    assert 0.02 < happened["purchase", "purchase"] / visits < 0.3
    for preset in ("rage_click/posthog", "dead_click/amplitude", "page_loop/conviva", "thrashed_cursor/amplitude"):
        assert happened["purchase", preset] / visits < 0.05


def test_the_stages_and_silences_are_those_of_the_shipped_definitions(definition: Definition) -> None:
    journeys = {j.name: j for j in definition.journeys}
    assert {r.name for r in rules(Pace())} == set(journeys)
    for rule in rules(Pace()):
        journey = journeys[rule.name]
        assert [s.name for s in rule.stages] == [s.name for s in journey.stages]
        assert rule.within_ms == journey.goal.within_ms
        assert rule.goal[0] == journey.goal.on[0].event
        silences = {a.stage: a for a in journey.abandonment}
        for stage, defined in zip(rule.stages, journey.stages, strict=True):
            assert {event for event, _ in stage.on} == {ref.event for ref in defined.on}
            silence = silences[stage.name]
            assert stage.after_ms == silence.after_ms
            assert stage.from_entry == silence.from_entry
            assert stage.min_events == silence.min_events
            assert stage.per_contents == (silence.once_per is not None)
            assert (stage.by_ms or 0) == silence.by_ms
        stalled = {f.name: f.rule for f in journey.friction if isinstance(f.rule, Stalled)}
        assert {
            s.stalled: Stalled(s.name, s.stalled_ms, s.stalled_touchpoints) for s in rule.stages if s.stalled
        } == stalled


def test_the_windows_are_those_of_the_shipped_definitions(definition: Definition) -> None:
    pace = Pace()
    table = {f.name for f in fields(Pace)}
    for journey in definition.journeys:
        for friction in journey.friction:
            match friction.rule:
                case Count(within_ms=within) | Sequence(within_ms=within) | Absence(within_ms=within):
                    name = "long_wait_within_ms" if friction.name == "long_wait" else f"{friction.name}_ms"
                    assert name in table
                    assert within == getattr(pace, name)
                case Stalled() | Preset():
                    pass
    assert definition.time.session_gap_ms == pace.session_gap_ms


def test_truth_is_given_once_and_only_if_it_was_kept() -> None:
    simulation = Simulation(1, 50, 0, arrivals_ms=HOUR)
    list(simulation.events(30 * HOUR))
    first = list(simulation.facts(20 * HOUR))
    second = list(simulation.facts(30 * HOUR))
    assert first
    assert second
    assert max(f.time for f in first) <= 20 * HOUR < min(f.time for f in second)
    with pytest.raises(ValueError, match="keep_truth"):
        list(Simulation(1, 1, 0, keep_truth=False).facts(1))
