"""The one error of the embedded services: what happened, and what to do about it."""

from __future__ import annotations

from typing import Literal

Fault = Literal[
    "no_java",
    "no_network",
    "bad_download",
    "in_use",
    "port_in_use",
    "disk_full",
    "no_permission",
    "ended",
    "not_ready",
]


class EmbeddedError(Exception):
    """An embedded service could not be had; ``hint`` is what the reader can do."""

    def __init__(self, fault: Fault, message: str, hint: str) -> None:
        super().__init__(f"{message}\n{hint}")
        self.fault: Fault = fault
        self.message = message
        self.hint = hint
