"""/metrics, /livez and /readyz on one port, from a thread of its own: they answer also when the event loop does not.

Owns the server; what is live and ready is decided by the shell, or by the front of several workers.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streams.worker.merged import answer
from streams.worker.outcomes import Refused

Judgement = Callable[[], str | None]
"""None: all is well; otherwise why not, in words."""
ASKED: Final = "/asked"
"""Where a worker answers its parent, with all of the three in one."""


PATIENCE_S: Final = 10.0
"""A connection that says nothing for so long is closed; Prometheus asks more often, or anew."""
CONNECTIONS: Final = 64
"""At a time; further ones are closed. Each has a thread."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(*arguments, **more)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread began, so none gives it back
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked has gone meanwhile: no news."""


class HealthServer:
    """``inherited``: a socket that listens already, on which the worker's parent asks, instead of host and port.
    ``before``: called before each answer to /metrics."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        live: Judgement,
        ready: Judgement,
        *,
        inherited: int | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        self._registry = registry
        self._before = before
        pages: dict[str, tuple[Callable[[], bytes], str]] = {"/metrics": (self.scraped, CONTENT_TYPE_LATEST)}
        if inherited is not None:
            pages[ASKED] = (lambda: answer(registry, live(), ready()), "application/msgpack")
        handler = _handler(pages, {"/livez": live, "/readyz": ready})
        if inherited is not None:
            self._server = _Server(("", 0), handler, bind_and_activate=False)
            self._server.socket.close()
            self._server.socket = socket.socket(fileno=inherited)
            self._server.server_address = self._server.socket.getsockname()
        else:
            try:
                self._server = _Server((host, port), handler)
            except OSError as error:
                raise Refused(
                    f"{host}:{port} cannot be listened on ({error}). Set JOURNEY_HTTP_PORT to a free port, or 0 for "
                    "any."
                ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def scraped(self) -> bytes:
        """The answer to /metrics."""
        if self._before is not None:
            self._before()
        return generate_latest(self._registry)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(
    pages: dict[str, tuple[Callable[[], bytes], str]], judgements: dict[str, Judgement]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE_S
        server_version, sys_version = "journey", ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in pages:
                make, kind = pages[path]
                self._answer(200, make(), kind)
            elif path in judgements:
                why = judgements[path]()
                self._answer(200 if why is None else 503, (why or "ok").encode() + b"\n", "text/plain; charset=utf-8")
            else:
                self._answer(404, b"/metrics, /livez or /readyz\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """A scrape is no news."""

    return Handler
