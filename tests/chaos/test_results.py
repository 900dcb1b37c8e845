"""The page of results: a new row takes the place of that of the same trial, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.results import BEGIN, END, PAGE, Row, write_page


def test_new_rows_take_the_place_of_those_of_the_same_trial(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n{END}\n\nafter\n", encoding="utf-8")
    first = Row("a trial", 1_000, 0, 0, 0, 1.5, "as | it\nwas", "2026-01-01 00:00", "a machine")
    write_page([first, Row("b, killed", 1, 0, 0, 0, 2.0, "", "2026-01-01 00:00", "a machine")], page)
    write_page([Row("a trial", 2_000, 1, 2, 3, 7.0, "again", "2026-02-01 00:00", "another")], page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nafter\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        "| a trial | 2,000 | 1 | 2 | 3 | 7 s | 2026-02-01 00:00 | another | again |",
        "| b, killed | 1 | 0 | 0 | 0 | 2 s | 2026-01-01 00:00 | a machine |  |",
    ]


def test_the_page_of_the_project_says_that_nothing_was_lost() -> None:
    """Its rows come from runs, and a run with something lost fails: such a row is not to be committed."""
    inside = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    rows = [line.strip("| ").split(" | ") for line in inside.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert all(row[2:5] == ["0", "0", "0"] for row in rows)
