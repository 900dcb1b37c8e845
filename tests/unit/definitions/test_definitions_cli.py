"""``journey validate`` and ``journey definitions``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.definitions.cel import compile_expression
from streams.definitions.load import shipped
from streams.definitions.schema import json_schema
from streams.definitions.variables import VARIABLES, Scope, visible
from streams.engine.scoring.features import FEATURES, STANDARD


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_validate_says_what_is_there() -> None:
    code, out, err = run("validate", str(shipped("shop")), str(shipped("service")))
    assert (code, err) == (0, "")
    assert out.startswith("no fault: 5 journeys, ")


def test_validate_lists_all_faults_and_exits_1(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("version: 2\njorneys: {}\n")
    code, out, err = run("validate", str(file))
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"{file}:1:10: version 2 is not known (write `version: 1`)",
        f"{file}:2:1: the definition has no key 'jorneys' (did you mean 'journeys'?)",
        "2 faults",
    ]


def test_validate_shows_warnings(tmp_path: Path) -> None:
    file = tmp_path / "warn.yaml"
    file.write_text("version: 1\nevents: {x: Pruduct Added}\n")
    code, _, err = run("validate", str(file))
    assert code == 0
    assert "did you mean 'Product Added'?) [warning]" in err


def test_validate_a_missing_file(tmp_path: Path) -> None:
    code, _, err = run("validate", str(tmp_path / "none.yaml"))
    assert code == 1
    assert "none.yaml:1:1: cannot be read: No such file or directory" in err


def test_schema_is_json() -> None:
    code, out, _ = run("definitions", "schema")
    assert code == 0
    assert json.loads(out) == json_schema()


def test_variables_prints_all_or_those_of_a_scope() -> None:
    _, out, _ = run("definitions", "variables")
    assert {line.split()[0] for line in out.splitlines()[1:]} == set(VARIABLES)
    _, out, _ = run("definitions", "variables", "--scope", "event")
    assert {line.split()[0] for line in out.splitlines()[1:]} == set(visible("event"))
    code, _, err = run("definitions", "variables", "--scope", "signal")
    assert code == 2
    assert "is no scope" in err


def test_features_prints_all_and_which_are_standard() -> None:
    code, out, _ = run("features")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert set(lines) == set(FEATURES)
    assert {name for name, line in lines.items() if "  yes  " in line} == set(STANDARD)
    assert "Days since the last order." in lines["days_since_order"]
    assert "days" in lines["days_since_order"].split()[1]


def test_features_of_a_definition_are_shown_with_the_risks_that_use_them(tmp_path: Path) -> None:
    _, out, _ = run("features", str(shipped("shop")), str(shipped("service")))
    lines = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert set(lines) == {*FEATURES, "app_share"}
    assert " ".join(lines["app_share"].split()) == (
        "app_share share churn, no_renewal Share of visits by app. CEL: channel_share.mobile_app"
    )
    assert " churn, no_renewal " in lines["visits"]
    assert " complaint " in lines["csat"]
    assert " churn, no_renewal, complaint " in lines["orders"]
    file = tmp_path / "bad.yaml"
    file.write_text("version: 2\n")
    code, _, err = run("features", str(file))
    assert code == 1
    assert "version 2 is not known" in err


def test_features_as_json_say_all() -> None:
    _, out, _ = run("features", "--json", str(shipped("shop")))
    found = {one["name"]: one for one in map(json.loads, out.splitlines())}
    assert set(found) == {*FEATURES, "app_share"}
    assert found["visits"] == {
        "name": "visits",
        "unit": "visits",
        "title": "visits so far",
        "definition": "Touchpoints that count with no pause longer than the session gap make one visit.",
        "log": True,
        "standard": True,
        "risks": ["churn", "no_renewal"],
    }
    assert found["app_share"]["definition"] == "channel_share.mobile_app"


@pytest.mark.parametrize("name", VARIABLES)
def test_example_of_every_variable_reads_it(name: str) -> None:
    variable = VARIABLES[name]
    scope: Scope = variable.scope
    expression = compile_expression(variable.example, scope, "any")
    assert name in expression.uses
    assert expression.native
