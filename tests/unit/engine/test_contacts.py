"""Contacts: what counts against limits, what gives a contact back, and what is taken for sent."""

from __future__ import annotations

from typing import Final

import pytest

from streams.definitions.policy import (
    Arm,
    Experiment,
    Limit,
)
from tests.support.engines import D, H, M, touchpoint
from tests.support.policies import (
    SHOP,
    closing,
    failed,
    handled,
    ready,
    reasons,
    with_action,
    with_policy,
)

BETTER: Final = (
    SHOP
    + """
  app: {purpose: marketing, when: {signal: stage_entered}, channel: email, value: WORTH, expires_after: 1d}
"""
)


@pytest.mark.parametrize(
    ("worth", "sent", "most", "closed"),
    [
        ("12", False, 1, None),
        ("10", False, 1, "contact_limit"),
        ("12", True, 1, "contact_limit"),
        ("12", False, 0, "contact_limit"),
    ],
)
def test_limit_does_not_count_what_would_be_replaced(worth: str, sent: bool, most: int, closed: str | None) -> None:
    limits = (Limit(1, within_ms=D), Limit(most, within_ms=D, action="app"))
    run = ready(with_policy(BETTER.replace("WORTH", worth), limits=limits))
    failed(run, 0)
    if sent:
        handled(run, 1, "sent")
    run.hear(touchpoint(2000, "Product Added"))
    assert closing(run.decisions[1]) == [closed]
    ends = [] if closed else [("mail", "cancelled", "replaced")]
    assert [one for one in run.statuses() if one[1] != "issued"] == ends
    failed(run, 5000)
    assert closing(run.decisions[2]) == ["contact_limit" if closed is None or sent else "already_open"]


@pytest.mark.parametrize("back", ["not_sent", "bounced"])
def test_what_was_not_sent_gives_its_contact_back(back: str) -> None:
    run = ready(with_policy(limits=(Limit(1, within_ms=D),)))
    failed(run, 0)
    handled(run, 1, back)
    failed(run, 2000)
    assert reasons(run) == ["issued", "issued"]


def test_cancelled_before_it_was_sent_gives_its_contact_back_and_after_it_does_not() -> None:
    run = ready(with_policy(limits=(Limit(1, within_ms=D),)))
    failed(run, 0)
    run.hear(touchpoint(1, "Order Completed"))
    failed(run, 2000)
    handled(run, 2001, "sent")
    run.hear(touchpoint(2002, "Order Completed", event_id="o2"))
    failed(run, 4000)
    assert run.statuses()[-1] == ("mail", "cancelled", "goal_reached")
    assert reasons(run) == ["issued", "issued", "contact_limit"]


@pytest.mark.parametrize(
    ("after", "unsent_for", "reason"),
    [(M - 1, M, "issued"), (M, M, "contact_limit"), (5 * H, D, "issued"), (1, 0, "contact_limit")],
)
def test_what_nothing_was_heard_of_is_taken_for_sent_after_a_time(after: int, unsent_for: int, reason: str) -> None:
    run = ready(with_policy(limits=(Limit(1, within_ms=D),), unsent_for_ms=unsent_for))
    failed(run, 0)
    run.hear(touchpoint(after, "Order Completed"))
    run.restart()
    failed(run, after + 2000)
    assert run.statuses()[1] == ("mail", "cancelled", "goal_reached")
    assert reasons(run) == ["issued", reason]


def test_who_withdrew_a_message_in_time_says_so_and_the_contact_is_given_back() -> None:
    run = ready(with_policy(limits=(Limit(1, within_ms=D),)))
    failed(run, 0)
    run.hear(touchpoint(H, "Order Completed"))
    failed(run, H + 2000)
    handled(run, H + 3000, "not_sent")
    failed(run, H + 4000)
    assert reasons(run) == ["issued", "contact_limit", "issued"]


def test_what_is_late_was_out_nobody_knows_for_how_long_and_counts() -> None:
    text = SHOP.replace("{signal: friction}", "{signal: abandonment}")
    run = ready(with_policy(text, limits=(Limit(1, within_ms=D),)))
    run.hear(touchpoint(0, "Product Added"))
    run.hear(touchpoint(20 * M + 1, "Elsewhere", "d"))
    run.hear(touchpoint(19 * M, "Payment Info Entered"))
    run.until(2 * H)
    assert run.statuses()[1] == ("mail", "cancelled", "late")
    assert reasons(run) == ["issued", "contact_limit"]


def test_replacing_what_has_most_likely_been_sent_is_one_contact_more() -> None:
    run = ready(with_policy(BETTER.replace("WORTH", "12"), limits=(Limit(1, within_ms=D),)))
    failed(run, 0)
    run.hear(touchpoint(M, "Product Added"))
    assert closing(run.decisions[1]) == ["contact_limit"]
    assert run.statuses() == [("mail", "issued", None)]


def test_message_that_has_to_wait_is_unsent_until_its_time() -> None:
    experiment = Experiment("timing", "s", (Arm("late", 1.0, delay_ms=2 * H),))
    definition = with_action(with_policy(limits=(Limit(1, within_ms=D),)), experiment=experiment)
    run = ready(definition)
    failed(run, 0)
    run.hear(touchpoint(2 * H + M - 1, "Order Completed"))
    failed(run, 3 * H)
    assert reasons(run) == ["issued", "issued"]


@pytest.mark.parametrize(
    ("told", "reason"), [(["sent"], "contact_limit"), (["opened"], "contact_limit"), (["bounced", "sent"], "issued")]
)
def test_message_that_was_sent_in_spite_of_its_cancellation_counts(told: list[str], reason: str) -> None:
    text = SHOP.replace("value: 10", "value: 10, cancel_on: [Chat Opened]")
    run = ready(with_policy(text, limits=(Limit(1, within_ms=D),)))
    failed(run, 0)
    run.hear(touchpoint(1000, "Chat Opened"))
    for n, outcome in enumerate(told):
        handled(run, 1500 + n, outcome)
    failed(run, 2000)
    assert run.triggers[1].end_reason == "cancel_on"
    assert reasons(run) == ["issued", reason]


def test_expired_without_a_word_counts() -> None:
    run = ready(with_policy(limits=(Limit(1, within_ms=3 * D),)))
    failed(run, 0)
    failed(run, D + H)
    assert run.statuses()[-1] == ("mail", "expired", None)
    assert reasons(run) == ["issued", "contact_limit"]


def test_anybodys_message_counts_and_one_dispatch_once() -> None:
    run = ready(with_policy(limits=(Limit(2, within_ms=D, channel="email"),)))
    for outcome in ("sent", "delivered"):
        run.hear(
            touchpoint(1, "Mail", actor="company", channel="email", dispatch="d1", outcome=outcome, event_id=outcome)
        )
    failed(run, 1000)
    handled(run, 1001, "sent")
    failed(run, 3000)
    assert reasons(run) == ["issued", "contact_limit"]


@pytest.mark.parametrize(("actor", "counts"), [("company", True), ("system", True), (None, False), ("agent", False)])
def test_message_sent_counts_when_the_company_tells_it(actor: str | None, counts: bool) -> None:
    run = ready(with_policy(limits=(Limit(1, within_ms=D),)))
    run.hear(touchpoint(1, "Message Sent", actor=actor, channel="email"))
    failed(run, 1000)
    assert reasons(run) == ["contact_limit" if counts else "issued"]


@pytest.mark.parametrize(
    ("named", "sent", "reason"),
    [
        ({"campaign": "c-1"}, "sent", "issued"),
        ({"campaign": "c-1", "dispatch": "d-1"}, "sent", "issued"),
        ({"campaign": "c-2"}, None, "contact_limit"),
        ({}, None, "contact_limit"),
    ],
)
@pytest.mark.parametrize("by_id", [False, True])
def test_message_sent_of_ours_is_no_second_contact(
    named: dict[str, str], sent: str | None, reason: str, by_id: bool
) -> None:
    text = SHOP.replace("expires_after: 1d", "expires_after: 1d, external: {campaign: c-1}")
    run = ready(with_policy(text, limits=(Limit(2, within_ms=D),)))
    failed(run, 0)
    if by_id:
        named, sent, reason = {**named, "trigger_id": run.triggers[0].trigger_id}, "sent", "issued"
    run.hear(touchpoint(1000, "Message Sent", actor="system", channel="email", **named))
    view = run.customers["c"]
    assert view is not None
    assert view.open_triggers[0].outcome == sent
    handled(run, 1500, "delivered")
    failed(run, 2000)
    assert reasons(run) == ["issued", reason]
