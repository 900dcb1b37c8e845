"""Satisfaction, service and cohorts in the report, from records written by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from streams.tools.report.feelings import FeelingSlice, nps
from streams.tools.report.records import Record
from streams.tools.report.report import Report, report_of
from streams.tools.report.service import ServiceSlice
from streams.tools.report.statistics import Rate
from streams.tools.report.terminal import tables
from tests.unit.report.stories import DAY, HOUR, MINUTE, by_customer, definition, entered, frame, left, touch

SUPPORT = """
version: 1
journeys:
  help:
    type: support
    instance_by: case_id
    goal: {event: Case Resolved}
    stages:
      self: {on: [Help Searched]}
      contact: {on: [Contact Started]}
satisfaction: {words: {angry: -1}}
"""


def reported(records: Sequence[Record], days: float = 30, **changes: Any) -> Report:
    loaded = definition(SUPPORT)
    return report_of(loaded, frame(loaded, days, **changes), by_customer(records))


def feelings(records: Sequence[Record], by: str = "all", value: str = "") -> FeelingSlice:
    found = reported(records).feelings
    assert found is not None
    return found.whole if by == "all" else next(one for one in found.splits if (one.by, one.value) == (by, value))


def service(records: Sequence[Record], by: str = "all", value: str = "", **changes: Any) -> ServiceSlice:
    found = reported(records, **changes).service
    assert found is not None
    return found.whole if by == "all" else next(one for one in found.splits if (one.by, one.value) == (by, value))


def answers(kind: str, scores: Sequence[float]) -> list[Record]:
    return [touch("Survey Answered", n, f"c{n}", survey=kind, score=score) for n, score in enumerate(scores)]


def contact(
    at: int, topic: str | None = "bill", case: str | None = None, customer: str = "ada", **fields: Any
) -> Record:
    return touch("Contact Started", at, customer, topic=topic, case_id=case, contact_id=f"k-{customer}-{at}", **fields)


def solved(at: int, case: str, customer: str = "ada") -> Record:
    return touch("Case Resolved", at, customer, case_id=case, actor="agent")


def test_nps_is_promoters_less_detractors() -> None:
    found = feelings(answers("nps", [10, 9, 8, 7, 6, 0, 9]))
    assert found.nps is not None
    assert found.nps.estimate == pytest.approx(100 * (3 - 2) / 7)
    assert (found.promoters, found.detractors, found.nps_answers) == (Rate(3, 7), Rate(2, 7), 7)


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.1, 0.1, 0.8), (0.02, 0.96, 0.02)])
@pytest.mark.parametrize("n", [12, 80])
def test_the_interval_of_nps_covers_the_truth_as_often_as_it_says(shares: tuple[float, ...], n: int) -> None:
    rng = random.Random(n)
    truth = 100 * (shares[0] - shares[2])
    inside = 0
    for _ in range(2_000):
        drawn = rng.choices((0, 1, 2), shares, k=n)
        found = nps(drawn.count(0), drawn.count(1), drawn.count(2))
        assert found is not None
        assert found.low <= found.estimate <= found.high
        inside += found.low <= truth <= found.high
    assert inside / 2_000 >= 0.92


def test_csat_is_the_top_two_and_ces_the_mean() -> None:
    csat = feelings(answers("csat", [5, 4, 3, 1]))
    assert csat.csat_top_two == Rate(2, 4)
    assert csat.csat_mean is not None
    assert csat.csat_mean.estimate == pytest.approx(3.25)
    ces = feelings(answers("ces", [7, 6, 2]))
    assert ces.ces_mean is not None
    assert (ces.ces_mean.estimate, ces.ces_answers) == (5.0, 3)


def test_csat_is_what_the_definition_says() -> None:
    given = by_customer(answers("csat", [5, 4, 3, 1]))
    for formula, estimate, column in (("top_2_box", 0.5, "CSAT top 2"), ("mean", 3.25, "CSAT mean")):
        loaded = definition(SUPPORT.replace("{words:", f"{{csat: {formula}, words:"))
        report = report_of(loaded, frame(loaded), given)
        assert report.feelings is not None
        csat = report.feelings.whole.csat
        assert csat is not None
        assert report.feelings.csat_formula == formula
        assert csat.estimate == pytest.approx(estimate)
        shown = Console(width=200, file=StringIO(), record=True)
        for part in tables(report, "full"):
            shown.print(part)
        words = shown.export_text()
        assert [name for name in ("CSAT top 2", "CSAT mean") if name in words] == [column]


def test_an_answer_beyond_the_scale_is_left_out_and_counted() -> None:
    found = feelings(answers("csat", [0, 6, 5]))
    assert (found.outside, found.csat_top_two) == (2, Rate(1, 1))
    assert feelings(answers("other", [3])).nps_answers == 0


def test_an_answer_belongs_to_the_stage_of_its_case_even_after_the_end() -> None:
    records: list[Record] = [
        entered("self", 0, journey="help", instance="a"), entered("self", 1, journey="help", instance="b"),
        left("self", 2, "advanced", instance="a", journey="help"),
        entered("contact", 2, journey="help", instance="a"),
        left("contact", HOUR, "goal", touchpoints=3, instance="a", journey="help"),
        touch("Survey Answered", DAY, survey="nps", score=9.0, case_id="a"),
    ]  # fmt: skip
    assert feelings(records, "stage", "help/contact").promoters == Rate(1, 1)
    newest = [*records[:-1], touch("Survey Answered", DAY, survey="nps", score=9.0)]
    assert feelings(newest, "stage", "help/self").promoters == Rate(1, 1), "b is open, a has ended"


def test_response_counts_invitations_and_each_answer_once() -> None:
    records = [
        touch("Survey Sent", 0, survey="nps"), touch("Survey Answered", HOUR, survey="nps", score=9.0),
        touch("Survey Answered", 2 * HOUR, survey="nps", score=2.0),
        touch("Survey Sent", DAY, survey="nps"), touch("Survey Sent", 2 * DAY, survey="csat"),
        touch("Survey Answered", 3 * DAY, survey="csat", score=5.0), touch("Survey Sent", 0, "bob", survey="nps"),
    ]  # fmt: skip
    assert feelings(records).response == {"nps": Rate(1, 3), "csat": Rate(1, 1)}


def test_sentiment_emotions_and_changes() -> None:
    records: list[Record] = [
        touch("Message Sent", 0, sentiment=-0.5, emotion="Angry"), touch("Message Sent", 1, sentiment=0.5),
        touch("Message Sent", 2, "bob", emotion="angry"),
    ]  # fmt: skip
    found = feelings(records)
    assert found.sentiment is not None
    assert (found.sentiment.estimate, found.sentiments, found.emotions) == (0.0, 2, {"angry": 2})


def test_first_contact_resolution() -> None:
    """Solved at once; solved but asked again; not solved; asked again elsewhere is another topic; too young."""
    records = [
        contact(0, case="a"), solved(HOUR, "a"),
        contact(0, case="b", customer="bob"), solved(HOUR, "b", "bob"), contact(7 * DAY, case="c", customer="bob"),
        contact(0, case="d", customer="cy"),
        contact(0, case="e", customer="dan"), solved(HOUR, "e", "dan"), contact(DAY, "login", "f", "dan"),
        contact(29 * DAY, case="g", customer="eve"), solved(29 * DAY + 1, "g", "eve"),
    ]  # fmt: skip
    # Judged are ada, bob's first, cy, and both of dan's; bob's second repeats his first, eve's is too young.
    assert service(records).first_contact == Rate(2, 5)
    assert service(records, "topic", "login").first_contact == Rate(0, 1)


@pytest.mark.parametrize(("at", "resolved"), [(7 * DAY, True), (7 * DAY + 1, False)])
def test_a_solution_within_seven_days_is_one_of_the_first_contact(at: int, resolved: bool) -> None:
    assert service([contact(0, case="a"), solved(at, "a")]).first_contact == Rate(int(resolved), 1)


@pytest.mark.parametrize(("at", "again"), [(7 * DAY, True), (7 * DAY + 1, False)])
def test_a_contact_within_seven_days_is_another_one(at: int, again: bool) -> None:
    records = [contact(0, case="a"), solved(1, "a"), contact(at, case="b")]
    assert service(records).first_contact == Rate(int(not again), 1 if again else 2)


@pytest.mark.parametrize(("at", "contained"), [(DAY, False), (DAY + 1, True)])
def test_containment(at: int, contained: bool) -> None:
    assert service([touch("Help Searched", 0), contact(at)]).containment == Rate(int(contained), 1)


def test_self_service_that_goes_on_is_one_episode_and_a_bots_contact_is_contained() -> None:
    records: list[Record] = [touch("Help Searched", n * HOUR) for n in (0, 20, 40)]
    records += [touch("Contact Started", HOUR, contact_id="k"), touch("Bot Contained", 2 * HOUR, contact_id="k")]
    assert service(records).containment == Rate(1, 1)
    assert service([touch("Help Searched", 0), touch("Callback Requested", 1)]).containment == Rate(0, 1)
    assert service([touch("Help Searched", 29 * DAY + 1)]).containment == Rate(0, 0), "its day is not over"


def test_resolution_with_and_without_people() -> None:
    records = [
        contact(0, case="a"), solved(HOUR, "a"), contact(0, case="b", customer="bob"),
        touch("Help Searched", 0, "cy", case_id="c"), touch("Case Resolved", 9, "cy", case_id="c"),
    ]  # fmt: skip
    found = service(records)
    assert found.resolution == Rate(2, 3)
    assert found.resolution_by == {"agent-assisted": Rate(1, 2), "self-service": Rate(1, 1)}


def test_contacts_by_place_topic_and_stage_before() -> None:
    records = [
        entered("self", 0, journey="help", instance="a"), contact(HOUR, case="a", channel="call"),
        contact(HOUR, None, "b", "bob", channel="chat"), contact(HOUR, None, "b", "bob", channel="chat"),
    ]  # fmt: skip
    report = reported(records)
    assert report.service is not None
    assert (report.service.whole.contacts, report.service.whole.online) == (2, Rate(1, 2))
    assert sorted(report.service.reasons) == [("(none)", "(none)", 1), ("help/self", "bill", 1)]


def test_waits_and_transfers() -> None:
    records: list[Record] = [touch("Answered", n * HOUR, actor="agent", wait_ms=60_000) for n in range(3)]
    records += [touch("Transferred", 1, actor="agent"), contact(0)]
    found = service(records)
    assert found.median_wait_s == pytest.approx(60, rel=0.01)
    assert found.transfers == 1


def test_cohorts_count_only_windows_that_are_over() -> None:
    """April's customer has three windows, May's two; the third of May's is not over after 90 days from the 1st."""
    records: list[Record] = [touch("page", -DAY), touch("page", 40 * DAY), touch("page", 10 * DAY, "bob")]
    records += [touch("Order Completed", 3 * DAY, value=50.0), touch("Order Refunded", 35 * DAY, value=20.0)]
    cohorts = {one.value: one for one in reported(records, days=90).cohorts if one.by == "cohort"}
    assert cohorts["2024-04"].retention == [Rate(1, 1), Rate(1, 1), Rate(0, 1)]
    assert cohorts["2024-04"].lifetime_value == [50.0, 30.0, 30.0]
    assert cohorts["2024-05"].retention == [Rate(1, 1), Rate(0, 1)]


@pytest.mark.parametrize(("at", "again"), [(90 * DAY, 1), (90 * DAY + 1, 0)])
def test_repeat_rate(at: int, again: int) -> None:
    records: list[Record] = [touch("Order Completed", 0), touch("Order Completed", at)]
    records += [touch("Order Completed", 50 * DAY, "bob")]
    assert reported(records, days=91).cohorts[0].repeat == Rate(again, 1), "bob's 90 days are not over"


def test_what_the_company_does_is_no_retention() -> None:
    records: list[Record] = [touch("page", 0), touch("Order Shipped", 31 * DAY, actor="company")]
    assert reported(records, days=60).cohorts[0].retention == [Rate(1, 1), Rate(0, 1)]


def test_the_previous_period() -> None:
    answered = touch("Survey Answered", MINUTE, survey="nps", score=9.0)
    records = [answered, contact(MINUTE, case="a"), contact(20 * DAY, case="b", customer="bob")]
    report = reported(records, length_ms=15 * DAY)
    assert report.feelings is not None
    assert report.feelings.previous is not None
    assert report.feelings.previous.promoters == Rate(1, 1)
    assert report.service is not None
    assert report.service.previous is not None
    assert (report.service.previous.contacts, report.service.whole.contacts) == (1, 1)
