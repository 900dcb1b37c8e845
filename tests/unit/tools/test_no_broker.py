"""Every command that speaks to Kafka says soon that nobody answers, where it asked, and what to look at."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.settings import KafkaSettings
from streams.tools.brokers import wait_for_brokers
from streams.worker.outcomes import Unavailable

SHOP = Path(__file__).parents[2] / "support" / "shop.journey.yaml"
COMMANDS = (
    "topics create",
    "topics check",
    "topics set journey.signals.v1 retention.ms=1",
    "definitions apply SHOP",
    "definitions show",
    "partitions resume 0",
    "pause late_parcel",
    "resume late_parcel",
    "emit Order~Completed --customer me",
    "tail triggers",
    "simulate --touchpoints 5 --to-kafka",
    "import --input FILE",
    "replay --from-kafka",
    "report --from-kafka",
)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address at which nobody listens, and which nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("JOURNEY_KAFKA_BOOTSTRAP", address)
        yield address


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_with_the_address_it_asked(command: str, nobody: str, tmp_path: Path) -> None:
    file = tmp_path / "touchpoints.jsonl"
    file.write_text('{"event_id": "1", "type": "X", "occurred_at": 1700000000000, "customer_id": "me"}\n')
    places = {"SHOP": str(SHOP), "FILE": str(file)}
    arguments = [places.get(word, word.replace("~", " ")) for word in command.split()]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert f"no broker answers at {nobody}" in result.output
    assert "Connection refused" in result.output
    assert "JOURNEY_KAFKA_BOOTSTRAP" in result.output


def test_an_address_that_takes_connections_and_says_nothing_is_given_up_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unavailable, match=f"no broker answers at {address}"):
            wait_for_brokers(KafkaSettings(bootstrap=address), 0.0)
