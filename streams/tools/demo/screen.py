"""The demo's terminal view: one screen, redrawn four times a second.

Owns the layout. Reads the board, changes nothing.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.contracts.outputs import Decision, Signal, Trigger
from streams.tools.demo.board import Board, Move, moved
from streams.tools.demo.effects import Effect
from streams.tools.demo.traffic import Traffic
from streams.tools.explain.words import CLOSED
from streams.tools.tail_lines import SEVERITY_STYLE, STATUS_STYLE

WINDOW_S: Final = 5.0
ARROWS: Final[dict[Move | None, tuple[str, str]]] = {"rose": ("↑", "red"), "fell": ("↓", "green"), None: (" ", "")}


def clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%H:%M:%S}"


class Screen:
    """Draws the board; remembers only what it needs for rates."""

    def __init__(self, board: Board, traffic: Traffic, scale: float, metrics: str) -> None:
        self.board = board
        self.traffic = traffic
        self.scale = scale
        self.metrics = metrics
        self._seen: deque[tuple[float, int]] = deque()

    def __rich__(self) -> RenderableType:
        layout = Layout()
        layout.split_column(
            Layout(self._head(), size=3, name="head"),
            Layout(name="middle", ratio=3),
            Layout(name="risks", ratio=3),
            Layout(name="low", ratio=4),
            Layout(name="decisions", ratio=4),
        )
        layout["middle"].split_row(Layout(self._journeys(), ratio=3), Layout(self._story(), ratio=2))
        layout["risks"].split_row(Layout(self._risks(), ratio=3), Layout(self._helped(), ratio=2))
        layout["decisions"].update(self._decisions())
        layout["low"].split_row(Layout(self._findings()), Layout(self._triggers()))
        return layout

    def _rate(self) -> float:
        now = time.monotonic()
        self._seen.append((now, self.traffic.produced))
        while len(self._seen) > 2 and self._seen[0][0] < now - WINDOW_S:
            self._seen.popleft()
        (then, before), (_, n) = self._seen[0], self._seen[-1]
        return (n - before) / (now - then) if now > then else 0.0

    def _head(self) -> Panel:
        board = self.board
        text = Text()
        text.append(f"{self._rate():6.0f} touchpoints/s", "bold")
        text.append(f"   {self.traffic.produced:,} sent")
        lag = "?" if board.lag is None else f"{board.lag:,.0f}"
        text.append(f"   lag {lag}", "green" if board.lag is not None and board.lag < 1000 else "red")
        statuses = board.statuses
        text.append(f"   triggers: {statuses['issued']} issued", STATUS_STYLE["issued"])
        for status in ("fulfilled", "cancelled", "expired"):
            text.append(f", {statuses[status]} {status}", STATUS_STYLE[status])
        text.append(f"   time x {self.scale:g}", "bright_black")
        if board.error:
            text.append(f"   {board.error}", "bold red")
        return Panel(text, title="journey demo", subtitle=f"metrics: {self.metrics}   Ctrl-C stops")

    def _journeys(self) -> Panel:
        table = Table(expand=True, box=None, pad_edge=False)
        table.add_column("journey")
        table.add_column("customers by stage")
        for name in ("entered", "goal", "target"):
            table.add_column(name, justify="right")
        for journey in self.board.definition.journeys:
            row = self.board.summary.journeys[journey.name]
            stages = Text()
            for stage in journey.stages:
                n = self.board.stages[journey.name, stage.name]
                left = row.abandoned.get(stage.name, 0)
                stages.append(f"{stage.name} ", "bright_black")
                stages.append(f"{n}", "bold" if n else "bright_black")
                if left:
                    stages.append(f" ({left} gave up)", "yellow")
                stages.append("  ")
            target = journey.goal.target
            reached = f"{row.conversion:.1%}" if row.entrants else "-"
            met = target is not None and row.conversion >= target
            table.add_row(
                Text(journey.name, "bold"),
                stages,
                f"{row.entrants}",
                Text(reached, "green" if met else "yellow"),
                "-" if target is None else f"{target:.1%}",
            )
        return Panel(table, title="journeys")

    def _findings(self) -> Panel:
        table = _lines()
        for signal in reversed(list(self.board.findings)[-30:]):
            table.add_row(*_finding(signal))
        return Panel(table, title="abandonment and friction, as they are found")

    def _risks(self) -> Panel:
        table = _lines()
        for signal in reversed(list(self.board.risks)[-30:]):
            table.add_row(*_risk(signal))
        models = [line for risk in self.board.definition.risks if (line := quality(self.board, risk.name)) is not None]
        return Panel(Group(*models, table), title="risks: they rise and fall, and why")

    def _decisions(self) -> Panel:
        table = Table(expand=True, box=None, pad_edge=False, show_header=False)
        for ratio in (None, None, 2, 3):
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
        for decision in reversed(list(self.board.decisions)[-30:]):
            table.add_row(*_decision(decision))
        return Panel(table, title="decisions: what was chosen, and what was not and why (journey explain CUSTOMER)")

    def _helped(self) -> Panel:
        parts: list[Text] = [helped(one) for one in self.board.helped()[:8]]
        outcomes = self.board.effects.outcomes
        if outcomes:
            told = ", ".join(f"{n:,} {name}" for name, n in outcomes.most_common(6))
            parts.append(Text(f"messages: {told}", "bright_black"))
        if not parts:
            parts.append(Text("waiting for somebody in the holdout", "bright_black"))
        return Panel(Group(*parts), title="did it help, so far: goals against the holdout, 95 % interval")

    def _triggers(self) -> Panel:
        table = _lines()
        for trigger in reversed(list(self.board.triggers)[-30:]):
            table.add_row(*_trigger(trigger))
        return Panel(table, title="triggers: issued once, withdrawn when no longer right")

    def _story(self) -> Panel:
        board = self.board
        customer = board.story
        if customer is None:
            return Panel(Text("waiting for somebody who needs help", "bright_black"), title="one customer's story")
        parts: list[RenderableType] = []
        where = ", ".join(f"{s.journey}: {s.stage}" for s in customer.stages) or "no open journey"
        parts.append(Text(where, "bold"))
        if customer.segments:
            parts.append(Text("segments: " + ", ".join(customer.segments)))
        parts += [
            Text.assemble(
                (clock(step.occurred_at), "bright_black"), f" {step.type}", (f"  {step.channel or ''}", "cyan")
            )
            for step in customer.last_touchpoints[-6:]
        ]
        for trigger in board.hero_triggers:
            status = (trigger.status, STATUS_STYLE.get(trigger.status, ""))
            parts.append(Text.assemble("  → ", status, f" {trigger.action}: {trigger.reason_words}"))
        return Panel(Group(*parts), title=f"one customer's story: {customer.customer}")


def _lines() -> Table:
    """One line for each row, cut where the panel ends."""
    table = Table(expand=True, box=None, pad_edge=False, show_header=False)
    for ratio in (None, None, None, 1):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
    return table


def _finding(signal: Signal) -> tuple[Text, Text, Text, Text]:
    stage = f"{signal.journey or ''} {signal.stage or ''}".strip()
    return (
        Text(clock(signal.time), "bright_black"),
        Text(signal.customer, "bold"),
        Text(f"{signal.kind} {signal.name}", SEVERITY_STYLE.get(signal.severity or "", "")),
        Text(stage, "bright_black"),
    )


def _decision(decision: Decision) -> tuple[Text, Text, Text, Text]:
    chosen = Text()
    if decision.outcome == "none":
        chosen.append("nothing", "yellow")
    else:
        style = {"issued": "bold green", "held_out": "cyan"}.get(decision.outcome, "yellow")
        chosen.append(f"{decision.outcome} ", style)
        chosen.append(decision.chosen or "", "bold")
        best = next((one for one in decision.candidates if one.action == decision.chosen), None)
        if best is not None and best.priority is not None:
            chosen.append(f"  {best.priority:.3g} = P {best.p:.3g} x C {best.c:.3g} x V {best.v:.3g} x L {best.l:.3g}")
    rejected = [
        f"{one.action}: {CLOSED.get(one.closed_by, one.closed_by)}" for one in decision.candidates if one.closed_by
    ]
    return (
        Text(clock(decision.time), "bright_black"),
        Text(decision.customer, "bold"),
        chosen,
        Text("; ".join(rejected), "bright_black"),
    )


def helped(effect: Effect) -> Text:
    """One line on what an action has brought."""
    text = Text.assemble((effect.action, "bold"))
    for name, rate in (("issued", effect.issued), ("held out", effect.held_out)):
        text.append(f"  {name} {rate.count}/{rate.of}", "bright_black")
    if effect.uplift is not None:
        up = effect.uplift
        style = {"up": "green", "down": "red"}.get(up.says, "")
        text.append(f"  {up.estimate:+.1%} ({up.low:+.1%} to {up.high:+.1%})", style)
    return text


def _risk(signal: Signal) -> tuple[Text, Text, Text, Text]:
    arrow, style = ARROWS[moved(signal)]
    return (
        Text(clock(signal.time), "bright_black"),
        Text(signal.customer, "bold"),
        Text.assemble((f"{arrow} ", style), (f"{signal.figures['score']:.0%} ", style), f"{signal.name} {signal.band}"),
        Text("; ".join(signal.words), "bright_black"),
    )


def quality(board: Board, risk: str) -> Text | None:
    """One line on the model of a risk, judged by labels that it had not learned yet."""
    true, false = board.labels[risk, True], board.labels[risk, False]
    if not true + false:
        return None
    text = Text.assemble((risk, "bold"), f"  {true + false:,} labels, {true / (true + false):.0%} came true")
    model = board.models.get(risk)
    if model is None:
        text.append("  no model yet: the stated prior", "yellow")
        return text
    figures = model.evaluation
    text.append(f"  {model.name}@{model.version} ({model.algorithm})", "cyan")
    if "auc" in figures:
        text.append(f"  AUC {figures['auc']:.2f}", "green" if figures["auc"] > 0.6 else "yellow")
        text.append(f", calibration error {figures.get('ece', 0.0):.3f}")
    return text


def _trigger(trigger: Trigger) -> tuple[Text, Text, Text, Text]:
    status = Text(trigger.status, STATUS_STYLE.get(trigger.status, ""))
    why = trigger.end_reason or (trigger.reason_words if trigger.status == "issued" else "")
    return (
        Text(clock(trigger.ended_at or trigger.issued_at), "bright_black"),
        Text(trigger.customer, "bold"),
        Text.assemble(status, f" {trigger.action} ", (trigger.channel, "cyan")),
        Text(why, "bright_black"),
    )
