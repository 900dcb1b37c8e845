"""docs/features.md says what the registry says."""

from __future__ import annotations

from pathlib import Path

from streams.definitions.names import STANDARD_EVENTS
from streams.engine.scoring.features import FEATURES, STANDARD
from streams.engine.scoring.kinds import KIND_OF
from streams.tools.feature_page import rewritten

PATH = Path(__file__).parents[3] / "docs" / "features.md"
PAGE = PATH.read_text(encoding="utf-8")


def test_the_tables_of_the_page_are_those_of_the_registry() -> None:
    assert rewritten(PAGE) == PAGE, "run: python -m streams.tools.feature_page docs/features.md"


def test_every_feature_is_on_the_page_with_title_and_unit() -> None:
    for feature in FEATURES.values():
        assert f"`{feature.name}`" in PAGE
        assert feature.title
        assert feature.unit


def test_what_risks_use_by_default_exists() -> None:
    assert set(STANDARD) <= FEATURES.keys()
    assert len(set(STANDARD)) == len(STANDARD)


def test_kinds_are_of_events_that_a_definition_knows() -> None:
    assert KIND_OF.keys() - STANDARD_EVENTS <= {"Page Viewed", "Cart Cleared"}
