"""Contacts that are open: an end that arrives late does not close what began after it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.contents import CONTACT_KEY
from tests.support.engines import T0, Run, S, define, touchpoint

DEFINITION = define("""
    segments:
      waiting: {where: "contacts.open > 0.0"}
    journeys:
      support:
        type: support
        instance_by: case_id
        goal: {event: Case Resolved}
        stages:
          contact: {on: [Contact Started]}
""")


def open_contacts(*touchpoints: Any) -> dict[str, int]:
    run = Run(DEFINITION)
    run.hear(*touchpoints)
    p = run.engine.store.get("c")
    assert p is not None
    return {name: contact.since - T0 for name, contact in p.contacts.items()}


@pytest.mark.parametrize(
    "end",
    [
        touchpoint(2 * S, "Contact Ended", contact_id="k", case_id="x"),
        touchpoint(2 * S, "Contact Ended"),
        touchpoint(2 * S, "Case Resolved", case_id="x"),
    ],
    ids=["by contact", "by nobody", "by case"],
)
def test_an_end_closes_what_began_before_it_and_no_more(end: Any) -> None:
    first = touchpoint(1 * S, "Contact Started", contact_id="k", case_id="x")
    again = touchpoint(3 * S, "Contact Started", contact_id="k", case_id="x")
    assert open_contacts(first, end) == {}
    assert open_contacts(first, end, again) == {"k": 3 * S}
    assert open_contacts(first, again, end) == {"k": 3 * S}
    assert open_contacts(again, end, first) == {"k": 3 * S}


def test_what_a_solved_case_has_settled_is_stored_in_one_order_in_every_process() -> None:
    run = Run(DEFINITION)
    cases = [(f"contact-{n}", f"case-{n}") for n in range(20)]
    for n, (contact, case) in enumerate(cases):
        run.hear(touchpoint(n * S, "Case Resolved", contact_id=contact, case_id=case))
    p = run.engine.store.get("c")
    assert p is not None
    settled = [key.removeprefix(CONTACT_KEY) for key in p.settled if key.startswith(CONTACT_KEY)]
    assert settled == [name for pair in cases for name in pair]
