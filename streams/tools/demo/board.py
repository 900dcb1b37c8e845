"""What the demo shows: figures and the latest findings, read from the topics like any consumer would read them.

Owns the threads that read signals, triggers, customers, labels and models (read_committed) and the state that the
screen draws.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, Literal

from prometheus_client.parser import text_string_to_metric_families

from streams.contracts.outputs import Customer, Decision, Example, Model, Outputs, Signal, Trigger
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.model import Definition
from streams.tools.connection import Connection
from streams.tools.demo.effects import Effect, Effects
from streams.tools.replay.summary import Summary
from streams.tools.tail import Stream, TailError, tail

SHOWN: Final = frozenset({"abandonment", "friction", "stalled", "satisfaction"})
KEPT: Final = 200
MANY: Final = 20
KNOWN: Final = (Signal, Trigger, Customer, Example, Model, Decision, Touchpoint)
Move = Literal["rose", "fell"]


def moved(signal: Signal) -> Move | None:
    """How a score came into its band; None for a first score."""
    was = signal.figures.get("was")
    return None if was is None else "rose" if signal.figures["score"] > was else "fell"


class Board:
    """Everything on the screen, filled by its own threads."""

    def __init__(
        self, connection: Connection, definition: Definition, metrics: str, on_trigger: Callable[[Trigger], None]
    ) -> None:
        self._connection = connection
        self._metrics = metrics
        self._on_trigger = on_trigger
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(stream, each), name=f"board-{stream}", daemon=True)
            for stream, each in self._streams()
        ]
        self._threads.append(threading.Thread(target=self._scrape, name="board-metrics", daemon=True))
        self.definition = definition
        self.summary = Summary.of(definition)
        self.findings: deque[Signal] = deque(maxlen=KEPT)
        self.triggers: deque[Trigger] = deque(maxlen=KEPT)
        self.risks: deque[Signal] = deque(maxlen=KEPT)
        """A score has left one band for another."""
        self.moves: Counter[tuple[str, Move]] = Counter()
        """(risk, rose or fell) -> scores that left a band."""
        self.labels: Counter[tuple[str, bool]] = Counter()
        """(risk, whether it came true) -> matured labels."""
        self.models: dict[str, Model] = {}
        """Risk -> its newest model."""
        self.decisions: deque[Decision] = deque(maxlen=KEPT)
        self.closed: Counter[str] = Counter()
        """Gate -> candidates that it closed."""
        self.effects = Effects(definition)
        self._counting = threading.Lock()
        """Several threads fill ``effects``."""
        self.statuses: Counter[str] = Counter()
        self.stages: Counter[tuple[str, str]] = Counter()
        """(journey, stage) -> customers there now."""
        self._where: dict[str, list[tuple[str, str]]] = {}
        self.story: Customer | None = None
        """The customer whose story is told: the one who was last sent a trigger."""
        self._hero: str | None = None
        self._hero_since = 0.0
        self.hero_signals: deque[Signal] = deque(maxlen=6)
        self.hero_triggers: deque[Trigger] = deque(maxlen=4)
        self.lag: float | None = None
        self.processed = 0.0
        self.error: str | None = None

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)

    def _streams(self) -> tuple[tuple[Stream, Callable[[Any], None]], ...]:
        return (
            ("signals", self._signal),
            ("triggers", self._trigger),
            ("customers", self._customer),
            ("examples", self._example),
            ("models", self._model),
            ("decisions", self._decision),
            ("touchpoints", self._touchpoint),
        )

    def _read(self, stream: Stream, each: Callable[[Any], None]) -> None:
        connection = self._connection
        try:
            # Read from the beginning: a second start goes on with what was.
            for read in tail(
                # The board says by itself when Kafka is away; librdkafka would write over the screen.
                connection.kafka | {"log_level": 0},
                connection.topics,
                stream,
                connection.schemas("read"),
                since="beginning",
                stopped=self._stop.is_set,
            ):
                each(read.value if read.value.__class__ in KNOWN else _key(read.key))
        except TailError as error:
            if not self._stop.is_set():
                self.error = str(error)

    def _signal(self, signal: Any) -> None:
        if not isinstance(signal, Signal):
            return
        self.summary.add(Outputs(signals=[signal]))
        with self._counting:
            self.effects.found(signal)
        if signal.kind in SHOWN:
            self.findings.append(signal)
        elif signal.band is not None and (how := moved(signal)) is not None:
            self.risks.append(signal)
            self.moves[signal.name, how] += 1
        if signal.customer == self._hero:
            self.hero_signals.append(signal)

    def _trigger(self, trigger: Any) -> None:
        if not isinstance(trigger, Trigger):
            return
        self.summary.add(Outputs(triggers=[trigger]))
        self.statuses[trigger.status] += 1
        self.triggers.append(trigger)
        now = time.monotonic()
        if trigger.status == "issued" and now - self._hero_since > 20:
            self._hero, self._hero_since, self.story = trigger.customer, now, None
            self.hero_signals.clear()
            self.hero_triggers.clear()
        if trigger.customer == self._hero:
            self.hero_triggers.append(trigger)
        self._on_trigger(trigger)

    def _customer(self, customer: Any) -> None:
        profile = customer.customer if isinstance(customer, Customer) else customer
        before = self._where.pop(profile, [])
        self.stages.subtract(before)
        if isinstance(customer, Customer):
            now = [(stage.journey, stage.stage) for stage in customer.stages]
            self._where[profile] = now
            self.stages.update(now)
            if profile == self._hero:
                self.story = customer

    def _decision(self, decision: Any) -> None:
        if isinstance(decision, Decision):
            self.decisions.append(decision)
            self.closed.update(one.closed_by for one in decision.candidates if one.closed_by is not None)
            with self._counting:
                self.effects.decided(decision)

    def _touchpoint(self, touchpoint: Any) -> None:
        if isinstance(touchpoint, Touchpoint):
            with self._counting:
                self.effects.heard(touchpoint)

    def helped(self) -> list[Effect]:
        """What each action that has a holdout has brought so far."""
        with self._counting:
            return self.effects.effects()

    def _example(self, example: Any) -> None:
        if isinstance(example, Example):
            self.labels[example.risk, example.label] += 1

    def _model(self, model: Any) -> None:
        if isinstance(model, Model):
            self.models[model.name] = model

    def _scrape(self) -> None:
        while not self._stop.wait(1):
            try:
                with urllib.request.urlopen(self._metrics, timeout=2) as answer:  # noqa: S310 - our own worker on loopback
                    text = answer.read().decode()
            except OSError:
                continue
            lag = processed = 0.0
            for family in text_string_to_metric_families(text):
                if family.name == "journey_consumer_lag_records":
                    lag = sum(sample.value for sample in family.samples)
                elif family.name == "journey_events_processed":
                    processed = sum(s.value for s in family.samples if s.name.endswith("_total"))
            self.lag, self.processed = lag, processed


def risk_faults(board: Board) -> list[str]:
    """What must have been seen of risks: a model where there are labels enough, and where it scores, moves."""
    faults = []
    for risk in board.definition.risks:
        true, false, least = board.labels[risk.name, True], board.labels[risk.name, False], risk.learning.at_least
        if risk.name not in board.models:
            if true + false >= 2 * least and min(true, false) >= least // 5:
                faults.append(f"no model of {risk.name} was learned from {true + false:,} labels")
            continue
        rose, fell = board.moves[risk.name, "rose"], board.moves[risk.name, "fell"]
        if max(rose, fell) > MANY and not min(rose, fell):
            faults.append(f"the risk {risk.name} rose {rose} times and fell {fell} times")
    return faults


def _key(key: bytes | None) -> str:
    return (key or b"").decode("utf-8", "replace")
