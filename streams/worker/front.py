"""The one port of ``journey run --processes N``: asks the workers, and answers for all of them.

Owns the sockets that the workers answer on (made here and inherited, so that a worker that is started again has the
same one and no port is in anybody's way) and the judgement whether the whole is live and ready.
"""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from streams.worker import metric_catalogue as catalogue
from streams.worker.health import ASKED, HealthServer
from streams.worker.merged import Answer, Merged, understood
from streams.worker.metric import PREFIX

log = logging.getLogger(__name__)

ASK_EVERY_S: Final = 1.0
ANSWER_WITHIN_S: Final = 1.0
SILENT_S: Final = 10.0
"""A worker that has not answered for so long is not up."""
DEAD_S: Final = 60.0
"""One that runs and has not answered for so long makes the whole fail its liveness: nothing here can mend it."""


@dataclass(slots=True)
class _Seat:
    """What is known of one worker."""

    socket: socket.socket
    pid: int | None = None
    since: float = 0.0
    """When its process was started."""
    answered_at: float | None = None
    said: Answer | None = field(default=None)

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])


class Front:
    """Serves /metrics, /livez and /readyz of the whole. Raises ``Refused`` where it cannot listen."""

    def __init__(self, host: str, port: int, workers: int) -> None:
        self._seats = [_Seat(socket.create_server(("127.0.0.1", 0))) for _ in range(workers)]
        self._merged = Merged(workers)
        registry = CollectorRegistry()
        registry.register(self._merged)
        restarts, up = catalogue.WORKER_RESTARTS, catalogue.WORKER_UP
        self._restarts = Counter(f"{PREFIX}{restarts.name}", restarts.text, restarts.labels, registry=registry)
        self._up = Gauge(f"{PREFIX}{up.name}", up.text, up.labels, registry=registry)
        self._pool = ThreadPoolExecutor(workers, "ask")
        self._asking = threading.Lock()
        self._tended_at = time.monotonic()
        self._stopped = threading.Event()
        for number in range(workers):
            self._restarts.labels(str(number))
        self.host = host
        self.server = HealthServer(host, port, registry, self.not_live, self.not_ready, before=self.ask)

    def start(self) -> None:
        self.server.start()
        log.info("http://%s:%d has /metrics, /livez and /readyz of all workers", self.host, self.server.port)
        threading.Thread(target=self._ask_forever, name="front", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self.server.stop()
        self._pool.shutdown(wait=False)
        for seat in self._seats:
            seat.socket.close()

    # -- what the supervisor tells -----------------------------------------------------------------------------------

    def door(self, number: int) -> int:
        """File descriptor of the socket that a worker is to answer on."""
        return self._seats[number].socket.fileno()

    def started(self, number: int, pid: int) -> None:
        seat = self._seats[number]
        if seat.since:
            self._restarts.labels(str(number)).inc()
        seat.pid, seat.since, seat.answered_at, seat.said = pid, time.monotonic(), None, None
        self._merged.started(number, pid)

    def ended(self, number: int) -> None:
        seat = self._seats[number]
        seat.pid, seat.said = None, None
        self._merged.ended(number)

    def tended(self) -> None:
        self._tended_at = time.monotonic()

    # -- what the workers say ----------------------------------------------------------------------------------------

    def ask(self) -> None:
        """All workers at once; who does not answer in time is as it was."""
        with self._asking:
            list(self._pool.map(self._ask, range(len(self._seats))))
        now = time.monotonic()
        for number, seat in enumerate(self._seats):
            heard = seat.answered_at
            self._up.labels(str(number)).set(seat.pid is not None and heard is not None and now - heard < SILENT_S)

    def _ask(self, number: int) -> None:
        seat = self._seats[number]
        pid = seat.pid
        if pid is None:
            return
        connection = http.client.HTTPConnection("127.0.0.1", seat.port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("GET", ASKED)
            said = understood(connection.getresponse().read())
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            return
        finally:
            connection.close()
        if said.pid == pid:
            self._merged.heard(number, said)
            seat.said, seat.answered_at = said, time.monotonic()

    def _ask_forever(self) -> None:
        while not self._stopped.wait(ASK_EVERY_S):
            try:
                self.ask()
            except RuntimeError:  # the pool is shut down
                return

    # -- the whole ---------------------------------------------------------------------------------------------------

    def not_live(self) -> str | None:
        """A worker that died is started again and one that stands still ends itself: neither is a reason."""
        now = time.monotonic()
        if now - self._tended_at > DEAD_S:
            return f"the parent has not looked after its workers for {now - self._tended_at:.0f} s"
        silent = [
            f"worker {number} has not answered for {now - (seat.answered_at or seat.since):.0f} s"
            for number, seat in enumerate(self._seats)
            if seat.pid is not None and now - (seat.answered_at or seat.since) > DEAD_S
        ]
        return "; ".join(silent) or None

    def not_ready(self) -> str | None:
        """Ready is the whole when each worker is."""
        now = time.monotonic()
        found = []
        for number, seat in enumerate(self._seats):
            said = seat.said
            if seat.pid is None:
                found.append(f"worker {number}: not running")
            elif said is None or seat.answered_at is None or now - seat.answered_at > SILENT_S:
                found.append(f"worker {number}: does not answer")
            elif said.ready is not None:
                found.append(f"worker {number}: {said.ready}")
        return "; ".join(found) or None
