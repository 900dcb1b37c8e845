"""What the demo shows of decisions: what was rejected, and an uplift that is the report's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from streams.contracts.outputs import Candidate, Decision, Signal
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.tools.demo.effects import Effect, Effects
from streams.tools.demo.screen import Screen, helped
from streams.tools.report.statistics import Rate
from tests.properties.test_known_effects import CONTROL, HELD_OUT, TREATED, uplift, visits
from tests.support.engines import D, M, define
from tests.support.known_world import NOTHING, KnownWorld
from tests.unit.demo.test_risks_shown import board


def test_the_uplift_is_that_of_the_report_and_narrows_with_every_customer() -> None:
    definition = define(HELD_OUT.replace("SALT", "demo"))
    customers = 400
    world = KnownWorld(definition, {"nudge": TREATED, NOTHING: CONTROL}, 5)
    world.live(visits(customers))
    world.end(customers * M + 2 * D)
    everything: list[Decision | Signal] = [*world.decisions, *world.signals]
    everything.sort(key=lambda one: one.time)
    half, whole = (effect_of(definition, everything[:n]) for n in (len(everything) // 2, len(everything)))
    assert whole.issued.of + whole.held_out.of == customers
    assert 150 < half.issued.of + half.held_out.of < 250
    assert whole.uplift == uplift(definition, 5, customers)
    assert half.uplift is not None
    assert whole.uplift is not None
    assert whole.uplift.high - whole.uplift.low < half.uplift.high - half.uplift.low


def test_two_who_were_held_out_prove_nothing() -> None:
    definition = define(HELD_OUT.replace("SALT", "demo"))
    records: list[Decision | Signal] = [
        Decision(f"d{n}", f"c{n}", 0, "issued" if n < 40 else "held_out", "", "s", chosen="nudge") for n in range(42)
    ]
    records += [Signal(f"g{n}", f"c{n}", "goal_reached", "buy", 1, journey="buy", instance="") for n in range(9)]
    effect = effect_of(definition, records)
    assert (effect.issued, effect.held_out) == (Rate(9, 40), Rate(0, 2))
    assert effect.uplift is not None
    assert effect.uplift.low < 0 < effect.uplift.high


def effect_of(definition: Definition, records: Sequence[Decision | Signal]) -> Effect:
    effects = Effects(definition)
    for one in records:
        if isinstance(one, Decision):
            effects.decided(one)
        else:
            effects.found(one)
    (effect,) = effects.effects()
    return effect


def test_the_screen_tells_what_was_chosen_and_why_nothing_else_was() -> None:
    shown = board()
    chosen = Candidate("payment_help", channel="web", p=0.25, c=1.0, v=30.0, l=2.0, priority=15.0)
    rejected = Candidate("cart_reminder", "quiet_hours", "email")
    decision = Decision("d", "ada", 0, "issued", "issued", "s", chosen="payment_help", channel="web")
    decision.candidates = [chosen, rejected]
    shown._decision(decision)
    shown._decision(Decision("e", "bob", 0, "none", "channel", "s", candidates=[Candidate("offer", "channel")]))
    shown._touchpoint(Touchpoint("1", "Email Opened", 1, customer_id="ada", trigger_id="t", outcome="opened"))
    console = Console(width=220, height=60, record=True, file=io.StringIO())
    traffic: Any = SimpleNamespace(produced=0)
    console.print(Screen(shown, traffic, 60.0, "http://127.0.0.1:1/metrics"))
    text = console.export_text()
    assert "issued payment_help  15 = P 0.25 x C 1 x V 30 x L 2" in text
    assert "cart_reminder: it is quiet time where the customer is" in text
    assert "offer: no channel reaches the customer" in text
    assert "messages: 1 opened" in text
    assert shown.closed == {"quiet_hours": 1, "channel": 1}


def test_a_line_tells_groups_and_interval() -> None:
    definition = define(HELD_OUT.replace("SALT", "demo"))
    effects = Effects(definition)
    for n in range(6):
        outcome = "held_out" if n % 2 else "issued"
        effects.decided(Decision(f"d{n}", f"c{n}", n, outcome, "", "s", chosen="nudge"))
    (effect,) = effects.effects()
    assert str(helped(effect)).startswith("nudge  issued 0/3  held out 0/3  +0.0%")
