"""A network between worker and broker that can be cut: bytes stop, connections stay, as when a cable is pulled.

Owns the sockets and threads of one link; ``close`` ends them all.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Link:
    """To ``port`` of this machine. Cut, it carries nothing in either direction and says nothing about it; mended, it
    carries what was on its way, as TCP does."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._through = threading.Event()
        self._through.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._through.clear()

    def mend(self) -> None:
        self._through.set()

    def close(self) -> None:
        self.mend()
        for end in (self._server, *self._open):
            with suppress(OSError):  # the other side may have been quicker
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._through.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        self._open += [near, far]
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # one side has gone
            while data := source.recv(65536):
                self._through.wait()
                sink.sendall(data)
            self._through.wait()
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
