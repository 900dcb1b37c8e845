"""`journey report` over files, as it is typed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.tools.report.spool import BLOCK, Spool
from tests.unit.report.stories import touch

VISIT = ("Product Viewed", "Product Added", "Checkout Started", "Payment Info Entered", "Order Completed")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with touchpoints of two customers and what the shop's definition found in them."""
    folder = tmp_path_factory.mktemp("report")
    lines = []
    for who, steps in (("ada", 5), ("bob", 3)):
        for n, kind in enumerate(VISIT[:steps]):
            at = 1_714_521_600_000 + n * 60_000
            lines.append(
                {"event_id": f"{who}-{n}", "type": kind, "customer_id": who, "occurred_at": at, "channel": "web",
                 "value": 30.0 if kind == "Order Completed" else None, "campaign": "spring"}
            )  # fmt: skip
    lines.sort(key=lambda line: str(line["occurred_at"]))
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done = CliRunner().invoke(
        app,
        ["replay", "--definition", "shop", "--input", str(folder / "in.jsonl"), "--output", str(folder / "out.jsonl")],
    )
    assert done.exit_code == 0, done.output
    return folder


def test_a_field_that_nobody_sent_is_named_with_those_that_there_are(replayed: Path) -> None:
    files = ["--findings", str(replayed / "out.jsonl"), "--touchpoints", str(replayed / "in.jsonl")]
    typed = ["report", "--definition", "shop", *files, "--by", "campaing", "--by", "tier", "--by", "campaign"]
    done = CliRunner().invoke(app, [*typed, "--json", str(replayed / "by.json")], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    notes = json.loads((replayed / "by.json").read_bytes())["notes"]
    assert notes == [
        "--by campaing: no touchpoint has a field or property 'campaing' (did you mean 'campaign'?)",
        "--by tier: no touchpoint has a field or property 'tier' (they have campaign, channel, type, value)",
    ]
    assert notes[1] in done.output
    alone = CliRunner().invoke(app, [*typed[:5], "--by", "tier", "--json", "-"])
    assert "(no touchpoints were given)" in json.loads(alone.output)["notes"][0]


DRAWN = """
version: 1
journeys:
  buy:
    type: purchase
    goal: {event: Order Completed}
    stages:
      cart: {on: [Product Added]}
actions:
  call:
    when: {signal: stage_entered, journey: buy}
    channel: agent
    value: VALUE
    expires_after: 1d
    attribution: 2d
  visit:
    when: {signal: stage_entered, journey: buy}
    channel: store
    value: 5
    expires_after: 1d
    attribution: 2d
arbitration: {explore: 0.6}
"""


def test_another_policy_is_judged_from_a_replay(tmp_path: Path) -> None:
    """The one that ran prefers to call, the other one to invite; whoever is called buys, as it happens."""
    lines = []
    for n in range(800):
        at = 1_714_521_600_000 + n * 600_000
        lines.append({"event_id": f"a{n}", "type": "Product Added", "customer_id": f"c{n}", "occurred_at": at})
    files = {"call": tmp_path / "call.journey.yaml", "visit": tmp_path / "visit.journey.yaml"}
    for name, value in (("call", 10), ("visit", 1)):
        files[name].write_text(DRAWN.replace("VALUE", str(value)), encoding="utf-8")

    def replay() -> list[dict[str, Any]]:
        lines.sort(key=lambda line: int(str(line["occurred_at"])))
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / "in.jsonl").write_text(text, encoding="utf-8")
        found = str(tmp_path / "out.jsonl")
        done = CliRunner().invoke(
            app,
            ["replay", "--definition", str(files["call"]), "--input", str(tmp_path / "in.jsonl"), "--output", found],
        )
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]

    called = {one["customer"] for one in replay() if one.get("chosen") == "call"}
    assert 0.6 < len(called) / 800 < 0.8
    for n in range(800):
        if f"c{n}" in called:
            at = 1_714_521_600_000 + n * 600_000 + 60_000
            lines.append(
                {
                    "event_id": f"o{n}",
                    "type": "Order Completed",
                    "customer_id": f"c{n}",
                    "occurred_at": at,
                    "value": 10.0,
                }
            )
    replay()
    code, out, error = run(
        "--definition", str(files["call"]), "--findings", str(tmp_path / "out.jsonl"),
        "--touchpoints", str(tmp_path / "in.jsonl"), "--policy", str(files["visit"]),
        "--json", str(tmp_path / "report.json"),
    )  # fmt: skip
    assert code == 0, error
    assert "What it would have earned" in out
    policy = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["policy"]
    assert policy["refused"] is None
    assert policy["mean_weight"] == pytest.approx(1, abs=0.15)
    # It would call with a probability of 0.3, and only who is called buys.
    for measure, worth in (("conversion", 1), ("value", 10)):
        found = policy["estimates"][measure]["doubly_robust"]
        assert found["low"] <= 0.3 * worth <= found["high"]
        assert found["high"] - found["low"] < 0.2 * worth
    assert policy["estimates"]["conversion"]["difference"]["high"] < 0


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["report", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_tables_and_json_of_a_replay(replayed: Path) -> None:
    files = ["--findings", str(replayed / "out.jsonl"), "--touchpoints", str(replayed / "in.jsonl")]
    code, out, error = run("--definition", "shop", *files, "--json", str(replayed / "report.json"))
    assert code == 0, error
    assert "Journey purchase (purchase, store team)" in out
    report = json.loads((replayed / "report.json").read_text(encoding="utf-8"))
    purchase = next(one for one in report["journeys"] if one["journey"] == "purchase")
    assert purchase["whole"]["conversion"] == {"count": 1, "of": 2}
    assert purchase["whole"]["value_total"] == 30.0
    assert [one["value"] for one in purchase["splits"] if one["by"] == "origin"] == ["spring"]


def test_json_alone_and_packed_findings(replayed: Path, tmp_path: Path) -> None:
    packed = tmp_path / "out.jsonl.gz"
    packed.write_bytes(gzip.compress((replayed / "out.jsonl").read_bytes()))
    code, out, _ = run("--definition", "shop", "--findings", str(packed), "--json", "-", "--journey", "purchase")
    assert code == 0
    report = json.loads(out)
    assert [one["journey"] for one in report["journeys"]] == ["purchase"]
    assert report["visits"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--from-kafka, or --findings"),
        (["--findings", "out.jsonl"], "needs the --definition"),
        (["--findings", "nowhere.jsonl", "--definition", "shop"], "nowhere.jsonl: No such file"),
        (["--findings", "out.jsonl", "--definition", "nothing"], "no file nothing"),
        (["--findings", "in.jsonl", "--definition", "shop"], "in.jsonl: line 1: it is no output of `journey replay`"),
        (["--findings", "out.jsonl", "--definition", "shop", "--journey", "holiday"], "no journey holiday"),
        (["--findings", "out.jsonl", "--definition", "shop", "--period", "soon"], "'soon' is no length of time"),
        (["--findings", "out.jsonl", "--definition", "shop", "--until", "soon"], "'soon' is no time"),
        (["--findings", "out.jsonl", "--definition", "shop", "--mapping", "ecom"], "--mapping is for --touchpoints"),
        (["--findings", "out.jsonl", "--definition", "shop", "--policy", "shop"], "--policy needs the --touchpoints"),
        (["--findings", "out.jsonl", "--from-kafka"], "--from-kafka, or --findings"),
        (["--touchpoints", "in.jsonl", "--from-kafka"], "neither --touchpoints nor --mapping"),
    ],
)
def test_what_is_wrong_is_said(
    replayed: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(replayed)
    code, _, error = run(*arguments)
    assert code == 2
    assert words in " ".join(error.split())


def test_a_damaged_line_is_named(replayed: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    whole = (replayed / "out.jsonl").read_bytes().splitlines(keepends=True)
    broken.write_bytes(b"".join(whole[:2]) + b'{"kind": "signal", "name": 4}\n')
    code, _, error = run("--findings", str(broken), "--definition", "shop")
    assert code == 2
    assert "line 3" in error


def test_the_spool_gives_back_every_record_in_its_order() -> None:
    n = 3 * BLOCK
    with Spool() as spool:
        for i in range(n):
            for who in ("ada", "Zoë", ""):
                spool.add(touch("page", i, who))
        back = dict(spool)
    assert set(back) == {"ada", "Zoë", ""}
    assert all([r.time for r in records] == sorted(r.time for r in records) for records in back.values())  # type: ignore[union-attr]
    assert [len(records) for records in back.values()] == [n, n, n]
