"""Scaled definitions are the shipped ones with every duration divided, and nothing else changed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from streams.definitions.load import load_files, shipped
from streams.definitions.model import DAY_MS, Action, Preset
from streams.tools.demo.scale import LEAST_MS, scaled_files, scaled_text

SCALE = 60.0
UNSCALED = {"permitted_skew_ms", "forget_after_ms", "too_late_ms", "session_cap_ms"}


def durations(value: Any, path: str = "") -> dict[str, int]:
    """Every field that ends in ``_ms``, by its path."""
    found: dict[str, int] = {}
    if is_dataclass(value):
        for f in fields(value):
            inner = getattr(value, f.name)
            if f.name.endswith("_ms") and isinstance(inner, int):
                found[f"{path}.{f.name}"] = inner
            else:
                found |= durations(inner, f"{path}.{f.name}")
    elif isinstance(value, tuple):
        for n, inner in enumerate(value):
            found |= durations(inner, f"{path}[{n}]")
    return found


def as_stated(definition: Any) -> Any:
    """The cool-down of presets, the attribution of actions and what is taken for sent, that the file does not state, is
    not its to scale; a limit of calendar days is none afterwards; what was changed on a date stays there."""
    journeys = tuple(
        replace(j, friction=tuple(f for f in j.friction if not isinstance(f.rule, Preset))) for j in definition.journeys
    )
    default = Action.__dataclass_fields__["attribution_ms"].default
    actions = tuple(replace(a, attribution_ms=0) if a.attribution_ms == default else a for a in definition.actions)
    policy = replace(
        definition.contact_policy,
        unsent_for_ms=0,
        limits=tuple(
            replace(limit, days=0, within_ms=limit.within_ms or limit.days * DAY_MS)
            for limit in definition.contact_policy.limits
        ),
    )
    return replace(definition, journeys=journeys, actions=actions, contact_policy=policy, changes=())


def test_every_duration_is_divided(tmp_path: Path) -> None:
    originals = [shipped("shop"), shipped("visit"), shipped("service")]
    before = as_stated(load_files(originals))
    after = as_stated(load_files(scaled_files(originals, SCALE, tmp_path)))
    old, new = durations(before), durations(after)
    assert old.keys() == new.keys()
    assert len(old) > 50
    for path, ms in old.items():
        if path.rsplit(".", 1)[1] in UNSCALED:
            assert new[path] == ms
        elif ms:
            least = LEAST_MS.get(path.rsplit(".", 1)[1].removesuffix("_ms"), 1)
            assert new[path] == max(least, round(ms / SCALE)), path


def test_scale_one_takes_the_files_themselves(tmp_path: Path) -> None:
    assert scaled_files([shipped("shop")], 1, tmp_path) == [shipped("shop")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "scaled"),
    [
        ("payment: {after: 20m}", "payment: {after: 20000ms}"),
        ("goal: {event: X, within: 14d}  # within: 14d", "goal: {event: X, within: 20160000ms}  # within: 20160000ms"),
        ("# after: 20m is a comment", "# after: 20m is a comment"),
        ("expires_after: session_end", "expires_after: session_end"),
        ("expires_after: 5s", "expires_after: 1000ms"),
        ("session_gap: 30s", "session_gap: 1000ms"),
        ("payment: {after: 1h30m, by: 1.5h}", "payment: {after: 90000ms, by: 90000ms}"),
        ("""{after: "20m", within: '1h'}""", "{after: 20000ms, within: 60000ms}"),
        ("name: before_after: 3mm", "name: before_after: 3mm"),
        ("name: day_after: 3", "name: day_after: 3"),
        ("- {at_most: 1, per: day}", "- {at_most: 1, per: 1440000ms}"),
        ("- {channel: email, per: week, at_most: 2}", "- {channel: email, per: 10080000ms, at_most: 2}"),
        ("budget: {amount: 500, per: day}", "budget: {amount: 500, per: day}"),
        ("- {at_most: 3, per: 7d}", "- {at_most: 3, per: 10080000ms}"),
        ("chat: {at_most: 60, per: 30s}", "chat: {at_most: 60, per: 1000ms}"),
        ("callback: open 09:00-17:00, at most 60 an hour", "callback: open 09:00-17:00, at most 60 per 60000ms"),
        (
            "suppression: {after: 3, within: 30d, for: 60d}",
            "suppression: {after: 3, within: 43200000ms, for: 86400000ms}",
        ),
        (
            "pause_marketing_while: {signal: friction, for: 2h}",
            "pause_marketing_while: {signal: friction, for: 120000ms}",
        ),
    ],
)
def test_text(text: str, scaled: str) -> None:
    assert scaled_text(text, SCALE) == scaled


@pytest.mark.parametrize("scale", [2, 3_600])
def test_the_shipped_definitions_are_right_at_every_scale_that_the_demo_takes(scale: float, tmp_path: Path) -> None:
    scaled = load_files(scaled_files([shipped("shop"), shipped("service")], scale, tmp_path))
    assert len(scaled.journeys) == 5


def test_a_definition_that_says_nothing_of_time_lives_faster_all_the_same(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("version: 1\njourneys: {a: {type: use, goal: Used, stages: {seen: {on: Seen}}}}\n")
    time = load_files(scaled_files([mine], SCALE, tmp_path / "scaled")).time
    assert (time.session_gap_ms, time.allowed_lateness_ms) == (30_000, 500)


def test_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    files = []
    for n, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "journey.yaml")
        files[n].write_text(f"version: 1\nsegments: {{{name}: {{where: orders > {n}}}}}\n")
    assert [s.name for s in load_files(scaled_files(files, SCALE, tmp_path / "scaled")).segments] == ["a", "b"]
