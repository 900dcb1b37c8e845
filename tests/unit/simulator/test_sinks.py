"""Files and the command: what is written can be read back, and the same seed writes the same bytes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.contracts.codec import TouchpointCodec
from streams.contracts.schemas import PackagedSchemas
from streams.contracts.touchpoint import Rejection, Touchpoint
from streams.tools.simulator import Fact, generate
from streams.tools.simulator.sinks import JsonLines, line, write_truth


class Received(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def simulate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def read(path: Path) -> list[bytes]:
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).splitlines()


def test_a_line_says_all_of_the_touchpoint() -> None:
    codec = TouchpointCodec(PackagedSchemas(), allow_json=True)
    touchpoints = list(generate(4, 200, 3_000))
    for t in touchpoints:
        content = json.loads(line(t))
        assert content.pop("recorded_at") == t.record_time
        record = Received(t.offset, t.record_time or 0, t.key, json.dumps(content).encode(), [])
        assert codec.decode([record]) == [t]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_file_holds_the_lines_in_order(tmp_path: Path, name: str) -> None:
    touchpoints = list(generate(4, 50, 500))
    with JsonLines(tmp_path / name) as sink:
        for t in touchpoints:
            sink.write(t)
    assert read(tmp_path / name) == [line(t) for t in touchpoints]


def test_the_truth_can_be_read_back(tmp_path: Path) -> None:
    facts: list[Fact] = []
    list(generate(4, 100, 2_000, truth=facts.append))
    assert write_truth(tmp_path / "truth.jsonl", facts) == len(facts) > 0
    assert [msgspec.json.decode(row, type=Fact) for row in read(tmp_path / "truth.jsonl")] == facts


def test_the_command_writes_touchpoints_and_truth_repeatably(tmp_path: Path) -> None:
    arguments = ["--customers", 100, "--touchpoints", 2_000, "--seed", 9, "--start", "2026-03-01T08:00:00+00:00"]
    disturbed = ["--duplicates", 0.05, "--late", 0.02, "--shuffle", "20s", "--skewed", 0.1, "--garbage", 0.02]
    for n in (1, 2):
        output, truth = tmp_path / f"{n}.jsonl.gz", tmp_path / f"{n}.truth.jsonl"
        result = simulate("--output", output, "--truth", truth, *arguments, *disturbed)
        assert result.exit_code == 0, result.output
        assert "2,000 touchpoints written" in result.output
    assert (tmp_path / "1.jsonl.gz").read_bytes() == (tmp_path / "2.jsonl.gz").read_bytes()
    assert (tmp_path / "1.truth.jsonl").read_bytes() == (tmp_path / "2.truth.jsonl").read_bytes() != b""
    codec = TouchpointCodec(PackagedSchemas(), allow_json=True)
    rows = [Received(n, 0, None, row, []) for n, row in enumerate(read(tmp_path / "1.jsonl.gz"))]
    decoded = codec.decode(rows)
    assert sum(isinstance(d, Touchpoint) for d in decoded) == 2_000
    assert 10 < sum(isinstance(d, Rejection) for d in decoded) < 80
    earliest = min(d.occurred_at for d in decoded if isinstance(d, Touchpoint) and d.sent_at is None)
    assert 0 <= earliest - 1_772_352_000_000 < 3_600_000


def test_the_command_lives_by_the_real_clock(tmp_path: Path) -> None:
    output = tmp_path / "live.jsonl"
    result = simulate("--output", output, "--time-scale", 6_000, "--touchpoints", 200, "--customers", 500)
    assert result.exit_code == 0, result.output
    times = [json.loads(row)["recorded_at"] for row in read(output)]
    assert len(times) == 200
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--output FILE or --to-kafka"),
        (["--output", "a", "--to-kafka"], "--output FILE or --to-kafka"),
        (["--output", "a", "--start", "yesterday"], "2026-01-01T08:00:00"),
        (["--output", "a", "--shuffle", "soon"], "duration like 20s"),
        (["--output", "a", "--time-scale", "60", "--rate", "5"], "neither"),
        (["--output", "a", "--duplicates", "2"], "--duplicates"),
        (["--output", "a", "--customers", "0"], "--customers"),
    ],
)
def test_wrong_options_are_refused_with_what_is_expected(arguments: list[str], said: str) -> None:
    result = simulate(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    result = simulate("--output", tmp_path / "taken" / "a.jsonl")
    assert result.exit_code == 1
    assert "journey simulate:" in result.output
