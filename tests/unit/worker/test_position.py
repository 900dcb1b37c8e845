"""Where a partition goes on, and when it must not (semantics, rule 18)."""

from __future__ import annotations

import pytest
from msgspec import structs

from streams.worker.marker import Marker
from streams.worker.outcomes import Refused
from streams.worker.position import Log, Start, start

MARKER = Marker(sequence=7, offset=99, next=101, topic_id="A", definition=1, start_issuing_at=0)


def test_it_goes_on_at_next_whatever_the_group_has_committed() -> None:
    for committed in (None, 0, 100, 400):
        log = Log("touchpoints", 3, "A", 0, 500, committed, journalled=True)
        assert start(MARKER, log, accept_loss=False) == Start(101, 99, "state")


def test_a_first_start_begins_where_the_log_does() -> None:
    log = Log("touchpoints", 3, "A", 20, 500, None, journalled=False)
    assert start(None, log, accept_loss=False) == Start(20, -1, "nothing")


@pytest.mark.parametrize("next_offset", [20, 500])
def test_the_ends_of_the_log_are_inside(next_offset: int) -> None:
    log = Log("touchpoints", 3, "A", 20, 500, None, journalled=True)
    assert start(structs.replace(MARKER, next=next_offset), log, accept_loss=False).loss is None


@pytest.mark.parametrize(
    ("marker", "log", "words", "goes_on", "keeps"),
    [
        (MARKER, Log("touchpoints", 3, "B", 0, 500, 100, True), "made anew", Start(0, -1, "state"), "with the state"),
        (
            MARKER,
            Log("touchpoints", 3, "A", 102, 500, 100, True),
            "retention has deleted 1 ",
            Start(102, 99, "state"),
            "with",
        ),
        (
            MARKER,
            Log("touchpoints", 3, "A", 0, 100, 100, True),
            "lost touchpoints",
            Start(100, 99, "state"),
            "with the state",
        ),
        (None, Log("touchpoints", 3, "A", 7, 50, None, True), "its journal tells", Start(7, 6, "nothing"), "without"),
        (
            None,
            Log("touchpoints", 3, "A", 0, 500, 100, True),
            "no marker",
            Start(100, 99, "nothing"),
            "without the state",
        ),
        (
            None,
            Log("touchpoints", 3, "A", 150, 500, 100, True),
            "no marker",
            Start(150, 99, "nothing"),
            "without the state",
        ),
        (
            None,
            Log("touchpoints", 3, "A", 0, 50, 100, True),
            "no marker",
            Start(50, 99, "nothing"),
            "without the state",
        ),
    ],
)
def test_loss_is_refused_until_somebody_accepts_it(
    marker: Marker | None, log: Log, words: str, goes_on: Start, keeps: str
) -> None:
    with pytest.raises(Refused) as caught:
        start(marker, log, accept_loss=False)
    text = str(caught.value)
    assert words in text
    assert "--accept-loss" in text
    assert keeps in text
    assert "touchpoints partition 3" in text
    accepted = start(marker, log, accept_loss=True)
    assert (accepted.next, accepted.offset, accepted.keeps) == (goes_on.next, goes_on.offset, goes_on.keeps)
    assert accepted.loss
