"""Two versions, of a definition and of the state's format, one worker after the other, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.contracts.outputs import JournalLine, Signal, Trigger
from streams.contracts.topics import Topics
from streams.engine import formats
from streams.settings import load
from streams.worker.changelog import last_marker
from streams.worker.marker import Marker
from tests.conftest import PARTITIONS
from tests.support.produce import happened, produce, read
from tests.support.workers import Workers, ready, running, until

pytestmark = pytest.mark.integration

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
EARLIER: Final = {"JOURNEY_STATE_FORMAT": str(formats.NEWEST - 1)}
"""What the version before writes, and what a new one writes until all are rolled."""
CUSTOMERS: Final = 12
"""Of each wave."""


@pytest.fixture
def workers(kafka: Any, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP])


@pytest.mark.timeout(180)
def test_a_version_is_rolled_out_and_back_while_customers_come(
    kafka: Any, topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    environment = {
        "JOURNEY_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "JOURNEY_PREFIX": topics.prefix,
        "JOURNEY_APP": topics.app,
    }
    settings = load(environment)
    changed = tmp_path / "shop.journey.yaml"
    text = SHOP.read_text(encoding="utf-8")
    changed.write_text(text.replace("content: {key: reminder}", "content: {key: reminder-with-picture}"))

    def state() -> list[Marker]:
        found = [last_marker(settings, topics.state, number, lambda: False) for number in range(PARTITIONS)]
        return [marker for marker in found if marker is not None]

    def stands_at(state_format: int, definition: int) -> None:
        until(
            lambda: {(m.format, m.definition) for m in state()} == {(state_format, definition)},
            30,
            f"all partitions have format {state_format} and definition {definition}",
        )

    def wave(number: int) -> None:
        """Each customer fills a cart and goes: one abandonment and one trigger each, whatever happens meanwhile."""
        who = [f"{number}-{n}" for n in range(CUSTOMERS)]
        produce(kafka.bootstrap, topics, [happened(f"{name}/1", "Product Added", name) for name in who])

    first, second = workers.start(0, more=EARLIER), workers.start(1, more=EARLIER)
    ready(first, second)
    stands_at(1, 1)
    wave(1)
    # Out: one after the other, the new definition with the first. What the other holds is written as it was.
    assert first.end() == 0
    workers.definitions = [changed]
    first = workers.start(0)
    ready(first, second)
    wave(2)
    assert second.end() == 0
    second = workers.start(1)
    ready(first, second)
    stands_at(2, 2)
    wave(3)
    # Back: the same software writes the earlier format, the former definition gets a new number.
    assert second.end() == 0
    assert first.end() == 0
    workers.definitions = [SHOP]
    last = workers.start(0, more=EARLIER)
    ready(last)
    stands_at(1, 3)
    wave(4)

    def ended() -> list[Signal]:
        return [s for s in read(kafka.bootstrap, topics.signals, Signal) if s.kind == "abandonment"]

    until(lambda: len(ended()) >= 4 * CUSTOMERS, 60, "every cart is given up", [last])
    assert last.end() == 0
    assert sorted(s.customer for s in ended()) == sorted(f"{w}-{n}" for w in (1, 2, 3, 4) for n in range(CUSTOMERS))
    issued = [t for t in read(kafka.bootstrap, topics.triggers, Trigger) if t.status == "issued"]
    assert len({t.trigger_id for t in issued}) == len(issued) == 4 * CUSTOMERS
    adopted = [
        line.value["number"] for line in read(kafka.bootstrap, topics.journal, JournalLine) if line.kind == "definition"
    ]
    assert sorted(adopted) == [2] * PARTITIONS + [3] * PARTITIONS
    said = CliRunner().invoke(app, ["replay", "--from-kafka", "--compare"], env=environment)
    assert said.exit_code == 0, said.output

    shown = CliRunner().invoke(app, ["partitions", "show"], env=environment).output.splitlines()
    assert [line.split(", next")[0] for line in shown] == [f"{n}: format 1, definition 3" for n in range(PARTITIONS)]
