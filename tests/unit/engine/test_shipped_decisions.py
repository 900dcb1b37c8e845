"""What the shipped definitions decide: help with a payment always, a sequence, an experiment, hours of a callback."""

from __future__ import annotations

import pytest

from streams.contracts.touchpoint import Touchpoint
from streams.definitions.load import load_files, shipped
from streams.definitions.model import Definition
from tests.support.engines import D, H, M, Run, touchpoint

T_MONDAY_NOON = 12 * H
"""``T0`` is a Monday, 00:00 UTC, in a winter of London."""


@pytest.fixture(scope="module")
def both() -> Definition:
    return load_files([shipped("shop"), shipped("service")])


@pytest.mark.parametrize("at", [3 * H, T_MONDAY_NOON, 23 * H])
def test_who_cannot_pay_is_helped_at_any_hour_whoever_it_is(both: Definition, at: int) -> None:
    run = Run(both)
    for n in range(200):
        customer = f"c{n}"
        run.hear(
            touchpoint(at + n * 100, "Payment Failed", customer),
            touchpoint(at + n * 100 + M, "Payment Failed", customer),
        )
    assert {t.customer for t in run.triggers if (t.action, t.status) == ("payment_help", "issued")} == {
        f"c{n}" for n in range(200)
    }


def reachable(n: int, at: int) -> list[Touchpoint]:
    customer = f"c{n:03d}"
    known = {"email": f"{customer}@example.org", "phone": "+44"}
    return [touchpoint(at, "identify", customer, traits=known, consent={"email": True, "push": True, "sms": True})]


def test_a_welcome_that_was_not_opened_is_followed_by_an_e_mail(both: Definition) -> None:
    run = Run(both)
    for n in range(20):
        run.hear(*reachable(n, T_MONDAY_NOON), touchpoint(T_MONDAY_NOON + M, "Signed Up", f"c{n:03d}"))
        run.hear(touchpoint(T_MONDAY_NOON + 2 * M, "Onboarding Completed", f"c{n:03d}"))
    run.until(T_MONDAY_NOON + 6 * H)
    welcomes = [(t.step, t.channel) for t in run.triggers if (t.action, t.status) == ("welcome", "issued")]
    assert sorted(set(welcomes)) == [(0, "in_app"), (1, "email")]
    assert welcomes.count((0, "in_app")) == welcomes.count((1, "email")) == 20


def test_reminders_are_tried_in_two_tones_and_held_out_of_some(both: Definition) -> None:
    run = Run(both)
    for n in range(400):
        run.hear(*reachable(n, T_MONDAY_NOON))
        run.hear(touchpoint(T_MONDAY_NOON + M, "Product Added", f"c{n:03d}", product_id="p", price=50.0, quantity=1))
    run.until(T_MONDAY_NOON + H)
    arms = [t.arm for t in run.triggers if (t.action, t.status) == ("cart_reminder", "issued")]
    ghosts = [d for d in run.decisions if d.outcome == "held_out"]
    assert len(arms) + len(ghosts) == 400
    assert 150 < arms.count("plain") < 250
    assert 150 < arms.count("helpful") < 250
    assert 5 < len(ghosts) < 40


def test_callbacks_are_offered_in_office_hours_and_else_an_e_mail(both: Definition) -> None:
    run = Run(both)
    for n, at in enumerate((T_MONDAY_NOON, 5 * D + T_MONDAY_NOON)):  # Monday, Saturday
        run.hear(*reachable(n, at))
        run.hear(touchpoint(at + M, "Message Sent", f"c{n:03d}", case_id="k"))
        run.until(at + 2 * H)
    offered = [t.channel for t in run.triggers if (t.action, t.status) == ("offer_callback", "issued")]
    assert offered == ["callback", "email"]
