"""Schemas from a real registry: registration, other versions of a writer, refusals, and outages."""

from __future__ import annotations

import copy
import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from fastavro import parse_schema, schemaless_writer

from streams.contracts import schemas
from streams.contracts.codec import TouchpointCodec
from streams.contracts.output_codec import OutputCodec, OutputReader
from streams.contracts.outputs import Signal
from streams.contracts.registry import RegistryError, RegistryOptions, RegistrySchemas, subjects
from streams.contracts.schemas import RegistryUnavailable
from streams.contracts.topics import Topics
from streams.contracts.touchpoint import Rejection, Touchpoint
from streams.tools.embedded import EmbeddedRegistry
from tests.support.outlet import Outlet

pytestmark = pytest.mark.integration

FIELDS = {"event_id": "e-1", "type": "Order Completed", "occurred_at": 1_767_261_600_000, "customer_id": "c-1"}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}


@dataclass
class Received:
    value: bytes | None
    offset: int = 7
    timestamp: int | None = 1_767_261_600_500
    key: bytes | None = b"c-1"
    headers: Sequence[tuple[str, bytes]] = field(default_factory=tuple)


@pytest.fixture
def names() -> Topics:
    return Topics(prefix=f"r{uuid.uuid4().hex[:10]}")


@pytest.fixture
def client(registry: EmbeddedRegistry) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as opened:
        yield opened


@pytest.fixture
def outlet(registry: EmbeddedRegistry) -> Iterator[Outlet]:
    opened = Outlet(registry.url)
    yield opened
    opened.cut()


Source = Callable[..., RegistrySchemas]


@pytest.fixture
def source(names: Topics) -> Iterator[Source]:
    with ExitStack() as stack:

        def opened(url: str, wait_s: float = 60.0, retry_s: float = 0.0, **arguments: Any) -> RegistrySchemas:
            options = RegistryOptions(url, wait_s=wait_s, retry_s=retry_s)
            made = RegistrySchemas(options, subjects(names), **arguments)
            stack.callback(made.close)
            return made

        yield opened


def packaged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schemas.text("touchpoint"))
    return found


def older() -> dict[str, Any]:
    """Before experiment, variant, source, schema_source and properties were added."""
    schema = packaged()
    schema["fields"] = schema["fields"][:-5]
    return schema


def newer() -> dict[str, Any]:
    """With two fields more: one of a type that is known, one of a type that is not."""
    schema = packaged()
    device = {"type": "record", "name": "Device", "fields": [{"name": "model", "type": "string"}]}
    schema["fields"] += [
        {"name": "weather", "type": ["null", "string"], "default": None},
        {"name": "device", "type": ["null", device], "default": None},
    ]
    return schema


def register(client: SchemaRegistryClient, names: Topics, schema: dict[str, Any]) -> int:
    return int(client.register_schema(f"{names.touchpoints}-value", Schema(json.dumps(schema), "AVRO")))


def written(schema: dict[str, Any], schema_id: int, fields: dict[str, Any]) -> Received:
    out = BytesIO()
    schemaless_writer(out, parse_schema(copy.deepcopy(schema)), fields)
    return Received(schemas.prefix_of(schema_id) + out.getvalue())


def test_every_contract_is_registered_under_its_topic_as_full_transitive(
    registry: EmbeddedRegistry, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    opened = source(registry.url)

    ids = opened.register()

    assert set(ids) == set(schemas.CONTRACTS)
    for contract, subject in subjects(names).items():
        assert client.get_compatibility(subject) == "FULL_TRANSITIVE"
        held = client.get_latest_version(subject)
        assert held.schema_id == ids[contract]
        assert schemas.canonical_form(json.loads(held.schema.schema_str)) == schemas.canonical(contract)
    assert opened.register() == ids, "a second start registers nothing new"
    assert all(len(client.get_versions(subject)) == 1 for subject in subjects(names).values())


def test_what_one_process_writes_another_reads(registry: EmbeddedRegistry, names: Topics, source: Source) -> None:
    writer, reader = source(registry.url), source(registry.url)
    writer.register()
    codec = OutputCodec(writer, "/test")
    touchpoint = Touchpoint("e-1", "Order Completed", 1_767_261_600_000, customer_id="c-1", properties={"n": [1, {}]})
    signal = Signal("s-1", "c-1", "friction", "rage", 1_767_261_600_000)

    [read] = TouchpointCodec(reader).decode([Received(codec.touchpoint(touchpoint).value)])

    assert isinstance(read, Touchpoint)
    assert (read.event_id, read.properties) == ("e-1", {"n": [1, {}]})
    assert OutputReader(reader).read(Signal, codec.signal(signal).value or b"") == signal


def test_an_older_writer_is_read(
    registry: EmbeddedRegistry, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    schema_id = register(client, names, older())
    opened = source(registry.url)
    opened.register()

    records = [written(older(), schema_id, {**FIELDS, "value": 5.5}) for _ in range(2)]
    for read in TouchpointCodec(opened).decode(records):
        assert isinstance(read, Touchpoint)
        assert (read.value, read.properties, read.key, read.offset) == (5.5, None, b"c-1", 7)


def test_a_newer_writer_is_read_without_what_is_new(
    registry: EmbeddedRegistry, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    opened = source(registry.url)
    opened.register()
    schema_id = register(client, names, newer())

    record = written(newer(), schema_id, {**FIELDS, "weather": "rain", "device": {"model": "x"}, "source": "pos"})
    for read in TouchpointCodec(opened).decode([record, record]):
        assert isinstance(read, Touchpoint)
        assert (read.source, read.customer_id) == ("pos", "c-1")


def test_the_registry_refuses_an_incompatible_version(
    registry: EmbeddedRegistry, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    opened = source(registry.url)
    opened.register()
    broken = packaged()
    broken["fields"].append({"name": "weather", "type": "string"})

    with pytest.raises(SchemaRegistryError) as refusal:
        register(client, names, broken)

    assert refusal.value.http_status_code == 409


def test_a_start_on_schemas_of_another_kind_says_what_to_do(
    registry: EmbeddedRegistry, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    other = packaged()
    other["fields"][1]["type"] = "long"
    register(client, names, other)
    opened = source(registry.url)

    with pytest.raises(RegistryError, match="not compatible with"):
        opened.register()


def test_workers_that_start_at_the_same_moment_register_the_same_schemas(
    registry: EmbeddedRegistry, source: Source
) -> None:
    """The registry answers 409 to the one that comes second: its schema is there, and that is no conflict."""
    opened = [source(registry.url) for _ in range(6)]
    with ThreadPoolExecutor(len(opened)) as pool:
        found = list(pool.map(RegistrySchemas.register, opened))

    assert all(ids == found[0] for ids in found)


def test_an_id_that_the_registry_does_not_know_is_a_rejection(
    registry: EmbeddedRegistry, names: Topics, source: Source
) -> None:
    opened = source(registry.url)
    opened.register()
    values = [schemas.prefix_of(number) + b"\x02a\x02b\x00" for number in (0, 987_654_321, 2**31, 2**32 - 1)]

    for read in TouchpointCodec(opened).decode([Received(value) for value in values]):
        assert isinstance(read, Rejection)
        assert read.reason == "unknown_schema"


def test_a_schema_of_something_else_is_a_rejection(
    registry: EmbeddedRegistry, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    opened = source(registry.url)
    ids = opened.register()
    text = client.register_schema(f"{names.prefix}-text", Schema('"string"', "AVRO"))
    json_schema = client.register_schema(f"{names.prefix}-json", Schema(json.dumps(DRAFT_7), "JSON"))

    values = [schemas.prefix_of(schema_id) + b"\x02a" for schema_id in (ids["signal"], text, json_schema)]
    for read in TouchpointCodec(opened).decode([Received(value) for value in values]):
        assert isinstance(read, Rejection)
        assert read.reason == "incompatible_schema"


def test_a_registry_that_is_down_at_the_start_is_waited_for_and_then_named(names: Topics, source: Source) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    pauses: list[float] = []
    url = f"http://user:hidden@127.0.0.1:{port}/api"
    opened = source(url, wait_s=3.0, sleep=pauses.append)
    with pytest.raises(RegistryError, match=re.escape(f"http://127.0.0.1:{port}/api does not answer")) as failure:
        opened.register()
    assert "JOURNEY_REGISTRY_URL" in str(failure.value)
    assert "hidden" not in str(failure.value) + repr(RegistryOptions(url))
    assert pauses[:2] == [0.5, 1.0]


def test_a_registry_that_comes_up_during_the_start_is_used(outlet: Outlet, names: Topics, source: Source) -> None:
    outlet.cut()
    opened = source(outlet.url, sleep=lambda _seconds: outlet.mend())
    assert set(opened.register()) == set(schemas.CONTRACTS)


def test_while_the_registry_is_down_known_ids_go_on_and_unknown_ones_wait(
    outlet: Outlet, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    opened = source(outlet.url)
    ids = opened.register()
    schema_id = register(client, names, newer())
    codec = TouchpointCodec(opened)
    known = written(packaged(), ids["touchpoint"], FIELDS)
    unknown = written(newer(), schema_id, FIELDS)

    outlet.cut()
    assert isinstance(codec.decode([known])[0], Touchpoint)
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        codec.decode([known, unknown])

    outlet.mend()
    assert all(isinstance(read, Touchpoint) for read in codec.decode([known, unknown]))
    outlet.cut()
    assert isinstance(codec.decode([unknown])[0], Touchpoint), "it is remembered"


def test_a_registry_that_did_not_answer_is_left_alone_for_a_while(
    outlet: Outlet, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    opened = source(outlet.url, retry_s=3_600.0)
    ids = opened.register()
    outlet.cut()
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        opened.writer(register(client, names, newer()))
    outlet.mend()
    with pytest.raises(RegistryUnavailable, match="did not answer just now"):
        opened.writer(987_654_321)
    assert opened.writer(ids["signal"]) is not None


def test_look_up_writes_nothing(
    registry: EmbeddedRegistry, client: SchemaRegistryClient, names: Topics, source: Source
) -> None:
    opened = source(registry.url, mode="lookup")
    with pytest.raises(RegistryError, match="Register the schemas"):
        opened.register()
    assert not [subject for subject in client.get_subjects() if subject.startswith(names.prefix)]

    writer = source(registry.url)
    ids = writer.register()
    assert opened.register() == ids


def test_an_address_that_is_not_a_registrys_is_named(registry: EmbeddedRegistry, names: Topics, source: Source) -> None:
    elsewhere = source(registry.url.replace("/apis/ccompat/v7", "/apis/nothing"))
    with pytest.raises(RegistryError, match="no registry's interface at that path"):
        elsewhere.register()
    with pytest.raises(RegistryUnavailable):
        elsewhere.writer(1)
