"""Going over to another definition: what is kept, what falls away, what ends, and with which signal."""

from __future__ import annotations

from tests.support.engines import T0, D, H, M, Run, S, define, touchpoint

BEFORE = """
segments: {loyal: {where: "orders >= 1"}}
journeys:
  purchase:
    type: purchase
    goal: Order Completed
    stages:
      browsing: {on: Product Viewed}
      cart: {on: Product Added}
      paying: {on: Payment Info Entered}
    abandonment:
      cart: {after: 20m}
      browsing: {after: 30m}
    friction:
      - {name: twice, count: {event: Payment Failed, at_least: 2, within: 1h}}
      - {name: not_shipped, absence: {of: Order Shipped, within: 48h, after: Order Completed}}
      - {name: stuck, stalled: {stage: cart, longer_than: 2h, or_touchpoints: 9}}
      - {preset: rage_click/conviva}
actions:
  nudge: {when: {signal: stage_entered, stage: cart}, channel: agent, expires_after: 1d}
"""


def adopted(after: str, *before: tuple[int, str]) -> Run:
    run = Run(BEFORE)
    for t, kind in before or ((0, "Product Viewed"), (1 * M, "Product Added")):
        run.hear(touchpoint(t, kind))
    run.signals.clear()
    run.triggers.clear()
    run.adopt(define(after, 2))
    return run


def fired(run: Run, kind: str = "abandonment") -> list[tuple[str, int]]:
    return [(s.name, s.time - T0) for s in run.signals if s.kind == kind]


def stage(run: Run) -> str | None:
    view = run.customers["c"]
    assert view is not None
    return view.stages[0].stage if view.stages else None


def test_open_deadline_keeps_its_due_time_though_its_length_has_changed() -> None:
    run = adopted(BEFORE.replace("cart: {after: 20m}", "cart: {after: 5h}"))
    run.until(6 * H)
    assert fired(run) == [("cart", 21 * M)]
    run.hear(touchpoint(7 * H, "Product Viewed"))
    run.until(13 * H)
    assert fired(run) == [("cart", 21 * M), ("cart", 12 * H)]


def test_open_deadline_of_a_removed_rule_falls_away() -> None:
    run = adopted(BEFORE.replace("      cart: {after: 20m}\n", ""))
    run.until(6 * H)
    assert fired(run) == []


def test_removed_stage_is_left_with_reason_definition_and_falls_back() -> None:
    run = adopted(
        BEFORE.replace("      cart: {on: Product Added}\n", "")
        .replace("      cart: {after: 20m}\n", "")
        .replace("stage: cart", "stage: paying")
    )
    left = run.signals[0]
    assert (left.kind, left.name, left.reason, left.definition) == ("stage_left", "cart", "definition", 2)
    assert stage(run) == "browsing"
    run.until(6 * H)
    assert fired(run) == [("browsing", 31 * M)]


def test_removed_stage_with_nothing_lower_ends_the_instance() -> None:
    after = (
        BEFORE.replace("      cart: {on: Product Added}\n", "")
        .replace("      cart: {after: 20m}\n", "")
        .replace("stage: cart", "stage: paying")
    )
    run = adopted(after, (0, "Product Added"))
    assert fired(run, "stage_left") == [("cart", -30_000)]
    assert stage(run) is None


def test_removed_stage_below_the_present_one_changes_nothing_said() -> None:
    run = adopted(
        BEFORE.replace("      browsing: {on: Product Viewed}\n", "").replace("      browsing: {after: 30m}\n", "")
    )
    assert run.signals == []
    run.until(6 * H)
    assert fired(run) == [("cart", 21 * M)]


def test_renamed_stage_moves_with_was_and_keeps_its_deadline() -> None:
    run = adopted(
        BEFORE.replace("cart: {on: Product Added}", "basket: {on: Product Added, was: cart}")
        .replace("cart: {after", "basket: {after")
        .replace("stage: cart", "stage: basket")
    )
    assert run.signals == []
    assert stage(run) == "basket"
    run.until(30 * M)
    assert fired(run) == [("basket", 21 * M)]


def test_removed_journey_is_left_with_reason_definition() -> None:
    run = adopted(
        'segments: {loyal: {where: "orders >= 1"}}\n'
        "journeys: {other: {type: use, goal: Used, stages: {x: {on: Opened}}}}\n"
    )
    assert [(s.kind, s.name, s.reason) for s in run.signals] == [("stage_left", "cart", "definition")]
    run.until(6 * H)
    assert len(run.signals) == 1


def test_other_instance_by_ends_what_was_open() -> None:
    run = adopted(BEFORE.replace("    goal: Order", "    instance_by: case_id\n    goal: Order"))
    assert [(s.name, s.reason) for s in run.signals] == [("cart", "definition")]


def test_window_survives_if_its_parameters_are_unchanged() -> None:
    run = adopted(BEFORE.replace("cart: {after: 20m}", "cart: {after: 5m}"), (0, "Payment Failed"))
    run.hear(touchpoint(1 * M, "Payment Failed"))
    assert fired(run, "friction") == [("twice", 1 * M)]


def test_window_starts_empty_if_they_have_changed() -> None:
    run = adopted(BEFORE.replace("within: 1h", "within: 2h"), (0, "Payment Failed"))
    run.hear(touchpoint(1 * M, "Payment Failed"))
    assert fired(run, "friction") == []


def test_open_absence_keeps_its_due_time_or_falls_away_with_its_rule() -> None:
    run = adopted(BEFORE.replace("within: 48h", "within: 24h"), (0, "Order Completed"))
    run.until(3 * D)
    assert fired(run, "friction") == [("not_shipped", 48 * H)]
    gone = "      - {name: not_shipped, absence: {of: Order Shipped, within: 48h, after: Order Completed}}\n"
    run = adopted(BEFORE.replace(gone, ""), (0, "Order Completed"))
    run.until(3 * D)
    assert fired(run, "friction") == []


def test_open_stalled_deadline_keeps_its_due_time_or_falls_away() -> None:
    run = adopted(BEFORE.replace("longer_than: 2h", "longer_than: 1h"))
    run.until(3 * D)
    assert fired(run, "stalled") == [("stuck", 2 * H + 1 * M)]
    rule = "stalled: {stage: cart, longer_than: 2h, or_touchpoints: 9}"
    for other in (rule.replace("cart", "paying"), "count: {event: Payment Failed, at_least: 5, within: 1h}"):
        run = adopted(BEFORE.replace(rule, other))
        run.hear(*(touchpoint(5 * M + n, "page") for n in range(20)))
        run.until(3 * D)
        assert fired(run, "stalled") == []


def test_removed_or_paused_action_cancels_its_open_triggers() -> None:
    line = "  nudge: {when: {signal: stage_entered, stage: cart}, channel: agent, expires_after: 1d}"
    for after in (
        BEFORE.replace("expires_after: 1d", "expires_after: 1d, paused: true"),
        BEFORE.replace(line, line.replace("nudge", "other")),
    ):
        run = adopted(after)
        assert run.statuses() == [("nudge", "cancelled", "definition")]
        assert run.triggers[0].ended_at == T0 + 1 * M - 30_000
        view = run.customers["c"]
        assert view is not None
        assert view.open_triggers == []


def test_changed_action_keeps_its_open_triggers() -> None:
    assert adopted(BEFORE.replace("expires_after: 1d", "expires_after: 2d")).statuses() == []


def test_removed_segment_is_left_with_reason_definition() -> None:
    run = adopted(BEFORE.replace('segments: {loyal: {where: "orders >= 1"}}\n', ""), (0, "Order Completed"))
    assert [(s.kind, s.name, s.reason) for s in run.signals] == [("segment_left", "loyal", "definition")]


def test_new_segment_is_looked_at_when_a_fact_that_it_reads_moves() -> None:
    run = adopted(BEFORE.replace("segments: {", "segments: {buyer: {where: 'orders >= 1'}, "), (0, "Order Completed"))
    assert run.signals == []
    run.hear(touchpoint(1, "Order Completed"))
    assert fired(run, "segment_entered") == [("buyer", 1)]


def test_same_content_under_another_number_changes_nothing_but_the_number() -> None:
    run = adopted(BEFORE)
    assert (run.signals, run.triggers) == ([], [])
    run.hear(touchpoint(2 * M, "Payment Info Entered"))
    assert {s.definition for s in run.signals} == {2}


def test_new_anniversary_is_of_those_known_already_and_past_years_are_not_said() -> None:
    run = Run(BEFORE)
    run.hear(touchpoint(0, "page"), touchpoint(300 * D, "page"), touchpoint(500 * D, "page"))
    run.adopt(BEFORE + "milestones: [{name: year, anniversary_of: first_seen}]\n")
    run.until(735 * D)
    assert [(s.time - T0, s.figures) for s in run.named("year")] == [(730 * D, {"years": 2})]


def test_adoption_meets_profiles_that_are_not_in_memory() -> None:
    run = Run(BEFORE, hot_profiles=2)
    run.hear(*(touchpoint(n, "Product Added", f"c{n}") for n in range(9)))
    run.save()
    run.triggers.clear()
    run.adopt(BEFORE.replace("expires_after: 1d", "expires_after: 1d, paused: true"))
    assert [t.customer for t in run.triggers] == [f"c{n}" for n in range(9)]


def test_timers_that_an_adoption_made_earlier_are_known_after_a_restart() -> None:
    run = Run(BEFORE)
    run.hear(touchpoint(0, "Payment Info Entered"))
    run.until(1 * H)
    run.save()
    run.adopt(BEFORE.replace("goal: Order Completed", "goal: {event: Order Completed, within: 2d}"))
    run.restart()
    run.until(2 * D + 1)
    assert [s.reason for s in run.signals if s.kind == "stage_left"] == ["expired"]


def test_profiles_that_an_adoption_changed_are_stored() -> None:
    run = Run(BEFORE)
    run.hear(touchpoint(0, "Product Viewed"), touchpoint(1 * M, "Product Added"))
    run.save()
    run.adopt(BEFORE.replace("      cart: {after: 20m}\n", ""))
    run.restart()
    run.until(6 * H)
    assert fired(run) == []


def overdue() -> Run:
    """An instance five days old when a new definition says that none lives longer than one, in a quiet partition."""
    run = Run(BEFORE)
    run.hear(touchpoint(0, "Payment Info Entered"), touchpoint(5 * D, "page", "x"))
    run.adopt(BEFORE.replace("goal: Order Completed", "goal: {event: Order Completed, within: 1d}"))
    return run


def left(run: Run) -> list[tuple[str | None, int]]:
    return [(s.reason, s.time - T0) for s in run.signals if s.kind == "stage_left"]


def test_what_an_adoption_makes_overdue_fires_when_the_idle_clock_comes_to_it() -> None:
    run = overdue()
    watermark, due = run.engine.watermark, run.engine.next_due_ms
    assert watermark is not None
    assert due == T0 + 1 * D + 1
    run.until(due - T0)
    assert left(run) == [("expired", 1 * D)]
    assert run.engine.watermark == watermark, "time has not gone back"
    following = run.engine.next_due_ms
    assert following is not None
    assert following > watermark


def test_what_an_adoption_makes_overdue_fires_before_the_next_touchpoint_however_late_that_is() -> None:
    run = overdue()
    run.hear(touchpoint(5 * D - 2 * M, "Order Completed"))
    assert left(run) == [("expired", 1 * D)]
    assert run.named("purchase")[0].figures["conversion"] == 0


def test_draining_what_an_adoption_makes_overdue_does_not_turn_time_back() -> None:
    run = overdue()
    watermark = run.engine.watermark
    assert watermark is not None
    run.drain()
    assert left(run) == [("expired", 1 * D)]
    assert run.engine.watermark is not None
    assert run.engine.watermark >= watermark


def test_sessions_whose_end_a_new_definition_asks_for_end_though_it_has_passed() -> None:
    run = Run(BEFORE)
    run.hear(touchpoint(0, "page"), touchpoint(1 * H, "page", "x"), touchpoint(1 * H + M, "page", "x"))
    run.adopt(BEFORE.replace("segments: {", 'segments: {here: {where: "session.open"}, '))
    watermarks = []
    for _ in range(2):
        due = run.engine.next_due_ms
        assert due is not None
        run.until(due - T0)
        watermarks.append(run.engine.watermark)
    assert watermarks == [T0 + 1 * H + 30 * S, T0 + 1 * H + 31 * M + 1], "c's session has ended, then that of x"
    assert run.engine.next_due_ms == T0 + 400 * D + 1


def test_milestone_that_was_gone_for_years_does_not_say_them_when_it_comes_back() -> None:
    with_year = BEFORE + "milestones: [{name: year, anniversary_of: first_seen}]\n"
    run = Run(with_year)
    run.hear(touchpoint(0, "page"))
    run.adopt(BEFORE)
    run.hear(touchpoint(380 * D, "page"), touchpoint(760 * D, "page"))
    run.adopt(with_year)
    run.until(1097 * D)
    assert [(s.time - T0, s.figures) for s in run.named("year")] == [(1096 * D, {"years": 3})]


def test_adoption_keeps_as_bytes_what_it_does_not_change() -> None:
    run = Run(BEFORE, hot_profiles=10)
    run.hear(*(touchpoint(n, "page", f"c{n}") for n in range(100)))
    run.save()
    run.adopt(BEFORE + "satisfaction: {fall: 0.4}\n")
    assert len(run.engine.store.hot) <= 10
    assert run.engine.profiles == 100
    run.until(500 * D)
    assert run.engine.profiles == 0
