"""Every parser of what others write, with hostile input and what must hold of the answer: its one error, or its value.

Owns the list. Each entry takes what its strategy draws and fails with anything but the error that the parser promises.
``make fuzz`` runs all for a set time, ``test_parsers.py`` some of each within the tests.
"""

from __future__ import annotations

import io
import json
import socket
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from confluent_kafka.schema_registry import Schema
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from streams.contracts import registry, schemas
from streams.contracts.codec import TouchpointCodec
from streams.contracts.output_codec import STRUCTS, OutputCodec, OutputReader
from streams.contracts.outputs import Model
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import REASONS, Rejection, Touchpoint
from streams.definitions.cel import CelFault, compile_expression
from streams.definitions.faults import DefinitionFaults
from streams.definitions.load import load_texts, shipped
from streams.engine import state
from streams.engine.scoring.scorer import ModelRefused
from streams.learner import frozen
from streams.learner.process import chunks
from streams.learner.snapshots import scorer_of, signed
from streams.settings import SettingsError, load
from streams.tools.dead_letters import Place
from streams.tools.replay.lines import JsonLinesReader
from streams.tools.replay.mapping_file import MappingFaults, read_mapping
from streams.tools.replay.rows import CsvReader, InputError, Refused
from streams.worker import marker
from streams.worker.definitions_topic import read_record
from streams.worker.health import HealthServer
from tests.properties.test_codec_fuzz import OUTPUTS, TOUCHPOINTS, Received, avro, same_either_way
from tests.support.labels import KEY
from tests.unit.definitions.test_cel_native import data as facts
from tests.unit.definitions.test_cel_native import expressions

ROOT: Final = Path(__file__).parents[2]


class Parser(NamedTuple):
    name: str
    drawn: st.SearchStrategy[Any]
    holds: Callable[[Any], object]


def spoilt(good: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes of the right form with some changed, lost or added; now and then no form at all."""

    @st.composite
    def draw(draw: st.DrawFn) -> bytes:
        found = bytearray(draw(good))
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(found)))
            end = min(len(found), at + draw(st.sampled_from([0, 1, 1, 4, 40])))
            found[at:end] = draw(st.binary(max_size=6) | st.sampled_from([b"\xff" * 9, b"\x80" * 9 + b"\1", b"\0" * 8]))
        return bytes(found)

    return draw() | st.binary(max_size=80)


def torn(texts: list[str], words: list[str]) -> st.SearchStrategy[str]:
    """A text with pieces replaced by its own, by ``words``, or by anything."""

    @st.composite
    def draw(draw: st.DrawFn) -> str:
        text = texts[draw(st.integers(0, len(texts) - 1))]
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(text)))
            end = min(len(text), at + draw(st.sampled_from([0, 1, 3, 30, 300])))
            other = draw(st.integers(0, len(text)))
            which = draw(st.integers(-2, len(words) - 1))
            own = text[other : other + 40] if which == -1 else draw(st.text(max_size=12))
            piece = words[which] if which >= 0 else own
            text = text[:at] + piece + text[end:]
        return text

    return draw() | st.text(max_size=60)


# -- touchpoints ---------------------------------------------------------------------------------------------------


def touchpoint(value: bytes) -> None:
    same_either_way(value)
    same_either_way(value, allow_json=True)


NAMES: Final = ("Touchpoint", "A", "B", "x.A", "C")
LEAVES: Final = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string", *NAMES])


def _types(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    name, fields = st.sampled_from(NAMES), st.sampled_from(["event_id", "type", "occurred_at", "customer_id", "a", "b"])
    field = st.fixed_dictionaries({"name": fields, "type": inner}, optional={"default": st.none() | st.just("x")})
    return st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda values: {"type": "map", "values": values}, inner),
        st.lists(inner, max_size=3),
        st.builds(lambda n, size: {"type": "fixed", "name": n, "size": size}, name, st.integers(-1, 2**62)),
        st.builds(lambda n, s: {"type": "enum", "name": n, "symbols": s}, name, st.lists(name, max_size=3)),
        st.builds(lambda t: {"type": t, "logicalType": "decimal"}, inner),
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(["record", "record", "error"]),
                "name": name,
                "fields": st.lists(field, max_size=4),
            },
            optional={"namespace": st.sampled_from(["x", ""])},
        ),
    )


TYPES: Final = st.recursive(LEAVES, _types, max_leaves=14)
WRITERS: Final = TYPES | st.builds(
    lambda fields: {"type": "record", "name": "Touchpoint", "fields": fields},
    st.lists(st.builds(lambda n, t: {"name": f"f{n}", "type": t}, st.integers(0, 9), TYPES), max_size=6),
)  # fmt: skip


class Foreign:
    """A registry that holds one schema under every id."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    def prefix(self, contract: schemas.Contract) -> bytes:
        return PackagedSchemas().prefix(contract)

    def writer(self, reference: int | UUID) -> Any:
        return self.schema


def writers_schema(drawn: tuple[Any, bytes]) -> None:
    schema, body = drawn
    codec = TouchpointCodec(Foreign(schema))
    for made in codec.decode([Received(b"\0\0\0\0\7" + body)] * 2):
        assert isinstance(made, Touchpoint | Rejection)
        assert not isinstance(made, Rejection) or made.reason in REASONS
    with suppress(ValueError):
        OutputReader(Foreign(schema)).read(Model, b"\0\0\0\0\7" + body)


def registrys_answer(drawn: tuple[str, str]) -> None:
    kind, text = drawn
    found = registry._avro(Schema(text, kind))
    assert isinstance(found, dict)
    writers_schema((found, b"\2a"))


def json_lines(text: bytes) -> None:
    for made in JsonLinesReader(io.BytesIO(text), "f"):
        assert isinstance(made, Touchpoint | Refused)


@cache
def _server() -> HealthServer:
    server = HealthServer("127.0.0.1", 0, CollectorRegistry(), lambda: None, lambda: None)
    server.start()
    return server


def http_request(sent: bytes) -> None:
    for request in (sent, b"GET /livez HTTP/1.0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", _server().port), timeout=20) as connection:
            with suppress(OSError):  # it may have closed before all was said
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            with suppress(ConnectionResetError):
                while part := connection.recv(4096):
                    answer += part
    assert answer.startswith(b"HTTP/1.1 200 "), "the next one is answered"


REQUESTS: Final = [
    b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
    b"GET /readyz?a=b HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" * 3,
    b"POST /livez HTTP/1.1\r\nX: " + b"a" * 66_000 + b"\r\n\r\n",
]

# -- what owners write ---------------------------------------------------------------------------------------------

DEFINITIONS: Final = [
    path.read_text(encoding="utf-8")
    for path in (shipped("visit"), *(ROOT / "tests" / "support").glob("*.journey.yaml"), ROOT / "examples/campaign.journey.yaml")
]  # fmt: skip
YAML_WORDS: Final = [
    "&a ", "*a", "<<: *a", "!!python/object/apply:os.system [id]", "? ", "- ", "{", "}", "[", "]" * 20, "[" * 40, "|\n", "\t",
    "%YAML 1.1\n---\n", "---\n", "...", '"\\x', "'", ": ", "#", "\0", "\ud800", "1e999", ".nan", "0x" + "f" * 40, "9" * 5000,
    "2001-12-14t21:59:43.10-05:00", "~", "yes", "when: ", "cel: ", "&a [*a]",
]  # fmt: skip


def definition(text: str) -> None:
    with suppress(DefinitionFaults):
        load_texts([("a.yaml", text)])


MAPPINGS: Final = [
    *(path.read_text(encoding="utf-8") for path in (ROOT / "streams/definitions/shipped/data").glob("*.mapping.yaml")),
    "version: 1\ntime: {column: a, format: epoch_ms}\ntouchpoints: [{event_id: {row: true}, fields: {customer_id: {column: b}, "
    "type: {column: c}}, properties: {n: {column: d, as: number, scale: 3, decimals: 2}}}]",
]  # fmt: skip
ROWS: Final = st.lists(
    st.lists(st.text(max_size=6) | st.sampled_from(["1", "1e308", "nan", '"', "9" * 5000, "2024-01-01", "a\0b"]), max_size=6),
    max_size=5,
)  # fmt: skip


def csv_mapping(drawn: tuple[str, list[list[str]]]) -> None:
    text, rows = drawn
    with suppress(MappingFaults):
        mapping = read_mapping("m.yaml", text)
        columns = sorted(mapping.columns())
        table = "\n".join(mapping.delimiter.join(row) for row in [columns, *rows])
        with suppress(InputError):
            for made in CsvReader(io.StringIO(table, newline=""), mapping, "f.csv"):
                assert isinstance(made, Touchpoint | Refused)


CEL_WORDS: Final = [
    "(" * 30, "[" * 30, "!", "-", " && ", " || ", " ? ", ":", " in ", ".all(x, ", ".map(x, ", ".exists(x, ", ".matches('(a+)+$')",
    "size(", "has(", "properties", "event.value", "timestamp(", "duration('", "'", '"""', "r'", "b'", "\\u", "0x", "1e999", "9" * 30,
    "u", "{", "}", "dyn(", "type(", "optional.none()", "//", "\n", "a.b.c.d", ".", "%", "int(", "string(", "1.0",
]  # fmt: skip


def cel(drawn: tuple[str, dict[str, Any]]) -> None:
    text, found = drawn
    for result in ("any", "bool", "double", "date"):
        with suppress(CelFault):
            expression = compile_expression(text, "event", result)
            with suppress(KeyError):  # a variable that these facts have not
                expression.test(found.__getitem__)
                expression.value(found.__getitem__)


def settings(drawn: dict[str, str]) -> None:
    with suppress(SettingsError):
        load(drawn)


# -- what the project writes itself, should somebody else have -----------------------------------------------------

MODEL: Final = Model(
    name="churn", version=1, signature="s", form="linear", algorithm="a", features=["a", "b"], weights=[1.0, 2.0],
    means=[0.0, 0.0], scales=[1.0, 1.0], intercept=0.0, slope=1.0, shift=0.0, body=None, software="s", examples=1,
    base_rate=0.5, learned_until=1, evaluation={}, definition=1,
)  # fmt: skip
NUMBERS: Final = st.floats() | st.sampled_from([0.0, 1e308, -1e308])
LISTS: Final = st.lists(NUMBERS, max_size=4)
NODES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=25,
)
PARTS: Final = st.lists(
    st.sampled_from([
        *sorted(frozen.OTHERS), *sorted(frozen.NAMED), ("river.drift.adwin", "ADWIN"), ("river.stats.mean", "Mean"),
        ("river.compose.pipeline", "Pipeline"), ("river._river_rust.drift", "AdaptiveWindowing"), ("os", "system"),
    ]),
    max_size=3,
)  # fmt: skip
OBJECTS: Final = st.lists(
    st.builds(
        lambda tag, *more: [tag, *more],
        st.integers(0, 7), st.integers(0, 3) | NODES, st.booleans(), st.lists(st.none() | st.integers(0, 5), max_size=2), NODES,
        st.just([]), st.just([]),
    )
    | NODES,
    max_size=4,
)  # fmt: skip


def snapshot(drawn: tuple[dict[str, Any], Any, Any]) -> None:
    changes, names, nodes = drawn
    body = zlib.compress(msgspec.msgpack.encode((frozen.FORMAT, frozen.version(), names, nodes)))
    for form in ("linear", "beta", "river", "other"):
        model = msgspec.structs.replace(MODEL, form=form, body=body, **changes)
        for one in (model, signed(model, KEY)):
            with suppress(ModelRefused):
                scorer = scorer_of(one, KEY)
                if form == "linear":
                    scorer.score([1.0, 2.0])


PROFILES: Final = st.builds(
    lambda due, blob: due.to_bytes(8, "big") + bytes([state.FORMAT]) + blob,
    st.integers(0, 2**63), NODES.map(msgspec.msgpack.encode) | st.binary(max_size=40),
)  # fmt: skip


def stored(blob: bytes) -> None:
    with suppress(ValueError):
        state.decode(blob)
    with suppress(ValueError):
        marker.decode(blob)
    with suppress(ValueError):
        chunks.joined({b"l0000/a": blob, b"l" + blob: b"\0\1x"})


def output(value: bytes) -> None:
    reader = OutputReader(PackagedSchemas())
    for struct in STRUCTS.values():
        with suppress(ValueError):
            reader.read(struct, value)


def _encoded(made: Any) -> bytes:
    codec = OutputCodec(PackagedSchemas(), "/fuzz")
    method = {"JournalLine": "journal", "DeadLetter": "dead_letter"}.get(
        type(made).__name__, type(made).__name__.lower()
    )
    return getattr(codec, method)(made).value or b""


def command(drawn: tuple[bytes, bytes]) -> None:
    key, value = drawn
    read_record(key, value)
    with suppress(ValueError):
        Place.of(value.decode("utf-8", "replace"))


COMMANDS: Final = [
    json.dumps({"number": 1, "digest": "d", "sources": [["a", "version: 1"]]}).encode(),
    json.dumps({"command": "resume", "app": "a", "partition": 1}).encode(),
    b"1:2", b"[" * 100_000, b'{"number": 1e999}', b'{"number":' + b"9" * 5_000 + b"}",
]  # fmt: skip

ALL: Final = (
    Parser("touchpoints", spoilt(TOUCHPOINTS.map(avro)) | spoilt(TOUCHPOINTS.map(lambda t: json.dumps(t).encode())), touchpoint),
    Parser("writers' schemas", st.tuples(WRITERS, st.binary(max_size=60)), writers_schema),
    Parser(
        "answers of a registry",
        st.tuples(st.sampled_from(["AVRO", "JSON", ""]), torn([schemas.text("touchpoint")], ["[" * 90_000, "null", '"null"', "{}"])),
        registrys_answer,
    ),
    Parser("lines of JSON", spoilt(TOUCHPOINTS.map(lambda t: json.dumps({**t, "recorded_at": 1}).encode() + b"\n")), json_lines),
    Parser("HTTP", spoilt(st.integers(0, len(REQUESTS) - 1).map(lambda n: REQUESTS[n])), http_request),
    Parser("definitions", torn(DEFINITIONS, YAML_WORDS), definition),
    Parser("mappings of CSV", st.tuples(torn(MAPPINGS, YAML_WORDS), ROWS), csv_mapping),
    Parser("CEL", st.tuples(expressions | torn(["event.value > 2.0 && properties.a == 'x'"], CEL_WORDS), facts), cel),
    Parser(
        "settings",
        st.dictionaries(
            st.sampled_from(["JOURNEY_APP", "JOURNEY_IDLE_AFTER", "JOURNEY_KAFKA_BOOTSTRAP", "JOURNEY_START_ISSUING",
                             "JOURNEY_BATCH_FETCH_BYTES", "JOURNEY_DEAD_LETTERS_LIMIT", "JOURNEY_REGISTRY_URL", "JOURNEY_X"]),
            st.text(max_size=12) | st.sampled_from(["9" * 5000 + "s", "nan", "1e999", "-1", "2026-01-31T08:00:00Z", "a:b:c"]),
        ),
        settings,
    ),
    Parser(
        "models",
        st.tuples(
            st.fixed_dictionaries(
                {}, optional={"weights": LISTS, "means": LISTS, "scales": LISTS, "intercept": NUMBERS, "slope": NUMBERS,
                              "shift": NUMBERS, "positives": NUMBERS, "negatives": NUMBERS}),
            PARTS, OBJECTS | NODES),
        snapshot,
    ),
    Parser("state", spoilt(PROFILES | NODES.map(msgspec.msgpack.encode)), stored),
    Parser("outputs and dead letters", spoilt(OUTPUTS.map(_encoded)), output),
    Parser(
        "commands and places",
        st.tuples(st.binary(max_size=5), spoilt(st.integers(0, len(COMMANDS) - 1).map(lambda n: COMMANDS[n]))),
        command,
    ),
)  # fmt: skip
