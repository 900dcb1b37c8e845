"""Scaled definitions are the shipped ones with every duration divided, and nothing else changed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from streams.definitions.load import load_files, shipped
from streams.definitions.model import Preset
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


def without_default_cool_downs(definition: Any) -> Any:
    """The cool-down of presets that the file does not state is not the file's to scale."""
    journeys = tuple(
        replace(j, friction=tuple(f for f in j.friction if not isinstance(f.rule, Preset))) for j in definition.journeys
    )
    return replace(definition, journeys=journeys)


def test_every_duration_is_divided(tmp_path: Path) -> None:
    originals = [shipped("shop"), shipped("visit"), shipped("service")]
    before = without_default_cool_downs(load_files(originals))
    after = without_default_cool_downs(load_files(scaled_files(originals, SCALE, tmp_path)))
    old, new = durations(before), durations(after)
    assert old.keys() == new.keys()
    assert len(old) > 50
    for path, ms in old.items():
        if path.rsplit(".", 1)[1] in UNSCALED:
            assert new[path] == ms
        elif ms:
            least = LEAST_MS if path.endswith("expires_after_ms") else 1
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
        ("name: day_after: 3", "name: day_after: 3"),
    ],
)
def test_text(text: str, scaled: str) -> None:
    assert scaled_text(text, SCALE) == scaled
