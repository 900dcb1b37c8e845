"""What a deployment's topics and rights are to be: a YAML file that is kept with the code, and options over it.

Owns the keys of that file and the refusal of what is wrong in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from streams.contracts.access import Role
from streams.settings_source import bytes_of, milliseconds

FOREVER: Final = "forever"
LARGEST_FILE: Final = 1 << 20


class WantedError(ValueError):
    """The file or an option cannot be used; says where and what is possible."""


class Wanted(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is left out is not changed where the topics exist; where not: 4 partitions, 1 copy, 30 days."""

    partitions: int | None = None
    """Of the touchpoints and all that follows them."""
    replication: int | None = None
    """Copies of each record."""
    min_insync_replicas: int | None = None
    """Copies that must have a record before it is acknowledged; without it 2 where there are 3 copies or more."""
    retention: str | None = None
    """How long touchpoints and what was made of them are kept, as 30d; or forever."""
    touchpoint_bytes: str | None = None
    """Largest batch of touchpoints, as 1MiB."""
    principals: dict[Role, list[str]] = {}
    """Role -> its users, as ``User:shop`` or ``shop``."""
    consumer_groups: list[str] = []
    """Further consumer groups of the consumers, beside those that begin with the prefix and a dash; a star at the end
    stands for all that begin so."""

    def faults(self) -> list[str]:
        """In words; empty if it can be used."""
        found = [
            f"{name} must be at least 1, not {value}"
            for name, value in (
                ("partitions", self.partitions),
                ("replication", self.replication),
                ("min_insync_replicas", self.min_insync_replicas),
            )
            if value is not None and value < 1
        ]
        copies, least = self.replication, self.min_insync_replicas
        if copies is not None and least is not None and least > copies:
            found.append(
                f"min_insync_replicas {least} is more than replication {copies}: nothing would ever be acknowledged"
            )
        for name, read in (("retention", self._retention), ("touchpoint_bytes", self._bytes)):
            try:
                read()
            except ValueError:
                example = "12h, 30d or forever" if name == "retention" else "1MiB"
                found.append(f"{name} {getattr(self, name)!r} is not understood; write it as {example}")
        for role, users in self.principals.items():
            found += [f"principals, {role}: a name is empty" for user in users if not principal(user)[5:]]
        return found

    def _retention(self) -> int | None:
        if self.retention is None:
            return None
        return -1 if self.retention == FOREVER else milliseconds(self.retention)

    def _bytes(self) -> int | None:
        return None if self.touchpoint_bytes is None else bytes_of(self.touchpoint_bytes)

    @property
    def retention_ms(self) -> int | None:
        """-1: for ever."""
        return self._retention()

    @property
    def input_max_bytes(self) -> int | None:
        return self._bytes()


def principal(user: str) -> str:
    """``shop`` and ``User:shop`` are the same."""
    return user if user.startswith("User:") else f"User:{user}"


def read(path: Path | None, options: dict[str, Any]) -> Wanted:
    """Options that are not None win over the file. Raises ``WantedError`` with everything that is wrong."""
    content: dict[str, Any] = {}
    where = "options"
    if path is not None:
        where = str(path)
        content = _content(path)
    given = {name: value for name, value in options.items() if value not in (None, {}, [])}
    try:
        wanted = msgspec.convert(content | given, Wanted)
    except msgspec.ValidationError as error:
        raise WantedError(f"{where}: {error}") from error
    faults = wanted.faults()
    if faults:
        raise WantedError("\n".join(f"{where}: {fault}" for fault in faults))
    return wanted


def _content(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WantedError(f"{path}: larger than 1 MiB")
        found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WantedError(f"{path}: cannot be read: {error}") from error
    except YAMLError as error:
        raise WantedError(f"{path}: is no YAML: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise WantedError(f"{path}: must hold keys and values, as `partitions: 12`")
    return found
