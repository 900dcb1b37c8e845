"""A wholesaler's invoices, replayed, against figures that pandas computes from the file without the engine.

Owns the oracle for online_retail.csv.gz. Each customer's lines, orders and refunds are put in the order of time, at one
minute the lines before the invoice that they belong to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pytest

DAY = 86_400_000


class Replayed(Protocol):
    summary: Any
    triggers: list[Any]

    def of(self, kind: str, name: str | None = None) -> list[Any]: ...


@pytest.fixture(scope="module")
def rows(data_file: Callable[[str], Path]) -> pd.DataFrame:
    frame = pd.read_csv(data_file("online_retail.csv.gz"), dtype={"InvoiceNo": str, "StockCode": str})
    assert len(frame) == 541_909
    frame = frame[frame.CustomerID.notna()].copy()
    frame["row"] = range(len(frame))
    frame["customer"] = frame.CustomerID.astype(int).astype(str)
    local = pd.to_datetime(frame.InvoiceDate).dt.tz_localize("Europe/London")
    frame["t"] = (local - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1)
    frame["amount"] = frame.Quantity * frame.UnitPrice
    frame["credit"] = frame.InvoiceNo.str.startswith("C")
    return frame


@pytest.fixture(scope="module")
def invoices(rows: pd.DataFrame) -> pd.DataFrame:
    grouped = rows.groupby("InvoiceNo")
    frame = grouped.agg(
        customer=("customer", "first"), t=("t", "max"), row=("row", "min"), amount=("amount", "sum"),
        credit=("credit", "first"), lines=("row", "size"),
    )  # fmt: skip
    frame["amount"] = frame.amount.round(2)
    return frame.sort_values(["t", "row"])


@pytest.fixture(scope="module")
def story(rows: pd.DataFrame, invoices: pd.DataFrame) -> pd.DataFrame:
    """Everything that happened to each customer, in order."""
    sales = rows[~rows.credit]
    lines = pd.DataFrame({"customer": sales.customer, "t": sales.t, "row": sales.row, "what": "line", "level": 0})
    bills = invoices.assign(what=invoices.credit.map({True: "refund", False: "order"}), level=1)
    parts = [lines, bills[["customer", "t", "row", "what", "level", "amount"]]]
    frame = pd.concat(parts).sort_values(["customer", "t", "level", "row"]).reset_index(drop=True)
    frame["previous"] = frame[frame.what != "refund"].groupby("customer").what.shift(fill_value="none")
    return frame


def found(signals: list[Any]) -> Counter[tuple[str, int]]:
    return Counter((s.customer, s.time) for s in signals)


def test_rows_and_touchpoints(online_retail: Replayed, rows: pd.DataFrame, invoices: pd.DataFrame) -> None:
    summary = online_retail.summary
    assert summary.filtered == 541_909 - len(rows) == 135_080
    assert summary.touchpoints == len(rows) + len(invoices) == 406_829 + 22_190
    assert summary.counts["processed"] == summary.touchpoints
    assert summary.customers == rows.customer.nunique() == 4_372
    assert summary.unused == {"Product Returned": rows.credit.sum()}
    assert not summary.refused


def test_orders(online_retail: Replayed, story: pd.DataFrame) -> None:
    orders = story[story.what == "order"]
    converted = orders[orders.previous == "line"]
    opened = story[(story.what == "line") & (story.previous != "line")]
    journey = online_retail.summary.journeys["order"]
    assert journey.entrants == len(opened)
    assert journey.converted == len(converted)
    assert journey.goals_without_instance == len(orders) - len(converted)
    goals = [s for s in online_retail.of("goal_reached", "order") if s.figures["conversion"]]
    assert found(goals) == Counter(zip(converted.customer, converted.t, strict=True))
    entered = online_retail.of("stage_entered", "basket")
    assert found(entered) == Counter(zip(opened.customer, opened.t, strict=True))


@pytest.fixture(scope="module")
def lapses(story: pd.DataFrame) -> pd.DataFrame:
    """Orders after which nothing came into the basket for 90 days, with the next line, if any."""
    trade = story[story.what != "refund"].copy()
    # Of orders without a line between them, the first is the one that waits.
    trade["lines_so_far"] = trade.what.eq("line").astype(int).groupby(trade.customer).cumsum()
    first = trade[(trade.what == "order") & (trade.previous != "order")].copy()
    times = {customer: part.to_numpy() for customer, part in trade[trade.what == "line"].groupby("customer").t}
    pairs = zip(first.customer, first.lines_so_far, strict=True)
    first["upcoming"] = [times[c][n] if c in times and n < len(times[c]) else None for c, n in pairs]
    first["due"] = first.t + 90 * DAY
    return first[first.upcoming.isna() | (first.upcoming > first.due)]


def test_lapsed_customers(online_retail: Replayed, lapses: pd.DataFrame) -> None:
    expected = Counter(zip(lapses.customer, lapses.due, strict=True))
    assert found(online_retail.of("friction", "lapsed")) == expected
    assert online_retail.summary.journeys["order"].friction["lapsed"] == len(lapses) > 6_000


def test_calls_to_lapsed_customers_end_when_they_come_back(online_retail: Replayed, lapses: pd.DataFrame) -> None:
    back = (lapses.upcoming - lapses.due) <= 30 * DAY
    triggers = online_retail.summary.triggers
    assert triggers["call_lapsed", "issued"] == len(lapses)
    assert triggers["call_lapsed", "cancelled (cancel_on)"] == back.sum()
    assert triggers["call_lapsed", "expired"] == len(lapses) - back.sum()


def won_back(story: pd.DataFrame) -> tuple[Counter[str], Counter[tuple[str, int]]]:
    """Instances of the journey after a return: how they ended, and where 30 days of silence came first."""
    ended: Counter[str] = Counter()
    silent: Counter[tuple[str, int]] = Counter()
    for customer, part in story[story.what != "line"].groupby("customer"):
        opened, waiting = -1, -1  # -1: not
        happened = [*zip(part.what, part.t, strict=True), ("end", 1 << 60)]
        for what, t in happened:
            if opened >= 0 and 0 <= waiting <= opened + 60 * DAY and t > waiting:
                silent[str(customer), waiting] += 1
                waiting = -1
            if opened >= 0 and t > opened + 60 * DAY:
                ended["expired"] += 1
                opened = -1
            if what == "refund":
                if opened < 0:
                    opened = t
                    ended["entrants"] += 1
                waiting = t + 30 * DAY
            elif opened >= 0:
                ended["converted"] += 1
                opened = -1
    return ended, silent


def test_returns_and_winning_back(online_retail: Replayed, story: pd.DataFrame) -> None:
    ended, silent = won_back(story)
    journey = online_retail.summary.journeys["win_back"]
    assert journey.entrants == ended["entrants"]
    assert journey.converted == ended["converted"]
    assert journey.ended["expired"] == ended["expired"]
    assert found(online_retail.of("abandonment", "returned")) == silent
    assert journey.abandoned["returned"] == silent.total() > 1_000


def test_many_returns(online_retail: Replayed, invoices: pd.DataFrame) -> None:
    expected: Counter[tuple[str, int]] = Counter()
    for customer, part in invoices[invoices.credit].groupby("customer").t:
        times = list(part)
        for i, t in enumerate(times):
            if sum(past >= t - 30 * DAY for past in times[:i]) == 2:
                expected[str(customer), t] += 1
    assert found(online_retail.of("friction", "many_returns")) == expected


def test_milestones(online_retail: Replayed, invoices: pd.DataFrame) -> None:
    orders = invoices[~invoices.credit]
    nth = orders.groupby("customer").cumcount() + 1
    for name, number in (("second_order", 2), ("tenth_order", 10)):
        reached = orders[nth == number]
        assert found(online_retail.of("milestone", name)) == Counter(zip(reached.customer, reached.t, strict=True))


def test_key_accounts(online_retail: Replayed, invoices: pd.DataFrame) -> None:
    """In and out of the segment: orders less refunds, summed in the order of time."""
    signed = invoices.amount.where(~invoices.credit, -invoices.amount.abs())
    worth = signed.groupby(invoices.customer).cumsum().round(6)
    rich = worth >= 5_000
    was = rich.groupby(invoices.customer).shift(fill_value=False)
    for kind, changed in (("segment_entered", rich & ~was), ("segment_left", ~rich & was)):
        moved = invoices[changed]
        assert found(online_retail.of(kind, "high_value")) == Counter(zip(moved.customer, moved.t, strict=True))
