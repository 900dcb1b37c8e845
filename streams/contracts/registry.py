"""A Confluent-compatible schema registry as the source of schemas.

Owns registration (every subject FULL_TRANSITIVE), look-ups and their cache, and what happens while the registry is
down: at the start it is waited for and then named in an error; later every id that was seen goes on, and an unknown
one is neither a touchpoint nor a dead letter but ``RegistryUnavailable``.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from streams.contracts import schemas
from streams.contracts.schemas import CONTRACTS, Contract, RegistryUnavailable

log = logging.getLogger(__name__)

COMPATIBILITY: Final = "FULL_TRANSITIVE"
_LARGEST_ID: Final = 2**31 - 1
_BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
_REFUSED_FOR_NOW: Final = frozenset({401, 403, 407, 408, 425, 429})
"""Answers that say nothing about the schema: credentials that expired, or a registry that is busy."""
_NOT_FOUND: Final = range(40400, 40500)
"""The registry's own codes for something that it does not hold."""

_T = TypeVar("_T")


class RegistryError(Exception):
    """The worker cannot start with this registry; the message says what to do."""


class RegistryTimeoutError(RegistryError):
    """It did not answer in time. Unlike other reasons this one may pass by itself."""


class TopicNames(Protocol):
    """The topics that have a contract."""

    @property
    def touchpoints(self) -> str: ...
    @property
    def signals(self) -> str: ...
    @property
    def triggers(self) -> str: ...
    @property
    def decisions(self) -> str: ...
    @property
    def customers(self) -> str: ...
    @property
    def journal(self) -> str: ...
    @property
    def dead_letters(self) -> str: ...
    @property
    def examples(self) -> str: ...
    @property
    def models(self) -> str: ...


def subjects(topics: TopicNames) -> dict[Contract, str]:
    """The subject of each contract, by Confluent's default strategy: the topic's name and ``-value``."""
    names: dict[Contract, str] = {
        "touchpoint": topics.touchpoints,
        "signal": topics.signals,
        "trigger": topics.triggers,
        "decision": topics.decisions,
        "customer": topics.customers,
        "journal": topics.journal,
        "dead_letter": topics.dead_letters,
        "example": topics.examples,
        "model": topics.models,
    }
    return {contract: f"{topic}-value" for contract, topic in names.items()}


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """Where the registry is and how to speak to it. Nothing secret is part of its ``repr``."""

    url: str = field(repr=False)
    """Or several, separated by commas."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    timeout_s: float = 3.0
    """For connecting, and again for the answer; ``decode`` waits for an id that it sees for the first time."""
    retry_s: float = 5.0
    """After no answer, look-ups fail at once for so long: a registry that hangs must not hold up heartbeats too."""
    wait_s: float = 60.0
    """How long ``register`` waits for a registry that does not answer."""
    unknown_for_s: float = 30.0
    """How long an id that the registry did not know is not asked for again."""

    def client(self) -> SchemaRegistryClient:
        conf: dict[str, Any] = {"url": self.url, "timeout": self.timeout_s, "max.retries": 0}
        if self.username is not None:
            conf["basic.auth.user.info"] = f"{self.username}:{self.password or ''}"
        for key, value in (
            ("ssl.ca.location", self.ca_file),
            ("ssl.certificate.location", self.cert_file),
            ("ssl.key.location", self.key_file),
            ("ssl.key.password", self.key_password),
        ):
            if value is not None:
                conf[key] = str(value)
        try:
            return SchemaRegistryClient(conf)
        except (ValueError, TypeError, OSError) as error:
            raise RegistryError(f"the settings of the schema registry are not usable: {error}") from error

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return ",".join(_without_credentials(url.strip()) for url in self.url.split(","))


class RegistrySchemas:
    """Schemas by id from a registry; call ``register`` once before anything is encoded."""

    def __init__(
        self,
        options: RegistryOptions,
        subjects: Mapping[Contract, str],
        *,
        mode: Literal["register", "lookup"] = "register",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``lookup`` writes nothing to the registry: the schemas must have been registered by somebody else."""
        self._options = options
        self._subjects = dict(subjects)
        self._mode = mode
        self._sleep = sleep
        self._client = options.client()
        self._ids: dict[Contract, int] = {}
        self._writers: dict[int | UUID, dict[str, Any]] = {}
        self._unknown: dict[int | UUID, float] = {}
        self._silent_until = 0.0

    def register(self) -> dict[Contract, int]:
        """Register the packaged schemas, or find them, and remember their ids.

        Waits with growing pauses while the registry does not answer, then raises ``RegistryError``; a refusal raises
        at once.
        """
        give_up = time.monotonic() + self._options.wait_s
        for contract in CONTRACTS:
            if contract in self._subjects:
                self._ids[contract] = self._patiently(lambda c=contract: self._id_of(c), give_up)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        return dict(self._ids)

    def prefix(self, contract: Contract) -> bytes:
        if contract not in self._ids:
            raise RegistryError(f"the schema of {contract} has no id: register() has not been called for it")
        return schemas.prefix_of(self._ids[contract])

    def writer(self, reference: int | UUID) -> dict[str, Any] | None:
        found = self._writers.get(reference)
        if found is not None:
            return found
        if isinstance(reference, int) and reference > _LARGEST_ID:
            return None  # ids are positive ints in Java; some registries answer others with an error of their own
        now = time.monotonic()
        if self._unknown.get(reference, 0.0) > now:
            return None
        if now < self._silent_until:
            raise RegistryUnavailable(f"the schema registry {self._options.shown} did not answer just now")
        try:
            schema = self._fetch(reference)
        except RegistryUnavailable:
            self._silent_until = time.monotonic() + self._options.retry_s
            raise
        if schema is None:
            if len(self._unknown) >= 10_000:
                self._unknown.clear()
            self._unknown[reference] = now + self._options.unknown_for_s
            return None
        self._writers[reference] = schema
        return schema

    def close(self) -> None:
        self._client.close()

    def _fetch(self, reference: int | UUID) -> dict[str, Any] | None:
        try:
            if isinstance(reference, int):
                answer = self._client.get_schema(reference)
            else:
                answer = self._client.get_schema_by_guid(str(reference))
        except SchemaRegistryError as error:
            if error.http_status_code >= 500 or error.http_status_code in _REFUSED_FOR_NOW:
                raise RegistryUnavailable(self._silence(error)) from error
            if isinstance(reference, int) and error.http_status_code == 404 and error.error_code not in _NOT_FOUND:
                raise RegistryUnavailable(self._silence(error)) from error  # somebody else answered: a proxy
            return None  # for GUIDs also a registry that is too old to have them
        except Exception as error:  # the client lets its HTTP library's errors through, of several unrelated types
            raise RegistryUnavailable(self._silence(error)) from error
        return _avro(answer)

    def _id_of(self, contract: Contract) -> int:
        subject = self._subjects[contract]
        schema = Schema(schemas.text(contract), "AVRO")
        if self._mode == "lookup":
            schema_id = self._client.lookup_schema(subject, schema).schema_id
        else:
            self._demand_compatibility(subject)
            schema_id = self._registered(subject, schema)
        if schema_id is None:
            raise RegistryError(f"{self._options.shown} gave no id for {subject}")
        self._writers[int(schema_id)] = json.loads(schemas.text(contract))
        return int(schema_id)

    def _demand_compatibility(self, subject: str) -> None:
        if self._compatibility(subject) == COMPATIBILITY:
            return
        try:
            self._client.set_compatibility(subject, COMPATIBILITY)
        except SchemaRegistryError as error:
            # Another worker that starts now may have set it in between.
            if error.http_status_code != 409 or self._compatibility(subject) != COMPATIBILITY:
                raise

    def _registered(self, subject: str, schema: Schema) -> int:
        try:
            return int(self._client.register_schema(subject, schema))
        except SchemaRegistryError as error:
            if error.http_status_code != 409:
                raise
            # Either the subject's schemas differ, or another worker that starts now has registered this very one.
            try:
                return int(self._client.lookup_schema(subject, schema).schema_id)
            except SchemaRegistryError:
                raise error from None

    def _compatibility(self, subject: str) -> str | None:
        try:
            return str(self._client.get_compatibility(subject))
        except SchemaRegistryError as error:
            if error.error_code in _NOT_FOUND:
                return None
            raise

    def _patiently(self, call: Callable[[], _T], give_up: float) -> _T:
        attempt = 0
        while True:
            try:
                return call()
            except SchemaRegistryError as error:
                if error.http_status_code < 500 and error.http_status_code not in (408, 425, 429):
                    raise RegistryError(self._advice(error)) from error
                failure: Exception = error
            except RegistryError:
                raise
            except Exception as error:  # as in _fetch
                failure = error
            pause = _BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)]
            attempt += 1
            if time.monotonic() + pause > give_up:
                raise RegistryTimeoutError(
                    f"{self._silence(failure)}. Tried {attempt} times. Start the registry or correct "
                    "JOURNEY_REGISTRY_URL (and user, password, certificates); without that setting the packaged "
                    "schemas are used and no registry is needed."
                ) from failure
            log.warning("%s; next attempt in %.1f s", self._silence(failure), pause)
            self._sleep(pause)

    def _silence(self, error: Exception) -> str:
        said = error.error_message if isinstance(error, SchemaRegistryError) else str(error)
        return f"the schema registry {self._options.shown} does not answer ({type(error).__name__}: {said})"

    def _advice(self, error: SchemaRegistryError) -> str:
        where = f"the schema registry {self._options.shown}"
        said = f"{error.http_status_code}: {error.error_message}"
        match error.http_status_code:
            case 401 | 403:
                return (
                    f"{where} refuses the credentials ({said}). The user needs to read and write the subjects "
                    f"{', '.join(sorted(self._subjects.values()))}; or register the schemas in avro/ beforehand."
                )
            case 404:
                if error.error_code not in _NOT_FOUND:
                    return f"{where} has no registry's interface at that path ({said}). Correct JOURNEY_REGISTRY_URL."
                return f"{where} does not know a schema of this version ({said}). Register the schemas in avro/ first."
            case 409:
                return (
                    f"{where} holds schemas that this version is not compatible with ({said}). Run the version of the "
                    "worker that wrote them, or use other topics (JOURNEY_PREFIX)."
                )
        return f"{where} refuses a schema ({said})"


def _avro(schema: Schema) -> dict[str, Any] | None:
    """The schema as a dict. One that is not an Avro record comes back as one that no touchpoint can be read with."""
    if (schema.schema_type or "AVRO") != "AVRO" or schema.references:
        return {"type": "record", "name": f"not_avro_{schema.schema_type}", "fields": []}
    text = schema.schema_str or ""
    try:
        found = json.loads(text) if len(text) <= schemas.LARGEST_BYTES else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"type": "record", "name": "not_a_record", "fields": []}


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
