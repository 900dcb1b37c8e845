"""Decisions in plain words: the right ones are found, and each of them says why."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.outputs import Candidate, Decision, Outputs, Signal, Trigger
from streams.definitions.load import load_files, shipped
from streams.learner.snapshots import scorer_of
from streams.tools.explain.stories import File, NotFoundError, Story, stories
from streams.tools.explain.words import CLOSED, tell
from streams.tools.replay.run import replay
from streams.tools.replay.write import decision_line, model_line, signal_line, trigger_line
from streams.tools.simulator import generate
from tests.support.engines import Run, define, touchpoint
from tests.support.policies import SHOP, failed, reached, snapshot


def said(story: Story) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    for part in tell(story):
        console.print(part, soft_wrap=True)
    return out.getvalue()


@pytest.fixture(scope="module")
def outputs() -> Outputs:
    found = Outputs()

    def each(some: Outputs) -> None:
        found.signals.extend(some.signals)
        found.decisions.extend(some.decisions)
        found.triggers.extend(some.triggers)

    replay(load_files([shipped("shop"), shipped("service")]), generate(3, 100, 2_500), each=each)
    return found


@pytest.fixture(scope="module")
def file(outputs: Outputs, tmp_path_factory: pytest.TempPathFactory) -> File:
    path = tmp_path_factory.mktemp("explain") / "findings.jsonl.gz"
    with gzip.open(path, "wb") as lines:
        for signal in outputs.signals:
            lines.write(signal_line(signal))
        for decision in outputs.decisions:
            lines.write(decision_line(decision))
        for trigger in outputs.triggers:
            lines.write(trigger_line(trigger))
    return File(path)


def test_a_customer_has_all_decisions_in_order_with_their_signals_and_revisions(outputs: Outputs, file: File) -> None:
    customer = max({d.customer for d in outputs.decisions}, key=[d.customer for d in outputs.decisions].count)
    found = stories(file, customer)
    wanted = sorted((d for d in outputs.decisions if d.customer == customer), key=lambda d: d.time)
    assert [story.decision for story in found] == wanted
    assert len(wanted) > 2
    for story in found:
        assert story.decision.signal_id == story.signals[0].signal_id
        revisions = [t for t in outputs.triggers if t.trigger_id == story.decision.trigger_id]
        assert story.trigger == revisions
    assert stories(file, customer, newest=2) == found[-2:]


def test_any_id_finds_its_decision(outputs: Outputs, file: File) -> None:
    decision = next(d for d in outputs.decisions if d.trigger_id is not None)
    for wanted in (decision.decision_id, decision.trigger_id or "", decision.signal_id):
        assert [story.decision for story in stories(file, wanted)] == [decision]


def test_nobody_is_not_found(file: File) -> None:
    with pytest.raises(NotFoundError, match="No decision is about 'nobody'"):
        stories(file, "nobody")


def test_every_decision_says_why(outputs: Outputs, file: File) -> None:
    for customer in sorted({d.customer for d in outputs.decisions}):
        for story in stories(file, customer):
            text = said(story)
            decision = story.decision
            assert "because" in text
            if decision.outcome == "issued":
                assert f"{decision.chosen} by {decision.channel} was issued" in text
            for candidate in decision.candidates:
                assert candidate.action in text
                assert candidate.closed_by is None or CLOSED[candidate.closed_by] in text
            for trigger in story.trigger[1:]:
                assert trigger.status in text


def test_a_ghost_a_held_one_and_an_experiment_are_named() -> None:
    ghost = Decision("d", "ada", 1_000, "held_out", "holdout", "s", chosen="offer", channel="email", experiment="words")
    ghost.arm, ghost.draw, ghost.model, ghost.definition = "b", 0.25, "action.offer@3", 4
    ghost.candidates = [Candidate("offer", channel="email", p=0.1, c=1.0, v=5.0, l=2.0, priority=1.0, propensity=0.4)]
    text = said(Story(ghost))
    assert "offer by email was held out" in text
    assert "definition 4, action.offer@3, draw 0.250000" in text
    assert "words, arm b" in text
    assert "40.0%" in text
    held = Decision("d", "ada", 1_000, "held", "quiet_hours", "s", held_until=60_000, step=1)
    held.candidates = [Candidate("offer", "quiet_hours", "email")]
    text = said(Story(held, [Signal("s", "ada", "milestone", "fifth_order", 1_000)]))
    assert "nothing was done yet: it is quiet time where the customer is" in text
    assert "None" not in text
    assert "held until" in text
    assert "2 of its sequence" in text
    assert "fifth_order" in text


def test_p_of_a_customer_is_told_beside_everyones_with_what_moved_it(tmp_path: Path) -> None:
    definition = define(SHOP + "risks: {churn: {without: Order Completed, horizon: 30d, features: [orders, nps]}}")
    mail = definition.actions[0]
    model = snapshot(definition, mail, 40.0, 160.0, weights=[1.5, 0.0], means=[0.3, 1.0], scales=[0.5, 1.0])
    run = Run(definition)
    run.adopt_model(scorer_of(model, None))
    reached(run, "ada")
    for n in range(3):
        run.hear(touchpoint(10 + n, "Order Completed", "ada"))
    failed(run, 1000, "ada")
    path = tmp_path / "findings.jsonl"
    other = snapshot(definition, mail, 41.0, 161.0, version=2)
    known = [model_line(model), model_line(other)]
    path.write_bytes(b"".join([*map(signal_line, run.signals), *map(decision_line, run.decisions), *known]))
    (story,) = stories(File(path), "ada")
    assert list(story.models) == ["action.mail@1"]
    assert f"mail: {run.decisions[0].candidates[0].p:.1%} for this customer, 20.1% for everyone: 3 orders" in said(
        story
    )
    # Where the snapshot is not kept any more, the figures are; where there is none, nothing is said.
    path.write_bytes(b"".join(map(decision_line, run.decisions)))
    (story,) = stories(File(path), "ada")
    assert "20.1% for everyone\n" in said(story)
    plain = Decision("d", "ada", 1, "issued", "issued", "s", candidates=[Candidate("mail", p=0.4)], chosen="mail")
    assert "for everyone" not in said(Story(plain))


def test_every_gate_has_words() -> None:
    table = re.search(r"## The gates\n(.*?)\n###", Path("docs/decisions.md").read_text("utf-8"), re.DOTALL)
    assert table is not None
    rows = re.findall(r"^\| (`.*?) \|", table[1], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 20
    assert named == set(CLOSED)


def test_the_reason_is_not_broken_into_a_narrow_column() -> None:
    closed = Decision(
        "d", "ada", 0, "none", "contact_limit", "s", candidates=[Candidate("offer", "contact_limit", "email")]
    )
    out = io.StringIO()
    console = Console(file=out, width=80, highlight=False)
    for part in tell(Story(closed)):
        console.print(part, soft_wrap=isinstance(part, Text))
    assert "offer: the customer has had as many contacts as the policy allows" in out.getvalue()


def test_a_further_signal_of_a_decision_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    both = Decision("d", "ada", 0, "none", "channel", "s1", signals=["s1", "s2"])
    path.write_bytes(decision_line(both))
    assert [story.decision for story in stories(File(path), "s2")] == [both]


def test_packed_or_not_is_told_by_the_content_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    line = decision_line(Decision("d", "ada", 0, "none", "channel", "s"))
    plain = tmp_path / "findings.jsonl.gz"
    plain.write_bytes(line)
    assert len(stories(File(plain), "ada")) == 1
    packed = tmp_path / "findings.jsonl"
    packed.write_bytes(gzip.compress(line))
    assert len(stories(File(packed), "ada")) == 1
    packed.write_bytes(gzip.compress(line)[:-6])
    with pytest.raises(ValueError, match=r"findings\.jsonl is damaged"):
        stories(File(packed), "ada")


def test_contents_are_neither_markup_nor_control_characters() -> None:
    decision = Decision("d", "[bold]x[/bold]\x1b[2J\n", 0, "none", "channel", "s", candidates=[Candidate("[red]a")])
    trigger = Trigger("t", 2, "cancelled", "c", "a", "service", "web", 0, 1, end_reason="\x07odd", ended_at=1)
    text = said(Story(decision, trigger=[trigger]))
    assert "[bold]x[/bold]" in text
    assert "[red]a" in text
    assert not {"\x1b", "\x07"} & set(text)


def test_the_command_tells_a_file_in_words_or_json(outputs: Outputs, file: File, tmp_path: Path) -> None:
    decision = outputs.decisions[0]
    path = tmp_path / "findings.jsonl"
    path.write_bytes(b"".join([*map(decision_line, outputs.decisions), *map(signal_line, outputs.signals)]))
    runner = CliRunner()
    done = runner.invoke(app, ["explain", decision.decision_id, "--file", str(path)])
    assert (done.exit_code, decision.candidates[0].action in done.output) == (0, True)
    done = runner.invoke(app, ["explain", decision.decision_id, "--file", str(path), "--json"])
    assert json.loads(done.output)["decision"]["decision_id"] == decision.decision_id
    path.write_bytes(b'{"kind":"decision","decision_id":3}\n')
    done = runner.invoke(app, ["explain", "x", "--file", str(path)])
    assert done.exit_code == 1
    assert "findings.jsonl, line 1" in done.output
