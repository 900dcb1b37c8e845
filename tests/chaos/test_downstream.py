"""Whoever acts on triggers stands still and is killed: each request is made, under one key, and no worker waits.

The consumer is examples/consumer.py as it is shipped.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from streams.contracts.outputs import Trigger
from streams.contracts.topics import Topics
from tests.chaos.form import PATIENCE, SEED
from tests.chaos.traffic import Traffic
from tests.chaos.trial import SMALL_TRANSACTIONS, UNHURRIED, Trial
from tests.chaos.verdict import judge, read
from tests.conftest import Kafka
from tests.support.workers import Workers, running

SHOP: Final = Path(__file__).parents[1] / "support" / "shop.journey.yaml"
CONSUMER: Final = Path(__file__).parents[2] / "examples" / "consumer.py"
KILLS: Final = 6
STILL_S: Final = 20.0
LAST_IDLE_S: Final = 30
"""Longer than the group believes in one that was killed."""
pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(900 * PATIENCE)]


@pytest.fixture
def workers(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[Workers]:
    yield from running(kafka.bootstrap, topics, tmp_path, definitions=[SHOP], settings=SMALL_TRANSACTIONS | UNHURRIED)


@pytest.fixture
def campaign_tool(kafka: Kafka, topics: Topics, tmp_path: Path) -> Iterator[CampaignTool]:
    tool = CampaignTool(kafka.bootstrap, topics, tmp_path)
    yield tool
    tool.kill()


class CampaignTool:
    """The example, in a folder of its own, and what it has requested."""

    def __init__(self, bootstrap: str, topics: Topics, folder: Path) -> None:
        self._words = [sys.executable, str(CONSUMER), "--bootstrap", bootstrap, "--prefix", topics.prefix]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JOURNEY_")}
        with (self._folder / "consumer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._words, *arguments],
                cwd=self._folder, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self._process

    def send(self, what: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "consumer.log").read_text()[-2000:]
        self._process.send_signal(what)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def requests(self) -> list[dict[str, Any]]:
        text = (self._folder / "outbox.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


def test_downstream_slow_and_killed(
    kafka: Kafka, topics: Topics, workers: Workers, campaign_tool: CampaignTool
) -> None:
    traffic = Traffic(kafka.bootstrap, topics, 100_000, 500, 300, SEED)
    run = Trial("slow downstream, killed", kafka.bootstrap, topics, workers, traffic)
    random_ = random.Random(SEED)
    run.begin()
    campaign_tool.start()
    for _ in range(KILLS):
        run.wait(random_.uniform(12, 16))
        campaign_tool.kill()
        campaign_tool.start()
    run.wait(15)
    campaign_tool.send(signal.SIGSTOP)
    waiting = []
    stopped = time.monotonic()
    while time.monotonic() - stopped < STILL_S:
        run.wait(1)
        waiting.append(run.lag())
    assert all(lag is not None and lag <= traffic.rate for lag in waiting), "a worker waits for a consumer of triggers"
    campaign_tool.send(signal.SIGCONT)
    run.end_traffic(early=True)
    run.wait(25)  # the last deadlines
    campaign_tool.kill()
    last = campaign_tool.start("--until-idle", str(LAST_IDLE_S))
    assert last.wait(300 * PATIENCE) == 0
    run.settle()

    verdict = judge(kafka.bootstrap, topics, traffic.produced)
    triggers = read(kafka.bootstrap, topics.triggers, Trigger)
    wanted = {f"{t.trigger_id}/send" for t in triggers if t.status == "issued"}
    wanted |= {f"{t.trigger_id}/withdraw" for t in triggers if t.status == "cancelled"}
    requests = campaign_tool.requests()
    contents = {(one["idempotency_key"], json.dumps(one, sort_keys=True)) for one in requests}
    by_key = Counter(key for key, _ in contents)
    verdict.lost += len(wanted - by_key.keys())
    verdict.duplicated += len(by_key.keys() - wanted)
    verdict.different += sum(number > 1 for number in by_key.values())
    repeated = len(requests) - len(by_key)
    run.report(
        verdict, len(traffic.produced),
        f"{KILLS} kills and {STILL_S:.0f} s still; {len(wanted)} effects due, {len(by_key)} idempotency keys, one "
        f"content each; {repeated} requests repeated under their key",
    )  # fmt: skip
    assert triggers
