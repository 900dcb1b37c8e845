"""The demo's customers: a simulation that follows the real clock, and reacts to the triggers it reads.

Owns the thread that produces touchpoints and the one that carries triggers back to the customers.
"""

from __future__ import annotations

import threading
import time

from streams.contracts.output_codec import OutputCodec
from streams.contracts.outputs import Trigger
from streams.contracts.schemas import PackagedSchemas
from streams.tools.connection import Connection
from streams.tools.simulator import Pace, Simulation
from streams.tools.simulator.sinks import TopicSink

STEP_S = 0.05


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Traffic:
    """Customers at ``scale`` times the pace of real ones, until ``stop`` or ``limit`` touchpoints."""

    def __init__(self, connection: Connection, customers: int, scale: float, seed: int, limit: int | None) -> None:
        start = now_ms()
        self.simulation = Simulation(
            seed, customers, start, pace=Pace().scaled(scale), run=f"{start:x}-", keep_truth=False
        )
        self.limit = limit
        self.produced = 0
        self.error: Exception | None = None
        self.done = threading.Event()
        self._stop = threading.Event()
        self._heard: list[Trigger] = []
        self._lock = threading.Lock()
        codec = OutputCodec(PackagedSchemas(), "/journey-streams/demo")
        self._sink = TopicSink(connection.kafka | {"log_level": 0}, connection.topics.touchpoints, codec)
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(35)

    def hear(self, trigger: Trigger) -> None:
        """A trigger has become readable; the customer's side reacts to it."""
        with self._lock:
            self._heard.append(trigger)

    def _run(self) -> None:
        try:
            self._produce()
            self._sink.flush()
        except Exception as error:  # shown by the main thread, which also ends the demo
            self.error = error
        finally:
            self.done.set()

    def _produce(self) -> None:
        while not self._stop.is_set():
            now = now_ms()
            with self._lock:
                heard, self._heard = self._heard, []
            for trigger in heard:
                self.simulation.react(trigger, now)
            for touchpoint in self.simulation.events(now):
                self._sink.write(touchpoint)
                self.produced += 1
                if self.produced == self.limit:
                    return
            self._stop.wait(STEP_S)
