"""docs/definitions.md: every example loads, fits the schema, and together they show every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor

from streams.contracts.outputs import SIGNAL_KINDS
from streams.definitions import names
from streams.definitions.load import load_texts, shipped
from streams.definitions.pipelines import COUNTS, MODELS
from streams.definitions.presets import PRESET_NAMES
from streams.definitions.schema import json_schema
from streams.definitions.sections import SECTIONS, TIME_KEYS

PAGE = (Path(__file__).parents[3] / "docs" / "definitions.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SCHEMA = json_schema()


class Reader(SafeConstructor):
    """As an editor reads YAML 1.2: a date is a text."""


Reader.add_constructor("tag:yaml.org,2002:timestamp", Reader.construct_yaml_str)


def plain(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Reader
    return yaml.load(text)


def fits(text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(plain(text)))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_loads_without_warning(number: int) -> None:
    assert load_texts([("example", EXAMPLES[number])]).warnings == ()
    assert fits(EXAMPLES[number])


def _keys(schema: Any) -> set[str]:
    """Every key that the schema names, wherever it stands."""
    if isinstance(schema, list):
        return {key for item in schema for key in _keys(item)}
    if not isinstance(schema, dict):
        return set()
    own = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return own | {key for item in schema.values() for key in _keys(item)}


def _used(value: Any) -> set[str]:
    if isinstance(value, list):
        return {key for item in value for key in _used(item)}
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in _used(item)}
    return set()


def test_examples_show_every_key_of_the_schema() -> None:
    shown = {key for example in EXAMPLES for key in _used(plain(example))}
    assert _keys(SCHEMA) <= shown


def test_page_names_every_word_that_may_stand_in_a_definition() -> None:
    words = {*SIGNAL_KINDS, *names.JOURNEY_TYPES, *names.VISIBLE, *names.SATISFACTION, *TIME_KEYS, *SECTIONS}
    words |= {part for preset in PRESET_NAMES for part in preset.split("/")}
    words |= names.NOT_YET_TOP | names.NOT_YET_JOURNEY | names.NOT_YET_ACTION
    words |= set(MODELS) | {kind.called for kind in MODELS.values()} | set(COUNTS)
    assert {word for word in words if not re.search(rf"\b{word}\b", PAGE)} == set()


def test_schema_is_a_schema_and_the_shipped_definitions_fit() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert fits(shipped("shop").read_text())
    assert fits(shipped("service").read_text())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("session_gap: 30m", "session_gap: 30"),
        ("session_gap: 30m", "sesion_gap: 30m"),
        ("    type: purchase\n", ""),
        ("preset: rage_click/posthog", "preset: rage_click"),
        ("critical: true", "critical: sure"),
        ("signal: milestone", "signal: milestones"),
        ("    expires_after: 2h\n", ""),
        ("target: 0.032", "target: 3.2"),
        ("payment: {after: 20m, severity: high}", "payment: {severity: high}"),
    ],
)
def test_schema_refuses(old: str, new: str) -> None:
    text = shipped("shop").read_text()
    assert old in text
    assert not fits(text.replace(old, new, 1))


ACTION = "actions: {a: {when: {signal: milestone}, channel: email, expires_after: 1d, %s}}"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("channels: {chat: {at_most: 5}}", "channels: {chat: {at_most: 5, per: 1h}}"),
        ("contact_policy: {holdout: {share: 1}}", "contact_policy: {holdout: {share: 0.9}}"),
        ("contact_policy: {limits: [{at_most: 1, per: month}]}", "contact_policy: {limits: [{at_most: 1, per: week}]}"),
        ("contact_policy: {quiet_hours: {from: 21:00}}", "contact_policy: {quiet_hours: {from: 21:00, to: 08:00}}"),
        (
            "contact_policy: {pause_marketing_while: {signal: friction}}",
            "contact_policy: {pause_marketing_while: [open_contact, {signal: friction, for: 1d}]}",
        ),
        (
            "contact_policy: {suppression: {after: 1, within: 1d, for: 1d, refusals: opened}}",
            "contact_policy: {suppression: {after: 1, within: 1d, for: 1d, refusals: dismissed}}",
        ),
        ("arbitration: {weights: {service: 0}}", "arbitration: {weights: {service: 2}}"),
        (ACTION % "rollout: 5", ACTION % "rollout: 0.5"),
        (ACTION % "experiment: {arms: {a: 1}}", ACTION % "experiment: {arms: {a: 0.5, b: 0.5}}"),
        (ACTION % "steps: [{after: 1h}]", ACTION % "steps: [{after: 1h, channel: sms, unless: []}]"),
    ],
)
def test_schema_refuses_what_the_loader_does(wrong: str, right: str) -> None:
    assert not fits(f"version: 1\n{wrong}\n")
    assert fits(f"version: 1\n{right}\n")
