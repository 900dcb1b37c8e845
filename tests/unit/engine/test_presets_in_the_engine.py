"""Click presets through the engine: vetoes, silence, cool-down, the session's end and its frustration score."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.engines import T0, M, Run, S, touchpoint


def rules(*friction: str) -> str:
    lines = "\n".join(f"      - {rule}" for rule in friction)
    return f"""
time: {{session_gap: 30m}}
journeys:
  shop:
    type: purchase
    goal: Order Completed
    stages: {{browsing: {{on: Product Viewed}}}}
    friction:
{lines}
"""


def found(run: Run) -> list[tuple[str, int]]:
    return [(s.name, s.time - T0) for s in run.signals if s.kind == "friction"]


CLICK: dict[str, Any] = {"x": 5, "y": 5, "target": "#buy", "target_kind": "button", "page_url": "https://s.example/"}


def clicks(run: Run, *at: int, **changed: Any) -> None:
    for t in at:
        run.hear(touchpoint(t, "Element Clicked", **{**CLICK, **changed}))


@pytest.mark.parametrize(
    ("vendor", "n"), [("posthog", 3), ("datadog", 3), ("amplitude", 4), ("mixpanel", 4), ("conviva", 3)]
)
def test_rage_clicks_are_found_at_the_vendors_number(vendor: str, n: int) -> None:
    run = Run(rules(f"preset: rage_click/{vendor}"))
    clicks(run, *(k * 200 for k in range(n - 1)))
    assert found(run) == []
    clicks(run, (n - 1) * 200)
    run.drain()
    assert [name for name, _ in found(run)] == [f"rage_click/{vendor}"]


def test_rage_clicks_on_a_stepper_are_vetoed() -> None:
    run = Run(rules("preset: rage_click/posthog"))
    clicks(run, 0, 100, 200, 300, target_kind="stepper")
    run.drain()
    assert found(run) == []


def test_rage_clicks_are_vetoed_by_a_scroll() -> None:
    run = Run(rules("preset: rage_click/datadog"))
    clicks(run, 0, 100)
    run.hear(touchpoint(150, "Page Scrolled"))
    clicks(run, 200)
    run.drain()
    assert found(run) == []


def test_dead_click_is_due_to_the_millisecond_and_a_reaction_answers() -> None:
    run = Run(rules("preset: dead_click/posthog"))
    clicks(run, 0)
    assert run.engine.next_due_ms == T0 + 2500 + 1
    run.until(2501)
    assert found(run) == [("dead_click/posthog", 2500)]
    run = Run(rules("preset: dead_click/posthog"))
    clicks(run, 0)
    run.hear(touchpoint(1000, "Page Reacted"))
    run.drain()
    assert found(run) == []


def test_error_click_page_loop_cursor_and_slow_page_are_found() -> None:
    run = Run(
        rules(
            "preset: error_click/amplitude",
            "preset: page_loop/conviva",
            "preset: thrashed_cursor/amplitude",
            "preset: slow_page",
        )
    )
    clicks(run, 0)
    run.hear(touchpoint(2 * S, "Error Shown"))
    run.hear(
        *(touchpoint(10 * S + n * 2 * S, "page", path=f"/{n % 2}", url=f"https://s.example/{n % 2}") for n in range(5))
    )
    run.hear(touchpoint(30 * S, "Cursor Moved", direction_changes=25, duration_ms=1500))
    run.hear(touchpoint(40 * S, "Web Vital Measured", name="LCP", value_ms=4001, path="/"))
    assert [name for name, _ in found(run)] == [
        "error_click/amplitude", "page_loop/conviva", "thrashed_cursor/amplitude", "slow_page",
    ]  # fmt: skip


def test_preset_whose_fields_are_missing_ignores_and_counts() -> None:
    run = Run(rules("preset: rage_click/posthog"))
    for n in range(6):
        run.hear(touchpoint(n * 100, "Element Clicked", target="#buy"))
    run.drain()
    assert found(run) == []
    assert run.totals["preset_fields_missing"] == 6


def test_preset_is_the_customers_own_clicks_only() -> None:
    run = Run(rules("preset: rage_click/posthog"))
    clicks(run, 0, 100, 200, 300, actor="system")
    run.drain()
    assert found(run) == []


def test_click_state_ends_with_the_session() -> None:
    run = Run(rules("preset: rage_click/conviva").replace("session_gap: 30m", "session_gap: 1s"))
    clicks(run, 0, 900)
    clicks(run, 1901)
    run.drain()
    assert found(run) == []


def test_preset_has_a_cool_down_of_a_minute_and_zero_switches_it_off() -> None:
    for rule, n in (("preset: rage_click/conviva", 1), ("{preset: rage_click/conviva, cool_down: 0s}", 2)):
        run = Run(rules(rule))
        clicks(run, 0, 100, 200, 10 * S, 10 * S + 100, 10 * S + 200)
        assert len(found(run)) == n


def test_frustration_score_divides_by_at_least_a_minute() -> None:
    run = Run(rules("preset: rage_click/conviva") + 'segments: {upset: {where: "session.frustration >= 3"}}\n')
    clicks(run, 0, 100, 200)
    assert run.named("rage_click/conviva")[0].figures["frustration_score"] == 3
    run.hear(touchpoint(2 * M, "page", path="/"))
    assert [(s.kind, s.time - T0) for s in run.named("upset")] == [("segment_entered", 200), ("segment_left", 2 * M)]
