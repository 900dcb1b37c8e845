"""Satisfaction, milestones and segments: classes, falls and recoveries, anniversaries, who is in and who is out."""

from __future__ import annotations

import pytest

from tests.support.engines import T0, D, H, M, Run, touchpoint

FEELINGS = """
journeys:
  help: {type: support, instance_by: case_id, goal: Case Resolved, stages: {asking: {on: Message Sent}}}
satisfaction: {fall: 0.5, words: {angry: -1, delighted: 1}}
segments:
  unhappy: {where: "satisfaction.csat >= 0 && satisfaction.csat <= 2"}
  laboured: {where: "satisfaction.ces >= 0 && satisfaction.ces <= 3"}
  gloomy: {where: "satisfaction.mood < -0.3"}
  furious: {where: "satisfaction.emotion == 'angry'"}
"""
YEAR = 365 * D


def names(run: Run) -> list[str]:
    return [s.name for s in run.signals if s.kind == "satisfaction"]


def rated(*scores: float, survey: str = "nps") -> Run:
    run = Run(FEELINGS)
    run.hear(*(touchpoint(n, "Survey Answered", survey=survey, score=score) for n, score in enumerate(scores)))
    return run


def felt(*sentiments: float) -> Run:
    run = Run(FEELINGS)
    run.hear(*(touchpoint(n, "Message Sent", case_id="1", sentiment=s) for n, s in enumerate(sentiments)))
    return run


# -- surveys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "found"),
    [(0, ["detractor"]), (6, ["detractor"]), (6.5, []), (7, []), (8, []), (9, ["promoter"]), (10, ["promoter"])],
)
def test_nps_class_boundaries(score: float, found: list[str]) -> None:
    assert names(rated(score)) == found


def test_lower_nps_class_is_a_fall_and_the_reverse_a_recovery() -> None:
    assert names(rated(10, 8)) == ["promoter", "fall"]
    assert names(rated(10, 8, 9)) == ["promoter", "fall", "promoter", "recovery"]


def test_recovery_needs_a_fall_before() -> None:
    assert names(rated(3, 10)) == ["detractor", "promoter"]


def test_second_fall_without_recovery_is_not_said_again() -> None:
    assert names(rated(10, 8, 3)) == ["promoter", "fall", "detractor"]


def test_csat_and_ces_have_no_classes_and_are_kept() -> None:
    run = rated(1, survey="csat")
    assert run.kinds() == [("segment_entered", "unhappy")]
    run = rated(2, survey="CES")
    assert run.kinds() == [("segment_entered", "laboured")]


def test_survey_that_arrives_out_of_order_does_not_replace_a_newer_one() -> None:
    run = Run(FEELINGS)
    run.hear(
        touchpoint(2000, "Survey Answered", survey="csat", score=5.0),
        touchpoint(1000, "Survey Answered", survey="csat", score=1.0),
    )
    assert run.kinds() == []


def test_survey_says_the_journey_and_stage_it_is_about() -> None:
    run = Run(FEELINGS)
    run.hear(
        touchpoint(0, "Message Sent", case_id="1"),
        touchpoint(1, "Message Sent", case_id="2"),
        touchpoint(2, "Survey Answered", case_id="1", survey="nps", score=2.0),
        touchpoint(3, "Survey Answered", survey="nps", score=10.0),
    )
    assert [(s.name, s.journey, s.instance, s.stage) for s in run.signals if s.kind == "satisfaction"] == [
        ("detractor", "help", "1", "asking"),
        ("promoter", "help", "2", "asking"),
    ]
    assert run.named("detractor")[0].figures == {"score": 2}
    assert (run.named("detractor")[0].severity, run.named("promoter")[0].severity) == ("high", "low")


def test_survey_that_a_system_forwards_is_heard() -> None:
    run = Run(FEELINGS)
    run.hear(touchpoint(0, "Survey Exported", actor="system", survey="nps", score=1.0))
    assert names(run) == ["detractor"]


# -- sentiment and emotion -------------------------------------------------------------------------------------------


def test_mean_of_three_lower_by_exactly_fall_is_a_fall() -> None:
    assert names(felt(0.5, 0.5, 0.5, 0, 0, 0)) == ["fall"]


def test_mean_of_three_lower_by_less_is_none() -> None:
    assert names(felt(0.5, 0.5, 0.5, 0, 0, 0.01)) == []


def test_fall_needs_six_sentiments() -> None:
    assert names(felt(1, 1, -1, -1, -1)) == []


def test_recovery_is_the_reverse_after_a_fall() -> None:
    assert names(felt(0.5, 0.5, 0.5, 0, 0, 0, 0.5, 0.5, 0.5)) == ["fall", "recovery"]


def test_rise_without_a_fall_is_no_recovery() -> None:
    assert names(felt(0, 0, 0, 1, 1, 1)) == []


def test_emotion_word_stands_for_a_sentiment_in_any_case() -> None:
    run = Run(FEELINGS)
    run.hear(*(touchpoint(n, "Chatted", emotion=word) for n, word in enumerate(["Delighted"] * 3 + ["ANGRY"] * 3)))
    assert names(run) == ["fall"]


def test_sentiment_goes_before_the_word() -> None:
    run = Run(FEELINGS)
    run.hear(touchpoint(0, "Chatted", emotion="angry", sentiment=0.9))
    assert run.kinds() == [("segment_entered", "furious")]


def test_unknown_word_is_kept_and_has_no_sentiment() -> None:
    run = Run(FEELINGS)
    run.hear(touchpoint(0, "Chatted", emotion="puzzled"), touchpoint(1, "Chatted", emotion="angry"))
    assert run.kinds() == [("segment_entered", "gloomy"), ("segment_entered", "furious")]


def test_mood_is_the_mean_of_the_last_three() -> None:
    run = felt(-1, 0, 0.1)
    assert [(s.kind, s.time - T0) for s in run.named("gloomy")] == [("segment_entered", 0), ("segment_left", 2)]


def test_sentiment_out_of_bounds_is_cut() -> None:
    run = felt(-100)
    run.hear(touchpoint(1, "Message Sent", case_id="1", survey="nps", score=0.0))
    assert run.named("detractor")[0].figures["mood"] == -1


# -- milestones ------------------------------------------------------------------------------------------------------

SHOP = """
journeys:
  purchase: {type: purchase, goal: Order Completed, stages: {cart: {on: Product Added}}}
milestones:
  - {name: third_order, goal: purchase, nth: 3}
  - {name: birthday, anniversary_of: first_seen}
"""


def test_milestone_is_said_at_exactly_the_nth_goal() -> None:
    run = Run(SHOP)
    run.hear(*(touchpoint(n * H, "Order Completed") for n in range(5)))
    assert [(s.time - T0, s.figures["nth"]) for s in run.named("third_order")] == [(2 * H, 3)]
    assert [s.figures["nth"] for s in run.named("purchase")] == [1, 2, 3, 4, 5]


def test_anniversary_is_said_every_year_of_an_active_customer() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(0, "page"))
    run.hear(touchpoint(200 * D, "page"))
    run.hear(touchpoint(500 * D, "page"))
    run.until(731 * D)
    assert [(s.time - T0, s.figures["years"]) for s in run.named("birthday")] == [(YEAR, 1), (2 * YEAR, 2)]


def test_anniversary_of_29_february_is_1_march() -> None:
    run = Run(SHOP)
    leap = 785 * D  # 2028-02-29
    run.hear(touchpoint(leap, "page"))
    run.until(leap + 370 * D)
    assert [s.time - T0 - leap for s in run.named("birthday")] == [366 * D]


def test_anniversary_is_of_the_earliest_touchpoint_whatever_the_order_of_arrival() -> None:
    run = Run(SHOP)
    run.hear(touchpoint(10 * M, "page"), touchpoint(9 * M, "page", event_id="earlier"))
    run.until(366 * D)
    assert [s.time - T0 for s in run.named("birthday")] == [YEAR + 9 * M]


# -- segments --------------------------------------------------------------------------------------------------------

SEGMENTS = """
segments:
  reader: {where: "'loyal' in segments && last.topic == 'news'"}
  loyal: {where: "lifetime_value >= 500"}
  staff: {where: "traits.staff == true"}
  app_first: {where: "channel_share.mobile_app > 0.6"}
"""


def test_segment_entered_and_left_as_signals_and_in_the_view() -> None:
    run = Run(SEGMENTS)
    run.hear_each([touchpoint(0, "Order Completed", value=500.0), touchpoint(1, "Order Refunded", value=0.01)])
    assert run.kinds() == [("segment_entered", "loyal"), ("segment_left", "loyal")]
    assert [view.segments for _, view in run.views if view is not None] == [["loyal"], []]


def test_segment_is_said_on_the_edge_only() -> None:
    run = Run(SEGMENTS)
    run.hear(*(touchpoint(n, "Order Completed", value=600.0) for n in range(3)))
    assert run.kinds() == [("segment_entered", "loyal")]


def test_segment_that_reads_another_follows_it_in_the_same_touchpoint() -> None:
    run = Run(SEGMENTS)
    run.hear(touchpoint(0, "Contact Started", topic="news"), touchpoint(1, "Order Completed", value=500.0))
    assert run.kinds() == [("segment_entered", "loyal"), ("segment_entered", "reader")]


def test_condition_on_a_missing_trait_is_false() -> None:
    run = Run(SEGMENTS)
    run.hear(touchpoint(0, "identify", traits={"name": "x"}), touchpoint(1, "identify", traits={"staff": True}))
    assert run.kinds() == [("segment_entered", "staff")]


def test_trait_is_set_by_the_newest_and_removed_by_null() -> None:
    run = Run(SEGMENTS)
    run.hear(
        touchpoint(2000, "identify", traits={"staff": True}),
        touchpoint(1000, "identify", traits={"staff": None}),
        touchpoint(3000, "identify", traits={"staff": None}),
    )
    assert [(s.kind, s.time - T0) for s in run.signals] == [("segment_entered", 2000), ("segment_left", 3000)]


def test_channel_share_is_of_the_customers_touchpoints() -> None:
    run = Run(SEGMENTS)
    run.hear(
        touchpoint(0, "page", channel="web"),
        touchpoint(1, "screen", channel="mobile_app"),
        touchpoint(2, "Parcel Scanned", channel="post", actor="company"),
        touchpoint(3, "screen", channel="mobile_app"),
    )
    assert [(s.kind, s.name, s.time - T0) for s in run.signals] == [("segment_entered", "app_first", 3)]


def test_signal_says_nothing_of_an_instance_where_none_is_meant() -> None:
    run = Run(SEGMENTS)
    run.hear(touchpoint(0, "Order Completed", value=500.0))
    assert (run.signals[0].instance, run.signals[0].journey) == (None, None)
