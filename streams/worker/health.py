"""/metrics, /livez and /readyz on one port, from a thread of its own: they answer also when the event loop does not.

Owns the server; what is live and ready is decided by the shell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streams.worker.outcomes import Refused

Judgement = Callable[[], str | None]
"""None: all is well; otherwise why not, in words."""


class HealthServer:
    def __init__(self, host: str, port: int, registry: CollectorRegistry, live: Judgement, ready: Judgement) -> None:
        handler = _handler(registry, {"/livez": live, "/readyz": ready})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise Refused(
                f"{host}:{port} cannot be listened on ({error}). Set JOURNEY_HTTP_PORT to a free port, or 0 for any."
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(registry: CollectorRegistry, judgements: dict[str, Judgement]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
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
