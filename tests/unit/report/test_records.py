"""What the report keeps of touchpoints and outputs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.contracts.outputs import Candidate, Decision, Model, Signal, Trigger
from streams.contracts.touchpoint import IMPORT_STARTED, Touchpoint
from streams.tools.replay.write import decision_line, model_line, signal_line, trigger_line
from streams.tools.report.records import Choice, Found, Life, RecordError, Touch, of_output, of_touchpoint, read_line
from streams.tools.report.spool import Spool
from tests.unit.report.stories import SHOP, T, definition, touch

HOUSE = definition(
    SHOP
    + """
events:
  bought: Order Completed
  Queued: {actor: company}
satisfaction: {words: {angry: -0.8}}
"""
)


def kept(kind: str = "page", **fields: Any) -> Touch:
    made = of_touchpoint(Touchpoint("e", kind, T, **{"customer_id": "ada", **fields}), HOUSE, ("channel", "tier"))
    assert made is not None
    return made


def test_commands_are_no_touchpoints() -> None:
    assert of_touchpoint(Touchpoint("e", IMPORT_STARTED, T), HOUSE) is None


def test_a_companys_own_name_is_the_standard_one() -> None:
    assert kept("bought").type == "Order Completed"


@pytest.mark.parametrize(
    ("kind", "actor", "found"),
    [("page", None, "customer"), ("Queued", None, "company"), ("Queued", "agent", "agent")],
)
def test_who_it_was(kind: str, actor: str | None, found: str) -> None:
    assert kept(kind, actor=actor).actor == found


def test_without_a_customers_id_it_is_the_visitors() -> None:
    assert kept(customer_id=None, anonymous_id="v").customer == "v"


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({}, "direct"),
        ({"referrer": "https://www.example.org/search?q=x"}, "www.example.org"),
        ({"referrer": "newsletter"}, "newsletter"),
        ({"referrer": "http://[broken"}, "http://[broken"),
        ({"campaign": "spring", "referrer": "https://www.example.org"}, "spring"),
    ],
)
def test_where_the_customer_came_from(fields: dict[str, str], origin: str) -> None:
    assert kept(**fields).origin == origin


@pytest.mark.parametrize(
    ("fields", "sentiment"),
    [({"sentiment": 3.0}, 1.0), ({"sentiment": 0.2, "emotion": "angry"}, 0.2), ({"emotion": "Angry"}, -0.8),
     ({"emotion": "odd"}, None)],
)  # fmt: skip
def test_sentiment_is_the_stated_one_else_the_words(fields: dict[str, Any], sentiment: float | None) -> None:
    assert kept(**fields).sentiment == sentiment


def test_a_clock_that_is_wrong_is_corrected() -> None:
    assert kept(sent_at=T + 1_000, record_time=T + 3_600_000).time == T + 3_599_000


def test_fields_that_the_reader_names_are_fields_or_properties() -> None:
    assert kept(channel="web", properties={"tier": True}).by == ["web", "true"]
    assert kept(properties={"tier": [1, 2]}).by == [None, None]


def test_lines_of_a_replay_and_records_of_topics_are_the_same() -> None:
    signal = Signal("s", "ada", "friction", "denied", T, "buy", "", "cart", evidence=["e1"], figures={"n": 1.0})
    decision = Decision(
        "d", "ada", T, "issued", "issued", "s", "buy", "", [Candidate("x", None, "web", 0.5, propensity=0.4)], "x",
        propensity=0.4, arm="bold", experiment="words",
    )  # fmt: skip
    trigger = Trigger("t", 1, "issued", "ada", "x", "service", "web", T, T + 1, arm="bold", outcome="sent")
    assert read_line(signal_line(signal)) == of_output(signal) == Found(
        "friction", "ada", "denied", T, "s", "buy", "", "cart", None, ["e1"], {"n": 1.0}
    )  # fmt: skip
    made = read_line(decision_line(decision))
    assert made == of_output(decision)
    assert isinstance(made, Choice)
    assert (made.arm, made.candidates[0].propensity) == ("bold", 0.4)
    life = read_line(trigger_line(trigger))
    assert life == of_output(trigger)
    assert isinstance(life, Life)
    assert (life.arm, life.outcome) == ("bold", "sent")


def test_models_are_read_and_what_no_figure_needs_is_passed_over() -> None:
    model = Model("action.x", 3, "sig", "beta", "counts", [], positives=4.0, negatives=6.0)
    assert read_line(model_line(model)) == model
    assert read_line(b'{"kind": "example", "whatever": 1}') is None
    assert read_line(b'{"kind": "dead_letter"}') is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"\xff", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b'{"type": "page"}', "its 'kind' is none of"),
        (b'{"kind": "trigger"}', "missing required field"),
        (b'{"kind": "model", "name": 3}', "Expected `str`"),
    ],
)
def test_other_lines_are_refused(line: bytes, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        read_line(line)


def test_a_record_from_before_a_field_existed_has_its_default() -> None:
    old = {"kind": "decision", "decision_id": "d", "customer": "ada", "time": T, "outcome": "issued", "reason": "",
           "signal_id": "s", "candidates": [{"action": "x"}], "chosen": "x"}  # fmt: skip
    made = read_line(json.dumps(old).encode())
    assert isinstance(made, Choice)
    assert (made.propensity, made.arm, made.step) == (None, None, 0)


def test_the_spool_can_be_read_again_and_go_on() -> None:
    with Spool() as spool:
        spool.add(touch("page", 0))
        first = dict(spool)
        spool.add(touch("page", 1))
        assert [record.event_id for record in dict(spool)["ada"]] == ["ada-page-0", "ada-page-1"]  # type: ignore[union-attr]
        assert [record.event_id for record in dict(spool)["ada"]] == ["ada-page-0", "ada-page-1"]  # type: ignore[union-attr]
        assert len(first["ada"]) == 1
