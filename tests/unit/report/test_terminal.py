"""What the terminal says, in words: verdicts, warnings, marks, and that nothing is lost between short and full."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.console import Console

from streams.tools.report import words
from streams.tools.report.records import Option, Record
from streams.tools.report.report import Report, report_of
from streams.tools.report.statistics import Interval, Rate
from streams.tools.report.terminal import WEEKS, tables
from streams.tools.report.terminal_table import Detail
from tests.unit.report.stories import DAY, HOUR, SHOP, bought, by_customer, definition, entered, frame, looked, touch
from tests.unit.report.test_action_figures import ACTION, choice, two_groups


def told(records: Sequence[Record], text: str = SHOP, detail: Detail = "short", days: float = 30) -> str:
    return shown(report_of(definition(text), frame(definition(text), days), by_customer(records)), detail)


def shown(report: Report, detail: Detail) -> str:
    console = Console(width=220, highlight=False)
    with console.capture() as said:
        for part in tables(report, detail):
            console.print(part)
    return said.get()


def test_harm_and_warnings_stand_before_the_figures() -> None:
    out = told(two_groups(Rate(10, 200), Rate(60, 350)), ACTION)
    harm = out.index("HARMFUL  nudge: issued: conversion is lower than in the holdout")
    warning = out.index("WARNING  nudge: the groups are not divided as declared")
    assert harm < out.index("Uplift")
    assert warning < out.index("Uplift")


def test_p_of_each_customer_is_explained_where_there_was_one() -> None:
    own = [Option("nudge", p=0.31, usual=0.12, propensity=0.9)]
    out = told([choice(0, candidates=own)], ACTION, "full")
    assert "P of each customer" in out
    assert "P is then the customer's own" in " ".join(out.split())
    (line,) = [line for line in out.splitlines() if "31.0%" in line]
    assert "12.0%" in line
    assert "P of each customer" not in told([choice(0)], ACTION, "full")


def test_a_dated_change_is_marked_at_its_week() -> None:
    text = SHOP + 'changes: [{at: "2024-05-09", title: new checkout}]\n'
    out = told([*looked(0), *looked(9 * DAY, "bob")], text)
    (line,) = [line for line in out.splitlines() if "<< new checkout" in line]
    assert "2024-05-06" in line
    assert "2024-05-09: new checkout" in out


def test_young_weeks_are_said_to_be_young() -> None:
    assert "a young week looks worse" not in told(looked(0))
    assert "a young week looks worse" in told([*looked(0), entered("look", 20 * DAY, "bob")])


def test_the_short_form_has_the_newest_weeks_and_the_full_one_all() -> None:
    records = [record for n in range(12) for record in looked(n * 7 * DAY, f"c{n}")]
    weeks = [line for line in told(records, days=90).splitlines() if line.startswith("│ 2024-")]
    assert len(weeks) >= WEEKS
    assert not any("2024-04-29" in line for line in weeks)
    assert any("2024-04-29" in line for line in told(records, detail="full", days=90).splitlines())


def test_full_adds_and_takes_nothing_away() -> None:
    records: list[Record] = [*two_groups(Rate(10, 40), Rate(9, 40)), *bought(0, channel="web")]
    records += [touch("Contact Started", HOUR, "t1", topic="bill"), touch("Message Sent", HOUR, "t2", sentiment=0.5)]
    short, full = told(records, ACTION), told(records, ACTION, "full")

    def titles(text: str) -> list[str]:
        return [line.strip() for line in text.splitlines() if line[:1].isalpha()]

    assert set(titles(short)) <= set(titles(full))
    assert any(title.startswith("Guardrails") for title in titles(full))
    assert any(title.startswith("Uplift of nudge by split") for title in titles(full))


def test_nobody_entered() -> None:
    assert "Nobody entered it in this period." in told([choice(0)], ACTION)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0.0, "0 s"), (4.581, "4.58 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"),
     (7200.0, "2 h"), (172_799.0, "48 h"), (172_800.0, "2 d"), (864_000.0, "10 d")],
)  # fmt: skip
def test_durations_in_words(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


def test_shares_and_differences_in_words() -> None:
    assert words.count_of(Rate(3, 12)) == "3 (25.0%)"
    assert words.count_of(Rate(0, 0)) == words.NOTHING
    assert words.points(Interval(0.031, -0.002, 0.064)) == "+3.1 pp [-0.2, +6.4]"
    assert words.relative(Interval(-0.1, -0.2, 0.0)) == "-10.0% [-20.0%, +0.0%]"
    assert words.change(3, 2) == "+50.0%"
    assert words.change(3, 0) == words.NOTHING
