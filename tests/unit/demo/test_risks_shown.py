"""What the demo shows of risks: how they moved, why, and how good the model is."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from streams.contracts.outputs import Example, Model, Signal
from streams.definitions.load import load_files, shipped
from streams.tools.demo.board import Board
from streams.tools.demo.screen import Screen, quality
from streams.tools.demo.service import key_file


def board() -> Board:
    nowhere: Any = SimpleNamespace()
    return Board(nowhere, load_files([shipped("shop"), shipped("visit")]), "http://127.0.0.1:1/metrics", lambda _: None)


def scored(customer: str, band: str | None, **figures: float) -> Signal:
    words = ["3 pieces in the cart (usually 0.25)"]
    return Signal("id", customer, "churn_risk", "no_order", 0, band=band, figures=figures, words=words)


def test_only_scores_that_moved_a_customer_are_shown_and_counted() -> None:
    shown = board()
    for signal in (
        scored("first", "medium", score=0.7),
        scored("rises", "high", score=0.95, was=0.7),
        scored("falls", "low", score=0.1, was=0.95),
        scored("is left alone", None, was=0.95),
    ):
        shown._signal(signal)
    assert [signal.customer for signal in shown.risks] == ["rises", "falls"]
    assert shown.moves == {("no_order", "rose"): 1, ("no_order", "fell"): 1}


def test_the_quality_is_that_on_labels_and_before_a_model_it_says_so() -> None:
    shown = board()
    assert quality(shown, "no_order") is None
    for n in range(10):
        shown._example(Example(f"e{n}", "c", "no_order", "s", 0, 1, n < 8))
    assert "10 labels, 80% came true  no model yet" in str(quality(shown, "no_order"))
    shown._model(Model("no_order", 3, "s", "linear", "logistic", evaluation={"auc": 0.81, "ece": 0.02}))
    assert "no_order@3 (logistic)  AUC 0.81, calibration error 0.020" in str(quality(shown, "no_order"))


def test_the_screen_tells_who_rose_and_why() -> None:
    shown = board()
    shown._signal(scored("rises", "high", score=0.95, was=0.7))
    console = Console(width=150, height=40, record=True, file=io.StringIO())
    traffic: Any = SimpleNamespace(produced=0)
    console.print(Screen(shown, traffic, 60.0, "http://127.0.0.1:1/metrics"))
    text = console.export_text()
    assert "rises" in text
    assert "↑ 95% no_order high" in text
    assert "3 pieces in the cart (usually 0.25)" in text


def test_the_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    file = key_file(tmp_path / "new")
    made = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(made.strip()) == 64
    assert key_file(tmp_path / "new").read_text() == made
    assert key_file(tmp_path / "other").read_text() != made
