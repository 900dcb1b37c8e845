"""What `journey tail` shows of each kind of record, without a broker."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from streams.contracts.dead_letter import DeadLetter
from streams.contracts.outputs import (
    Candidate,
    Customer,
    CustomerRisk,
    Decision,
    Example,
    JournalLine,
    Model,
    OpenContact,
    OpenStage,
    OpenTrigger,
    Signal,
    Trigger,
)
from streams.contracts.touchpoint import Touchpoint
from streams.tools.tail import STREAMS, STRUCTS, Read, Tombstone, Unreadable
from streams.tools.tail_lines import clock, json_line, line

T = 1_700_000_000_123


def read(value: msgspec.Struct, key: bytes | None = b"me") -> Read:
    return Read("topic", 2, 7, T, key, "com.example.thing", value)


def trigger(**changes: Any) -> Trigger:
    fields: dict[str, Any] = {
        "trigger_id": "t1", "revision": 1, "status": "issued", "customer": "me", "action": "payment_help",
        "purpose": "service", "channel": "web", "issued_at": T, "expires_at": T + 1_000, "reason_words": "twice failed",
    }  # fmt: skip
    return Trigger(**{**fields, **changes})


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (trigger(), ["me", "issued  payment_help on web", "because twice failed", "until", "t1 r1"]),
        (trigger(status="cancelled", end_reason="replaced", replaced_by="t2"), ["cancelled", "replaced by t2"]),
        (trigger(status="expired"), ["expired  payment_help"]),
        (
            Signal("s", "me", "friction", "rage", T, "purchase", "o-1", "cart", "high", "why", [], {"n": 3.0}, True),
            ["friction rage", "in purchase/o-1/cart", "high", "why", "n=3", "historical"],
        ),
        (
            Touchpoint("e", "Order Completed", T, customer_id="me", channel="web", value=9.5, currency="EUR"),
            ["me  Order Completed  web  9.5 EUR"],
        ),
        (
            Touchpoint("e", "Email Opened", T, anonymous_id="v", actor="system", outcome="opened", trigger_id="t1"),
            ["v  Email Opened", "by system", "opened of t1"],
        ),
        (
            Touchpoint("e", "A", T, customer_id="me", properties={f"p{n}": "x" * 100 for n in range(9)}),
            ["p0=" + "x" * 37 + "...", "and 3 more"],
        ),
        (
            Customer(
                "me",
                T,
                stages=[OpenStage("support", "case-1", "waiting", T), OpenStage("purchase", "", "cart", T)],
                segments=["high_value"],
                open_contacts=[OpenContact("call-1")],
                open_triggers=[OpenTrigger("t1", "payment_help", "web", T)],
            ),
            ["support[case-1]: waiting, purchase: cart", "high_value", "payment_help on web open", "in contact call-1"],
        ),
        (Customer("me", T), ["in no journey"]),
        (Customer("me", T, risks=[CustomerRisk("churn", "high", 0.714, "churn@3", T)]), ["churn high (0.71)"]),
        (
            Signal(
                "s",
                "me",
                "churn_risk",
                "churn",
                T,
                figures={"score": 0.71},
                band="high",
                model="churn@3",
                words=["45 days since the last order (usually 12)"],
            ),
            ["churn_risk churn  high  by churn@3  45 days since the last order (usually 12)"],
        ),
        (
            Example("x", "me", "churn", "9f2c", T, T, True, {"orders": 2.0}, 0.4, "prior", True),
            ["me  churn  came true  0.40 by prior at", "historical  orders=2"],
        ),
        (
            Model("churn", 3, "9f2c", "linear", "logistic", examples=500, base_rate=0.31, evaluation={"auc": 0.75}),
            ["churn@3  logistic (linear)  500 labels, 31.0% came true  auc=0.75"],
        ),
        (
            Model(
                "action.help",
                3,
                "9f2c",
                "beta",
                "beta",
                examples=500,
                base_rate=0.12,
                positives=60.0,
                negatives=440.0,
                paused=True,
                evaluation={"guardrail_dismissed": 1.0},
            ),
            [
                "action.help@3  60 successes of 500 contacts (12.0%)  paused by a guardrail  one P for everyone",
                "guardrails broken: dismissed",
            ],
        ),
        (
            Model(
                "action.help",
                4,
                "9f2c",
                "contextual",
                "logistic_regression",
                features=["orders", "visits"],
                examples=900,
                base_rate=0.2,
                positives=180.0,
                negatives=720.0,
                evaluation={
                    "contextual_labels": 600.0,
                    "contextual_log_loss": 0.41,
                    "counts_log_loss": 0.44,
                    "contextual_lead": 0.03,
                    "contextual_lead_error": 0.007,
                },
            ),
            [
                "P of each customer, by 2 features (logistic_regression)  judged on 600 contacts: log loss by features "
                "0.4100, for everyone 0.4400 (+0.0300, standard error 0.0070)",
            ],
        ),
        (
            Decision(
                "d",
                "me",
                T,
                "issued",
                "issued",
                "s",
                chosen="help",
                channel="web",
                candidates=[Candidate("help", p=0.31, usual=0.12), Candidate("other", p=0.5)],
            ),
            ["issued help on web  issued  P 31.0% (everyone's 12.0%)"],
        ),
        (
            Decision("d", "me", T, "none", "eligibility", "s", candidates=[Candidate("help", closed_by="eligibility")]),
            ["none  eligibility", "help: eligibility"],
        ),
        (
            Decision("d", "me", T, "issued", "issued", "s", chosen="help", channel="web"),
            ["issued help on web  issued"],
        ),
        (
            DeadLetter("malformed", "journey.touchpoints.v1", 1, 5, "cut", T, b"\xff", b"\x00\x01"),
            ["malformed  cut  journey.touchpoints.v1 partition 1 offset 5", "2 bytes: AAE="],
        ),
        (JournalLine(4, "idle", {"to": T}), ["partition 2", "idle  after offset 4", f"to={T}"]),
        (Tombstone(), ["me  forgotten"]),
        (Unreadable("no schema has the id 99"), ["cannot be read  no schema has the id 99  partition 2 offset 7"]),
    ],
)
def test_lines(value: msgspec.Struct, parts: list[str]) -> None:
    shown = line(read(value)).plain
    for part in parts:
        assert part in shown
    assert "\n" not in shown


def test_nothing_in_a_record_reaches_the_terminal_as_a_command() -> None:
    shown = line(read(Touchpoint("e", "A\x1b[31m\nB", T, customer_id="m\re", channel="w\x9b1m"))).plain
    assert all(character.isprintable() for character in shown)
    assert "A\N{REPLACEMENT CHARACTER}[31m" in shown


def test_every_stream_has_a_line_of_its_own() -> None:
    assert set(STRUCTS) | {"touchpoints"} == set(STREAMS)


def test_json_is_complete_and_one_line() -> None:
    shown = json.loads(json_line(read(trigger())))
    assert shown["value"] == msgspec.to_builtins(trigger())
    assert (shown["partition"], shown["offset"], shown["timestamp"], shown["key"]) == (2, 7, T, "me")
    assert json.loads(json_line(read(Tombstone(), None))) == {**shown, "key": None, "value": None}
    letter = json.loads(json_line(read(DeadLetter("malformed", "t", 0, 1, value=b"\xff\xfe"), b"\xff")))
    assert (letter["key"], letter["value"]["value"]) == ("\\xff", "//4=")
    seen = json.loads(json_line(read(Touchpoint("e", "A", T, customer_id="me", offset=7, key=b"me"))))
    assert seen["value"] == {"event_id": "e", "type": "A", "occurred_at": T, "customer_id": "me"}


@pytest.mark.parametrize("ms", [0, T, 253_402_300_799_999, 10**18])
def test_any_time_can_be_shown(ms: int) -> None:
    assert clock(ms)
