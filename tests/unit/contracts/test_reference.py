"""docs/contracts.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from streams.contracts import schemas
from streams.contracts.codec import COMMANDS
from streams.contracts.reference import rewritten
from streams.contracts.routing import partition_for
from streams.contracts.schemas import CONTRACTS
from streams.contracts.touchpoint import REASONS

PAGE = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    assert rewritten(PAGE) == PAGE, "run: python -m streams.contracts.reference docs/contracts.md"


def test_a_page_without_a_marked_part_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold one part"):
        rewritten("nothing")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_field_is_on_the_page(contract: str) -> None:
    for field in json.loads(schemas.text(contract))["fields"]:
        assert f"| `{field['name']}` |" in PAGE


def test_the_page_names_commands_reasons_and_places_of_keys() -> None:
    assert all(f"`{command}`" in PAGE for command in COMMANDS)
    assert all(f"| `{reason}` |" in PAGE for reason in REASONS)
    words = " ".join(PAGE.split())
    stated = re.search(
        r"key `customer-1` of four partitions into partition (\d), `c-1042` into (\d) and `Zoë` \(UTF-8\) into (\d)",
        words,
    )
    assert stated is not None
    assert [int(number) for number in stated.groups()] == [
        partition_for(key.encode(), 4) for key in ("customer-1", "c-1042", "Zoë")
    ]
