"""Files in, JSON lines and a summary out: order, merging, ending, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.outputs import Outputs
from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_texts
from streams.definitions.model import Definition
from streams.tools.replay.lines import LINE_BYTES, JsonLinesReader
from streams.tools.replay.mapping_file import read_mapping
from streams.tools.replay.rows import InputError, Refused
from streams.tools.replay.run import Ending, replay
from streams.tools.replay.sources import InputFile, merged, open_inputs
from streams.tools.replay.summary import Summary

MINUTE = 60_000
T0 = 1_704_103_200_000  # 2024-01-01 10:00 UTC

SHOP = """
version: 1
time: {timezone: UTC, allowed_lateness: 0s, session_gap: 30m}
journeys:
  purchase:
    type: purchase
    goal: {event: Order Completed, within: 1d}
    stages:
      browsing: {on: [Product Viewed]}
      cart: {on: [Product Added]}
    abandonment:
      cart: {after: 30m}
    friction:
      - {name: failed_twice, count: {event: Payment Failed, at_least: 2, within: 10m}}
actions:
  help:
    purpose: service
    when: {signal: friction, name: failed_twice}
    channel: store
    expires_after: 1h
"""


def shop() -> Definition:
    return load_texts([("shop.yaml", SHOP)])


def tp(minute: float, type_: str, who: str = "a", **more: Any) -> Touchpoint:
    at = T0 + round(minute * MINUTE)
    return Touchpoint(f"{who}-{type_}-{minute}", type_, at, customer_id=who, channel="store", **more)


STORY = [
    tp(0, "Product Viewed"),
    tp(1, "Product Added"),
    tp(2, "Payment Failed"),
    tp(3, "Payment Failed"),
    tp(4, "Product Added", "b"),
    tp(5, "Order Completed"),
    tp(6, "Mood Light Dimmed"),
]


def run(
    items: Iterable[Touchpoint | Refused], *, until_ms: int | None = None, ending: Ending = "drain"
) -> tuple[list[dict[str, Any]], Summary]:
    sink = io.BytesIO()
    summary = replay(shop(), items, sink, until_ms=until_ms, ending=ending)
    return [json.loads(line) for line in sink.getvalue().splitlines()], summary


def test_lines_carry_the_contract_and_keep_the_order_of_emission() -> None:
    lines, _ = run(STORY)
    told = [(line["kind"], line.get("signal") or line.get("status") or line.get("outcome")) for line in lines]
    assert told == [
        ("signal", "stage_entered"),
        ("signal", "stage_left"),
        ("signal", "stage_entered"),
        ("signal", "friction"),
        ("decision", "issued"),
        ("trigger", "issued"),
        ("signal", "stage_entered"),
        ("signal", "stage_left"),
        ("signal", "goal_reached"),
        ("trigger", "cancelled"),
        ("example", None),
        ("signal", "abandonment"),
        ("signal", "stage_left"),
    ]
    friction = lines[3]
    assert friction["name"] == "failed_twice"
    assert friction["time"] == T0 + 3 * MINUTE
    assert friction["evidence"] == ["a-Payment Failed-2", "a-Payment Failed-3"]
    trigger = lines[5]
    assert trigger["reason_signals"] == [friction["signal_id"]]
    assert trigger["last_touchpoints"][0] == {
        "type": "Product Viewed", "occurred_at": T0, "channel": "store", "event_id": "a-Product Viewed-0",
        "actor": "customer",
    }  # fmt: skip


def test_the_summary_counts_the_same() -> None:
    _, summary = run([*STORY, Refused("f", 9, "bad_time", "row 9", "x")])
    journey = summary.journeys["purchase"]
    assert (summary.touchpoints, summary.customers) == (7, 2)
    assert (summary.first, summary.last) == (T0, T0 + 6 * MINUTE)
    assert (journey.entrants, journey.converted, journey.conversion) == (2, 1, 0.5)
    assert journey.reached == {"browsing": 1, "cart": 2}
    assert journey.abandoned == {"cart": 1}
    assert journey.friction == {"failed_twice": 1}
    assert journey.ended == {"goal": 1, "expired": 1}
    assert summary.triggers == {("help", "issued"): 1, ("help", "cancelled (goal_reached)"): 1}
    assert summary.decisions == {("issued", "issued"): 1}
    assert summary.unused == {"Mood Light Dimmed": 1}
    assert summary.refused == {"bad_time": 1}
    assert summary.counts == {"processed": 7}


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    return [str(line.get("signal")) for line in lines]


def test_where_a_replay_ends() -> None:
    assert "abandonment" in kinds(run(STORY)[0])
    assert "abandonment" not in kinds(run(STORY, ending="stop")[0])
    # Time moves on to the given moment and no further: at 10:34 the deadline of b is due, not past.
    assert "abandonment" not in kinds(run(STORY, until_ms=T0 + 33 * MINUTE)[0])
    lines, summary = run(STORY, until_ms=T0 + 35 * MINUTE)
    assert "abandonment" in kinds(lines)
    assert summary.journeys["purchase"].ended == {"goal": 1}
    assert run(STORY, until_ms=T0 + 2 * MINUTE)[1].touchpoints == 3


def test_the_order_does_not_depend_on_who_listens() -> None:
    heard: list[Outputs] = []
    with_sink, _ = run(STORY)
    replay(shop(), STORY, None, each=heard.append)
    ids = [signal.signal_id for outputs in heard for signal in outputs.signals]
    assert ids == [line["signal_id"] for line in with_sink if line["kind"] == "signal"]


def test_warm_up_issues_nothing() -> None:
    summary = replay(shop(), STORY, start_issuing_at=T0 + 60 * MINUTE)
    assert not summary.triggers
    assert summary.decisions == {("none", "warm_up"): 1}


def jsonl(path: Path, rows: list[dict[str, Any] | str]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def row(at: int, who: str = "a", **more: Any) -> dict[str, Any]:
    return {"event_id": f"{who}{at}", "type": "page", "customer_id": who, "occurred_at": at, **more}


@pytest.mark.parametrize("name", ["f.jsonl", "f.jsonl.gz"])
def test_json_lines_plain_and_packed(tmp_path: Path, name: str) -> None:
    rows: list[dict[str, Any] | str] = [row(1), "", "{", row(2, recorded_at=5), {"type": "page"}, "[1]", row(3)]
    file = InputFile(jsonl(tmp_path / name, rows))
    found = list(file)
    assert [t.occurred_at if isinstance(t, Touchpoint) else (t.row, t.reason) for t in found] == [
        1, (3, "bad_json"), 2, (5, "no_event_id"), (6, "bad_json"), 3,
    ]  # fmt: skip
    assert [t.record_time for t in found if isinstance(t, Touchpoint)] == [None, 5, None]
    refused = found[1]
    assert isinstance(refused, Refused)
    assert refused.original == "{"
    assert refused.detail.startswith("line 3: ")
    assert file.position == file.size > 0


def test_files_are_merged_by_time_and_keep_their_own_order(tmp_path: Path) -> None:
    one = jsonl(tmp_path / "1.jsonl", [row(10, "a"), row(5, "a"), row(30, "a")])
    two = jsonl(tmp_path / "2.jsonl", [row(7, "b"), row(20, "b"), row(40, "b", recorded_at=25)])
    found = list(merged(open_inputs([one, two], [])))
    assert [t.event_id for t in found if isinstance(t, Touchpoint)] == ["b7", "a10", "a5", "b20", "b40", "a30"]


def test_a_truncated_archive_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "f.jsonl.gz", [row(n) for n in range(2_000)])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"f.jsonl.gz: after row \d+"):
        list(InputFile(path))


def test_tables_need_a_mapping_and_others_none(tmp_path: Path) -> None:
    table = tmp_path / "f.csv.gz"
    table.write_bytes(gzip.compress(b"at,who\n2024-01-01,a\n"))
    mapping = read_mapping(
        "m.yaml",
        "version: 1\ntime: {column: at}\n"
        "touchpoints: [{event_id: {row: true}, fields: {customer_id: {column: who}, type: page}}]",
    )
    with pytest.raises(InputError, match="--mapping"):
        open_inputs([table], [])
    with pytest.raises(InputError, match="JSON lines and need none"):
        open_inputs([jsonl(tmp_path / "f.jsonl", [])], [mapping])
    with pytest.raises(InputError, match="2 mappings for 1 tables"):
        open_inputs([table], [mapping, mapping])
    with pytest.raises(InputError, match="No such file"):
        open_inputs([tmp_path / "none.csv"], [mapping])
    (file,) = open_inputs([table], [mapping])
    assert [t.customer_id for t in file if isinstance(t, Touchpoint)] == ["a"]
    wrong = tmp_path / "latin.csv"
    wrong.write_bytes(b"at,who\n2024-01-01,\xff\n")
    with pytest.raises(InputError, match="not utf-8"):
        list(open_inputs([wrong], [mapping])[0])


def test_the_command(tmp_path: Path) -> None:
    definition = tmp_path / "shop.yaml"
    definition.write_text(SHOP)
    source = jsonl(tmp_path / "f.jsonl", [row(T0), row(T0 + 1, type="Product Added"), "nothing"])
    out = tmp_path / "out.jsonl"
    arguments = ["replay", "--definition", str(definition), "--input", str(source), "--output", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert [line.get("signal", line["kind"]) for line in found] == [
        "stage_entered", "dead_letter", "abandonment", "stage_left",
    ]  # fmt: skip
    assert found[1]["topic"] == "f.jsonl"
    assert found[1]["offset"] == 3
    assert "Journey purchase" in result.stderr
    packed = tmp_path / "out.jsonl.gz"
    assert CliRunner().invoke(app, [*arguments[:-1], str(packed)]).exit_code == 0
    assert gzip.decompress(packed.read_bytes()) == out.read_bytes()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --definition and --input"),
        (["--definition", "no-such", "--input", "x"], "no shipped definition"),
        (["--definition", "shop", "--input", "no-such.jsonl"], "No such file"),
        (["--definition", "shop", "--input", "x.jsonl", "--until", "soon"], "--until: 'soon' is no time"),
        (["--compare"], "--compare needs --from-kafka"),
        (["--from-kafka", "--input", "x"], "--from-kafka takes"),
    ],
)
def test_the_command_refuses(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["replay", *arguments])
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_failed_replay_leaves_no_output(tmp_path: Path) -> None:
    table = tmp_path / "f.csv"
    table.write_text("at,who\n2024-01-02,a\n2024-01-01,a\n")
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        "version: 1\ntime: {column: at}\n"
        "touchpoints: [{event_id: {row: true}, fields: {customer_id: {column: who}, type: page}}]"
    )
    out = tmp_path / "out.jsonl"
    arguments = ["--definition", "shop", "--mapping", str(mapping), "--input", str(table), "--output", str(out)]
    result = CliRunner().invoke(app, ["replay", *arguments])
    assert result.exit_code == 2
    assert "row 2 is earlier" in result.stderr
    assert not out.exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_line_without_end_is_refused_and_passed_over() -> None:
    line = b'{"event_id": "1", "type": "page", "occurred_at": 1, "customer_id": "c"}\n'
    for much in (LINE_BYTES - 1, LINE_BYTES, 3 * LINE_BYTES + 5):
        first, second, *more = JsonLinesReader(io.BytesIO(b"x" * much + b"\n" + line), "f.jsonl")
        assert isinstance(first, Refused)
        assert first.reason == "too_large"
        assert isinstance(second, Touchpoint)
        assert second.offset == 2
        assert not more
