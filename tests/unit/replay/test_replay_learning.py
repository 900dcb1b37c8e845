"""A replay that learns: what its lines and tables say, from when a model scores, and what is refused."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.tools.replay.run import Ending, replay
from streams.tools.replay.summary import Summary
from streams.tools.replay.tables import tables

DAY = 86_400_000
T0 = 1_767_571_200_000  # 2026-01-05, a Monday

CHURN = """
version: 1
time: {timezone: UTC, allowed_lateness: 0s}
risks:
  churn:
    without: Order Completed
    horizon: 10d
    scored: {active_within: 10d, every: 1d, spread: false}
    features: [orders, days_since_order]
    learn: {challengers: [], at_least: 50, publish_every: 50, window: 200}
"""


def customers(days: int = 80) -> Iterator[Touchpoint]:
    """Those with an even number order every few days; the others do so once and look around for a while."""
    draw = random.Random(7)
    found = []
    for c in range(60):
        at = T0 + draw.randrange(5 * DAY)
        while at < T0 + days * DAY:
            type_ = "Order Completed" if c % 2 == 0 or at < T0 + 6 * DAY else "Product Viewed"
            found.append(Touchpoint(f"{c}-{at}", type_, at, customer_id=f"c{c}", channel="web"))
            at += draw.randrange(2 * DAY, 7 * DAY)
            if c % 2 and draw.random() < 0.1:
                break
    return iter(sorted(found, key=lambda tp: tp.occurred_at))


def definition() -> Definition:
    return load_texts([("churn.yaml", CHURN)])


def run(
    *, learn: bool = True, until_ms: int | None = None, ending: Ending = "drain"
) -> tuple[list[dict[str, Any]], Summary]:
    sink = io.BytesIO()
    summary = replay(definition(), customers(), sink, learn=learn, until_ms=until_ms, ending=ending)
    return [json.loads(line) for line in sink.getvalue().splitlines()], summary


def test_a_model_scores_from_the_call_after_its_labels_on() -> None:
    lines, summary = run()
    examples = [line for line in lines if line["kind"] == "example"]
    models = [line for line in lines if line["kind"] == "model"]
    assert len(models) == summary.risks[0].models > 3
    assert all("body" not in model and "mac" not in model and model["weights"] for model in models)
    known = {f"churn@{model['version']}": model["learned_until"] for model in models}
    by_model = [e for e in examples if e["model"] != "prior"]
    assert by_model
    for example in by_model:
        assert known[example["model"]] <= example["scored_at"]
    first = models[0]["learned_until"]
    assert all(e["model"] == "prior" for e in examples if e["scored_at"] < first)
    assert all(e["model"] != "prior" for e in examples if e["scored_at"] > first + DAY)


def test_without_learning_the_prior_scores_and_labels_mature_all_the_same() -> None:
    lines, summary = run(learn=False)
    assert {line["model"] for line in lines if line["kind"] == "example"} == {"prior"}
    assert not [line for line in lines if line["kind"] == "model"]
    assert summary.risks == []


def test_quality_is_over_the_last_scores_whose_horizon_the_input_covers() -> None:
    lines, summary = run()
    (found,) = summary.risks
    assert summary.last is not None
    whole = [e for e in lines if e["kind"] == "example" and e["scored_at"] <= summary.last - 10 * DAY]
    assert found.scores == len(whole)
    tested = [e for e in whole if e["scored_at"] >= found.tested_from]
    assert found.tested == len(tested) >= 0.3 * len(whole)
    assert max(e["scored_at"] for e in whole if e not in tested) < found.tested_from
    assert found.issued.base_rate == sum(e["label"] for e in tested) / len(tested)
    assert found.issued.auc > 0.9
    assert found.rules.keys() == {"fewest orders", "longest without order"}
    assert found.champion == "logistic"
    assert found.by_prior == 0


def test_until_a_given_time_learning_goes_on_without_touchpoints() -> None:
    """Time that is said to have passed decides labels, and models are made of them one by one as it passes."""
    until = T0 + 100 * DAY
    lines, summary = run(until_ms=until)
    examples = [line for line in lines if line["kind"] == "example"]
    assert summary.last is not None
    assert max(e["matured_at"] for e in examples) > summary.last
    late = {e["model"] for e in examples if e["scored_at"] > summary.last}
    assert len(late) > 1


def test_a_short_input_gives_no_figures_and_no_error() -> None:
    short = [tp for tp in customers() if tp.occurred_at < T0 + 3 * DAY]
    (found,) = replay(definition(), iter(short), learn=True).risks
    assert (found.scores, found.tested, found.models) == (0, 0, 0)
    assert "scores as given" in shown(replay(definition(), iter(short), learn=True))


def shown(summary: Summary) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    for table in tables(summary, definition()):
        console.print(table)
    return console.export_text()


def test_the_tables_show_scores_rules_and_pipelines() -> None:
    text = shown(run()[1])
    for what in ("scores as given", "rule: fewest orders", "champion logistic", "Risk churn: calibration", "came true"):
        assert what in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from-kafka", "--learn"], "takes definitions, models"),
        (["--definition", "BARE", "--learn"], "needs a definition with risks or actions"),
    ],
)
def test_the_command_refuses(tmp_path: Path, arguments: list[str], says: str) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("")
    bare = tmp_path / "bare.yaml"
    bare.write_text("version: 1\njourneys: {j: {type: use, goal: Used, stages: {s: {on: page}}}}\n")
    inputs = [] if "--from-kafka" in arguments else ["--input", str(events)]
    given = [str(bare) if word == "BARE" else word for word in arguments]
    result = CliRunner().invoke(app, ["replay", *given, *inputs])
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
