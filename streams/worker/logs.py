"""The worker's log on stderr: lines for people, JSON where stderr is not a terminal."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final, TextIO

from streams.settings import Settings

LIBRDKAFKA: Final = logging.getLogger("streams.worker.librdkafka")
"""What the clients say by themselves; given to each of them, or they write to stderr past every format."""
SAME_AGAIN_S: Final = 10.0
QUIET: Final = ("aiokafka", "aiokafka.consumer.fetcher", "aiokafka.conn", "aiokafka.consumer.group_coordinator",
                "aiokafka.cluster", "faust", "mode", "asyncio",
         # Faust names its services' loggers after the modules of their classes.
         "streams.worker.app", "streams.worker.transport", "streams.worker.kafka_thread", LIBRDKAFKA.name)  # fmt: skip
"""Libraries that report the normal course of a rebalance or an outage; their debug lines alone cost 13 % of the CPU."""


class Sparse(logging.Filter):
    """One line of a kind in ``every_s``: a client says the same many times a second while a broker is away."""

    def __init__(self, every_s: float) -> None:
        super().__init__()
        self._every_s = every_s
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.getMessage().split(" ", 1)[0]
        if record.created < self._next.get(kind, 0.0):
            return False
        self._next[kind] = record.created + self._every_s
        return True


class JsonFormatter(logging.Formatter):
    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "worker": self._worker,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(settings: Settings, worker: str, stream: TextIO | None = None) -> None:
    """Replaces whatever handlers the root logger has."""
    out = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not out.isatty())
    handler = logging.StreamHandler(out)
    text = logging.Formatter(f"%(asctime)s %(levelname)-7s {worker}  %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(JsonFormatter(worker) if as_json else text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for talkative in (LIBRDKAFKA, logging.getLogger("aiokafka.cluster")):
        if not talkative.filters:
            talkative.addFilter(Sparse(SAME_AGAIN_S))
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Ten lines a second while a broker is away, and one for each commit around a rebalance: metrics tell it better.
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.CRITICAL)
    logging.getLogger("aiokafka.conn").setLevel(logging.CRITICAL)
    logging.getLogger("aiokafka.consumer.fetcher").setLevel(logging.CRITICAL)
