"""The shop's clicks, replayed, against figures that pandas computes from the file without the engine.

Owns the oracle for ecom.csv.gz. It uses that two visits of a user lie more than eight hours apart (checked here), so
that a visit cut at its purchases is an instance of the journey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pytest

MINUTE = 60_000
HOUR = 60 * MINUTE
RANK = {"catalog": 1, "filter_results": 1, "search": 1, "product_view": 1, "add_to_cart": 2, "cart": 2,
        "shipping_details": 3, "payment_details": 4}  # fmt: skip
STAGE = {1: "browsing", 2: "cart", 3: "checkout", 4: "payment"}
AFTER = {1: 30 * MINUTE, 2: 30 * MINUTE, 3: 30 * MINUTE, 4: 20 * MINUTE}
SHIPPING_FAULT = (pd.Timestamp("2024-04-09"), pd.Timestamp("2024-05-10"))
PAYMENT_FAULT = (pd.Timestamp("2024-05-19"), pd.Timestamp("2024-06-08"))


class Replayed(Protocol):
    summary: Any
    signals: list[Any]
    triggers: list[Any]
    decisions: list[Any]

    def of(self, kind: str, name: str | None = None) -> list[Any]: ...


@pytest.fixture(scope="module")
def clicks(data_file: Callable[[str], Path]) -> pd.DataFrame:
    frame = pd.read_csv(data_file("ecom.csv.gz"))
    frame["row"] = range(1, len(frame) + 1)
    frame["time"] = pd.to_datetime(frame.timestamp)
    frame["t"] = (frame.time - pd.Timestamp(0)) // pd.Timedelta(milliseconds=1)
    frame = frame.sort_values(["user_id", "t", "row"]).reset_index(drop=True)
    visits = frame.groupby("session_id").t.agg(["min", "max"])
    visits["user_id"] = frame.groupby("session_id").user_id.first()
    visits = visits.sort_values(["user_id", "min"])
    apart = visits["min"] - visits.groupby("user_id")["max"].shift()
    assert apart.min() > 8 * HOUR
    assert (visits["max"] - visits["min"]).max() < 7 * HOUR
    return frame


@pytest.fixture(scope="module")
def steps(clicks: pd.DataFrame) -> pd.DataFrame:
    """The rows that belong to the journey, with the instance and the stage reached."""
    purchase = clicks.event.eq("purchase")
    part = purchase.astype(int).groupby(clicks.session_id).cumsum() - purchase
    frame = clicks.assign(instance=clicks.session_id + "/" + part.astype(str), rank=clicks.event.map(RANK))
    frame = frame[frame["rank"].notna() | frame.event.eq("purchase")].copy()
    frame["reached"] = frame["rank"].fillna(0).groupby(frame.instance).cummax().astype(int)
    frame["before"] = frame.groupby("instance").reached.shift(fill_value=0)
    return frame


def rises(times: list[int], at_least: int, within: int) -> list[int]:
    """When the number in [t - within, t] rises to ``at_least``."""
    return [t for i, t in enumerate(times) if sum(past >= t - within for past in times[:i]) == at_least - 1]


def found(signals: list[Any]) -> Counter[tuple[str, int]]:
    return Counter((s.customer, s.time) for s in signals)


def expected_rises(rows: pd.DataFrame, at_least: int, within: int) -> Counter[tuple[str, int]]:
    expected: Counter[tuple[str, int]] = Counter()
    for user, times in rows.groupby("user_id").t:
        expected.update((str(user), t) for t in rises(list(times), at_least, within))
    return expected


def test_every_row_is_a_touchpoint(ecom: Replayed, clicks: pd.DataFrame) -> None:
    assert ecom.summary.touchpoints == len(clicks) == 31_106
    assert ecom.summary.customers == clicks.user_id.nunique() == 600
    assert ecom.summary.counts["processed"] == len(clicks)
    assert not ecom.summary.refused


def test_stages_entered(ecom: Replayed, steps: pd.DataFrame) -> None:
    rising = steps[steps.reached > steps.before]
    expected = Counter(zip(rising.user_id, rising.t, rising.reached.map(STAGE), strict=True))
    assert Counter((s.customer, s.time, s.name) for s in ecom.of("stage_entered")) == expected
    shown = ecom.summary.journeys["purchase"].reached
    assert shown == Counter(rising.reached.map(STAGE))


def test_entrants_and_conversions(ecom: Replayed, steps: pd.DataFrame) -> None:
    goals = steps[steps.event.eq("purchase")]
    converted = goals[goals.before > 0]
    journey = ecom.summary.journeys["purchase"]
    assert journey.entrants == steps[steps.reached > 0].instance.nunique()
    assert journey.converted == len(converted)
    assert journey.goals_without_instance == len(goals) - len(converted)
    assert found([s for s in ecom.of("goal_reached") if s.figures["conversion"]]) == Counter(
        zip(converted.user_id, converted.t, strict=True)
    )
    assert journey.ended["expired"] == journey.entrants - len(converted)


def abandoned(steps: pd.DataFrame) -> Counter[tuple[str, int, str]]:
    """(customer, due time, stage): silence longer than the stage allows, after at least three events when browsing."""
    expected: Counter[tuple[str, int, str]] = Counter()
    for _, rows in steps[steps.reached > 0].groupby("instance"):
        events, last = 0, None
        following = [*rows.t[1:], None]
        for row, upcoming in zip(rows.itertuples(), following, strict=True):
            if row.event == "purchase":
                break
            events = 1 if last is not None and row.t - last > 30 * MINUTE else events + 1
            last = row.t
            due = row.t + AFTER[row.reached]
            if (upcoming is None or upcoming > due) and (row.reached > 1 or events >= 3):
                expected[row.user_id, due, STAGE[row.reached]] += 1
    return expected


def test_abandonment_to_the_millisecond(ecom: Replayed, steps: pd.DataFrame) -> None:
    expected = abandoned(steps)
    assert Counter((s.customer, s.time, s.stage) for s in ecom.of("abandonment")) == expected
    shown = ecom.summary.journeys["purchase"].abandoned
    assert shown == Counter(stage for _, _, stage in expected.elements())


@pytest.mark.parametrize(
    ("rule", "events", "at_least", "within"),
    [
        ("shipping_loop", ["shipping_details", "checkout_bug"], 2, 5 * MINUTE),
        ("shipping_error", ["checkout_bug"], 1, 30 * MINUTE),
        ("payment_failed", ["payment_error"], 1, 30 * MINUTE),
        ("payment_failed_twice", ["payment_error"], 2, 30 * MINUTE),
    ],
)
def test_counted_friction(
    ecom: Replayed, clicks: pd.DataFrame, rule: str, events: list[str], at_least: int, within: int
) -> None:
    expected = expected_rises(clicks[clicks.event.isin(events)], at_least, within)
    assert found(ecom.of("friction", rule)) == expected
    assert ecom.summary.journeys["purchase"].friction[rule] == expected.total() > 0


def test_sequence_of_failure_and_support(ecom: Replayed, clicks: pd.DataFrame) -> None:
    expected: Counter[tuple[str, int]] = Counter()
    for user, rows in clicks[clicks.event.isin(["payment_error", "support_chat"])].groupby("user_id"):
        failures: list[int] = []
        for row in rows.itertuples():
            if row.event == "payment_error":
                failures.append(row.t)
            elif failures and row.t - failures[-1] <= 30 * MINUTE:
                failures.pop()
                expected[str(user), row.t] += 1
    assert found(ecom.of("friction", "payment_needs_help")) == expected


def test_third_orders(ecom: Replayed, clicks: pd.DataFrame) -> None:
    orders = clicks[clicks.event.eq("purchase")].groupby("user_id").size()
    assert len(ecom.of("milestone", "third_order")) == (orders >= 3).sum()


def by_day(signals: list[Any]) -> pd.Series:
    days = pd.to_datetime([s.time for s in signals], unit="ms").normalize()
    every = pd.date_range("2024-01-04", "2024-06-29")
    return pd.Series(1, index=days).groupby(level=0).sum().reindex(every, fill_value=0)


def inside(days: pd.Series, fault: tuple[pd.Timestamp, pd.Timestamp]) -> tuple[pd.Series, pd.Series]:
    within = (days.index >= fault[0]) & (days.index < fault[1])
    return days[within], days[~within]


def test_the_payment_fault_shows_in_friction_by_day(ecom: Replayed) -> None:
    during, otherwise = inside(by_day(ecom.of("friction", "payment_failed")), PAYMENT_FAULT)
    assert (during > 0).mean() > 0.9
    assert (otherwise > 0).mean() < 0.05
    assert during.mean() > 100 * otherwise.mean()


def test_the_payment_fault_shows_in_abandonment_by_day(ecom: Replayed) -> None:
    """Payments given up, against payments begun: more than twice the usual share while they fail."""
    given_up = by_day(ecom.of("abandonment", "payment"))
    begun = by_day(ecom.of("stage_entered", "payment"))
    gone, usually_gone = inside(given_up, PAYMENT_FAULT)
    tried, usually_tried = inside(begun, PAYMENT_FAULT)
    assert gone.sum() / tried.sum() > 1.5 * usually_gone.sum() / usually_tried.sum()
    assert gone.mean() > 2.5 * usually_gone.mean()


def test_the_shipping_loop_shows_in_friction_by_day(ecom: Replayed, clicks: pd.DataFrame) -> None:
    platform = dict(zip("ecom-" + clicks.row.astype(str), clicks.platform, strict=True))
    mobile = [s for s in ecom.of("friction", "shipping_loop") if platform[s.evidence[-1]] == "mobile"]
    during, otherwise = inside(by_day(mobile), SHIPPING_FAULT)
    assert during.mean() > 5 * otherwise.mean()
    errors, none = inside(by_day(ecom.of("friction", "shipping_error")), SHIPPING_FAULT)
    assert none.sum() == 0
    assert (errors > 0).mean() > 0.5
    # Other devices are not concerned, so the rule points at the fault and not at a busy month.
    others = [s for s in ecom.of("friction", "shipping_loop") if platform[s.evidence[-1]] != "mobile"]
    elsewhere, before_and_after = inside(by_day(others), SHIPPING_FAULT)
    assert elsewhere.mean() < 2.5 * before_and_after.mean()


def test_the_shipping_loop_shows_in_abandonment_by_day(ecom: Replayed, clicks: pd.DataFrame) -> None:
    """Checkouts given up, against checkouts begun: twice the usual share on mobile while the form comes back."""
    platform = dict(zip("ecom-" + clicks.row.astype(str), clicks.platform, strict=True))
    rate = {}
    for device in ("mobile", "desktop"):
        gone = by_day([s for s in ecom.of("abandonment", "checkout") if platform[s.evidence[-1]] == device])
        begun = by_day([s for s in ecom.of("stage_entered", "checkout") if platform[s.evidence[-1]] == device])
        (gone_in, gone_out), (begun_in, begun_out) = inside(gone, SHIPPING_FAULT), inside(begun, SHIPPING_FAULT)
        rate[device] = (gone_in.sum() / begun_in.sum()) / (gone_out.sum() / begun_out.sum())
    assert rate["mobile"] > 2
    assert rate["mobile"] > 1.5 * rate["desktop"]


def test_nothing_is_said_twice(ecom: Replayed) -> None:
    assert len({s.signal_id for s in ecom.signals}) == len(ecom.signals)
    assert len({d.decision_id for d in ecom.decisions}) == len(ecom.decisions)


def test_each_issued_trigger_ends_once(ecom: Replayed) -> None:
    issued = {t.trigger_id for t in ecom.triggers if t.status == "issued"}
    ended = Counter(t.trigger_id for t in ecom.triggers if t.status != "issued")
    assert issued == set(ended)
    assert set(ended.values()) == {1}


def test_help_with_shipping_ends_as_the_visit_went_on(ecom: Replayed, clicks: pd.DataFrame) -> None:
    """The next payment step or purchase of the visit ends the trigger, otherwise the end of the session."""
    rows = clicks.set_index("row")
    steps = dict(iter(clicks.groupby("session_id")))
    expected: Counter[str] = Counter()
    for trigger in ecom.triggers:
        if trigger.action != "shipping_help" or trigger.status != "issued":
            continue
        row = int(trigger.reason_touchpoints[-1].removeprefix("ecom-"))
        visit = steps[rows.session_id[row]]
        position = visit.row.tolist().index(row)
        later = visit.event.iloc[position + 1 :]
        decisive = later[later.isin(["payment_details", "purchase"])]
        if decisive.empty:
            expected["expired"] += 1
        else:
            expected["goal_reached" if decisive.iloc[0] == "purchase" else "cancel_on"] += 1
    ended = Counter(
        t.end_reason or t.status for t in ecom.triggers if t.action == "shipping_help" and t.status != "issued"
    )
    replaced = ended.pop("replaced")  # by the more valuable help with the payment
    assert replaced == 1
    assert (expected - ended).total() == replaced
    assert not ended - expected


def test_help_with_a_payment_ends_with_a_purchase_or_after_two_hours(ecom: Replayed, clicks: pd.DataFrame) -> None:
    orders = {user: part.to_numpy() for user, part in clicks[clicks.event.eq("purchase")].groupby("user_id").t}
    expected: Counter[str] = Counter()
    for trigger in ecom.triggers:
        if trigger.action == "payment_help" and trigger.status == "issued":
            issued = trigger.issued_at
            bought = any(issued < t <= issued + 2 * HOUR for t in orders.get(trigger.customer, ()))
            expected["goal_reached" if bought else "expired"] += 1
    ended = Counter(
        t.end_reason or t.status for t in ecom.triggers if t.action == "payment_help" and t.status != "issued"
    )
    assert ended == expected
