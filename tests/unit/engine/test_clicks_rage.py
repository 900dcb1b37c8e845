"""Rage clicks at each vendor's boundaries."""

from __future__ import annotations

from typing import Any

import pytest

from streams.definitions.presets import PRESET_NAMES
from streams.engine.detectors.clicks import PRESETS, Finding
from streams.engine.detectors.preset import LIMIT

POSTHOG = "rage_click/posthog"
DATADOG = "rage_click/datadog"
AMPLITUDE = "rage_click/amplitude"
MIXPANEL = "rage_click/mixpanel"
CONVIVA = "rage_click/conviva"
RAGE = [POSTHOG, DATADOG, AMPLITUDE, MIXPANEL, CONVIVA]
COUNT = {POSTHOG: 3, DATADOG: 3, AMPLITUDE: 4, MIXPANEL: 4, CONVIVA: 3}

Event = tuple[str, int, dict[str, Any]]


def click(t: int, x: float = 0, y: float = 0, target: str = "#pay", kind: str = "button") -> Event:
    return "Element Clicked", t, {"x": x, "y": y, "target": target, "target_kind": kind}


def scroll(t: int) -> Event:
    return "Page Scrolled", t, {}


def select(t: int) -> Event:
    return "Text Selected", t, {}


def found(name: str, *events: Event) -> list[Finding]:
    """What the preset finds; it sees only what it reads. Touchpoints are named by their number."""
    preset = PRESETS[name]
    state: list[Any] = []
    findings = []
    for i, (event, t, p) in enumerate(events):
        if event in preset.reads:
            finding = preset.observe(state, event, t, str(i), p)
            if finding is not None:
                findings.append(finding)
    return findings


def at(*moments: int) -> list[Event]:
    return [click(t) for t in moments]


def test_the_names_that_definitions_know_are_the_presets_there_are() -> None:
    assert set(PRESETS) == PRESET_NAMES
    assert {p.family for p in PRESETS.values()} == {"rage", "dead", "error", "u_turn", "cursor", "slow"}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_each_preset_states_its_bounds_and_their_source(preset: Any) -> None:
    text = type(preset).__doc__ or ""
    assert "Source: " in text
    assert "<" in text or ">" in text


@pytest.mark.parametrize("name", RAGE)
def test_one_click_fewer_than_the_count_is_none(name: str) -> None:
    assert found(name, *at(*range(0, 100 * (COUNT[name] - 1), 100))) == []


@pytest.mark.parametrize("name", RAGE)
def test_a_burst_is_one_finding_with_its_first_clicks(name: str) -> None:
    n = COUNT[name]
    (finding,) = found(name, *at(*range(0, 2000, 100)))
    assert finding.time == 100 * (n - 1)
    assert finding.evidence == [str(i) for i in range(n)]
    assert finding.figures == {"clicks": n, "within_ms": 100 * (n - 1)}


@pytest.mark.parametrize("name", RAGE)
def test_the_next_burst_is_found_again(name: str) -> None:
    assert len(found(name, *at(0, 100, 200, 300, 5000, 5100, 5200, 5300))) == 2


@pytest.mark.parametrize("name", RAGE)
def test_out_of_order_the_burst_is_found_with_the_last_click_that_arrives(name: str) -> None:
    n = COUNT[name]
    moments = [100 * (n - 1), *range(0, 100 * (n - 1), 100)]
    (finding,) = found(name, *at(*moments))
    assert finding.time == 100 * (n - 1)
    assert finding.evidence[-1] == "0"


@pytest.mark.parametrize("name", RAGE)
def test_a_late_click_of_a_burst_that_was_found_raises_nothing(name: str) -> None:
    assert len(found(name, *at(0, 100, 200, 300, 400, 150, 50))) == 1


@pytest.mark.parametrize("name", RAGE)
def test_ten_thousand_clicks_stay_within_the_limit(name: str) -> None:
    state: list[Any] = []
    for t in range(0, 10_000 * 7, 7):
        PRESETS[name].observe(state, *click(t)[:2], str(t), click(t)[2])
        assert len(state) <= LIMIT


@pytest.mark.parametrize("name", RAGE)
def test_old_clicks_are_dropped_with_the_next_one(name: str) -> None:
    state: list[Any] = []
    for t in (0, 100, 60_000):
        PRESETS[name].observe(state, "Element Clicked", t, str(t), click(t)[2])
    assert len(state) == 1


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (POSTHOG, ["x", "y", "target_kind"]),
        (DATADOG, ["x", "y", "target"]),
        (AMPLITUDE, ["x", "y", "target"]),
        (MIXPANEL, ["x", "y"]),
        (CONVIVA, []),
    ],
)
def test_without_a_field_the_click_is_ignored_and_never_taken_for_less(name: str, fields: list[str]) -> None:
    preset = PRESETS[name]
    whole = click(0)[2]
    assert not preset.missing("Element Clicked", whole)
    for field in whole:
        p = {k: v for k, v in whole.items() if k != field}
        assert preset.missing("Element Clicked", p) == (field in fields)
        assert preset.missing("Element Clicked", {**whole, field: None}) == (field in fields)
        if field in fields:
            assert found(name, *[("Element Clicked", t, p) for t in range(0, 600, 100)]) == []
    assert preset.missing("Element Clicked", {}) == bool(fields)


@pytest.mark.parametrize("bad", ["12", True, float("nan"), float("inf"), 1 << 54, -1e300, None, [1]])
def test_a_place_that_is_no_number_is_missing(bad: object) -> None:
    assert PRESETS[MIXPANEL].missing("Element Clicked", {"x": bad, "y": 1})
    assert not PRESETS[MIXPANEL].missing("Element Clicked", {"x": 1.5, "y": 1})


def test_posthog_gap_of_999_ms_is_linked_and_of_1000_ms_is_not() -> None:
    assert len(found(POSTHOG, *at(0, 999, 1998))) == 1
    assert found(POSTHOG, *at(0, 999, 1999)) == []


def test_posthog_29_px_is_near_and_30_px_by_manhattan_is_not() -> None:
    assert len(found(POSTHOG, click(0, 0, 0), click(1, 14, 15), click(2, 28, 30))) == 1
    assert found(POSTHOG, click(0, 0, 0), click(1, 15, 15), click(2, 15, 15)) == []


def test_posthog_a_click_elsewhere_breaks_the_chain() -> None:
    assert found(POSTHOG, click(0), click(1), click(2, 500, 500), click(3), click(4)) == []


@pytest.mark.parametrize("kind", ["text_input", "textarea", "contenteditable", "stepper", "next", "previous"])
def test_posthog_controls_that_are_clicked_repeatedly_are_ignored(kind: str) -> None:
    assert found(POSTHOG, *[click(t, kind=kind) for t in range(5)]) == []
    assert len(found(POSTHOG, click(0), click(1), click(2, kind=kind), click(3))) == 1


def test_datadog_exactly_one_second_from_first_to_last_is_rage_and_one_ms_past_is_not() -> None:
    assert len(found(DATADOG, *at(0, 500, 1000))) == 1
    assert found(DATADOG, *at(0, 500, 1001)) == []


def test_datadog_exactly_100_px_is_near_and_more_is_not() -> None:
    assert len(found(DATADOG, click(0, 0, 0), click(1, 60, 80), click(2, 0, 0))) == 1
    assert found(DATADOG, click(0, 0, 0), click(1, 60, 81), click(2, 0, 0)) == []


def test_datadog_another_target_is_another_chain() -> None:
    assert found(DATADOG, click(0), click(1), click(2, target="#else"), click(3)) == []


@pytest.mark.parametrize("veto", [scroll, select])
def test_datadog_a_scroll_or_a_selection_between_clicks_spoils_the_whole_chain(veto: Any) -> None:
    assert found(DATADOG, click(0), veto(1), click(2), click(3), click(4), click(5)) == []
    assert found(DATADOG, click(0), click(1), veto(2), click(3), click(4), click(5)) == []


def test_datadog_a_scroll_before_the_chain_or_after_the_third_click_is_no_veto() -> None:
    assert len(found(DATADOG, scroll(0), click(1), click(2), click(3))) == 1
    assert len(found(DATADOG, click(1), click(2), click(3), scroll(4), click(5))) == 1


def test_datadog_a_veto_that_arrives_before_the_last_click_counts_wherever_it_arrives() -> None:
    assert found(DATADOG, click(0), click(20), scroll(10), click(30)) == []
    assert found(DATADOG, scroll(10), click(20), click(30), click(0)) == []
    assert found(DATADOG, scroll(10), click(20), click(0), click(30)) == []


def test_amplitude_999_ms_from_first_to_last_is_rage_and_1000_ms_is_not() -> None:
    assert len(found(AMPLITUDE, *at(0, 300, 600, 999))) == 1
    assert found(AMPLITUDE, *at(0, 300, 600, 1000)) == []


def test_amplitude_a_box_of_50_px_is_near_and_51_px_is_not() -> None:
    assert len(found(AMPLITUDE, click(0, 0, 0), click(1, 50, 0), click(2, 0, 50), click(3, 50, 50))) == 1
    assert found(AMPLITUDE, click(0, 0, 0), click(1, 51, 0), click(2, 0, 0), click(3, 0, 0)) == []


def test_amplitude_the_window_slides() -> None:
    (finding,) = found(AMPLITUDE, *at(0, 900, 1000, 1100, 1200))
    assert finding.evidence == ["1", "2", "3", "4"]


def test_amplitude_a_selection_ends_the_chain_and_a_scroll_does_not() -> None:
    assert found(AMPLITUDE, click(0), click(1), select(2), click(3), click(4)) == []
    assert len(found(AMPLITUDE, click(0), select(1), click(2), click(3), click(4), click(5))) == 1
    assert len(found(AMPLITUDE, click(0), click(1), scroll(2), click(3), click(4))) == 1


def test_mixpanel_gap_of_999_ms_is_linked_and_of_1000_ms_is_not() -> None:
    assert len(found(MIXPANEL, *at(0, 999, 1998, 2997))) == 1
    assert found(MIXPANEL, *at(0, 999, 1998, 2998)) == []


def test_mixpanel_less_than_30_px_is_near_and_30_px_is_not() -> None:
    assert len(found(MIXPANEL, click(0, 0, 0), click(1, 18, 23.9), click(2), click(3))) == 1
    assert found(MIXPANEL, click(0, 0, 0), click(1, 18, 24), click(2), click(3)) == []


def test_conviva_exactly_two_seconds_is_rage_and_one_ms_past_is_not() -> None:
    assert len(found(CONVIVA, *at(0, 1000, 2000))) == 1
    assert found(CONVIVA, *at(0, 1000, 2001)) == []


def test_conviva_a_pause_of_exactly_two_seconds_is_within_the_burst_and_one_ms_more_ends_it() -> None:
    assert len(found(CONVIVA, *at(0, 1, 2, 2002, 2003, 2004))) == 1
    assert len(found(CONVIVA, *at(0, 1, 2, 2003, 2004, 2005))) == 2


def test_long_targets_are_told_apart_and_kept_short() -> None:
    long, other = "div>" * 500 + "a", "div>" * 500 + "b"
    state: list[Any] = []
    PRESETS[DATADOG].observe(state, "Element Clicked", 0, "e", click(0, target=long)[2])
    assert len(str(state)) < 100
    assert len(found(DATADOG, *[click(t, target=long) for t in range(3)])) == 1
    assert found(DATADOG, click(0, target=long), click(1, target=other), click(2, target=long)) == []
