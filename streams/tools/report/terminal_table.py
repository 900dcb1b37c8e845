"""The form of the report's tables: names to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from rich.table import Table

Detail = Literal["short", "full"]
"""short: what a journey owner asks first."""
SHOWN: Final = 15
"""Rows of a split; the most numerous ones."""


def table(title: str, names: Sequence[str], numbers: Sequence[str], caption: str | None = None) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", caption=caption, caption_justify="left")
    for name in names:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", overflow="fold")
    return made
