"""Dead clicks, error clicks, page loops, thrashed cursors and slow pages at their boundaries."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.detectors.clicks import PRESETS, Finding
from streams.engine.detectors.preset import LIMIT

WAIT = {"dead_click/mixpanel": 500, "dead_click/posthog": 2500, "dead_click/amplitude": 3000, "dead_click/sentry": 7000}
DEAD = list(WAIT)
REACTIONS = ["Page Reacted", "Page Scrolled", "Text Selected", "page", "screen", "Page Viewed"]
ERROR = "error_click/amplitude"
LOOP = "page_loop/conviva"
CURSOR = "thrashed_cursor/amplitude"
SLOW = "slow_page"

Event = tuple[str, int, dict[str, Any]]


def click(t: int, target: str = "#pay", kind: str = "button") -> Event:
    return "Element Clicked", t, {"target": target, "target_kind": kind}


def reaction(t: int, event: str = "Page Reacted") -> Event:
    return event, t, {}


def error(t: int) -> Event:
    return "Error Shown", t, {}


def view(t: int, path: str = "/cart", **more: object) -> Event:
    return "page", t, {"path": path, **more}


def moved(t: int, changes: float, duration: float) -> Event:
    return "Cursor Moved", t, {"direction_changes": changes, "duration_ms": duration}


def vital(t: int, value: float, path: str = "/cart", name: str = "LCP") -> Event:
    return "Web Vital Measured", t, {"name": name, "value_ms": value, "path": path}


def found(name: str, *events: Event, until: int | None = None) -> list[Finding]:
    """What the preset finds when silences fire just before the first touchpoint that is later, and up to ``until``."""
    preset = PRESETS[name]
    state: list[Any] = []
    findings: list[Finding] = []

    def fire(before: int) -> None:
        while (due := preset.next_due(state)) is not None and due < before:
            finding = preset.fire(state, due)
            assert finding is not None
            assert finding.time == due
            findings.append(finding)

    for i, (event, t, p) in enumerate(events):
        if event in preset.reads:
            fire(t)
            finding = preset.observe(state, event, t, str(i), p)
            if finding is not None:
                findings.append(finding)
    if until is not None:
        fire(until + 1)
    return findings


@pytest.mark.parametrize("name", DEAD)
def test_silence_makes_a_dead_click_at_exactly_its_due_time(name: str) -> None:
    wait = WAIT[name]
    assert found(name, click(1000), until=1000 + wait - 1) == []
    assert found(name, click(1000), until=1000 + wait) == [Finding(1000 + wait, ["0"], {"waited_ms": wait})]


@pytest.mark.parametrize("event", REACTIONS)
@pytest.mark.parametrize("name", DEAD)
def test_any_reaction_in_time_keeps_it_alive(name: str, event: str) -> None:
    assert found(name, click(0), reaction(400, event), until=60_000) == []


@pytest.mark.parametrize("name", [name for name in DEAD if name != "dead_click/mixpanel"])
def test_a_reaction_at_the_time_of_the_click_counts_and_one_ms_before_does_not(name: str) -> None:
    assert found(name, reaction(1000), click(1000), until=60_000) == []
    assert found(name, click(1000), reaction(1000), until=60_000) == []
    assert len(found(name, reaction(999), click(1000), until=60_000)) == 1


def test_mixpanel_a_reaction_100_ms_before_counts_and_one_ms_earlier_does_not() -> None:
    assert found("dead_click/mixpanel", reaction(900), click(1000), until=60_000) == []
    assert len(found("dead_click/mixpanel", reaction(899), click(1000), until=60_000)) == 1


@pytest.mark.parametrize(
    ("name", "last_in_time"),
    [
        ("dead_click/mixpanel", 500),
        ("dead_click/posthog", 2499),
        ("dead_click/amplitude", 3000),
        ("dead_click/sentry", 3000),
    ],
)
def test_the_last_ms_of_the_reaction_is_in_time_and_the_next_is_not(name: str, last_in_time: int) -> None:
    assert found(name, click(0), reaction(last_in_time), until=60_000) == []
    assert len(found(name, click(0), reaction(last_in_time + 1), until=60_000)) == 1


def test_sentry_says_how_long_a_slow_answer_took() -> None:
    assert found("dead_click/sentry", click(0), reaction(5000), until=7000)[0].figures == {"waited_ms": 5000}
    assert found("dead_click/sentry", click(0), reaction(7001), until=7000)[0].figures == {"waited_ms": 7000}


@pytest.mark.parametrize("name", DEAD)
def test_clicks_on_the_same_target_within_a_second_are_one_burst(name: str) -> None:
    assert [f.evidence for f in found(name, *[click(t) for t in range(0, 5000, 400)], until=60_000)] == [["0"]]
    assert len(found(name, click(0), click(999), until=60_000)) == 1
    assert len(found(name, click(0), click(1000), until=60_000)) == 2


@pytest.mark.parametrize("name", DEAD)
def test_a_burst_longer_than_the_state_is_still_one(name: str) -> None:
    assert len(found(name, *[click(t) for t in range(0, 90_000, 900)], until=200_000)) == 1


@pytest.mark.parametrize("name", DEAD)
def test_a_click_on_the_same_target_long_after_is_found_again(name: str) -> None:
    assert len(found(name, click(0), click(60_000), click(120_000), until=200_000)) == 3


@pytest.mark.parametrize("name", DEAD)
def test_two_targets_at_the_same_time_are_two_findings(name: str) -> None:
    assert len(found(name, click(0), click(0, "#other"), until=60_000)) == 2


@pytest.mark.parametrize("kind", ["text_input", "textarea", "contenteditable", "external_link", "download"])
@pytest.mark.parametrize("name", DEAD)
def test_what_does_not_show_on_the_page_is_left_out(name: str, kind: str) -> None:
    assert found(name, click(0, kind=kind), until=60_000) == []


@pytest.mark.parametrize("name", DEAD)
def test_a_dead_click_needs_target_and_kind(name: str) -> None:
    preset = PRESETS[name]
    assert not preset.missing(*click(0)[::2])
    for field in ("target", "target_kind"):
        p = {k: v for k, v in click(0)[2].items() if k != field}
        assert preset.missing("Element Clicked", p)
        assert found(name, ("Element Clicked", 0, p), until=60_000) == []
    assert not any(preset.missing(event, {}) for event in REACTIONS)


@pytest.mark.parametrize("name", DEAD)
def test_reactions_without_end_push_no_click_out(name: str) -> None:
    preset = PRESETS[name]
    state: list[Any] = []
    preset.observe(state, "Element Clicked", 0, "c", click(0)[2])
    for t in range(-200, 0):
        preset.observe(state, "Page Scrolled", t * 2, str(t), {})
        assert len(state) <= LIMIT
    assert (preset.next_due(state) == WAIT[name]) is (name != "dead_click/mixpanel")


@pytest.mark.parametrize("name", DEAD)
def test_fire_before_its_time_finds_nothing(name: str) -> None:
    preset = PRESETS[name]
    state: list[Any] = []
    assert preset.next_due(state) is None
    assert preset.fire(state, 10**9) is None
    preset.observe(state, "Element Clicked", 0, "c", click(0)[2])
    assert preset.fire(state, WAIT[name] - 1) is None
    assert preset.fire(state, WAIT[name]) is not None
    assert preset.fire(state, WAIT[name]) is None
    assert preset.next_due(state) is None


def test_an_error_exactly_two_seconds_after_the_click_counts_and_one_ms_past_does_not() -> None:
    assert found(ERROR, click(0), error(2000)) == [Finding(2000, ["0", "1"], {"error_after_ms": 2000})]
    assert found(ERROR, click(0), error(2001)) == []


def test_an_error_belongs_to_the_last_click_before_it() -> None:
    assert [f.evidence for f in found(ERROR, click(0), click(500), error(600))] == [["1", "2"]]
    assert found(ERROR, error(0), click(1)) == []


def test_a_click_is_found_once_however_many_errors_it_has() -> None:
    assert len(found(ERROR, click(0), error(1), error(2), error(3))) == 1
    assert len(found(ERROR, click(0), error(1), click(2), error(3))) == 2


def test_a_late_click_takes_the_error_that_was_there() -> None:
    assert [f.evidence for f in found(ERROR, error(500), click(0))] == [["1", "0"]]
    assert len(found(ERROR, click(0), error(500), click(400))) == 1


def test_the_same_page_three_times_within_exactly_15_seconds_is_a_loop_and_one_ms_past_is_not() -> None:
    assert found(LOOP, view(1000), view(7000), view(16_000)) == [
        Finding(16_000, ["0", "1", "2"], {"views": 3, "within_ms": 15_000})
    ]
    assert found(LOOP, view(0), view(7000), view(15_001)) == []


def test_other_pages_may_lie_between_the_views_of_a_loop() -> None:
    assert len(found(LOOP, view(0), view(1, "/b"), view(2), view(3, "/b"), view(4), view(5, "/b"))) == 2


def test_a_loop_is_found_again_only_after_it_fell_below() -> None:
    assert len(found(LOOP, *[view(t) for t in range(0, 60_000, 5000)])) == 1
    assert len(found(LOOP, *[view(t) for t in (0, 1, 2, 30_000, 30_001, 30_002)])) == 2


def test_a_late_view_completes_a_loop() -> None:
    assert found(LOOP, view(0), view(2000), view(1000))[0].evidence == ["0", "2", "1"]


def test_the_url_tells_pages_apart_before_the_path_does() -> None:
    assert found(LOOP, *[view(t, url=f"https://shop/cart?{t}") for t in range(3)]) == []
    assert len(found(LOOP, *[("Page Viewed", t, {"url": "https://shop/"}) for t in range(3)])) == 1
    assert PRESETS[LOOP].missing("page", {"title": "Cart"})
    assert found(LOOP, *[("page", t, {}) for t in range(5)]) == []


def test_twenty_changes_are_a_thrashed_cursor_and_nineteen_are_not() -> None:
    assert found(CURSOR, moved(5000, 20, 2000)) == [Finding(5000, ["0"], {"direction_changes": 20, "within_ms": 2000})]
    assert found(CURSOR, moved(2000, 19, 2000)) == []


def test_movements_that_lie_wholly_within_two_seconds_are_added_up() -> None:
    assert found(CURSOR, moved(1000, 10, 500), moved(2500, 10, 500))[0].evidence == ["0", "1"]
    assert found(CURSOR, moved(1000, 10, 501), moved(2500, 10, 500)) == []


def test_a_movement_longer_than_two_seconds_counts_by_what_some_two_seconds_of_it_must_hold() -> None:
    assert len(found(CURSOR, moved(10_000, 39, 4000))) == 1
    assert found(CURSOR, moved(10_000, 38, 4000)) == []
    assert found(CURSOR, moved(10_000, 39, 4001)) == []


def test_a_thrashed_cursor_is_found_once_and_again_after_two_quiet_seconds() -> None:
    burst = [moved(t, 10, 100) for t in range(1000, 6000, 200)]
    assert len(found(CURSOR, *burst)) == 1
    assert len(found(CURSOR, *burst, moved(9000, 20, 100))) == 2


def test_a_late_movement_completes_a_thrashed_cursor() -> None:
    assert found(CURSOR, moved(1000, 10, 100), moved(2000, 5, 100), moved(1500, 5, 100))[0].evidence == ["0", "2", "1"]


@pytest.mark.parametrize(
    "p", [{}, {"direction_changes": 30}, {"duration_ms": 100}, {"direction_changes": "9", "duration_ms": 1}]
)
def test_a_movement_needs_changes_and_duration(p: dict[str, Any]) -> None:
    assert PRESETS[CURSOR].missing("Cursor Moved", p)
    assert found(CURSOR, ("Cursor Moved", 0, p)) == []


def test_lcp_over_four_seconds_is_slow_and_exactly_four_seconds_is_not() -> None:
    assert found(SLOW, vital(0, 4000.5)) == [Finding(0, ["0"], {"lcp_ms": 4000.5})]
    assert found(SLOW, vital(0, 4000)) == []


def test_a_slow_page_is_found_once_for_each_load() -> None:
    assert len(found(SLOW, vital(0, 5000), vital(100, 6000), vital(200, 7000))) == 1
    assert len(found(SLOW, vital(0, 5000), view(100), vital(200, 6000))) == 2
    assert len(found(SLOW, vital(0, 5000), view(100, "/other"), vital(200, 6000))) == 1
    assert len(found(SLOW, vital(0, 5000), vital(100, 3000), vital(200, 6000))) == 2
    assert len(found(SLOW, vital(0, 5000), vital(100, 5000, "/other"))) == 2


def test_other_vitals_are_neither_slow_nor_missing() -> None:
    assert found(SLOW, vital(0, 9000, name="INP")) == []
    assert not PRESETS[SLOW].missing("Web Vital Measured", {"name": "CLS"})
    assert PRESETS[SLOW].missing("Web Vital Measured", {"value_ms": 1, "path": "/"})
    assert PRESETS[SLOW].missing("Web Vital Measured", {"name": "LCP", "value_ms": 1})
    assert PRESETS[SLOW].missing("Web Vital Measured", {"name": "LCP", "path": "/"})


def test_slow_pages_are_bounded() -> None:
    state: list[Any] = []
    for t in range(1000):
        PRESETS[SLOW].observe(state, "Web Vital Measured", t, str(t), vital(t, 9000, f"/{t}")[2])
        assert len(state) <= LIMIT
