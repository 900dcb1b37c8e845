"""The port of /metrics, /livez and /readyz: what it answers, and that nobody can hold it up."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from streams.settings import Settings
from streams.worker import health
from streams.worker.health import HealthServer


@pytest.fixture
def server() -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    Counter("journey_touchpoints", "Of a test.", registry=registry).inc()
    running = HealthServer("127.0.0.1", 0, registry, lambda: None, lambda: "not yet")
    running.start()
    yield running
    running.stop()


def asked(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), answer.headers["Server"] or ""
    connection.close()
    return found


def test_what_it_answers(server: HealthServer) -> None:
    assert asked(server, "/livez")[:2] == (200, "ok\n")
    assert asked(server, "/readyz")[:2] == (503, "not yet\n")
    assert "journey_touchpoints_total 1.0" in asked(server, "/metrics?x=1")[1]
    assert asked(server, "/")[0] == asked(server, "/metrics/../etc")[0] == 404
    assert asked(server, "/metrics", "POST")[0] == asked(server, "/metrics", "DELETE")[0] == 501
    assert "Python" not in asked(server, "/livez")[2], "the version of the interpreter is nobody's business"


def test_it_listens_on_loopback_unless_told() -> None:
    assert Settings().http.host == "127.0.0.1"


def test_connections_that_say_nothing_are_bounded_and_end(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._server.RequestHandlerClass, "timeout", 1.0)
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(health.CONNECTIONS + 5)]
    for connection in held[-5:]:
        assert connection.recv(1) == b"", "one too many is closed at once"
    for connection in held:
        assert connection.recv(1) == b"", "the others after their time"
        connection.close()
    assert asked(server, "/livez")[0] == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(200)) + b"\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"\0\1\2\r\n\r\n",
    ],
    ids=["long line", "many headers", "version", "no request"],
)
def test_what_is_no_request_is_refused(server: HealthServer, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request_)
        assert b" 200 " not in connection.recv(100)
    assert asked(server, "/livez")[0] == 200
